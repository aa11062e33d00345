from __future__ import annotations

import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import PurePath

import pytest
from source_helpers import PATIENCE_S, FakeTime, ScriptedCamera, camera_threads, picture

from maskwatch.errors import CameraError, SettingsError
from maskwatch.sources import LiveSettings, LiveSource
from maskwatch.sources.mailbox import Mailbox
from maskwatch.types import Frame, Image

REFUSED = CameraError("cannot open camera cam: Connection refused.")


class Watch:
    """A live source on a scripted camera, with fake time and its reports kept."""

    def __init__(self, camera: ScriptedCamera, settings: LiveSettings | None = None) -> None:
        self.camera = camera
        self.time = FakeTime()
        self.reports: list[str] = []
        self.source = LiveSource(
            "cam",
            PurePath("cam"),
            camera.connect,
            settings or LiveSettings(),
            report=self.reports.append,
            clock=self.time.clock,
            wait=self.time.wait,
        )

    def consume(self, count: int) -> list[Frame]:
        """Take so many frames, acknowledging each, and close."""
        frames = self.source.frames()
        taken = []
        for _ in range(count):
            taken.append(next(frames))
            self.camera.acknowledge()
        frames.close()
        return taken


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """No reader outlives the frames of its source."""
    yield
    assert camera_threads() == []


def test_every_frame_once() -> None:
    """A consumer that keeps up gets each frame once, in order."""
    camera = ScriptedCamera([10, "taken", 11, "taken", 12, "taken"])
    frames = Watch(camera).consume(3)
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [10, 11, 12]
    assert {frame.source for frame in frames} == {"cam"}


def test_newest_only_and_nothing_queued() -> None:
    """A slow consumer gets the newest frame, sees the gap, and older frames are freed."""
    first_taken, all_there, hold = threading.Event(), threading.Event(), threading.Event()
    alive: list[weakref.ref[Image]] = []

    def connect() -> Iterator[tuple[Image, None]]:
        yield picture(0), None
        first_taken.wait(PATIENCE_S)
        for shade in range(1, 100):
            image = picture(shade)
            alive.append(weakref.ref(image))
            yield image, None
        all_there.set()
        hold.wait(PATIENCE_S)

    source = LiveSource("cam", PurePath("cam"), connect)
    frames = source.frames()
    assert next(frames).index == 0
    first_taken.set()
    assert all_there.wait(PATIENCE_S)
    assert sum(ref() is not None for ref in alive) <= 2
    newest = next(frames)
    assert (newest.index, int(newest.image[0, 0, 0])) == (99, 99)
    hold.set()
    frames.close()


def test_back_off() -> None:
    """Waits double from 1 s to 30 s and begin anew after a success; it is told once each."""
    camera = ScriptedCamera([0, "taken"], *[[REFUSED]] * 7, [1, "taken"], [2, "taken"])
    watch = Watch(camera)
    frames = watch.consume(3)
    assert watch.time.waits == [1, 2, 4, 8, 16, 30, 30, 30, 1]
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 121, 122])
    assert watch.reports == [
        "lost camera cam: it ended the stream. Trying again until it answers.",
        "camera cam is back after 121.0 s.",
        "lost camera cam: it ended the stream. Trying again until it answers.",
        "camera cam is back after 1.0 s.",
    ]
    assert camera.released == camera.connected


def test_error_while_reading() -> None:
    """An error of the camera while it runs counts as a loss and is told."""
    camera = ScriptedCamera([0, "taken", CameraError("lost camera cam: cable.")], [1, "taken"])
    watch = Watch(camera)
    assert len(watch.consume(2)) == 2
    assert watch.reports[0] == "lost camera cam: cable. Trying again until it answers."


def test_time_stamps_over_a_reconnection() -> None:
    """Times follow the camera's stamps, and a gap counts as long as it was."""
    camera = ScriptedCamera([70, "taken", 71, "taken"], [0, "taken", 2, "taken"], stamps=True)
    watch = Watch(camera, LiveSettings(first_wait_s=20))
    times = [frame.time_s for frame in watch.consume(4)]
    assert times == pytest.approx([0, 0.1, 20.1, 20.3])


def test_not_there_at_the_start() -> None:
    """A camera that does not answer at the start is an error, without waiting."""
    watch = Watch(ScriptedCamera([REFUSED]))
    with pytest.raises(CameraError, match="Connection refused"):
        next(watch.source.frames())
    assert watch.time.waits == []
    assert watch.reports == []


def test_nothing_at_the_start() -> None:
    """A camera that opens and ends without a frame is an error too."""
    with pytest.raises(CameraError, match="ended the stream"):
        next(Watch(ScriptedCamera([])).source.frames())


def test_wait_for_first() -> None:
    """With wait_for_first a camera that is not there yet is waited for."""
    camera = ScriptedCamera([REFUSED], [REFUSED], [5, "taken"])
    watch = Watch(camera, LiveSettings(wait_for_first=True))
    (frame,) = watch.consume(1)
    assert (frame.index, frame.time_s) == (0, 0.0)
    assert watch.time.waits == [1, 2]
    assert watch.reports == [
        f"{REFUSED} Trying again until it answers.",
        "camera cam answers after 3.0 s.",
    ]


