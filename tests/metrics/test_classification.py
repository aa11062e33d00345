"""The classification report against a slow and obvious count."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from maskwatch.metrics.classification import ClassificationReport
from maskwatch.metrics.intervals import wilson

NAMES = ("a", "b", "c")


def random_labels(seed: int, count: int = 200) -> tuple[list[int], list[int]]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 3, count).tolist(), rng.integers(0, 3, count).tolist()


def report_of(truth: list[int], predicted: list[int]) -> ClassificationReport:
    return ClassificationReport.of(np.array(truth, np.int64), np.array(predicted, np.int64), NAMES)


@pytest.mark.parametrize("seed", range(4), ids=lambda seed: f"seed{seed}")
def test_figures(seed: int) -> None:
    """Every figure is what counting the pairs one by one gives."""
    truth, predicted = random_labels(seed)
    pairs = list(zip(truth, predicted, strict=True))
    report = report_of(truth, predicted)
    assert report.count == 200
    assert report.accuracy == pytest.approx(sum(t == p for t, p in pairs) / 200)
    recalls = []
    for index, name in enumerate(NAMES):
        of_class = [p for t, p in pairs if t == index]
        called_so = [t for t, p in pairs if p == index]
        recalls.append(of_class.count(index) / len(of_class))
        assert report.recall[name] == pytest.approx(recalls[-1])
        assert report.precision[name] == pytest.approx(called_so.count(index) / len(called_so))
        for other in range(3):
            assert report.confusion[index, other] == of_class.count(other)
    assert report.balanced_accuracy == pytest.approx(sum(recalls) / 3)


@pytest.mark.parametrize("seed", range(3), ids=lambda seed: f"seed{seed}")
def test_f1(seed: int) -> None:
    """F1 is the harmonic mean of precision and recall, and the mean is over the classes."""
    report = report_of(*random_labels(seed))
    expected = []
    for name in NAMES:
        precision, recall = report.precision[name], report.recall[name]
        expected.append(2 / (1 / precision + 1 / recall))
        assert report.f1[name] == pytest.approx(expected[-1])
    assert report.mean_f1 == pytest.approx(sum(expected) / 3)


def test_f1_of_absent_and_missed() -> None:
    """A class never predicted has F1 0; one wrongly predicted that nothing has is not averaged."""
    report = report_of([0, 0, 1], [0, 2, 0])
    assert report.f1["b"] == report.f1["c"] == 0
    assert report.mean_f1 == pytest.approx((0.5 + 0) / 2)


def test_interval() -> None:
    """The interval of the accuracy is that of the share of hits."""
    assert report_of([0, 0, 0, 1], [0, 0, 1, 1]).accuracy_interval == wilson(3, 4)


def test_all_right() -> None:
    """Everything told right is 1 everywhere."""
    report = report_of([0, 1, 2, 2], [0, 1, 2, 2])
    assert report.accuracy == report.balanced_accuracy == 1
    assert set(report.recall.values()) == set(report.precision.values()) == {1}


def test_absent_class() -> None:
    """A class without samples has no recall and does not count in the balance."""
    report = report_of([0, 0, 1], [0, 1, 1])
    assert math.isnan(report.recall["c"])
    assert math.isnan(report.precision["c"])
    assert report.balanced_accuracy == pytest.approx((0.5 + 1) / 2)


def test_never_predicted() -> None:
    """A class that is never predicted has no precision, and a recall of 0."""
    report = report_of([0, 2], [0, 0])
    assert math.isnan(report.precision["c"])
    assert report.recall["c"] == 0
    assert report.precision["a"] == 0.5


def test_nothing() -> None:
    """Without samples every figure is undefined, and none is an error."""
    report = report_of([], [])
    assert report.count == 0
    assert math.isnan(report.accuracy)
    assert math.isnan(report.balanced_accuracy)
    assert math.isnan(report.mean_f1)
    assert "n=0" in report.table()
    assert report.json()["accuracy"] is None


def test_json() -> None:
    """The JSON holds every figure, rounded; undefined ones are null."""
    values = json.loads(json.dumps(report_of([0, 0, 0, 1], [0, 0, 1, 1]).json()))
    assert values == {
        "count": 4,
        "accuracy": 0.75,
        "accuracy_interval": [0.3006, 0.9544],
        "balanced_accuracy": 0.8333,
        "mean_f1": 0.7333,
        "recall": {"a": 0.6667, "b": 1.0, "c": None},
        "precision": {"a": 1.0, "b": 0.5, "c": None},
        "f1": {"a": 0.8, "b": 0.6667, "c": None},
        "confusion": [[2, 1, 0], [0, 1, 0], [0, 0, 0]],
    }


def test_table() -> None:
    """The table has a line a class and one for all."""
    lines = report_of([0, 0, 0, 1], [0, 0, 1, 1]).table().splitlines()
    assert lines[0].split() == ["class", "precision", "recall", "count"]
    assert lines[1].split() == ["a", "1.000", "0.667", "3"]
    assert lines[2].split() == ["b", "0.500", "1.000", "1"]
    assert lines[3].split() == ["c", "nan", "nan", "0"]
    assert lines[4] == "accuracy 0.750, balanced 0.833, n=4"
