"""Rules of average precision and of its interval."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maskwatch.metrics.average_precision import (
    average_precision,
    envelope,
    interval,
    precision_recall,
    resampled,
    resampling,
)
from maskwatch.metrics.found import Flags


def slow_average_precision(hit: Flags, count: int) -> float:
    """For each labelled face the best precision at its recall or a higher one."""
    precisions = [hit[: i + 1].mean() for i in range(len(hit))]
    recalls = [hit[: i + 1].sum() for i in range(len(hit))]
    total = 0.0
    for face in range(1, count + 1):
        total += max((p for p, r in zip(precisions, recalls, strict=True) if r >= face), default=0)
    return total / count


@pytest.mark.parametrize(
    ("hit", "count", "expected"),
    [
        pytest.param([1, 1], 2, 1, id="all"),
        pytest.param([1, 0], 2, 0.5, id="half found"),
        pytest.param([0, 1], 1, 0.5, id="after a false alarm"),
        pytest.param([0, 1, 1], 2, 2 / 3, id="envelope"),
        pytest.param([1, 0, 1], 3, (1 + 2 / 3) / 3, id="by hand"),
        pytest.param([0, 0], 2, 0, id="none"),
        pytest.param([], 2, 0, id="nothing found"),
    ],
)
def test_by_hand(hit: list[int], count: int, expected: float) -> None:
    """It is the area under the envelope of precision over recall."""
    assert average_precision(np.array(hit, np.bool_), count) == pytest.approx(expected)


def test_undefined() -> None:
    """Without labelled faces it is NaN, whatever is found."""
    assert math.isnan(average_precision(np.zeros(3, np.bool_), 0))
    assert math.isnan(average_precision(np.zeros(0, np.bool_), 0, 101))


@pytest.mark.parametrize("seed", range(10))
def test_against_a_slow_version(seed: int) -> None:
    """It is what a loop over labelled faces gives."""
    rng = np.random.default_rng(seed)
    hit = rng.random(rng.integers(1, 60)) < rng.random()
    count = int(hit.sum()) + int(rng.integers(1, 9))
    assert average_precision(hit, count) == pytest.approx(slow_average_precision(hit, count))


def test_points() -> None:
    """At 101 points the envelope is read at recalls of 0, 0.01, …, 1."""
    hit = np.array([1, 0, 1], np.bool_)
    # Recall 1/3 at precision 1, recall 2/3 at precision 2/3: 34 and 33 points of 101.
    assert average_precision(hit, 3, 101) == pytest.approx((34 + 33 * 2 / 3) / 101)


def test_envelope_and_curve() -> None:
    """Precision and recall go down to each face; the envelope never rises with recall."""
    precision, recall = precision_recall(np.array([1, 0, 1], np.bool_), 4)
    assert precision == pytest.approx([1, 1 / 2, 2 / 3])
    assert recall == pytest.approx([1 / 4, 1 / 4, 2 / 4])
    assert envelope(precision) == pytest.approx([1, 2 / 3, 2 / 3])


@pytest.mark.parametrize("seed", range(5))
def test_resampled_is_that_of_repeated_photos(seed: int) -> None:
    """Each resample has the average precision of a set in which photos come as often as drawn."""
    rng = np.random.default_rng(seed)
    photos, many = 9, 50
    hit, photo = rng.random(many) < 0.6, rng.integers(0, photos, many)
    counts = np.bincount(photo[hit], minlength=photos) + rng.integers(0, 3, photos)
    weights = resampling(photos, seed, 20)
    found = resampled(hit, photo, counts.astype(np.float64), weights)
    for drawn, value in zip(weights, found, strict=True):
        repeated = np.repeat(hit, drawn[photo].astype(int))
        assert value == pytest.approx(average_precision(repeated, int(drawn @ counts)))


def test_resampling() -> None:
    """As many photos as there are are drawn each time, and the same ones again."""
    weights = resampling(7, seed=3, resamples=40)
    assert weights.shape == (40, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert len(np.unique(weights, axis=0)) > 30
    np.testing.assert_array_equal(weights, resampling(7, seed=3, resamples=40))
    assert resampling(0).shape[1] == 0


def test_resampled_without_hits() -> None:
    """Without hits it is 0, and NaN where no labelled face was drawn."""
    weights = np.array([[2.0, 0.0], [0.0, 2.0]])
    found = resampled(np.zeros(1, np.bool_), np.zeros(1, np.int64), np.array([1.0, 0.0]), weights)
    assert found[0] == 0
    assert math.isnan(found[1])


def test_interval() -> None:
    """It is the middle 95% of what is defined; of nothing it is NaN."""
    low, high = interval(np.r_[np.linspace(0, 1, 101), np.nan])
    assert (low, high) == pytest.approx((0.025, 0.975))
    assert all(math.isnan(end) for end in interval(np.full(3, np.nan)))


def test_interval_holds_the_truth() -> None:
    """Of many sets of photos about 95% have the figure of all photos within their interval."""
    rng = np.random.default_rng(0)
    photos, inside, trials = 80, 0, 60
    # Each photo has three faces, found with a chance of 0.7; no false alarms: the truth is 0.7.
    for trial in range(trials):
        hits = rng.binomial(3, 0.7, photos)
        photo = np.repeat(np.arange(photos), hits)
        hit = np.ones(len(photo), np.bool_)
        weights = resampling(photos, seed=trial)
        low, high = interval(resampled(hit, photo, np.full(photos, 3.0), weights))
        inside += low <= 0.7 <= high
    assert 0.85 <= inside / trials <= 1
