"""The entry of the command line: `maskwatch`, or `python -m maskwatch`."""

from __future__ import annotations

import sys


def entry() -> None:
    """Load and run the command line; Ctrl-C while it loads ends it in silence."""
    try:
        from maskwatch.cli import main

        main()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    entry()
