"""The loop: sources → pipeline → sinks, with reading, judging and writing at the same time.

A reader thread decodes ahead, the calling thread runs the networks on what is ready, and a writer
thread draws, encodes and saves. The queues between them are short, so memory stays flat and the
slowest of the three sets the pace. A camera is asked for a frame only when the networks are free,
so that they always see its newest.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from maskwatch.errors import MaskwatchError, UsageError
from maskwatch.pipeline import Pipeline
from maskwatch.sinks.base import Sink
from maskwatch.sources.base import Source
from maskwatch.types import Frame, FrameResult, MaskState
from maskwatch.workers import Budget, End, Judged, Reader, Start, Writer


@dataclass(frozen=True, slots=True)
class Failure:
    """A source that could not be read, or only to a point, or a copy of which was refused.

    Attributes:
        source: Its name.
        error: Why.
    """

    source: str
    error: MaskwatchError


@dataclass(slots=True)
class Summary:
    """What a run did.

    Attributes:
        frames: Frames looked at.
        states: Faces by state.
        close_pairs: Pairs of faces too close, summed over frames.
        seconds: Time taken, from the first source's opening to the last output's closing.
        failures: Sources that failed.
        stopped: Whether the run was told to stop before its sources ended.
        cut_short: Whether stopping left something undone: the rest of a recording, or sources
            that were never opened. A camera has no end, so ending the last one leaves nothing.
    """

    frames: int = 0
    states: Counter[MaskState] = field(default_factory=Counter)
    close_pairs: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    stopped: bool = False
    cut_short: bool = False

    @property
    def faces(self) -> int:
        """Faces found, summed over frames."""
        return sum(self.states.values())

    @property
    def frames_per_s(self) -> float:
        """Frames looked at in a second."""
        return self.frames / self.seconds if self.seconds else 0.0


def run(
    sources: Sequence[Source],
    pipeline: Pipeline,
    sinks: Sequence[Sink] = (),
    *,
    every: int = 1,
    batch: int = 4,
    stop: threading.Event | None = None,
    on_start: Callable[[Source], None] = lambda source: None,
    on_result: Callable[[FrameResult], None] = lambda result: None,
    on_failure: Callable[[Failure], None] = lambda failure: None,
) -> Summary:
    """Look at every frame of every source and hand the results to every sink.

    A source that cannot be read is reported and the others are still done.

    Args:
        sources: In this order.
        pipeline: Looks at the frames.
        sinks: Take the results.
        every: Look at each so-many-th frame of a source only.
        batch: Frames judged together at most; fewer when fewer are ready.
        stop: Once set, the run ends soon and cleanly.
        on_start: Told of each source before its frames.
        on_result: Told of each result.
        on_failure: Told of each source that failed.

    Raises:
        UsageError: An output is in the way; nothing was done.
        ModelError: A network failed. What was judged before is written.
        OutputError: A result could not be written.
    """
    stop = stop or threading.Event()
    summary, started = Summary(), time.monotonic()
    for sink in sinks:
        sink.plan(sources)
    _check_apart(sinks)
    budget = Budget()
    with ExitStack() as stack:
        for sink in sinks:
            stack.enter_context(sink)
        writer = stack.enter_context(Writer(sinks, budget))
        reader = stack.enter_context(Reader(sources, every, batch, stop, writer.check, budget))
        for item in _judge(reader, pipeline):
            writer.put(item)
            match item:
                case Start(source):
                    current = source.name
                    on_start(source)
                case FrameResult():
                    _count(summary, item)
                    on_result(item)
                case End(error) if error is not None:
                    summary.failures.append(Failure(current, error))
                    on_failure(summary.failures[-1])
        summary.stopped, summary.cut_short = reader.stopped, reader.cut_short
    for name, refusal in writer.refused:
        summary.failures.append(Failure(name, refusal))
        on_failure(summary.failures[-1])
    summary.seconds = time.monotonic() - started
    return summary


def _judge(reader: Reader, pipeline: Pipeline) -> Iterator[Judged]:
    """What was read, with results in the place of frames."""
    for items in reader.chunks():
        frames = [item for item in items if isinstance(item, Frame)]
        results = iter(pipeline.batch(frames) if frames else [])
        for item in items:
            yield next(results) if isinstance(item, Frame) else item


def _count(summary: Summary, result: FrameResult) -> None:
    summary.frames += 1
    summary.states.update(result.states)
    summary.close_pairs += len(result.too_close or ())


def _check_apart(sinks: Sequence[Sink]) -> None:
    """See that no two outputs are one file.

    Raises:
        UsageError: Two are.
    """
    taken: set[str] = set()
    for sink in sinks:
        for target in sink.targets:
            real = os.path.realpath(target)
            if real in taken:
                raise UsageError(f"two outputs would be written to {target}. Name two places.")
            taken.add(real)
