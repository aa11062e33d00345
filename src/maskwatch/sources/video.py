"""Recordings: video files, and videos on a web server, read from start to end."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from maskwatch.errors import UnreadableVideoError
from maskwatch.images import os_reason
from maskwatch.sources.base import Kind, Source
from maskwatch.sources.clock import RecordingClock
from maskwatch.sources.ffmpeg import decode, open_input, translated, upright, video_stream
from maskwatch.types import Frame

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_AGAIN = "Try to play it, or copy it again."
_CHECK = "Check the address."
_SHORT_S = 1.0


@dataclass(slots=True)
class _Tally:
    """What came out of a file, to be held against what its header promised."""

    frames: int = 0
    packets: int = 0
    damaged: int = 0
    end_s: float = 0.0

    def is_short(self, container: InputContainer, stream: VideoStream) -> bool:
        """Whether the file ended before its header says it does."""
        if container.format.name.startswith("matroska"):
            promised_s = (container.duration or 0) / 1_000_000
            return self.end_s < promised_s - _SHORT_S
        # FFmpeg ends an MP4 that was cut in the middle without a word; its index is whole.
        return self.packets < len(stream.index_entries)


class VideoSource(Source):
    """A video that has an end."""

    def __init__(
        self,
        location: str,
        name: str,
        relative: PurePath,
        *,
        kind: Kind = "video",
        timeout_s: float | None = None,
    ) -> None:
        """Describe the video; `VideoSource.of_file` does it for a file.

        Args:
            location: What FFmpeg opens.
            name: See `Source`.
            relative: See `Source`.
            kind: `image` for a picture on a web server, which FFmpeg reads as a short video.
            timeout_s: Longest wait for a web server.
        """
        super().__init__(name, relative)
        self._location = location
        self._kind = kind
        self._timeout_s = timeout_s

    @classmethod
    def of_file(cls, path: Path, relative: PurePath) -> VideoSource:
        """The video in a file."""
        return cls(f"file:{path}", str(path), relative)

    @property
    def kind(self) -> Kind:
        """`video`, or `image` for a picture on a web server."""
        return self._kind

    @property
    def frame_count(self) -> int | None:
        """Frames by length and rate; opens the video at the first call.

        Raises:
            UnreadableVideoError: It cannot be opened.
        """
        return self._facts[0]

    @property
    def rate(self) -> Fraction | None:
        """Average frames in a second; opens the video at the first call.

        Raises:
            UnreadableVideoError: It cannot be opened.
        """
        return self._facts[1]

    @cached_property
    def _facts(self) -> tuple[int | None, Fraction | None]:
        with self._opened() as (container, stream):
            # H.264 in AVI is counted by the field, which gives twice the rate.
            rates = [rate for rate in (stream.average_rate, stream.guessed_rate) if rate]
            rate = min(rates, default=None)
            length_s: Fraction | None = None
            if stream.duration and stream.time_base:
                length_s = stream.duration * stream.time_base
            elif container.duration:
                length_s = Fraction(container.duration, 1_000_000)
            # The number of frames in the header counts what an edit list leaves out, too.
            count = round(length_s * rate) if length_s and rate else stream.frames
        return count or None, rate

    def frames(self) -> Generator[Frame, None, None]:
        """Read the video from its start.

        The time of a frame is its time stamp counted from the first frame; frames of any rate,
        also a changing one, come as they are.

        Raises:
            UnreadableVideoError: It cannot be opened, or is damaged or cut short: all frames
                that decode are given first.
        """
        if self._stopped:
            return
        with self._opened() as (container, stream):
            stream.thread_type = "AUTO"
            clock = RecordingClock(stream.time_base, stream.average_rate)
            tally = _Tally()
            for picture in self._pictures(container, stream, tally):
                if self._stopped:
                    return
                time_s = clock.at(picture.pts)
                yield Frame(upright(picture), self.name, tally.frames, time_s)
                tally.frames += 1
            self._complain(tally, tally.is_short(container, stream))

    @contextmanager
    def _opened(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        what = f"cannot read video {self.name}"
        self._check_file(what)
        advice = _AGAIN if self._is_file else _CHECK
        with translated(what, UnreadableVideoError, advice):
            container = open_input(self._location, timeout_s=self._timeout_s)
        with container:
            yield container, video_stream(container, what, UnreadableVideoError)

    @property
    def _is_file(self) -> bool:
        return self._location.startswith("file:")

    def _check_file(self, what: str) -> None:
        """Say plainly what FFmpeg would only call invalid data."""
        if not self._is_file:
            return
        path = Path(self._location.removeprefix("file:"))
        try:
            with path.open("rb") as file:
                empty = not file.read(1)
        except OSError as exc:
            raise UnreadableVideoError(f"{what}: {os_reason(exc)}.") from exc
        if empty:
            raise UnreadableVideoError(f"{what}: empty file. {_AGAIN}")

    def _pictures(
        self, container: InputContainer, stream: VideoStream, tally: _Tally
    ) -> Iterator[VideoFrame]:
        """Decode, passing over damaged packets."""
        packets = container.demux()
        while True:
            what = f"video {self.name} breaks off after {tally.frames} frames"
            with translated(what, UnreadableVideoError, _AGAIN):
                packet = next(packets, None)
                if packet is None:
                    return
                pictures = decode(stream, packet)
            tally.end_s = max(tally.end_s, _end_s(packet))
            tally.packets += packet.stream is stream and packet.size > 0
            # A recording of a running stream may start with frames whose key frame is missing.
            tally.damaged += pictures is None and tally.frames > 0
            yield from pictures or []

    def _complain(self, tally: _Tally, short: bool) -> None:
        if not tally.frames:
            raise UnreadableVideoError(
                f"cannot read video {self.name}: none of its frames decodes. {_AGAIN}"
            )
        if short or tally.damaged:
            how = "is cut short" if short else "is damaged"
            raise UnreadableVideoError(
                f"video {self.name} {how}: {tally.frames} frames were read, the rest is missing "
                f"or does not decode. {_AGAIN}"
            )


def _end_s(packet: Packet[Stream]) -> float:
    """When the picture or sound in a packet ends, in seconds."""
    if packet.pts is None or packet.time_base is None:
        return 0.0
    return float((packet.pts + (packet.duration or 0)) * packet.time_base)
