"""Rules of matching found faces to labelled ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from made_detections import contested
from maskwatch.boxes import iou
from maskwatch.metrics.found import Found, Truths
from maskwatch.metrics.matching import NO_MATCH, Question, match, overlaps, rank

Box = tuple[float, float, float, float]


def slow_match(found: Found, truths: Truths, question: Question, min_iou: float) -> list[int]:
    """Matching as COCO tells it, a found face and a labelled face at a time."""
    pairs = overlaps(found, truths)
    shared = {
        (f, t): i
        for f, t, i in zip(
            pairs.found.tolist(), pairs.truth.tolist(), pairs.iou.tolist(), strict=True
        )
    }
    matched = [NO_MATCH] * len(found)
    taken: set[int] = set()
    for photo in range(1 + max(found.photo.max(), truths.photo.max())):
        ones = [i for i in range(len(found)) if found.photo[i] == photo and question.asked[i]]
        ones.sort(key=lambda i: -question.scores[i])
        others = [j for j in range(len(truths)) if truths.photo[j] == photo]
        others = [j for j in others if question.counted[j] or question.ignored[j]]
        others.sort(key=lambda j: bool(question.ignored[j]))
        for one in ones:
            best, best_iou = NO_MATCH, min_iou
            for other in others:
                if other in taken:
                    continue
                if best != NO_MATCH and not question.ignored[best] and question.ignored[other]:
                    break
                if shared.get((one, other), 0.0) < best_iou:
                    continue
                best, best_iou = other, shared[one, other]
            if best != NO_MATCH:
                matched[one] = best
                taken.add(best)
    return matched


def ask(
    found: Found,
    truths: Truths,
    *,
    ignored: Sequence[int] = (),
    outside: Sequence[int] = (),
) -> Question:
    """Every labelled face counts but the ignored ones."""
    own = np.isin(np.arange(len(truths)), ignored)
    return Question(
        found.scores,
        np.ones(len(found), np.bool_),
        np.isin(np.arange(len(found)), outside),
        ~own,
        own,
    )


def scene(labelled: Sequence[Box], found: Sequence[tuple[float, Box]]) -> tuple[Found, Truths]:
    """One photo."""
    truths = Truths(
        np.zeros(len(labelled), np.int64),
        np.array(labelled, np.float64).reshape(-1, 4),
        np.zeros(len(labelled), np.int64),
    )
    boxes = np.array([box for _, box in found], np.float64).reshape(-1, 4)
    scores = np.array([score for score, _ in found], np.float64)
    return Found(np.zeros(len(found), np.int64), boxes, scores), truths


FACE: Box = (0, 0, 100, 100)


def test_best_score_first() -> None:
    """Of two found faces on one labelled one the better scored is the hit, not the closer one."""
    found, truths = scene([FACE], [(0.6, FACE), (0.9, (0, 0, 100, 70))])
    ranking = rank(overlaps(found, truths), ask(found, truths), 0.5)
    assert ranking.found.tolist() == [1, 0]
    assert ranking.hit.tolist() == [True, False]
    assert ranking.count == 1


def test_most_overlap() -> None:
    """A found face takes the labelled one that it overlaps most."""
    found, truths = scene([(0, 0, 100, 70), FACE], [(0.9, (0, 0, 100, 95))])
    assert match(overlaps(found, truths), ask(found, truths), 0.5).tolist() == [1]


def test_counted_before_ignored() -> None:
    """A labelled face that counts goes before an ignored one that is closer."""
    found, truths = scene([FACE, (0, 0, 100, 70)], [(0.9, FACE)])
    assert match(overlaps(found, truths), ask(found, truths, ignored=[0]), 0.5).tolist() == [1]


def test_ignored_is_neither() -> None:
    """What matches an ignored face is no hit and no false alarm, and nothing is missed."""
    found, truths = scene([FACE], [(0.9, FACE)])
    ranking = rank(overlaps(found, truths), ask(found, truths, ignored=[0]), 0.5)
    assert len(ranking.found) == 0
    assert ranking.count == 0


def test_too_small_is_no_false_alarm() -> None:
    """A found face outside the range of sizes counts as a hit, and not as a false alarm."""
    found, truths = scene([FACE], [(0.9, FACE), (0.8, (200, 0, 210, 10))])
    ranking = rank(overlaps(found, truths), ask(found, truths, outside=[0, 1]), 0.5)
    assert ranking.found.tolist() == [0]
    assert ranking.hit.tolist() == [True]


def test_threshold_is_met() -> None:
    """An overlap of exactly the threshold is a match, and a hair more is asked in vain."""
    found, truths = scene([FACE], [(0.9, (0, 0, 100, 50))])
    pairs = overlaps(found, truths)
    assert match(pairs, ask(found, truths), 0.5).tolist() == [0]
    assert match(pairs, ask(found, truths), 0.501).tolist() == [NO_MATCH]


def test_photos_apart() -> None:
    """Faces of different photos never match, wherever they lie."""
    boxes = np.array([FACE], np.float64)
    truths = Truths(np.array([0]), boxes, np.array([0]))
    found = Found(np.array([1]), boxes, np.ones(1))
    assert len(overlaps(found, truths).iou) == 0
    ranking = rank(overlaps(found, truths), ask(found, truths), 0.5)
    assert ranking.hit.tolist() == [False]
    assert ranking.missed.tolist() == [0]


@pytest.mark.parametrize(
    ("labelled", "found", "missed"),
    [
        pytest.param([], [], 0, id="nothing"),
        pytest.param([FACE], [], 1, id="nothing found"),
        pytest.param([], [(0.9, FACE)], 0, id="nothing labelled"),
    ],
)
def test_empty(labelled: list[Box], found: list[tuple[float, Box]], missed: int) -> None:
    """Without faces of one kind or of both there is nothing to match."""
    one, other = scene(labelled, found)
    ranking = rank(overlaps(one, other), ask(one, other), 0.5)
    assert not ranking.hit.any()
    assert len(ranking.found) == len(found)
    assert len(ranking.missed) == missed


@pytest.mark.parametrize("seed", range(6))
def test_overlaps_are_those_of_boxes(seed: int) -> None:
    """Every pair of a photo that overlaps is there with its IoU, and no other."""
    truths, found = contested(seed)
    pairs = overlaps(found, truths, 0.2)
    whole = iou(found.boxes.astype(np.float32), truths.boxes.astype(np.float32))
    whole[found.photo[:, None] != truths.photo[None]] = 0
    np.testing.assert_array_equal(np.stack(np.nonzero(whole >= 0.2)), [pairs.found, pairs.truth])
    np.testing.assert_allclose(whole[pairs.found, pairs.truth], pairs.iou, rtol=1e-6)


@pytest.mark.parametrize("min_iou", [0.3, 0.5, 0.75])
@pytest.mark.parametrize("seed", range(12))
def test_against_a_slow_version(seed: int, min_iou: float) -> None:
    """The result is that of going through every pair in turn."""
    truths, found = contested(seed)
    rng = np.random.default_rng(seed)
    ignored = rng.random(len(truths)) < 0.3
    counted = ~ignored & (rng.random(len(truths)) < 0.8)
    asked = rng.random(len(found)) < 0.9
    question = Question(found.scores, asked, np.zeros(len(found), np.bool_), counted, ignored)
    expected = slow_match(found, truths, question, min_iou)
    assert match(overlaps(found, truths, min_iou), question, min_iou).tolist() == expected
    assert len(set(expected) - {NO_MATCH}) > 3


@pytest.mark.parametrize(
    ("photo", "boxes"),
    [
        pytest.param([1, 0], np.zeros((2, 4)), id="order"),
        pytest.param([0, 1], np.zeros((3, 4)), id="count"),
        pytest.param([0, 1], np.zeros((2, 3)), id="corners"),
    ],
)
def test_arrays_that_do_not_fit(photo: list[int], boxes: np.ndarray) -> None:
    """Photos out of order and arrays of different lengths are refused."""
    with pytest.raises(ValueError, match=r"order|shape"):
        Truths(np.array(photo), boxes, np.zeros(2, np.int64))
    with pytest.raises(ValueError, match=r"order|shape"):
        Found(np.array(photo), boxes, np.zeros(2))
