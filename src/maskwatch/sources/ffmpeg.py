"""The one place that touches PyAV's errors and turns its frames into our pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from maskwatch.errors import SourceError
from maskwatch.types import Image

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.error import FFmpegError
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_TEXT_AS_ANSI_ART = "tty"  # FFmpeg would "play" any .txt file


@contextmanager
def translated(
    what: str,
    error: type[SourceError],
    advice: str = "",
    invalid: str = "not a video, or damaged or cut short",
) -> Iterator[None]:
    """Turn errors of PyAV raised inside into `error`.

    Args:
        what: The start of the message: what failed, with its name.
        error: The class to raise.
        advice: The end of the message: what to do.
        invalid: Said of data that FFmpeg cannot make anything of.
    """
    from av.error import FFmpegError

    try:
        yield
    except FFmpegError as exc:
        why = _reason(exc, invalid)
        # A traceback would show the address that FFmpeg was given, password and all.
        exc.args = exc.args[:2]
        raise error(f"{what}: {why}. {advice}".rstrip()) from exc


def open_input(
    location: str, *, timeout_s: float | None = None, options: Mapping[str, str] | None = None
) -> InputContainer:
    """Open a file (`file:` before its path keeps it from being taken for an address) or URL.

    Args:
        location: What FFmpeg opens.
        timeout_s: Longest time for opening, and for each later wait for data.
        options: Options of FFmpeg's protocol and demuxer.
    """
    import av

    return av.open(
        location,
        "r",
        options=dict(options or {}),
        metadata_errors="ignore",
        timeout=None if timeout_s is None else (timeout_s, timeout_s),
    )


def video_stream(container: InputContainer, what: str, error: type[SourceError]) -> VideoStream:
    """The first stream of moving pictures, ready to decode.

    Raises:
        SourceError: As the class `error`, starting with `what`: there is none, or its codec is
            not known.
    """
    from av.stream import Disposition

    cover = Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams or container.format.name == _TEXT_AS_ANSI_ART:
        held = "sound but no pictures" if container.streams.audio else "no pictures"
        raise error(f"{what}: it holds {held}. Give a video.")
    if not streams[0].codec_context:
        raise error(f"{what}: its codec is not known. Convert it to H.264 first.")
    return streams[0]


def decode(stream: VideoStream, packet: Packet[Stream]) -> list[VideoFrame] | None:
    """The frames that a packet completes, often one; None where it is damaged.

    A packet of another stream of the container completes none.
    """
    from av.error import InvalidDataError

    # Its own stream_index is 0 in the packet that flushes any stream.
    if packet.stream is not stream:
        return []
    if packet.is_corrupt:
        return None
    try:
        return stream.decode(packet)
    except InvalidDataError:
        return None


def upright(frame: VideoFrame) -> Image:
    """The frame as BGR, turned as its display matrix says (portrait videos of phones)."""
    # Copies only where FFmpeg padded the rows.
    image: Image = np.ascontiguousarray(frame.to_ndarray(format="bgr24"))
    quarters = round(frame.rotation / 90) % 4
    if quarters:
        import cv2

        # FFmpeg's angle counts counterclockwise (libavutil/display.h).
        turns = (cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)
        image = np.asarray(cv2.rotate(image, turns[quarters - 1]), dtype=np.uint8)
    return image


def _reason(exc: FFmpegError, invalid: str) -> str:
    from av.error import EOFError as EndError
    from av.error import ExitError, InvalidDataError

    if isinstance(exc, InvalidDataError):
        return invalid
    if isinstance(exc, ExitError):
        return "no answer in time"
    if isinstance(exc, EndError):
        return "it ended at once"
    return str(exc.strerror or type(exc).__name__)
