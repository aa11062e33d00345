"""Annotated copies of what was looked at, in a folder, under the names they had."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import nullcontext, suppress
from fractions import Fraction
from pathlib import Path, PurePath
from types import TracebackType

from maskwatch.errors import OutputError, SourceError
from maskwatch.images import os_reason, write_image
from maskwatch.sinks.base import Drawn, Origin, Sink, check_free, file_ids
from maskwatch.sinks.video import VideoWriter
from maskwatch.types import FrameResult

_WRITABLE = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


class AnnotatedSink(Sink):
    """Writes pictures as pictures and everything else as H.264 video in MP4.

    A name keeps its ending where that format can be written; `a.gif` becomes `a.gif.png`,
    `a.avi` becomes `a.avi.mp4`. Sources whose names would meet are numbered: `a-2.jpg`.
    """

    def __init__(self, folder: Path, *, every: int = 1, overwrite: bool = False) -> None:
        """Remember where to write; nothing is made yet.

        Args:
            folder: Made when the sink is entered.
            every: Only each so-many-th frame of a video arrives: its frame rate is divided.
            overwrite: Replace files that are there (never a source itself).
        """
        self._folder = folder
        self._every = every
        self._overwrite = overwrite
        self._targets: dict[Origin, Path] = {}
        self._origin: Origin | None = None
        self._video: VideoWriter | None = None

    def plan(self, origins: Sequence[Origin]) -> None:
        """Settle the name of every output.

        Raises:
            OutputExistsError: One is there and overwriting was not asked for.
            UsageError: One would replace a source.
        """
        taken: set[Path] = set()
        sources = file_ids(origins)
        for origin in origins:
            target = self._folder / _output_name(origin)
            base, number = target, 1
            while target in taken:
                number += 1
                target = base.with_name(f"{base.stem}-{number}{base.suffix}")
            taken.add(target)
            self._targets[origin] = target
            check_free(target, sources, overwrite=self._overwrite)

    @property
    def targets(self) -> Collection[Path]:
        """The annotated copies."""
        return self._targets.values()

    def __enter__(self) -> AnnotatedSink:
        """Make the folder and see that it can be written.

        Raises:
            OutputError: It cannot.
        """
        probe = self._folder / ".maskwatch-probe"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as exc:
            raise OutputError(f"cannot write into {self._folder}: {os_reason(exc)}.") from exc
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close a video that is still open.

        Raises:
            OutputError: Its end cannot be written, and nothing else has gone wrong.
        """
        with nullcontext() if exc is None else suppress(OutputError):
            self.finish()

    def start(self, origin: Origin) -> None:
        """Results of this source follow."""
        self._origin = origin

    def write(self, result: FrameResult, drawn: Drawn) -> None:
        """Write the annotated picture, or add it to the video.

        Raises:
            OutputError: It cannot be written.
        """
        assert self._origin is not None, "start comes before write"
        target = self._targets[self._origin]
        if self._origin.kind == "image":
            write_image(target, drawn())
            return
        if self._video is None:
            rate = _rate(self._origin, self._every)
            self._video = VideoWriter(target, rate, survives_kill=self._origin.kind == "live")
        self._video.write(drawn(), result.frame.time_s)

    def finish(self) -> None:
        """Close the video of the source that ended.

        Raises:
            OutputError: Its end cannot be written.
        """
        video, self._video, self._origin = self._video, None, None
        if video is not None:
            video.close()


def _output_name(origin: Origin) -> PurePath:
    name = origin.relative
    if origin.kind == "image":
        fits = name.suffix.lower() in _WRITABLE
        return name if fits else name.with_name(f"{name.name}.png")
    return name if name.suffix.lower() == ".mp4" else name.with_name(f"{name.name}.mp4")


def _rate(origin: Origin, every: int) -> Fraction | None:
    """Frames per second of the copy; None where unknown."""
    try:
        return None if origin.rate is None else origin.rate / every
    except SourceError:  # its address gave the frames, but did not answer again
        return None
