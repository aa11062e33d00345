"""Sources, networks and sinks that do what a test tells them, and small videos."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path, PurePath
from typing import Self

import numpy as np

from maskwatch.pipeline import Pipeline
from maskwatch.sinks.base import Drawn, Origin, Sink
from maskwatch.sources.base import Kind, Source
from maskwatch.types import ClosePair, Faces, Floats, Frame, FrameResult, Image, MaskState

PATIENCE_S = 20.0
"""Longest wait for another thread or program; only a failing test waits so long."""

Step = Image | Frame | Exception | Callable[[], object]
"""Of a scripted source: a picture, a ready frame, an error, or something to do."""


def grey(shade: int = 0, width: int = 64, height: int = 48) -> Image:
    """A plain picture."""
    return np.full((height, width, 3), shade, np.uint8)


class FakeSource(Source):
    """A source that plays a script."""

    def __init__(
        self,
        name: str,
        steps: Iterable[Step] = (),
        kind: Kind = "video",
        *,
        rate: Fraction | None = None,
        count: int | None = None,
    ) -> None:
        super().__init__(name, PurePath(name))
        self._steps = steps
        self._kind: Kind = kind
        self._rate = rate
        self._count = count
        self.closed = False
        self.woken = threading.Event()

    @property
    def kind(self) -> Kind:
        return self._kind

    @property
    def rate(self) -> Fraction | None:
        return self._rate

    @property
    def frame_count(self) -> int | None:
        return self._count

    def frames(self) -> Generator[Frame, None, None]:
        index = 0
        try:
            for step in self._steps:
                if self._stopped:
                    return
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, Frame):
                    yield step
                elif isinstance(step, np.ndarray):
                    yield Frame(step, self.name, index, index / 10)
                    index += 1
                else:
                    step()
        finally:
            self.closed = True

    def stop(self) -> None:
        super().stop()
        self.woken.set()


@dataclass
class FakeDetector:
    """Finds the same faces in every picture, and keeps count."""

    faces: Faces = field(default_factory=Faces.empty)
    on_call: Callable[[Sequence[Image]], object] = lambda images: None
    batches: list[int] = field(default_factory=list)
    name: str = "fake"
    min_score: float = 0.0
    tells_states: bool = False

    def __call__(self, images: Sequence[Image]) -> list[Faces]:
        self.batches.append(len(images))
        self.on_call(images)
        return [self.faces] * len(images)


@dataclass
class FakeClassifier:
    """Is sure that every face wears a mask."""

    size_px: int = 8

    def __call__(self, crops: Image) -> Floats:
        return np.tile(np.array([0.9, 0.07, 0.03], np.float32), (len(crops), 1))


def fake_pipeline(detector: FakeDetector | None = None) -> Pipeline:
    """A pipeline without networks."""
    return Pipeline(detector or FakeDetector(), FakeClassifier())


class Recorder(Sink):
    """Writes down what it is told, under its name, and does what the test wants meanwhile."""

    def __init__(
        self,
        log: list[str] | None = None,
        name: str = "sink",
        *,
        on_write: Callable[[FrameResult], object] = lambda result: None,
    ) -> None:
        self.log = [] if log is None else log
        self.results: list[FrameResult] = []
        self._name = name
        self._on_write = on_write

    def _note(self, what: str) -> None:
        self.log.append(f"{self._name} {what}")

    def plan(self, origins: Sequence[Origin]) -> None:
        self._note(f"plan {','.join(origin.name for origin in origins)}")

    def __enter__(self) -> Self:
        self._note("enter")
        return self

    def __exit__(self, *exc: object) -> None:
        self._note("exit")

    def start(self, origin: Origin) -> None:
        self._note(f"start {origin.name}")

    def write(self, result: FrameResult, drawn: Drawn) -> None:
        self._on_write(result)
        self._note(f"write {result.frame.source} {result.frame.index}")
        self.results.append(result)

    def finish(self) -> None:
        self._note("finish")

    @property
    def indices(self) -> list[int]:
        """Of the frames that came."""
        return [result.frame.index for result in self.results]


def result_of(
    image: Image,
    boxes: Sequence[Sequence[float]] = (),
    states: Sequence[MaskState] = (),
    *,
    source: str = "a.jpg",
    index: int = 0,
    time_s: float = 0.0,
    close: Sequence[ClosePair] | None = None,
) -> FrameResult:
    """A result with these faces, all of score 0.75 and sure to 0.9."""
    count = len(boxes)
    probs = np.tile(np.array([0.9, 0.07, 0.03], np.float32), (count, 1))
    faces = Faces(
        np.array(boxes, np.float32).reshape(count, 4), np.full(count, 0.75, np.float32), probs
    )
    chosen = tuple(states) or (MaskState.WITH_MASK,) * count
    frame = Frame(image, source, index, time_s)
    return FrameResult(frame, faces, chosen, None if close is None else tuple(close))


def write_video(path: Path, pictures: Iterable[Image], *, rate: int = 10) -> Path:
    """Encode pictures as H.264, with a key frame every five."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=rate, options={"g": "5", "preset": "ultrafast"}
        )
        stream.pix_fmt = "yuv420p"
        for index, image in enumerate(pictures):
            if index == 0:
                stream.height, stream.width = image.shape[:2]
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts = index
            frame.time_base = Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@dataclass
class Video:
    """What a video file holds."""

    codec: str
    pixels: str
    width: int
    height: int
    rate: float
    times_s: list[float]
    images: list[Image]


def read_video(path: Path) -> Video:
    """Decode a whole file."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        times_s, images = [], []
        for frame in container.decode(stream):
            assert frame.time is not None
            times_s.append(frame.time)
            images.append(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8))
        return Video(
            stream.codec_context.name,
            str(stream.pix_fmt),
            stream.width,
            stream.height,
            float(stream.average_rate or 0),
            times_s,
            images,
        )
