"""Shorter and longer versions of a video, for measuring."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from fractions import Fraction
from itertools import count

from maskwatch.sources import Source
from maskwatch.sources.base import Kind
from maskwatch.types import Frame


class ExactFrames(Source):
    """So many frames of a video: its first ones, or all of them again and again."""

    def __init__(self, inner: Source, total: int) -> None:
        super().__init__(inner.name, inner.relative)
        self._inner = inner
        self._total = total

    @property
    def kind(self) -> Kind:
        """As the video's."""
        return self._inner.kind

    @property
    def rate(self) -> Fraction | None:
        """As the video's."""
        return self._inner.rate

    def frames(self) -> Generator[Frame, None, None]:
        """The frames, numbered and timed without a break."""
        given, start_s = 0, 0.0
        for _ in count():
            time_s = 0.0
            frames = self._inner.frames()
            try:
                for frame in frames:
                    time_s = frame.time_s
                    yield replace(frame, index=given, time_s=start_s + time_s)
                    given += 1
                    if given == self._total:
                        return
            finally:
                frames.close()
            start_s += time_s + float(1 / (self.rate or Fraction(25)))
