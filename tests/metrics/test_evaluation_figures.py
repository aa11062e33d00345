"""Rules of the figures that follow from judged faces."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from maskwatch.metrics.evaluation import Evaluation
from maskwatch.metrics.judged import JudgedFaces, Place, Source
from maskwatch.types import MaskState

SURE = {0: (0.9, 0.06, 0.04), 1: (0.06, 0.9, 0.04), 2: (0.04, 0.06, 0.9)}
"""Probabilities that mean a class."""


def judged(
    truth: Sequence[int],
    probs: Sequence[Sequence[float]],
    *,
    source: Sequence[int] | None = None,
    sizes_px: Sequence[float] | None = None,
    known: Sequence[bool] | None = None,
) -> Evaluation:
    """An evaluation of faces, by default of one source, of 50 px and all known."""
    count = len(truth)
    places = tuple(Place(Path(f"{i}.png"), 0, np.zeros(4, np.float32)) for i in range(count))
    own = np.zeros(count, np.int64) if source is None else np.array(source, np.int64)
    faces = JudgedFaces(
        np.array(truth, np.int64),
        np.array(probs, np.float32).reshape(-1, 3),
        np.full(count, 50, np.float32) if sizes_px is None else np.array(sizes_px, np.float32),
        np.ones(count, np.bool_) if known is None else np.array(known, np.bool_),
        own,
        places,
    )
    names = [Source(f"set{i}", "val", Path(f"set{i}")) for i in range(int(own.max(initial=0)) + 1)]
    return Evaluation("model", tuple(names), faces)


def test_three_classes_are_judged_by_the_largest() -> None:
    """Where a label is incorrect_mask, a face is what has the largest probability."""
    done = judged([0, 1, 2], [(0.3, 0.2, 0.5), SURE[1], SURE[2]])
    assert done.predicted.tolist() == [2, 1, 2]
    assert done.accuracy == pytest.approx(2 / 3)
    assert done.two_class_sources == ()
    assert math.isnan(done.called_incorrect)
    assert done.rule_text() == ""


def test_two_class_rule() -> None:
    """Without incorrect_mask among the labels the other two are scaled and decide alone."""
    done = judged([0, 1], [(0.3, 0.2, 0.5), SURE[1]])
    assert done.predicted.tolist() == [0, 1]
    assert done.probs[0] == pytest.approx([0.6, 0.4, 0])
    assert done.accuracy == 1
    assert done.called_incorrect == 0.5
    assert "50.0% of them would otherwise have been called incorrect_mask" in done.rule_text()


def test_two_class_rule_holds_for_each_source() -> None:
    """A set with the class is judged by three, one without by two, side by side."""
    shaky = (0.3, 0.2, 0.5)
    done = judged([0, 2, 0, 1], [shaky, SURE[2], shaky, SURE[1]], source=[0, 0, 1, 1])
    assert done.two_class_sources == (1,)
    assert done.predicted.tolist() == [2, 2, 0, 1]
    accuracies = [part.report.accuracy for part in done.by_source]
    assert accuracies == [0.5, 1.0]
    assert done.accuracy == pytest.approx(np.mean(accuracies))
    assert "set1 (val)" in done.rule_text()
    assert "set0" not in done.rule_text()


def test_two_class_rule_without_a_hint() -> None:
    """A face that a model gives to neither of the two classes is a tie, not NaN."""
    done = judged([0, 1], [(0, 0, 1), (0, 0, 1)])
    assert done.probs.tolist() == [[0.5, 0.5, 0], [0.5, 0.5, 0]]


def test_model_of_two_classes() -> None:
    """A model that gives incorrect_mask nothing is judged like any other, and never says it."""
    done = judged([0, 1, 2], [(0.9, 0.1, 0), (0.2, 0.8, 0), (0.7, 0.3, 0)])
    assert done.accuracy == pytest.approx(2 / 3)
    assert done.report.recall["incorrect_mask"] == 0


def test_with_or_without() -> None:
    """Faces labelled with either are judged by these two, whatever the third has."""
    done = judged([0, 1, 2, 0], [(0.3, 0.2, 0.5), SURE[1], SURE[0], SURE[1]])
    assert done.with_without.count == 3
    assert done.with_without.accuracy == pytest.approx(2 / 3)
    assert done.with_without.confusion.tolist() == [[1, 1], [0, 1]]


def test_unknown() -> None:
    """The faces that serving would name a state for have an accuracy of their own."""
    done = judged(
        [0, 1, 2, 0], [SURE[0], SURE[1], SURE[2], SURE[1]], known=[True, True, True, False]
    )
    assert done.unknown_share == 0.25
    assert done.accuracy == 0.75
    assert done.told.accuracy == 1
    assert done.told.count == 3


@pytest.mark.parametrize(
    ("size_px", "name"),
    [
        (0.0, "under 24 px"),
        (23.9, "under 24 px"),
        (24.0, "24 to 32 px"),
        (47.9, "32 to 48 px"),
        (48.0, "48 to 96 px"),
        (5000.0, "96 px and more"),
    ],
    ids=str,
)
def test_slice_of_a_size(size_px: float, name: str) -> None:
    """A slice holds its lower edge and not its upper one; empty slices are left out."""
    done = judged([0], [SURE[0]], sizes_px=[size_px])
    assert [part.name for part in done.by_size] == [name]


def test_slices_add_up() -> None:
    """Every face is in one slice of sizes and in one of sources."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 80).tolist()
    probs = rng.dirichlet(np.ones(3), 80).tolist()
    done = judged(
        truth,
        probs,
        source=rng.integers(0, 3, 80).tolist(),
        sizes_px=rng.uniform(5, 200, 80).tolist(),
    )
    for parts in (done.by_size, done.by_source):
        assert len(parts) > 1
        confusions = np.array([part.report.confusion for part in parts])
        np.testing.assert_array_equal(confusions.sum(axis=0), done.report.confusion)


