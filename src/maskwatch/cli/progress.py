"""How far a run is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from maskwatch.cli.console import counted, one_line, tell
from maskwatch.draw import STATE_WORDS
from maskwatch.errors import SourceError
from maskwatch.run import Failure
from maskwatch.sources import Source
from maskwatch.types import FrameResult

_LINE_EVERY_S = 10.0


class RunProgress:
    """Progress of a run on stderr.

    One source is counted in frames, several in sources.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        every: int,
        *,
        each_photo: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare the bar.

        Args:
            sources: Of the run.
            every: Frames from one that is looked at to the next.
            each_photo: Print the states found in each photo to standard output.
            clock: Seconds.
        """
        self._by_source = len(sources) > 1
        self._each_photo = each_photo
        self._clock = clock
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._total = len(sources) if self._by_source else _frames(sources[0], every)
        self._frames = 0
        self._started = 0
        self._kind = ""
        self._begin_s = self._line_s = clock()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            count = MofNCompleteColumn()
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                count,
                TextColumn("{task.fields[speed]}"),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task("", total=self._total, speed="")
            self._bar.start()
            # Should a second Ctrl-C end the program, nobody would bring the cursor back.
            self._console.show_cursor(True)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def start(self, source: Source) -> None:
        """A source begins."""
        self._kind = source.kind
        if self._bar is not None:
            name = source.name if len(source.name) <= 40 else "…" + source.name[-39:]
            done = self._started if self._by_source else 0
            self._bar.update(self._task, description=one_line(name), completed=done)
        self._started += 1

    def result(self, result: FrameResult) -> None:
        """A frame was looked at."""
        self._frames += 1
        now = self._clock()
        speed = f"{self._frames / max(now - self._begin_s, 1e-3):.1f} frames/s"
        if self._bar is not None:
            self._bar.update(self._task, speed=speed, advance=0 if self._by_source else 1)
        elif now - self._line_s >= _LINE_EVERY_S:
            self._line_s = now
            frames = counted(self._frames, "frame")
            self._console.print(f"{frames}, {speed}", highlight=False, soft_wrap=True)
        if self._each_photo and self._kind == "image":
            self._say(_photo_line(result))

    def failure(self, failure: Failure) -> None:
        """A source failed."""
        self._console.print(
            f"error: {one_line(str(failure.error))}",
            style="red",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )

    def _say(self, line: str) -> None:
        if self._bar is not None and sys.stdout.isatty():
            self._bar.console.print(line, highlight=False, markup=False, soft_wrap=True)
        else:
            tell(line)


def _frames(source: Source, every: int) -> int | None:
    """Frames that will be looked at; None where unknown (a broken file says so when it is read)."""
    try:
        known = source.frame_count
    except SourceError:
        return None
    return None if known is None else -(-known // every)


def _photo_line(result: FrameResult) -> str:
    words = [STATE_WORDS[state] for state in result.states]
    return one_line(f"{result.frame.source}: {', '.join(words) or 'no faces'}")
