"""Network cameras (RTSP, MJPEG and the like over HTTP), read with PyAV."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING

from maskwatch.errors import CameraError
from maskwatch.sources.ffmpeg import decode, open_input, translated, upright, video_stream
from maskwatch.sources.url import mask_url, scheme_of
from maskwatch.types import Image

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_NO_VIDEO = "what it sends is no video"
_ADVICE = "Check the address, user and password, and that the camera is on."

# Waiting for enough pictures to guess a frame rate nobody needs would delay the first one.
_OPTIONS = {"fpsprobesize": "0"}

# UDP, FFmpeg's default for RTSP, loses packets without a word and is often blocked.
_RTSP_OPTIONS = {**_OPTIONS, "rtsp_transport": "tcp"}

# MJPEG over HTTP has no time stamps; FFmpeg makes them up at 25 frames a second.
_WITHOUT_STAMPS = frozenset({"mpjpeg", "mjpeg", "jpeg_pipe", "png_pipe"})


def stream_frames(
    url: str, timeout_s: float, clock: Callable[[], float] = time.monotonic
) -> Generator[tuple[Image, float | None], None, None]:
    """Connect to a network camera and give its pictures.

    Args:
        url: Its address, with user and password if it wants any.
        timeout_s: Longest time without a picture.
        clock: Seconds by a clock that runs evenly.

    Yields:
        Each picture and its time stamp in seconds, or None where the stream has none.

    Raises:
        CameraError: It cannot be reached, is not live, or is lost.
    """
    name = mask_url(url)
    what = f"cannot open camera {name}"
    rtsp = (scheme_of(url) or "").startswith("rtsp")
    with translated(what, CameraError, _ADVICE, _NO_VIDEO):
        options = _RTSP_OPTIONS if rtsp else _OPTIONS
        container = open_input(url, timeout_s=timeout_s, options=options)
    with container:
        stream = video_stream(container, what, CameraError)
        if not rtsp:
            _refuse_recording(container, what)
        # Threads that work on whole frames would each hold one back.
        stream.thread_type = "SLICE"
        yield from _pictures(container, stream, name, timeout_s, clock)


def _pictures(
    container: InputContainer,
    stream: VideoStream,
    name: str,
    timeout_s: float,
    clock: Callable[[], float],
) -> Iterator[tuple[Image, float | None]]:
    stamped = container.format.name not in _WITHOUT_STAMPS
    packets = container.demux()
    last_s = clock()
    while True:
        with translated(f"lost camera {name}", CameraError, invalid=_NO_VIDEO):
            packet = next(packets, None)
            if packet is None:
                return
            # A packet damaged on its way costs a frame, not the connection.
            pictures = decode(stream, packet) or []
        # FFmpeg's own time-out does not see that only sound arrives; and where it strikes, the
        # frame held back until then comes out first, stale.
        if clock() - last_s > timeout_s:
            raise CameraError(f"lost camera {name}: no picture for {timeout_s:g} s.")
        for picture in pictures:
            last_s = clock()
            yield upright(picture), picture.time if stamped else None


def _refuse_recording(container: InputContainer, what: str) -> None:
    """Keep a file on a web server from being played again and again as a camera."""
    if container.duration:
        raise CameraError(
            f"{what}: it is a recording of {container.duration / 1e6:.0f} s, not a live stream. "
            "Download it and give the file."
        )
