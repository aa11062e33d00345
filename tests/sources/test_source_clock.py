from __future__ import annotations

import itertools
from fractions import Fraction

import pytest

from maskwatch.sources.clock import LiveClock, RecordingClock

MS = Fraction(1, 1000)


@pytest.mark.parametrize(
    ("stamps", "times"),
    [
        pytest.param([5000, 5040, 5200], [0, 0.04, 0.2], id="from-the-first-frame"),
        pytest.param([None, None, None], [0, 0.1, 0.2], id="none"),
        pytest.param([0, None, 250], [0, 0.1, 0.25], id="one-missing"),
        pytest.param([None, 700, 800], [0, 0.1, 0.2], id="first-missing"),
        pytest.param([0, 100, 100, 300], [0, 0.1, 0.2, 0.3], id="twice-the-same"),
        pytest.param([900, 1000, 0, 100], [0, 0.1, 0.2, 0.3], id="starts-again"),
    ],
)
def test_recording(stamps: list[int | None], times: list[float]) -> None:
    """Time stamps count from the first frame; where one is missing or late, the rate does."""
    clock = RecordingClock(MS, Fraction(10))
    assert [clock.at(stamp) for stamp in stamps] == pytest.approx(times)


def test_recording_without_a_rate() -> None:
    """Without stamps and rate, 25 frames a second are taken."""
    clock = RecordingClock(None, None)
    assert [clock.at(None), clock.at(None)] == pytest.approx([0, 0.04])


@pytest.mark.parametrize(
    ("arrivals", "times"),
    [
        pytest.param([(7.0, 50.0), (7.1, 50.3), (7.2, 50.31)], [0, 0.1, 0.2], id="stamps"),
        pytest.param([(None, 50.0), (None, 50.3), (None, 50.4)], [0, 0.3, 0.4], id="arrival"),
        pytest.param([(None, 50), (0.5, 50.1), (0.7, 50.4)], [0, 0.1, 0.3], id="first-missing"),
        pytest.param([(1, 50), (0, 50.1), (0.9, 50.3)], [0, 0.1, 0.3], id="backwards"),
        pytest.param([(1, 50), (9, 50.1), (9.1, 50.4)], [0, 0.1, 0.4], id="far-off"),
        pytest.param([(None, 50), (None, 50)], [0, 0.001], id="at-the-same-moment"),
    ],
)
def test_live(arrivals: list[tuple[float | None, float]], times: list[float]) -> None:
    """Stamps count while they are sane, the time of arrival otherwise; both from 0."""
    clock = LiveClock()
    assert [clock.at(pts_s, now_s) for pts_s, now_s in arrivals] == pytest.approx(times)


def test_live_over_a_reconnection() -> None:
    """The gap counts as long as it was, and the new stamps, from their own start, after it."""
    clock = LiveClock()
    times = [clock.at(100.0, 50.0), clock.at(101.0, 51.0)]
    clock.reconnected()
    times += [clock.at(0.0, 71.0), clock.at(0.5, 71.6)]
    assert times == pytest.approx([0, 1, 21, 21.5])


def test_live_never_runs_backwards() -> None:
    """Whatever the stamps are, times rise."""
    clock = LiveClock()
    stamps = [0.0, 5.0, None, 1.0, 1.0, -3.0, 1e9, None, 2.0]
    times = [clock.at(stamp, 50 + index / 100) for index, stamp in enumerate(stamps)]
    assert all(after > before for before, after in itertools.pairwise(times))
