"""What all verbs share: lines to people, progress and signals."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TextIO, TypeVar, cast

import typer

from maskwatch.errors import OutputError
from maskwatch.images import os_reason
from maskwatch.sinks.textfile import encodable

T = TypeVar("T")

_LINE_EVERY_S = 10.0


def tell(line: str, *, to_stderr: bool = False) -> None:
    """Print a line for people.

    Raises:
        OutputError: Standard output is closed or full.
    """
    file = cast("TextIO | None", sys.stderr if to_stderr else sys.stdout)
    if file is None:
        raise OutputError("cannot write standard output: it is closed.")
    try:
        print(encodable(one_line(line), file), file=file, flush=True)
    except OSError as exc:
        raise OutputError(f"cannot write standard output: {os_reason(exc)}.") from exc


def counted(number: int, thing: str) -> str:
    """`1 face`, `2 faces`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def error(line: str) -> None:
    """Print an error as one line, also where a file's name has several."""
    typer.echo(f"error: {one_line(line)}", err=True)


def one_line(text: str) -> str:
    """The text with line breaks, and all else that would steer a terminal, spelled out."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; a second signal ends the program at once.

    At once means by the operating system: Python's own answer to a second Ctrl-C would be an
    exception, which waits for the same things as the first.
    """
    stop = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in signals}

    def handle(number: int, frame: FrameType | None) -> None:
        stop.set()
        for each in signals:
            signal.signal(each, signal.SIG_DFL)

    for number in signals:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def track(items: Sequence[T], doing: str) -> Iterator[T]:
    """Show how far it is on stderr: a bar on a terminal, a line now and then elsewhere."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track as bar

        yield from bar(items, doing, console=Console(stderr=True), transient=True)
        return
    line_s = time.monotonic()
    for done, item in enumerate(items):
        if time.monotonic() - line_s >= _LINE_EVERY_S:
            line_s = time.monotonic()
            tell(f"{doing}: {done} of {len(items)}", to_stderr=True)
        yield item