def test_calibration_is_of_what_was_chosen() -> None:
    """Confidence is the probability of the chosen class after the two-class rule."""
    done = judged([0, 1], [(0.3, 0.2, 0.5), (0.3, 0.2, 0.5)])
    assert done.calibration.ece == pytest.approx(0.1)  # sure of 0.6, right in half


def test_mistakes() -> None:
    """Errors come most confident first, no more than asked for, and nothing right is among them."""
    done = judged([0, 1, 2, 0], [(0.4, 0.5, 0.1), (0.8, 0.1, 0.1), SURE[2], (0.0, 0.05, 0.95)])
    found = done.mistakes()
    assert [mistake.index for mistake in found] == [3, 1, 0]
    assert [mistake.index for mistake in done.mistakes(2)] == [3, 1]
    worst = found[0]
    assert worst.predicted is MaskState.INCORRECT_MASK
    assert worst.truth is MaskState.WITH_MASK
    assert worst.probability == pytest.approx(0.95)
    assert worst.truth_probability == 0
    assert worst.source == "set0 (val)"


def test_json() -> None:
    """The JSON has the accuracy at its top, every figure, and null where one is undefined."""
    done = judged([0, 1, 1], [SURE[0], SURE[1], SURE[0]])
    text = json.dumps(done.json(), allow_nan=False)
    found = json.loads(text)
    assert found["accuracy"] == 0.6667
    assert found["accuracy_interval"] == [0.2077, 0.9385]
    assert found["balanced_accuracy"] == 0.75
    assert found["count"] == 3
    assert found["classes"]["incorrect_mask"] == {
        "count": 0,
        "precision": None,
        "recall": None,
        "f1": None,
        "auc": None,
        "ap": None,
    }
    assert found["classes"]["with_mask"]["recall"] == 1
    assert found["confusion"] == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert found["two_class_rule"]["sources"] == ["set0 (val)"]
    assert found["with_without"]["accuracy"] == 0.6667
    assert found["unknown"]["share"] == 0
    assert len(found["calibration"]["bins"]) == 15
    assert [part["name"] for part in found["by_source"]] == ["set0 (val)"]
    assert [mistake["path"] for mistake in found["mistakes"]] == ["2.png"]


def test_json_of_nothing() -> None:
    """Without faces every figure is null, and none is an error."""
    found = json.loads(json.dumps(judged([], []).json(), allow_nan=False))
    assert found["accuracy"] is None
    assert found["count"] == 0
    assert found["unknown"]["share"] is None
    assert found["by_size"] == []


def test_table() -> None:
    """The table has a line a class, the headlines, the rule, and slices where there are several."""
    done = judged([0, 1, 1], [SURE[0], SURE[1], SURE[0]], source=[0, 1, 1], sizes_px=[30, 30, 99])
    text = done.table()
    assert text.splitlines()[2].split() == [
        "without_mask",
        *["1.000", "0.500", "0.667", "0.750", "0.833", "2"],
    ]
    assert "accuracy 0.667 (0.208 to 0.939), balanced 0.750" in text
    assert "no incorrect_mask among the labels" in text
    assert "96 px and more" in text
    assert "set1 (val)" in text
    assert all(len(line) <= 90 for line in text.splitlines())
