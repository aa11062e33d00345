"""Rules of the loss of MTCNN, against a slow version."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed (extra train)")

from maskwatch.training.mtcnn.loss import MtcnnLoss, accuracy  # noqa: E402
from maskwatch.training.mtcnn.recipe import NEGATIVE, PART, POSITIVE  # noqa: E402


def made(count: int, seed: int, landmarks: bool = False) -> tuple[Any, Any]:
    """Targets and answers of all kinds of crops."""
    rng = np.random.default_rng(seed)
    more = 10 if landmarks else 0
    wanted = rng.normal(0, 0.3, (count, 6 + more)).astype(np.float32)
    wanted[:, 0] = rng.choice([POSITIVE, PART, NEGATIVE], count)
    wanted[:, 5] = (wanted[:, 0] == POSITIVE) & (rng.random(count) < 0.5)
    return wanted, rng.normal(0, 1.5, (count, 6 + more)).astype(np.float32)


def slow(wanted: Any, given: Any, hardest: float) -> float:
    """The loss, crop by crop."""
    classes, boxes, points = [], [], []
    for row, answer in zip(wanted.astype(float), given.astype(float), strict=True):
        none, face = answer[-2:]
        probability = math.exp(face) / (math.exp(face) + math.exp(none))
        if row[0] == POSITIVE:
            classes.append(-math.log(probability))
        if row[0] == NEGATIVE:
            classes.append(-math.log(1 - probability))
        if row[0] != NEGATIVE:
            boxes.append(sum((answer[i] - row[1 + i]) ** 2 for i in range(4)))
        if len(answer) > 6 and row[5] == 1:
            points.append(sum((answer[4 + i] - row[6 + i]) ** 2 for i in range(10)))
    kept = sorted(classes, reverse=True)[: math.ceil(round(hardest * len(classes), 6))]
    total = 0.0
    for values, weight in ((kept, 1.0), (boxes, 0.5), (points, 0.5)):
        total += weight * sum(values) / len(values) if values else 0.0
    return total


@pytest.mark.parametrize("landmarks", [False, True], ids=["without landmarks", "with landmarks"])
@pytest.mark.parametrize("hardest", [0.3, 0.7, 1.0])
@pytest.mark.parametrize("count", [1, 10, 57])
def test_against_slow(count: int, hardest: float, landmarks: bool) -> None:
    """Classes count by the hardest of faces and others, boxes by faces and parts."""
    for seed in range(4):
        wanted, given = made(count, seed, landmarks)
        loss = float(MtcnnLoss(hardest=hardest).call(wanted, given))
        assert loss == pytest.approx(slow(wanted, given, hardest), rel=1e-4, abs=1e-6)


def test_what_counts_for_nothing() -> None:
    """A part's class, the box of a crop without a face and unknown landmarks change nothing."""
    wanted, given = made(30, 0, landmarks=True)
    before = float(MtcnnLoss().call(wanted, given))
    given[wanted[:, 0] == PART, -2:] += [5, -5]
    given[wanted[:, 0] == NEGATIVE, :4] += 3
    given[wanted[:, 5] == 0, 4:-2] -= 2
    assert float(MtcnnLoss().call(wanted, given)) == pytest.approx(before, rel=1e-5)
    given[wanted[:, 0] == POSITIVE, :4] += 3
    assert float(MtcnnLoss().call(wanted, given)) > before + 1


def test_accuracy() -> None:
    """Accuracy is that of faces and crops without one; parts are left out."""
    wanted = np.zeros((5, 6), np.float32)
    wanted[:, 0] = [POSITIVE, POSITIVE, NEGATIVE, PART, PART]
    given = np.zeros((5, 6), np.float32)
    given[:, -1] = [1, -1, -1, 1, 1]
    assert float(accuracy(wanted, given)) == pytest.approx(2 / 3)


def test_saved_with_a_model() -> None:
    """The loss comes back from its configuration as it was."""
    loss = MtcnnLoss(0.2, 0.3, 0.4)
    again = MtcnnLoss.from_config(loss.get_config())
    assert (again.box_weight, again.landmark_weight, again.hardest) == (0.2, 0.3, 0.4)
