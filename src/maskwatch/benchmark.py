"""How long models take, measured so that a busy machine misleads as little as possible.

Models that are compared take turns, call by call, so that whatever else the machine does hits all
of them alike; the median of many calls counts. Ratios of one run say more than milliseconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from maskwatch.types import Floats, Image

THREADS = 1
"""Threads of one call, for models that are loaded to be measured: more vary with the machine."""

BATCHES = (1, 16)
"""Faces in a call."""

_WARM_UP = 3
_LEAST_CALLS = 5


class Judge(Protocol):
    """A model that takes `(N, S, S, 3)` uint8 crops."""

    size_px: int
    """Side of the crops it takes."""

    def __call__(self, crops: Image) -> Floats:
        """Probabilities `(N, 3)`."""
        ...


@dataclass(slots=True)
class _Case:
    judge: Judge
    crops: Image
    spent_s: float = 0.0
    calls_s: list[float] = field(default_factory=list)

    def call(self, clock: Callable[[], float]) -> None:
        begin = clock()
        self.judge(self.crops)
        taken = clock() - begin
        self.calls_s.append(taken)
        self.spent_s += taken


def latencies_ms(
    judges: Mapping[str, Judge],
    batch: int,
    *,
    calls: int = 50,
    budget_s: float = 10.0,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median milliseconds of one call of each model, the models taking turns.

    Args:
        judges: By name.
        batch: Faces in a call.
        calls: Timed calls of each model, after three to warm up.
        budget_s: A model that has taken so long is not called again, after at least five calls.
        clock: Seconds, monotonic.

    Raises:
        ModelOutputError: A model failed.
    """
    rng = np.random.default_rng(0)
    cases = {
        name: _Case(judge, rng.integers(0, 256, (batch, *_shape(judge)), dtype=np.uint8))
        for name, judge in judges.items()
    }
    for case in cases.values():
        for _ in range(_WARM_UP):
            case.judge(case.crops)
    for done in range(calls):
        for case in cases.values():
            if done < _LEAST_CALLS or case.spent_s < budget_s:
                case.call(clock)
    return {name: float(np.median(case.calls_s)) * 1e3 for name, case in cases.items()}


def latency_ms(
    judge: Judge,
    batch: int,
    *,
    calls: int = 50,
    budget_s: float = 10.0,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Median milliseconds of one call of one model, see `latencies_ms`."""
    one = {"": judge}
    return latencies_ms(one, batch, calls=calls, budget_s=budget_s, clock=clock)[""]


def _shape(judge: Judge) -> tuple[int, int, int]:
    return judge.size_px, judge.size_px, 3
