"""Small videos, and cameras that play a script, for the tests of the sources."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from maskwatch.types import Image

PATIENCE_S = 10.0
"""Longest wait for another thread; only a failing test waits so long."""


def picture(shade: int, width: int = 64, height: int = 32) -> Image:
    """A plain picture."""
    return np.full((height, width, 3), shade, np.uint8)


def corner_picture() -> Image:
    """Black, with the quarter at the top left white."""
    image = picture(0)
    image[:16, :32] = 255
    return image


def write_video(
    path: Path,
    pictures: Sequence[Image],
    *,
    times_ms: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    codec: Literal["libx264", "mjpeg"] = "libx264",
) -> Path:
    """Encode pictures at 10 frames a second, or at the given times."""
    import av

    with av.open(str(path), "w", options=options or {}) as container:
        groups = {"g": "5", "bf": "2"} if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=10, options=groups)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p" if codec == "libx264" else "yuvj420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, image in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts = times_ms[index] if times_ms else index * 100
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def shades(count: int) -> list[Image]:
    """Pictures that get brighter by 5 from one to the next."""
    return [picture(5 * index) for index in range(count)]


def noise(count: int) -> list[Image]:
    """Pictures that do not compress, so that bytes of a file are spread over its frames."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (32, 64, 3), np.uint8) for _ in range(count)]


Step = int | Exception | Literal["taken"] | Callable[[], Any]
"""Of a scripted camera: a picture of this shade, an error, a wait until the consumer has the
frame (which it says by `acknowledge`), or something to do."""


class ScriptedCamera:
    """A camera whose every connection is a list of steps."""

    def __init__(self, *connections: Sequence[Step], stamps: bool = False) -> None:
        self.script = list(connections)
        self.stamps = stamps
        self.connected = 0
        self.released = 0
        self._taken = threading.Semaphore(0)

    def acknowledge(self) -> None:
        """Tell the camera that a frame was taken."""
        self._taken.release()

    def connect(self) -> Iterator[tuple[Image, float | None]]:
        """Play the next connection."""
        self.connected += 1
        try:
            for step in self.script.pop(0):
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, int):
                    yield picture(step), step / 10 if self.stamps else None
                elif step == "taken":
                    assert self._taken.acquire(timeout=PATIENCE_S)
                else:
                    step()
        finally:
            self.released += 1


class FakeTime:
    """A clock that stands still unless told, and waits that take no time."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.waits: list[float] = []

    def clock(self) -> float:
        """The time."""
        return self.now_s

    def wait(self, seconds: float) -> bool:
        """Note the wait and let it be over."""
        self.waits.append(seconds)
        self.now_s += seconds
        return False

    def passes(self, seconds: float) -> Callable[[], None]:
        """Step of a scripted camera: so much time passes."""

        def step() -> None:
            self.now_s += seconds

        return step


def camera_threads() -> list[str]:
    """Names of the threads that read cameras at the moment."""
    return [t.name for t in threading.enumerate() if t.name.startswith("camera ")]
