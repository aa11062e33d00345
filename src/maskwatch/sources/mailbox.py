"""A place for one frame between the thread that reads a camera and the one that uses it."""

from __future__ import annotations

import threading

from maskwatch.types import Frame

# On Windows a wait without an end cannot be interrupted by Ctrl-C.
_LOOK_UP_S = 0.5


class Mailbox:
    """Holds the newest frame only: a newer one replaces it, and taking it empties the box."""

    def __init__(self) -> None:
        # Its lock is re-entrant, so that a signal handler may call close() while the same
        # thread is inside take().
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._error: BaseException | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def put(self, frame: Frame) -> None:
        """Leave a frame, in place of any that was not taken."""
        with self._changed:
            self._frame = frame
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Leave an error for `take` to raise, after the last frame."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def close(self) -> None:
        """Wake everybody; nothing is given out any more."""
        with self._changed:
            self._closed = True
            self._frame = None
            self._changed.notify_all()

    def take(self) -> Frame | None:
        """Wait for a frame and take it; None once the box is closed.

        Raises:
            BaseException: What `fail` left.
        """
        with self._changed:
            while not (self._closed or self._frame is not None or self._error is not None):
                self._changed.wait(_LOOK_UP_S)
            frame, self._frame = self._frame, None
            if frame is None and self._error is not None and not self._closed:
                raise self._error
            return frame

    def wait(self, seconds: float) -> bool:
        """Wait for so long or until the box is closed; return whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed, timeout=seconds)
