"""The interval of a share against published values and its own definition."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maskwatch.metrics.intervals import Z_95, wilson


@pytest.mark.parametrize(
    ("hits", "count", "ends"),
    [
        pytest.param(81, 263, (0.2553, 0.3662), id="81 of 263"),
        pytest.param(15, 148, (0.0624, 0.1605), id="15 of 148"),
        pytest.param(0, 20, (0.0, 0.1611), id="0 of 20"),
        pytest.param(1, 29, (0.0061, 0.1718), id="1 of 29"),
    ],
)
def test_published(hits: int, count: int, ends: tuple[float, float]) -> None:
    """The examples of Newcombe (1998, Statistics in Medicine 17, 857-872), table I, method 3."""
    assert wilson(hits, count) == pytest.approx(ends, abs=5e-5)


@pytest.mark.parametrize(("hits", "count"), [(1, 3), (9, 10), (50, 100), (546, 547)])
def test_definition(hits: int, count: int) -> None:
    """It holds every share from which the one seen is at most z deviations away, and no other."""
    shares = np.linspace(0, 1, 200_001)
    away = np.abs(hits / count - shares)
    held = shares[away <= Z_95 * np.sqrt(shares * (1 - shares) / count)]
    assert wilson(hits, count) == pytest.approx((held[0], held[-1]), abs=1e-5)


def test_edges() -> None:
    """None and all right give an exact end at 0 and 1."""
    assert wilson(0, 7)[0] == 0
    assert wilson(7, 7)[1] == 1


def test_nothing() -> None:
    """Without samples nothing is known."""
    assert all(math.isnan(end) for end in wilson(0, 0))