def test_max_retries() -> None:
    """After max_retries attempts in a row the camera is given up, with the last reason."""
    camera = ScriptedCamera([5, "taken"], [REFUSED], [REFUSED])
    watch = Watch(camera, LiveSettings(max_retries=2))
    frames = watch.source.frames()
    next(frames)
    camera.acknowledge()
    with pytest.raises(CameraError, match=r"refused\. Given up after 2 attempts"):
        next(frames)
    assert watch.time.waits == [1, 2]


def test_fault_in_the_reader() -> None:
    """An error that nobody foresaw ends frames() instead of letting it wait for ever."""
    with pytest.raises(ZeroDivisionError):
        next(Watch(ScriptedCamera([ZeroDivisionError()])).source.frames())


def test_stop_from_another_thread_while_waiting_for_a_frame() -> None:
    """stop() ends a frames() that waits for a camera that gives nothing."""
    waiting, hold = threading.Event(), threading.Event()
    camera = ScriptedCamera([0, waiting.set, lambda: hold.wait(PATIENCE_S)])
    source = Watch(camera).source

    def stop() -> None:
        waiting.wait(PATIENCE_S)
        source.stop()
        hold.set()

    stopper = threading.Thread(target=stop)
    stopper.start()
    assert len(list(source.frames())) <= 1
    stopper.join()
    assert camera.released == 1


def test_stop_while_backing_off() -> None:
    """stop() ends the wait between two attempts at once."""
    lost = threading.Event()
    camera = ScriptedCamera([REFUSED])
    settings = LiveSettings(wait_for_first=True, first_wait_s=3600, longest_wait_s=3600)
    source = LiveSource(
        "cam", PurePath("cam"), camera.connect, settings, report=lambda _: lost.set()
    )

    def stop() -> None:
        lost.wait(PATIENCE_S)
        source.stop()

    stopper = threading.Thread(target=stop)
    stopper.start()
    assert list(source.frames()) == []
    stopper.join()


def test_mailbox_may_be_closed_inside_take() -> None:
    """A signal handler that closes the box while its own thread holds the lock does not hang."""
    box = Mailbox()
    closed = threading.Thread(target=_close_while_locked, args=(box,), daemon=True)
    closed.start()
    closed.join(PATIENCE_S)
    assert not closed.is_alive()
    assert box.take() is None


def _close_while_locked(box: Mailbox) -> None:
    with box._changed:
        box.close()


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no such signal here")
def test_stop_from_a_signal_handler() -> None:
    """stop() may be called by a signal handler, which runs inside the wait for a frame."""
    hold = threading.Event()
    main = threading.main_thread().ident
    assert main is not None
    camera = ScriptedCamera(
        [
            0,
            "taken",
            lambda: signal.pthread_kill(main, signal.SIGUSR1),
            lambda: hold.wait(PATIENCE_S),
        ]
    )
    source = Watch(camera).source

    def handler(*_: object) -> None:
        source.stop()
        hold.set()

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        for _ in source.frames():
            camera.acknowledge()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert camera.released == 1


def test_stop_before_the_start() -> None:
    """A source that was stopped opens nothing."""
    camera = ScriptedCamera([0])
    source = Watch(camera).source
    source.stop()
    assert list(source.frames()) == []
    assert camera.connected == 0


def test_closing_releases_the_camera() -> None:
    """Closing frames() releases the camera, and it can be opened again."""
    camera = ScriptedCamera([0, "taken", 1, 2, 3], [7, "taken"])
    watch = Watch(camera)
    assert len(watch.consume(1)) == 1
    assert camera.released == 1
    assert int(watch.consume(1)[0].image[0, 0, 0]) == 7
    assert camera.released == 2


@pytest.mark.parametrize("bad", [{"timeout_s": 0.0}, {"first_wait_s": -1.0}, {"max_retries": -1}])
def test_bad_settings(bad: dict[str, float]) -> None:
    """A setting that makes no sense is refused by name."""
    with pytest.raises(SettingsError, match=next(iter(bad))):
        LiveSettings(**bad)  # type: ignore[arg-type]


def test_waits_never_overflow() -> None:
    """After weeks of failures the wait is still the longest one."""
    assert LiveSettings().wait_s(100_000) == 30


def test_reports_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Without anything said, reports are lines on the standard error output."""
    camera = ScriptedCamera([0], [REFUSED])
    source = LiveSource(
        "cam", PurePath("cam"), camera.connect, LiveSettings(max_retries=1), wait=lambda _: False
    )
    with pytest.raises(CameraError, match="Given up after 1"):
        list(source.frames())
    assert capsys.readouterr() == (
        "",
        "lost camera cam: it ended the stream. Trying again until it answers.\n",
    )


def test_no_retries() -> None:
    """With max_retries 0 the first loss is an error, and no other attempt is promised."""
    watch = Watch(ScriptedCamera([0]), LiveSettings(max_retries=0))
    with pytest.raises(CameraError, match=r"ended the stream\. Given up after 0"):
        list(watch.source.frames())
    assert watch.reports == []


def test_end_of_the_program_with_frames_open() -> None:
    """A program that ends while frames() is open ends at once and cleanly."""
    code = """
import itertools, pathlib, numpy
from maskwatch.sources import LiveSource
images = ((numpy.zeros((2, 2, 3), numpy.uint8), None) for _ in itertools.count())
frames = LiveSource("cam", pathlib.PurePath("cam"), lambda: images).frames()
next(frames)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
