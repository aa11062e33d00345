"""The two threads of the loop: one reads ahead, one draws and writes."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import count

from maskwatch.draw import draw
from maskwatch.errors import MaskwatchError, OutputRefusedError, SourceError
from maskwatch.sinks.base import Sink
from maskwatch.sources.base import Source
from maskwatch.types import Frame, FrameResult

_WAIT_S = 0.1  # how often a blocked thread looks whether it should end
_FRAME_BYTES = 256_000_000


@dataclass(frozen=True, slots=True)
class Start:
    """A source begins."""

    source: Source


@dataclass(frozen=True, slots=True)
class End:
    """The source that began last has ended, perhaps too early."""

    error: SourceError | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """The last thing read: all sources are done, or something unforeseen went wrong."""

    error: BaseException | None


Read = Start | Frame | End
Judged = Start | FrameResult | End


class Budget:
    """Bounds the pictures that are alive between reading and writing, by their bytes.

    Queues bound them by number, which is not enough for photos of a hundred million pixels.
    """

    def __init__(self, limit: int = _FRAME_BYTES) -> None:
        self._limit = limit
        self._used = 0
        self._changed = threading.Condition()

    def take(self, size: int, ended: Callable[[], bool]) -> None:
        """Wait until so many bytes are free, or all are, or it is over."""
        with self._changed:
            while self._used and self._used + size > self._limit and not ended():
                self._changed.wait(_WAIT_S)
            self._used += size

    def give(self, size: int) -> None:
        """Free so many bytes."""
        with self._changed:
            self._used -= size
            self._changed.notify_all()


class Reader:
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
        budget: Budget,
    ) -> None:
        self.stopped = False
        self.cut_short = False
        self._sources = sources
        self._every = every
        self._batch = batch
        self._stop = stop
        self._check = check
        self._budget = budget
        self._left = False
        self._changed = threading.Condition()
        self._ready: deque[Read | Finish] = deque()
        self._wanted = False  # nothing is ready, and the calling thread waits
        self._current: Source | None = None
        self._thread = threading.Thread(target=self._read_all, name="reader", daemon=True)

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        with self._changed:
            self._left = True
            self._changed.notify_all()
        _finish(self._thread, self._wake)

    def chunks(self) -> Iterator[list[Read]]:
        """What is ready, in order, with at most `batch` frames at a time.

        Once stopped, frames that were read ahead are left out.
        """
        live = False
        while True:
            chunk: list[Read] = []
            for item in self._next():
                if isinstance(item, Finish):
                    yield chunk
                    if item.error is not None:
                        raise item.error
                    return
                live = item.source.live if isinstance(item, Start) else live
                if isinstance(item, Frame) and self._stop.is_set():
                    self._budget.give(item.image.nbytes)
                    self._note_stop(live)
                else:
                    chunk.append(item)
            yield chunk

    def _next(self) -> list[Read | Finish]:
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
                self._put(Start(source))
                self._put(End(self._read(source)))
        except BaseException as exc:  # goes on in the calling thread
            error = exc
        self._put(Finish(error))

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
                    self._budget.take(frame.image.nbytes, self._ending)
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

    def _put(self, item: Read | Finish) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._left or len(self._ready) < 2 * self._batch)
            self._ready.append(item)
            self._wanted = False
            self._changed.notify_all()

    def _ending(self) -> bool:
        return self._left or self._stop.is_set()


class Writer:
    """Draws and hands to the sinks in a thread.

    A sink that refuses what comes from one source is left out until the next one.

    Attributes:
        refused: Source and error of each time; settled once the context is left.
    """

    def __init__(self, sinks: Sequence[Sink], budget: Budget) -> None:
        self.refused: list[tuple[str, MaskwatchError]] = []
        self._sinks = sinks
        self._budget = budget
        self._source = ""
        self._refusing: set[Sink] = set()
        self._todo: queue.Queue[Judged | None] = queue.Queue(8)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, kind: object, exc: object, trace: object) -> None:
        _finish(self._thread, self._ask_to_end)
        if self._error is not None and exc is None:
            raise self._error

    def _ask_to_end(self) -> None:
        with suppress(queue.Full):  # then it is asked again
            self._todo.put(None, timeout=_WAIT_S)

    def put(self, item: Judged) -> None:
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
            if isinstance(item, FrameResult):
                self._budget.give(item.frame.image.nbytes)

    def _write(self, item: Judged) -> None:
        match item:
            case Start(source):
                self._source = source.name
                self._refusing.clear()
                for sink in self._sinks:
                    sink.start(source)
            case FrameResult():
                drawn = cache(lambda: draw(item))
                for sink in self._sinks:
                    if sink not in self._refusing:
                        with self._refusal(sink):
                            sink.write(item, drawn)
            case End():
                for sink in self._sinks:
                    with self._refusal(sink):
                        sink.finish()

    @contextmanager
    def _refusal(self, sink: Sink) -> Iterator[None]:
        """Keep a refusal for the end, and once for a source."""
        try:
            yield
        except OutputRefusedError as exc:
            if sink not in self._refusing:
                self.refused.append((self._source, exc))
            self._refusing.add(sink)


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
