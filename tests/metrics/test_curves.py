"""ROC and precision-recall against scikit-learn and against counting pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from maskwatch.metrics.curves import Curves


def drawn(seed: int, levels: int) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Labels and scores that go with them somewhat; few levels give many ties."""
    rng = np.random.default_rng(seed)
    truth = rng.random(150) < 0.3
    scores = np.round((rng.random(150) + 0.4 * truth) * levels) / levels
    return truth, scores.astype(np.float32)


CASES = [pytest.param(drawn(0, 1000), id="few ties"), pytest.param(drawn(1, 8), id="many ties")]


@pytest.mark.parametrize("case", CASES)
def test_auc_counts_pairs(case: tuple[NDArray[np.bool_], NDArray[np.float32]]) -> None:
    """The area is the share of pairs in which the class scores higher; a tie counts one half."""
    truth, scores = case
    pairs = [(a, b) for a in scores[truth] for b in scores[~truth]]
    won = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs)
    assert Curves.of(truth, scores).auc == pytest.approx(won / len(pairs))


@pytest.mark.parametrize("case", CASES)
def test_as_scikit_learn(case: tuple[NDArray[np.bool_], NDArray[np.float32]]) -> None:
    """Areas and points are those of scikit-learn."""
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is in extra train")
    truth, scores = case
    curves = Curves.of(truth, scores)
    assert curves.auc == pytest.approx(metrics.roc_auc_score(truth, scores))
    assert curves.average_precision == pytest.approx(metrics.average_precision_score(truth, scores))
    rates, recall, _ = metrics.roc_curve(truth, scores, drop_intermediate=False)
    np.testing.assert_allclose(curves.false_positive_rate, rates)
    np.testing.assert_allclose(curves.recall, recall)
    precision, found, _ = metrics.precision_recall_curve(truth, scores)
    np.testing.assert_allclose(curves.precision, precision[::-1])
    np.testing.assert_allclose(curves.recall, found[::-1])


def test_perfect() -> None:
    """Scores that part the classes have areas of 1."""
    curves = Curves.of(np.array([True, False, True]), np.array([0.9, 0.1, 0.8]))
    assert curves.auc == curves.average_precision == 1


def test_scores_that_say_nothing() -> None:
    """Equal scores are one threshold: an area of one half, and the share of the class."""
    curves = Curves.of(np.array([True, False, False, False]), np.full(4, 0.5))
    assert curves.auc == 0.5
    assert curves.average_precision == 0.25
    assert len(curves.recall) == 2


@pytest.mark.parametrize(
    "truth",
    [
        pytest.param([True, True], id="no rest"),
        pytest.param([False, False], id="no class"),
        pytest.param([], id="nothing"),
    ],
)
def test_undefined(truth: list[bool]) -> None:
    """Without samples of the class, or of the rest, there are no curves and no areas."""
    curves = Curves.of(np.array(truth, np.bool_), np.linspace(0, 1, len(truth)))
    assert len(curves.recall) == len(curves.precision) == len(curves.false_positive_rate) == 0
    assert math.isnan(curves.auc)
    assert math.isnan(curves.average_precision)
