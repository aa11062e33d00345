"""Cameras: always the newest frame, and connected again whenever they drop out."""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import PurePath

from maskwatch.errors import CameraError, SettingsError
from maskwatch.sources.base import Kind, Source
from maskwatch.sources.clock import LiveClock
from maskwatch.sources.mailbox import Mailbox
from maskwatch.types import Frame, Image

Connect = Callable[[], Iterator[tuple[Image, float | None]]]
"""Opens a camera and gives its pictures, each with its time stamp in seconds or None.

Ends or raises `CameraError` when the camera is lost; closing it releases the camera.
"""

Report = Callable[[str], None]
"""Takes one line that tells the user what happens."""

# A thread inside a network call of FFmpeg cannot be woken; it ends by its own time-out, which
# is longer than the user of frames() should have to wait.
_JOIN_S = 2.0

_readers: dict[threading.Thread, Mailbox] = {}


def to_stderr(message: str) -> None:
    """Print a line on the standard error output."""
    print(message, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """How patient to be with a camera.

    Attributes:
        timeout_s: A camera that gives no frame for so long is lost.
        max_retries: Attempts to connect again, in a row, before giving up; None never gives up.
        wait_for_first: Also wait for a camera that is not there at the start.
        first_wait_s: Wait before the first attempt; it doubles from attempt to attempt.
        longest_wait_s: It grows no longer than this.
    """

    timeout_s: float = 10.0
    max_retries: int | None = None
    wait_for_first: bool = False
    first_wait_s: float = 1.0
    longest_wait_s: float = 30.0

    def __post_init__(self) -> None:
        for name in ("timeout_s", "first_wait_s", "longest_wait_s"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"{name} is {getattr(self, name)}; it is above 0.")
        if self.max_retries is not None and self.max_retries < 0:
            raise SettingsError(f"max_retries is {self.max_retries}; it is 0 or more.")

    def wait_s(self, failures: int) -> float:
        """Wait before the next attempt, after so many failures in a row."""
        # Beyond 2**32 the limit is reached anyway, and a float would overflow one day.
        return min(self.first_wait_s * 2.0 ** min(failures - 1, 32), self.longest_wait_s)


LIVE_DEFAULTS = LiveSettings()
"""What is used where nothing else is said."""


class LiveSource(Source):
    """A camera.

    A thread reads it as fast as it delivers and keeps the newest frame only, so a slow consumer
    sees what happens now; the frames it missed show as gaps in `Frame.index`. Frames are never
    repeated and never made up.
    """

    def __init__(
        self,
        name: str,
        relative: PurePath,
        connect: Connect,
        settings: LiveSettings = LIVE_DEFAULTS,
        *,
        report: Report = to_stderr,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        """Describe the camera.

        Args:
            name: See `Source`.
            relative: See `Source`.
            connect: Opens the camera.
            settings: How patient to be.
            report: Is told once when the camera is lost and once when it is back.
            clock: Seconds by a clock that runs evenly.
            wait: Waits so many seconds and returns True if the source was stopped meanwhile;
                by default a real wait that `stop` ends.
        """
        super().__init__(name, relative)
        self._connect = connect
        self._settings = settings
        self._report = report
        self._clock = clock
        self._wait = wait
        self._box = Mailbox()

    @property
    def kind(self) -> Kind:
        """`live`."""
        return "live"

    def frames(self) -> Generator[Frame, None, None]:
        """Give the newest frame each time one is asked for; waits while there is none.

        Ends only by `stop` or by closing it.

        Raises:
            CameraError: The camera is not there at the start (and `wait_for_first` is off), or
                `max_retries` attempts to connect again failed.
        """
        self._box = box = Mailbox()
        if self._stopped:
            return
        reader = _Reader(self, box)
        thread = threading.Thread(target=reader.run, name=f"camera {self.name}", daemon=True)
        _readers[thread] = box
        thread.start()
        try:
            while (frame := box.take()) is not None:
                yield frame
        finally:
            box.close()
            thread.join(_JOIN_S)

    def stop(self) -> None:
        """Make `frames` end at once, also while it waits."""
        super().stop()
        self._box.close()


@atexit.register
def _end_readers() -> None:
    """Let no reader run on into the end of the interpreter, where FFmpeg would crash."""
    for thread, box in list(_readers.items()):
        box.close()
        thread.join()


class _Reader:
    """Keeps a camera connected and puts its frames into a mailbox, in a thread of its own."""

    def __init__(self, source: LiveSource, box: Mailbox) -> None:
        self._name = source.name
        self._connect = source._connect
        self._settings = source._settings
        self._report = source._report
        self._clock = source._clock
        self._wait = source._wait or box.wait
        self._box = box
        self._times = LiveClock()
        self._index = 0
        self._failures = 0
        self._last_frame_s: float | None = None
        self._lost_since_s: float | None = None

    def run(self) -> None:
        """Read until the mailbox is closed or the camera given up."""
        try:
            while not self._box.closed:
                error = self._read_until_lost()
                if self._box.closed or self._give_up_or_wait(error):
                    return
        except BaseException as exc:
            # The consumer would wait for ever if this thread died in silence.
            self._box.fail(exc)
        finally:
            _readers.pop(threading.current_thread(), None)

    def _read_until_lost(self) -> CameraError:
        """One connection, from opening to its loss; returns why it was lost."""
        self._times.reconnected()
        try:
            pictures = self._connect()
            try:
                for image, pts_s in pictures:
                    if self._box.closed:
                        break
                    self._arrived(image, pts_s)
            finally:
                if isinstance(pictures, Generator):
                    pictures.close()
        except CameraError as exc:
            return exc
        return CameraError(f"lost camera {self._name}: it ended the stream.")

    def _arrived(self, image: Image, pts_s: float | None) -> None:
        now_s = self._clock()
        if self._lost_since_s is not None:
            how = "answers" if self._last_frame_s is None else "is back"
            away_s = now_s - self._lost_since_s
            self._report(f"camera {self._name} {how} after {away_s:.1f} s.")
        self._lost_since_s = None
        self._last_frame_s = now_s
        self._failures = 0
        self._box.put(Frame(image, self._name, self._index, self._times.at(pts_s, now_s)))
        self._index += 1

    def _give_up_or_wait(self, error: CameraError) -> bool:
        """Back off after a failure; returns whether the source was stopped meanwhile.

        Raises:
            CameraError: It is not to be tried again.
        """
        if self._last_frame_s is None and not self._settings.wait_for_first:
            raise error
        limit = self._settings.max_retries
        if limit is not None and self._failures >= limit:
            raise CameraError(
                f"{error} Given up after {limit} attempts to connect again."
            ) from error
        if self._lost_since_s is None:
            seen_s = self._last_frame_s
            self._lost_since_s = self._clock() if seen_s is None else seen_s
            self._report(f"{error} Trying again until it answers.")
        self._failures += 1
        return self._wait(self._settings.wait_s(self._failures))
