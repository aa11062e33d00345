"""Rules of the loop: what is called when, what survives an error, how it ends."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from maskwatch.errors import (
    ModelOutputError,
    OutputError,
    OutputExistsError,
    SourceError,
    UnreadableVideoError,
)
from maskwatch.run import Failure, Summary, run
from maskwatch.sinks.base import Drawn, Origin
from maskwatch.sources.base import Source
from maskwatch.types import Faces, Frame, FrameResult, Image, MaskState
from maskwatch.workers import Budget
from run_helpers import PATIENCE_S, FakeDetector, FakeSource, Recorder, fake_pipeline, grey

BROKEN = UnreadableVideoError("video b breaks off.")


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """A run leaves no thread behind, however it ends."""
    before = threading.active_count()
    yield
    assert threading.active_count() == before, threading.enumerate()


def pictures(count: int) -> list[Image]:
    return [grey(index % 256) for index in range(count)]


def test_order_of_calls() -> None:
    """All plan, all enter, then each source is started, written and finished; exits run back."""
    log: list[str] = []
    run(
        [FakeSource("a", pictures(2)), FakeSource("b", pictures(1))],
        fake_pipeline(),
        [Recorder(log, "x"), Recorder(log, "y")],
    )
    both = ["start a", "write a 0", "write a 1", "finish", "start b", "write b 0", "finish"]
    assert log == [
        *("x plan a,b", "y plan a,b", "x enter", "y enter"),
        *(f"{name} {call}" for call in both for name in "xy"),
        *("y exit", "x exit"),
    ]


def test_callbacks_and_summary() -> None:
    """Callbacks see sources, results and failures in order, and the summary adds them up."""
    log: list[str] = []
    faces = Faces(np.array([[0, 0, 40, 40]], np.float32), np.ones(1, np.float32))
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    sources = [FakeSource("a", [noise]), FakeSource("b", [noise, BROKEN]), FakeSource("c", [noise])]
    summary = run(
        sources,
        fake_pipeline(FakeDetector(faces)),
        on_start=lambda source: log.append(f"start {source.name}"),
        on_result=lambda result: log.append(f"result {result.frame.source}"),
        on_failure=lambda failure: log.append(f"failure {failure.source}"),
    )
    assert log == [
        *("start a", "result a", "start b", "result b", "failure b", "start c", "result c"),
    ]
    assert (summary.frames, summary.faces, dict(summary.states)) == (3, 3, {MaskState.WITH_MASK: 3})
    assert (summary.stopped, summary.cut_short) == (False, False)
    assert summary.seconds > 0
    assert summary.frames_per_s == summary.frames / summary.seconds


def test_a_summary_of_nothing_has_no_speed() -> None:
    """Speed is 0 where no time passed."""
    assert Summary().frames_per_s == 0.0


@pytest.mark.parametrize("every", [1, 3, 7], ids="every-{}".format)
def test_every(every: int) -> None:
    """Each N-th frame of each source is looked at, beginning with its first."""
    sink = Recorder()
    sources = [FakeSource("a", pictures(10)), FakeSource("b", pictures(4))]
    run(sources, fake_pipeline(), [sink], every=every)
    assert sink.indices == [*range(0, 10, every), *range(0, 4, every)]


@pytest.mark.parametrize("batch", [1, 4], ids="batch-{}".format)
def test_batches_as_large_as_asked_and_no_larger(batch: int) -> None:
    """What is ready is judged together, never more than asked, in order."""
    read_ahead = threading.Event()
    steps: list[Any] = pictures(30)
    # A reader may be two batches ahead; by then the one before is full of frames.
    steps.insert(2 * batch, read_ahead.set)
    detector = FakeDetector(on_call=lambda images: read_ahead.wait(PATIENCE_S))
    sink = Recorder()
    run([FakeSource("a", steps)], fake_pipeline(detector), [sink], batch=batch)
    assert max(detector.batches) == batch
    assert sum(detector.batches) == 30
    assert sink.indices == list(range(30))


def test_sources_share_a_batch_and_keep_their_order() -> None:
    """Photos are judged together with their neighbours, and each result has its own source."""
    release = threading.Event()
    photos = [FakeSource(f"{i}", [grey(i)], "image") for i in range(9)]
    photos[3] = FakeSource("3", [release.set, grey(3)], "image")
    detector = FakeDetector(on_call=lambda images: release.wait(PATIENCE_S))
    sink = Recorder()
    run(photos, fake_pipeline(detector), [sink], batch=9)
    assert [result.frame.source for result in sink.results] == [str(i) for i in range(9)]
    assert [int(result.frame.image[0, 0, 0]) for result in sink.results] == list(range(9))
    assert max(detector.batches) > 1


def test_a_source_that_fails_in_the_middle() -> None:
    """It is reported with its error, its frames before are kept, and the others are done."""
    sink = Recorder()
    broken = FakeSource("b", [*pictures(3), BROKEN])
    failures: list[Failure] = []
    summary = run(
        [FakeSource("a", pictures(1)), broken, FakeSource("c", pictures(1))],
        fake_pipeline(),
        [sink],
        on_failure=failures.append,
    )
    assert summary.failures == failures == [Failure("b", BROKEN)]
    assert sink.log[5:-1] == [
        *("sink start b", "sink write b 0", "sink write b 1", "sink write b 2", "sink finish"),
        *("sink start c", "sink write c 0", "sink finish"),
    ]
    assert broken.closed


def test_a_source_that_cannot_be_opened() -> None:
    """It has a start and a finish and nothing between."""
    sink = Recorder()
    summary = run([FakeSource("a", [SourceError("no.")])], fake_pipeline(), [sink])
    assert sink.log == ["sink plan a", "sink enter", "sink start a", "sink finish", "sink exit"]
    assert [failure.source for failure in summary.failures] == ["a"]


def test_no_sources() -> None:
    """A run of nothing ends."""
    assert run([], fake_pipeline(), [Recorder()]).frames == 0


class Refusing(Recorder):
    """A sink that refuses at one of its calls."""

    def __init__(self, at: str, log: list[str], error: Exception) -> None:
        super().__init__(log, "bad")
        self._at = at
        self._error = error

    def _refuse(self, at: str) -> None:
        if at == self._at:
            raise self._error

    def plan(self, origins: Sequence[Origin]) -> None:
        self._refuse("plan")

    def __enter__(self) -> Refusing:
        self._refuse("enter")
        return self

    def start(self, origin: Origin) -> None:
        self._refuse("start")

    def write(self, result: FrameResult, drawn: Drawn) -> None:
        self._refuse("write")

    def finish(self) -> None:
        self._refuse("finish")

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self._refuse("exit")


@pytest.mark.parametrize("at", ["start", "write", "finish", "exit"])
@pytest.mark.parametrize("frames", [1, 200], ids=["short", "longer-than-the-queues"])
def test_error_in_a_sink(at: str, frames: int) -> None:
    """It ends the run with just that error, also while everybody waits, and all sinks are left."""
    log: list[str] = []
    error = OutputError("cannot write x: No space left on device.")
    source = FakeSource("a", pictures(frames))
    with pytest.raises(OutputError) as caught:
        run([source], fake_pipeline(), [Recorder(log, "good"), Refusing(at, log, error)])
    assert caught.value is error
    assert log[-2:] == ["bad exit", "good exit"]
    assert source.closed


def test_error_while_entering() -> None:
    """Sinks entered before are left, and no source is opened."""
    log: list[str] = []
    opened: list[bool] = []
    source = FakeSource("a", [lambda: opened.append(True)])
    with pytest.raises(OutputError):
        run(
            [source],
            fake_pipeline(),
            [Recorder(log, "good"), Refusing("enter", log, OutputError("no."))],
        )
    assert log == ["good plan a", "good enter", "good exit"]
    assert not opened


def test_output_in_the_way() -> None:
    """A sink that refuses the plan ends the run before anything is entered."""
    log: list[str] = []
    with pytest.raises(OutputExistsError):
        run(
            [FakeSource("a", pictures(1))],
            fake_pipeline(),
            [Recorder(log, "good"), Refusing("plan", log, OutputExistsError("x"))],
        )
    assert log == ["good plan a"]


def test_error_in_the_pipeline() -> None:
    """It ends the run with that error; what was judged before is written, and sinks are left."""
    error = ModelOutputError("net.onnx returned NaN.")

    def fail_on_third(images: Sequence[Image]) -> None:
        if len(detector.batches) == 3:
            raise error

    detector = FakeDetector(on_call=fail_on_third)
    source = FakeSource("a", pictures(100))
    sink = Recorder()
    with pytest.raises(ModelOutputError) as caught:
        run([source], fake_pipeline(detector), [sink], batch=1)
    assert caught.value is error
    assert sink.indices == [0, 1]
    assert sink.log[-1] == "sink exit"
    assert source.closed


@pytest.mark.parametrize("error", [RuntimeError("bug"), MemoryError()], ids=["bug", "memory"])
def test_unforeseen_error_in_a_source(error: Exception) -> None:
    """It ends the run as it is; frames before it, though just read, are written."""
    called = threading.Event()

    def wait_for_the_error(images: Sequence[Image]) -> None:
        called.set()
        for thread in threading.enumerate():
            if thread.name == "reader":
                thread.join(PATIENCE_S)

    first, second, *rest = pictures(4)
    source = FakeSource("a", [first, second, lambda: called.wait(PATIENCE_S), *rest, error])
    sink = Recorder()
    detector = FakeDetector(on_call=wait_for_the_error)
    with pytest.raises(type(error)) as caught:
        run([source], fake_pipeline(detector), [sink], batch=100)
    assert caught.value is error
    assert sink.indices == [0, 1, 2, 3]


def test_error_in_a_callback() -> None:
    """It ends the run cleanly, like any other."""
    sink = Recorder()
    with pytest.raises(RuntimeError, match="broken pipe"):
        run(
            [FakeSource("a", pictures(100))],
            fake_pipeline(),
            [sink],
            on_result=lambda result: raise_error(RuntimeError("broken pipe")),
        )
    assert sink.log[-1] == "sink exit"


def raise_error(error: BaseException) -> None:
    raise error


def test_error_with_a_waiting_camera() -> None:
    """An error elsewhere does not wait for a camera that gives nothing."""
    error = ModelOutputError("net.onnx returned NaN.")
    source = waiting_camera([grey()])
    detector = FakeDetector(on_call=lambda images: raise_error(error))
    with pytest.raises(ModelOutputError):
        run([source], fake_pipeline(detector))
    assert source.closed


def test_error_in_a_sink_while_a_camera_is_silent() -> None:
    """A full disk is not hidden by a camera that gives nothing more."""
    error, log = OutputError("cannot write x: No space left on device."), list[str]()
    with pytest.raises(OutputError):
        run([waiting_camera([grey()])], fake_pipeline(), [Refusing("write", log, error)])
    assert log == ["bad exit"]


def test_ctrl_c_without_an_event() -> None:
    """Ctrl-C in the calling thread ends the run with sinks and source closed."""
    source, sink = FakeSource("a", pictures(100)), Recorder()
    detector = FakeDetector(on_call=lambda images: raise_error(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        run([source], fake_pipeline(detector), [sink])
    assert sink.log[-1] == "sink exit"
    assert source.closed


def test_ctrl_c_while_the_writer_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C during the last waits does not leave a sink that still writes."""
    interrupted, log = threading.Event(), list[str]()
    join = threading.Thread.join

    def interrupted_once(self: threading.Thread, timeout: float | None = None) -> None:
        if self.name == "writer" and not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt
        join(self, timeout)

    monkeypatch.setattr(threading.Thread, "join", interrupted_once)
    sink = Recorder(log, on_write=lambda result: interrupted.wait(PATIENCE_S))
    with pytest.raises(KeyboardInterrupt):
        run([FakeSource("a", pictures(3))], fake_pipeline(), [sink])
    assert log[-3:] == ["sink write a 2", "sink finish", "sink exit"]


