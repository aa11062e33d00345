"""Faces and mask states of one photo.

python examples/photo.py PHOTO [ANNOTATED_COPY]
"""

from __future__ import annotations

import sys
from pathlib import Path

import maskwatch
from maskwatch.draw import draw


def main(photo: Path, copy: Path | None) -> None:
    """Print a line a face; draw them if asked."""
    pipeline = maskwatch.Pipeline.default()
    result = pipeline(maskwatch.read_image(photo))
    for box, state in zip(result.faces.boxes, result.states, strict=True):
        print(state, [round(float(side)) for side in box])
    if copy is not None:
        maskwatch.write_image(copy, draw(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
