"""From a stream's own time stamps to seconds since the first frame that never run backwards."""

from __future__ import annotations

from fractions import Fraction

_LEAST_STEP_S = 0.001
_MOST_DRIFT_S = 2.0


class RecordingClock:
    """Times of a recording: by its time stamps; by the frame rate where they are missing.

    The first frame is at 0. A stamp that is not later than the one before counts as missing.
    """

    def __init__(self, time_base: Fraction | None, rate: Fraction | None) -> None:
        self._tick_s = float(time_base or 0)
        self._period_s = float(1 / rate) if rate else 0.04
        self._offset_s: float | None = None
        self._last_s: float | None = None

    def at(self, pts: int | None) -> float:
        """Time in seconds of the next frame, whose stamp is `pts` ticks."""
        expected_s = 0.0 if self._last_s is None else self._last_s + self._period_s
        time_s = expected_s
        if pts is not None:
            if self._offset_s is None:
                self._offset_s = expected_s - pts * self._tick_s
            time_s = pts * self._tick_s + self._offset_s
        if self._last_s is not None and time_s <= self._last_s:
            time_s = expected_s
        self._last_s = time_s
        return time_s


class LiveClock:
    """Times of a camera: by its time stamps while they are sane, else by the time of arrival.

    Stamps are sane while they rise and stay within two seconds of real time; once they are not,
    arrival counts for the rest of the connection. Over a reconnection, whose stamps begin anew,
    the gap counts as long as it really was.
    """

    def __init__(self) -> None:
        self._time_s: float | None = None
        self._now_s = 0.0
        self.reconnected()

    def reconnected(self) -> None:
        """Say that the next frame is the first of a new connection."""
        self._sane = True
        # Stamp, arrival and time of the connection's first frame with a stamp.
        self._start: tuple[float, float, float] | None = None

    def at(self, pts_s: float | None, now_s: float) -> float:
        """Time in seconds of the next frame.

        Args:
            pts_s: Its stamp in seconds, from any origin; None where there is none.
            now_s: When it arrived, by a clock that runs evenly.
        """
        time_s = 0.0
        if self._time_s is not None:
            time_s = self._time_s + max(now_s - self._now_s, _LEAST_STEP_S)
            if pts_s is not None and self._start is not None and self._sane:
                time_s = self._by_stamp(pts_s, now_s, self._start, self._time_s) or time_s
        if self._start is None and pts_s is not None:
            self._start = (pts_s, now_s, time_s)
        self._time_s, self._now_s = time_s, now_s
        return time_s

    def _by_stamp(
        self, pts_s: float, now_s: float, start: tuple[float, float, float], last_s: float
    ) -> float | None:
        start_pts_s, start_now_s, start_time_s = start
        since_s = pts_s - start_pts_s
        drift_s = since_s - (now_s - start_now_s)
        time_s = start_time_s + since_s
        self._sane = time_s > last_s and abs(drift_s) <= _MOST_DRIFT_S
        return time_s if self._sane else None