def waiting_camera(before: Sequence[Image | Callable[[], object]] = ()) -> FakeSource:
    """A live source that plays these steps and then gives nothing until it is stopped."""
    steps: list[Any] = [*before]
    source = FakeSource("cam", steps, "live")
    steps.append(lambda: source.woken.wait(PATIENCE_S) or pytest.fail("nobody stopped it"))
    return source


@pytest.mark.parametrize("given", [0, 2], ids=["no-frame-ever", "two-frames"])
def test_stop_wakes_a_camera_that_gives_nothing(given: int) -> None:
    """Stopping ends a camera that waits for frames; nothing is left undone by that."""
    stop, sink = threading.Event(), Recorder()
    source = waiting_camera([*pictures(given), stop.set])
    summary = run([source], fake_pipeline(), [sink], stop=stop)
    assert source.closed
    assert (summary.stopped, summary.cut_short, summary.failures) == (True, False, [])
    assert sink.indices == list(range(given))
    assert sink.log[-2:] == ["sink finish", "sink exit"]


def test_stop_in_a_recording() -> None:
    """Stopping ends a recording soon, with sinks finished, and says that it was cut short."""
    stop = threading.Event()
    source, sink = FakeSource("a", pictures(5_000)), Recorder()
    following = FakeSource("b", pictures(1))

    def stop_at_ten(result: FrameResult) -> None:
        if result.frame.index == 10:
            stop.set()

    summary = run([source, following], fake_pipeline(), [sink], stop=stop, on_result=stop_at_ten)
    assert (summary.stopped, summary.cut_short) == (True, True)
    assert 11 <= summary.frames < 20
    assert sink.indices == list(range(summary.frames))
    assert sink.log[-2:] == ["sink finish", "sink exit"]
    assert "sink start b" not in sink.log


