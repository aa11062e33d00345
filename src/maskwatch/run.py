"""The loop: sources → pipeline → sinks, with reading, judging and writing at the same time.

A reader thread decodes ahead, the calling thread runs the networks on what is ready, and a writer
thread draws, encodes and saves. The queues between them are short, so memory stays flat and the
slowest of the three sets the pace. A camera is asked for a frame only when the networks are free,
so that they always see its newest.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import count

from maskwatch.draw import draw
from maskwatch.errors import SourceError
from maskwatch.pipeline import Pipeline
from maskwatch.sinks.base import Sink
from maskwatch.sources.base import Source
from maskwatch.types import Frame, FrameResult, MaskState

_WAIT_S = 0.1  # how often a blocked thread looks whether it should end


@dataclass(frozen=True, slots=True)
class Failure:
    """A source that could not be read, or only to a point.

    Attributes:
        source: Its name.
        error: Why.
    """

    source: str
    error: SourceError


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


@dataclass(frozen=True, slots=True)
class _Start:
    source: Source


@dataclass(frozen=True, slots=True)
class _End:
    error: SourceError | None = None


@dataclass(frozen=True, slots=True)
class _Finish:
    """The last thing read: all sources are done, or something unforeseen went wrong."""

    error: BaseException | None


_Read = _Start | Frame | _End
_Judged = _Start | FrameResult | _End


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
    with ExitStack() as stack:
        for sink in sinks:
            stack.enter_context(sink)
        writer = stack.enter_context(_Writer(sinks))
        reader = stack.enter_context(_Reader(sources, every, batch, stop, writer.check))
        for item in _judge(reader, pipeline):
            writer.put(item)
            match item:
                case _Start(source):
                    current = source.name
                    on_start(source)
                case FrameResult():
                    _count(summary, item)
                    on_result(item)
                case _End(error) if error is not None:
                    summary.failures.append(Failure(current, error))
                    on_failure(summary.failures[-1])
        summary.stopped, summary.cut_short = reader.stopped, reader.cut_short
    summary.seconds = time.monotonic() - started
    return summary


def _judge(reader: _Reader, pipeline: Pipeline) -> Iterator[_Judged]:
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


class _Reader:
    """Reads the sources in a thread, a few frames ahead.

    Attributes:
        stopped: Whether `stop` ended the reading; settled once `chunks` has ended.
        cut_short: Whether that left something unread, see `Summary`.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        every: int,
        batch: int,
        stop: threading.Event,
        check: Callable[[], None],
    ) -> None:
        self.stopped = False
        self.cut_short = False
        self._sources = sources
        self._every = every
        self._batch = batch
        self._stop = stop
        self._check = check
        self._left = False
        self._changed = threading.Condition()
        self._ready: deque[_Read | _Finish] = deque()
        self._wanted = False  # nothing is ready, and the calling thread waits
        self._current: Source | None = None
        self._thread = threading.Thread(target=self._read_all, name="reader", daemon=True)

    def __enter__(self) -> _Reader:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        with self._changed:
            self._left = True
            self._changed.notify_all()
        _finish(self._thread, self._wake)

    def chunks(self) -> Iterator[list[_Read]]:
        """What is ready, in order, with at most `batch` frames at a time.

        Once stopped, frames that were read ahead are left out.
        """
        live = False
        while True:
            chunk: list[_Read] = []
            for item in self._next():
                if isinstance(item, _Finish):
                    yield chunk
                    if item.error is not None:
                        raise item.error
                    return
                live = item.source.live if isinstance(item, _Start) else live
                if isinstance(item, Frame) and self._stop.is_set():
                    self._note_stop(live)
                else:
                    chunk.append(item)
            yield chunk

    def _next(self) -> list[_Read | _Finish]:
        """Wait until something is ready and take up to `batch`.

        A camera may be silent for hours, so what goes wrong elsewhere is looked for meanwhile.
        """
        with self._changed:
            while not self._ready:
                self._wanted = True
                self._changed.notify_all()
                self._changed.wait(_WAIT_S)
                self._check()
                if self._stop.is_set():
                    self._wake()
            number = min(len(self._ready), self._batch)
            self._changed.notify_all()
            return [self._ready.popleft() for _ in range(number)]

    def _wake(self) -> None:
        """Make a source end that waits, for instance for its camera."""
        if (source := self._current) is not None:
            source.stop()

    def _read_all(self) -> None:
        error: BaseException | None = None
        try:
            for source in self._sources:
                if self._ending():
                    self._note_stop(live=False)
                    break
                self._put(_Start(source))
                self._put(_End(self._read(source)))
        except BaseException as exc:  # goes on in the calling thread
            error = exc
        self._put(_Finish(error))

    def _read(self, source: Source) -> SourceError | None:
        self._current = source
        try:
            self._give_frames(source, source.frames())
        except SourceError as exc:
            return exc
        finally:
            self._current = None
        return None

    def _give_frames(self, source: Source, frames: Generator[Frame, None, None]) -> None:
        with closing(frames):
            for number in count():
                looked_at = number % self._every == 0
                if source.live and looked_at:
                    self._wait_until_wanted()
                frame = None if self._ending() else next(frames, None)
                if self._ending():
                    self._note_stop(source.live)
                    return
                if frame is None:
                    return
                if looked_at:
                    self._put(frame)

    def _wait_until_wanted(self) -> None:
        with self._changed:
            while not self._wanted and not self._ending():
                self._changed.wait(_WAIT_S)

    def _note_stop(self, live: bool) -> None:
        # Two threads do this; each only ever sets.
        self.stopped = True
        if not live:
            self.cut_short = True

    def _put(self, item: _Read | _Finish) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._left or len(self._ready) < 2 * self._batch)
            self._ready.append(item)
            self._wanted = False
            self._changed.notify_all()

    def _ending(self) -> bool:
        return self._left or self._stop.is_set()


class _Writer:
    """Draws and hands to the sinks in a thread."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks
        self._todo: queue.Queue[_Judged | None] = queue.Queue(8)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)

    def __enter__(self) -> _Writer:
        self._thread.start()
        return self

    def __exit__(self, kind: object, exc: object, trace: object) -> None:
        _finish(self._thread, self._ask_to_end)
        if self._error is not None and exc is None:
            raise self._error

    def _ask_to_end(self) -> None:
        with suppress(queue.Full):  # then it is asked again
            self._todo.put(None, timeout=_WAIT_S)

    def put(self, item: _Judged) -> None:
        """Hand over; waits while the writer is behind."""
        self.check()
        self._todo.put(item)

    def check(self) -> None:
        """Raise what went wrong in a sink."""
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (item := self._todo.get()) is not None:
            if self._error is None:  # after one, the rest is only taken away
                try:
                    self._write(item)
                except BaseException as exc:  # goes on in the calling thread
                    self._error = exc

    def _write(self, item: _Judged) -> None:
        match item:
            case _Start(source):
                for sink in self._sinks:
                    sink.start(source)
            case FrameResult():
                drawn = cache(lambda: draw(item))
                for sink in self._sinks:
                    sink.write(item, drawn)
            case _End():
                for sink in self._sinks:
                    sink.finish()


def _finish(thread: threading.Thread, ask: Callable[[], None]) -> None:
    """Ask a thread to end until it has.

    A Ctrl-C meanwhile counts afterwards only: what the thread works with is closed next, and
    closing a video while another thread adds to it would crash.
    """
    interrupt: KeyboardInterrupt | None = None
    while thread.is_alive():
        try:
            ask()
            thread.join(_WAIT_S)
        except KeyboardInterrupt as exc:
            interrupt = exc
    if interrupt is not None:
        raise interrupt
