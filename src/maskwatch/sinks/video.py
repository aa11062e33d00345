"""Write H.264 video with the times that its frames had."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from maskwatch.errors import OutputError, OutputRefusedError
from maskwatch.images import output_error
from maskwatch.types import Image

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

_TIME_BASE = Fraction(1, 90_000)
_DEFAULT_RATE = Fraction(25)
_MAX_SIDE_PX = 16384
# A third of the time of "superfast" and as large as OpenCV's MPEG-4, at a better picture.
_ENCODER = {"preset": "ultrafast", "crf": "23"}
_FILE = {"movflags": "faststart"}

# For recordings without an end: the encoder holds nothing back, and a fragment of the file, which
# can be played without what follows, is completed and saved every second.
_LIVE_ENCODER = {**_ENCODER, "tune": "zerolatency"}
_LIVE_FILE = {
    "movflags": "empty_moov+default_base_moof",
    "frag_duration": "1000000",
    "flush_packets": "1",
}


class VideoWriter:
    """One MP4 file of H.264 in yuv420p, which every player reads. Sound is not copied.

    The first picture sets the size, and later ones of another size are fitted into it. H.264 in
    this form has even sides: a picture with an odd one gets its last row or column twice.
    """

    def __init__(self, path: Path, rate: Fraction | None, *, survives_kill: bool = False) -> None:
        """Open the file.

        Args:
            path: Replaced if it is there; its folder is made.
            rate: Frames per second to announce; None where unknown.
            survives_kill: Write in fragments that can be played even if the program is killed or
                the power fails; for recordings without an end.

        Raises:
            OutputError: The file cannot be opened.
        """
        import av

        self._path = path
        self._error: OutputError | None = None
        self._rate = rate or _DEFAULT_RATE
        self._last_pts = -1
        self._stream: VideoStream | None = None
        self._encoder = _LIVE_ENCODER if survives_kill else _ENCODER
        options = _LIVE_FILE if survives_kill else _FILE
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: OutputContainer = av.open(str(path), "w", format="mp4", options=options)
        except (OSError, av.FFmpegError) as exc:
            raise self._unwritable(exc) from exc

    def write(self, image: Image, time_s: float) -> None:
        """Add a picture at a time, in seconds from the start of the source.

        Raises:
            OutputError: It cannot be written.
        """
        import av

        # Offering a packet to a file whose head could not be written would crash FFmpeg.
        if self._error is not None:
            raise self._error
        image = _even(image)
        if self._stream is None:
            self._stream = self._open_stream(image)
        if (self._stream.height, self._stream.width) != image.shape[:2]:
            image = _fit(image, self._stream.width, self._stream.height)
        # OpenCV converts colours several times faster than FFmpeg's scaler.
        planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.time_base = _TIME_BASE
        frame.pts = self._last_pts = max(self._last_pts + 1, round(time_s / _TIME_BASE))
        try:
            self._file.mux(self._stream.encode(frame))
        except (OSError, av.FFmpegError) as exc:
            self._error = self._unwritable(exc)
            raise self._error from exc

    def close(self) -> None:
        """Write what the encoder holds back, and the index.

        Raises:
            OutputError: It cannot be written.
        """
        import av

        stream, self._stream = self._stream, None
        try:
            with self._file:
                if stream is not None and self._error is None:
                    self._file.mux(stream.encode(None))
        except (OSError, av.FFmpegError) as exc:
            raise self._unwritable(exc) from exc

    def _open_stream(self, image: Image) -> VideoStream:
        if max(image.shape[:2]) > _MAX_SIDE_PX:
            self._error = OutputRefusedError(
                f"cannot write {self._path}: {image.shape[1]} x {image.shape[0]} pixels, but "
                f"H.264 holds at most {_MAX_SIDE_PX} a side."
            )
            raise self._error
        from av.video.reformatter import ColorRange, Colorspace

        stream = self._file.add_stream("libx264", rate=self._rate, options=self._encoder)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = _TIME_BASE
        # The matrix and range of OpenCV's conversion: players guess another for large pictures.
        stream.codec_context.colorspace = Colorspace.ITU601
        stream.codec_context.color_range = ColorRange.MPEG
        return stream

    def _unwritable(self, exc: Exception) -> OutputError:
        if isinstance(exc, OSError):
            return output_error(self._path, exc)
        why = getattr(exc, "strerror", None) or "the encoder failed"
        return OutputError(f"cannot write {self._path}: {why}.")


def _even(image: Image) -> Image:
    bottom, right = image.shape[0] % 2, image.shape[1] % 2
    if not bottom and not right:
        return image
    grown = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    return np.asarray(grown, dtype=np.uint8)


def _fit(image: Image, width: int, height: int) -> Image:
    """A camera that came back with another size: scaled whole onto a canvas of the first size."""
    scale = min(width / image.shape[1], height / image.shape[0])
    size = max(1, int(image.shape[1] * scale)), max(1, int(image.shape[0] * scale))
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return canvas