def test_stop_drops_what_was_read_ahead() -> None:
    """Frames read but not yet judged when the run is stopped are not judged any more."""
    stop, read = threading.Event(), threading.Event()
    steps: list[Any] = pictures(8)
    steps.append(read.set)

    def stop_once_read(images: Sequence[Image]) -> None:
        assert read.wait(PATIENCE_S)
        stop.set()

    summary = run(
        [FakeSource("a", steps)],
        fake_pipeline(FakeDetector(on_call=stop_once_read)),
        batch=4,
        stop=stop,
    )
    assert 1 <= summary.frames <= 4
    assert summary.cut_short


def test_stop_in_a_camera_before_other_sources() -> None:
    """Stopping a camera that others would follow leaves those undone."""
    stop = threading.Event()
    summary = run(
        [waiting_camera([grey()]), FakeSource("b", pictures(1))],
        fake_pipeline(),
        stop=stop,
        on_result=lambda result: stop.set(),
    )
    assert (summary.stopped, summary.cut_short, summary.frames) == (True, True, 1)


def test_stopped_before_the_start() -> None:
    """An event that is set already opens no source."""
    stop = threading.Event()
    stop.set()
    summary = run([FakeSource("a", pictures(3))], fake_pipeline(), [Recorder()], stop=stop)
    assert (summary.frames, summary.stopped, summary.cut_short) == (0, True, True)


