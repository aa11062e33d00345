"""Rules of timing models."""

from __future__ import annotations

import numpy as np
import pytest

from maskwatch.benchmark import latencies_ms, latency_ms
from maskwatch.types import Floats, Image


class Clock:
    """Stands still but for what is called."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Timed:
    """A model whose calls take given times, and the last of these from then on."""

    size_px = 4

    def __init__(self, clock: Clock, name: str, taken_s: list[float], log: list[str]) -> None:
        self._clock, self._name, self._taken_s, self._log = clock, name, taken_s, log
        self.shapes: set[tuple[int, ...]] = set()

    def __call__(self, crops: Image) -> Floats:
        self.shapes.add(crops.shape)
        assert crops.dtype == np.uint8
        calls = self._log.count(self._name)
        self._log.append(self._name)
        self._clock.now_s += self._taken_s[min(calls, len(self._taken_s) - 1)]
        return np.zeros((len(crops), 3), np.float32)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_median_without_warm_up(clock: Clock) -> None:
    """The median of the calls counts, those to warm up and outliers do not."""
    model = Timed(clock, "a", [9, 9, 9, 0.002, 0.004, 7, 0.003, 0.001], [])
    assert latency_ms(model, 16, calls=5, clock=clock) == pytest.approx(3)
    assert model.shapes == {(16, 4, 4, 3)}


def test_turns(clock: Clock) -> None:
    """Models take turns call by call, after each has warmed up."""
    log: list[str] = []
    judges = {name: Timed(clock, name, [ms / 1000], log) for name, ms in (("a", 2), ("b", 5))}
    taken = latencies_ms(judges, 1, calls=6, clock=clock)
    assert taken == {"a": pytest.approx(2), "b": pytest.approx(5)}
    assert "".join(log) == "aaabbb" + "ab" * 6


def test_budget(clock: Clock) -> None:
    """A slow model is called no more once it has used its time, a fast one still is."""
    log: list[str] = []
    judges = {"s": Timed(clock, "s", [1.0], log), "f": Timed(clock, "f", [0.001], log)}
    latencies_ms(judges, 1, calls=20, budget_s=7, clock=clock)
    assert log.count("s") == 3 + 7
    assert log.count("f") == 3 + 20


def test_least_calls(clock: Clock) -> None:
    """Five calls are timed, however long they take."""
    log: list[str] = []
    latencies_ms({"s": Timed(clock, "s", [60.0], log)}, 1, budget_s=1, clock=clock)
    assert log.count("s") == 3 + 5
