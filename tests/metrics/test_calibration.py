"""The calibration error against a slow and obvious sum."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from maskwatch.metrics.calibration import Calibration


@pytest.mark.parametrize("seed", range(3), ids=lambda seed: f"seed{seed}")
def test_ece(seed: int) -> None:
    """The error is the sum over bins of their share of samples times their gap."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(1 / 3, 1, 300).astype(np.float32)
    right = rng.random(300) < confidence**2
    expected = 0.0
    for number in range(15):
        low, high = number / 15, (number + 1) / 15
        chosen = [i for i in range(300) if low < float(confidence[i]) <= high]
        if chosen:
            sure = sum(float(confidence[i]) for i in chosen) / len(chosen)
            hits = sum(bool(right[i]) for i in chosen) / len(chosen)
            expected += len(chosen) / 300 * abs(sure - hits)
    assert Calibration.of(confidence, right).ece == pytest.approx(expected)


def test_known() -> None:
    """Sure of 0.9 and right in 5 of 10: the error is 0.4."""
    bins = Calibration.of(np.full(10, 0.9), np.arange(10) < 5)
    assert bins.ece == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("confidence", "place"),
    [
        pytest.param(0.0, 0, id="zero"),
        pytest.param(0.2, 0, id="upper edge belongs"),
        pytest.param(0.21, 1, id="lower edge does not"),
        pytest.param(1.0, 4, id="one"),
        pytest.param(1.0000001, 4, id="a little more than one"),
    ],
)
def test_bins(confidence: float, place: int) -> None:
    """Each sample is in one bin; what rounding lifts above 1 is in the last."""
    bins = Calibration.of(np.array([confidence]), np.array([True]), bins=5)
    assert bins.counts.tolist() == [int(i == place) for i in range(5)]


def test_nothing() -> None:
    """Without samples the error is undefined, and none is raised."""
    assert math.isnan(Calibration.of(np.zeros(0), np.zeros(0, np.bool_)).ece)


def test_json() -> None:
    """Every bin is there; an empty one has nulls."""
    found = json.loads(json.dumps(Calibration.of(np.array([0.8]), np.array([True]), 2).json()))
    assert found == {
        "ece": 0.2,
        "bins": [
            {"from": 0.0, "to": 0.5, "count": 0, "confidence": None, "accuracy": None},
            {"from": 0.5, "to": 1.0, "count": 1, "confidence": 0.8, "accuracy": 1.0},
        ],
    }