class Camera:
    """A camera with a clock of its own, which only the test moves."""

    def __init__(self, frames: int) -> None:
        self.now = 0
        self.asked: list[int] = []
        self._frames = frames

    def steps(self) -> Iterator[Frame]:
        for _ in range(self._frames):
            self.asked.append(self.now)
            yield Frame(grey(), "cam", self.now)


@pytest.mark.parametrize("before", [False, True], ids=["alone", "after-photos"])
def test_networks_see_the_newest_frame_of_a_camera(before: bool) -> None:
    """A camera is asked for a frame when the networks are free, and not earlier."""
    camera, sink = Camera(6), Recorder()

    def work(images: Sequence[Image]) -> None:
        camera.now += 10

    photos = [FakeSource("photo", pictures(3), "image")] if before else []
    sources: list[Source] = [*photos, FakeSource("cam", camera.steps(), "live")]
    detector = FakeDetector(on_call=work)
    run(sources, fake_pipeline(detector), [sink])
    assert detector.batches[-6:] == [1] * 6
    start = 10 * (len(detector.batches) - 6)
    seen = [result.frame.index for result in sink.results if result.frame.source == "cam"]
    # Right after photos the networks may be at work on these when the camera is opened.
    assert seen[1:] == [start + 10 * number for number in range(1, 6)]
    assert camera.asked == seen


def test_a_slow_camera_is_not_asked_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the loop waits long for the camera, only one frame is asked for at a time."""
    looked_up = threading.Semaphore(0)
    wait = threading.Condition.wait

    def noted_wait(self: threading.Condition, timeout: float | None = None) -> bool:
        woken = wait(self, timeout)
        if not woken and threading.current_thread() is threading.main_thread():
            looked_up.release()
        return woken

    monkeypatch.setattr(threading.Condition, "wait", noted_wait)
    monkeypatch.setattr("maskwatch.workers._WAIT_S", 0.001)
    camera, sink, asked_ahead = Camera(3), Recorder(), threading.Event()
    working = threading.Event()

    def steps() -> Iterator[Frame]:
        for frame in camera.steps():
            if working.is_set():
                asked_ahead.set()
            for _ in range(3):
                assert asked_ahead.is_set() or looked_up.acquire(timeout=PATIENCE_S)
            yield frame

    def work(images: Sequence[Image]) -> None:
        working.set()
        asked_ahead.wait(0.02)
        camera.now += 10
        working.clear()

    source = FakeSource("cam", steps(), "live")
    run([source], fake_pipeline(FakeDetector(on_call=work)), [sink])
    assert not asked_ahead.is_set()
    assert sink.indices == [0, 10, 20]


def test_every_on_a_camera() -> None:
    """With every N-th frame of a camera the run goes on, though most are not judged."""
    sink = Recorder()
    run([FakeSource("cam", pictures(7), "live")], fake_pipeline(), [sink], every=3)
    assert sink.indices == [0, 3, 6]


def test_memory_stays_flat() -> None:
    """Of a long recording only a few frames exist at a time, however slow the sink is."""
    alive, most = [0], [0]
    lock = threading.Lock()

    def change(by: int) -> None:
        with lock:
            alive[0] += by
            most[0] = max(most[0], alive[0])

    given, ahead = [0], threading.Condition()

    def steps() -> Iterator[Image]:
        for _ in range(5_000):
            image = np.zeros((100, 333, 3), np.uint8)
            weakref.finalize(image, change, -1)
            change(1)
            with ahead:
                given[0] += 1
                ahead.notify_all()
            yield image

    class Slow(Recorder):
        def write(self, result: FrameResult, drawn: Drawn) -> None:
            drawn()
            if result.frame.index % 100 == 0:
                far = min(5_000, result.frame.index + 15)
                with ahead:
                    assert ahead.wait_for(lambda: given[0] >= far, PATIENCE_S)

    summary = run([FakeSource("a", steps())], fake_pipeline(), [Slow()], batch=4)
    gc.collect()
    assert summary.frames == 5_000
    # Read ahead: 8; judged: 4; waiting to be written: 8; in each hand: a few.
    assert most[0] <= 32
    assert alive[0] == 0


def test_a_picture_is_drawn_once_for_all_sinks() -> None:
    """Sinks that ask share one drawing; where none asks, none is made."""

    class Asking(Recorder):
        def write(self, result: FrameResult, drawn: Drawn) -> None:
            self.drawings.append(drawn())

        drawings: list[Image]

    first, second = Asking(), Asking()
    first.drawings, second.drawings = [], []
    run([FakeSource("a", pictures(3))], fake_pipeline(), [first, second])
    pairs = list(zip(first.drawings, second.drawings, strict=True))
    assert len(pairs) == 3
    assert all(one is other for one, other in pairs)


def test_nothing_is_drawn_for_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose sinks do not look at pictures spends no time on drawing."""

    def refuse(result: FrameResult) -> Image:
        raise AssertionError("drawn for nobody")

    monkeypatch.setattr("maskwatch.workers.draw", refuse)
    sink = Recorder()
    run([FakeSource("a", pictures(2))], fake_pipeline(), [sink])
    assert sink.indices == [0, 1]


def test_large_frames_are_few() -> None:
    """Pictures alive between reading and writing are bounded by their bytes, not number alone."""
    budget = Budget(limit=100)
    budget.take(60, lambda: False)
    assert not _would_wait(budget, 40)
    assert _would_wait(budget, 41)
    budget.give(60)
    budget.give(40)
    assert not _would_wait(budget, 1000), "a picture larger than the limit goes alone"


def _would_wait(budget: Budget, size: int) -> bool:
    """Whether taking waits; what was taken stays taken unless it had to."""
    asked = []

    def ended() -> bool:
        asked.append(True)
        return True

    budget.take(size, ended)
    if asked:
        budget.give(size)
    return bool(asked)
