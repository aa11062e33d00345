"""Match found faces to labelled ones, best score first.

The rules are those of COCO (cocodataset.org/#detection-eval): a labelled face is matched once; a
found face takes the free labelled face that it overlaps most, and one that is ignored only where
no other is left; what matches an ignored face, or matches none and lies outside the range of sizes
that is asked about, is neither a hit nor a false alarm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maskwatch.metrics.found import Doubles, Flags, Found, Indices, Truths

NO_MATCH = -1
"""Stands for the labelled face of a found one that matches none."""


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """K pairs of a found and a labelled face of one photo that overlap.

    Attributes:
        found: `(K,)` index of the found face.
        truth: `(K,)` index of the labelled face.
        iou: `(K,)` intersection over union.
    """

    found: Indices
    truth: Indices
    iou: Doubles


def overlaps(found: Found, truths: Truths, least_iou: float = 0.0) -> Overlaps:
    """Every pair of one photo whose IoU is `least_iou` or more, and more than 0."""
    photos = 1 + max(found.photo.max(initial=-1), truths.photo.max(initial=-1))
    counts = np.bincount(truths.photo, minlength=photos)
    starts = np.cumsum(counts) - counts
    many = counts[found.photo]
    left = np.repeat(np.arange(len(found)), many)
    # Within each run of pairs the labelled faces of the photo, one after another.
    right = np.arange(len(left)) + np.repeat(starts[found.photo] - (np.cumsum(many) - many), many)
    iou = _iou(found.boxes[left], truths.boxes[right])
    kept = (iou >= least_iou) & (iou > 0)
    return Overlaps(left[kept], right[kept], iou[kept])


def _iou(first: Doubles, second: Doubles) -> Doubles:
    """IoU of pairs, `(K,)` for twice `(K, 4)`; in double, for thresholds are met exactly."""
    sides = np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2])
    shared = np.maximum(sides, 0).prod(axis=1)
    both = sum(np.maximum(b[:, 2:] - b[:, :2], 0).prod(axis=1) for b in (first, second))
    return np.asarray(shared / np.maximum(both - shared, 1e-12), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is asked of N found and M labelled faces.

    Attributes:
        scores: `(N,)` by which the found faces are ranked.
        asked: `(N,)` which of them take part.
        outside: `(N,)` which are no false alarms though they match nothing: too small.
        counted: `(M,)` the labelled faces that are to be found.
        ignored: `(M,)` those that need not be, but may.
    """

    scores: Doubles
    asked: Flags
    outside: Flags
    counted: Flags
    ignored: Flags


def match(pairs: Overlaps, question: Question, min_iou: float) -> Indices:
    """The labelled face that each found one matches, `(N,)`, or `NO_MATCH`.

    Args:
        pairs: With all pairs of at least `min_iou`.
        question: What is asked.
        min_iou: The least overlap of a match.
    """
    usable = (
        (pairs.iou >= min_iou)
        & question.asked[pairs.found]
        & (question.counted | question.ignored)[pairs.truth]
    )
    found, truth, iou = pairs.found[usable], pairs.truth[usable], pairs.iou[usable]
    # The best found face first, and of each the pairs as it prefers them; of equal ones COCO takes
    # the last. `lexsort` takes its keys from the least to the most important.
    order = np.lexsort((-truth, -iou, question.ignored[truth], found, -question.scores[found]))
    matched = [NO_MATCH] * len(question.scores)
    free = [True] * len(question.counted)
    for one, other in zip(found[order].tolist(), truth[order].tolist(), strict=True):
        if matched[one] == NO_MATCH and free[other]:
            matched[one], free[other] = other, False
    return np.array(matched, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The hits and false alarms of a question, best score first.

    Attributes:
        found: `(K,)` index of the found face.
        truth: `(K,)` index of the labelled face that it hits, or `NO_MATCH` for a false alarm.
        scores: `(K,)` descending.
        missed: `(L,)` index of the labelled faces that nothing hits.
    """

    found: Indices
    truth: Indices
    scores: Doubles
    missed: Indices

    @property
    def hit(self) -> Flags:
        """Whether each is a hit, `(K,)`."""
        return np.asarray(self.truth != NO_MATCH, np.bool_)

    @property
    def count(self) -> int:
        """Labelled faces that were to be found."""
        return int(self.hit.sum()) + len(self.missed)


def rank(pairs: Overlaps, question: Question, min_iou: float) -> Ranking:
    """Match, leave out what is neither hit nor false alarm, and rank the rest.

    Equal scores keep the order of the found faces.
    """
    matched = match(pairs, question, min_iou)
    hits_nothing = matched == NO_MATCH
    # With the index of nothing, -1, some face is looked up, which the other condition rules out.
    hits_ignored = ~hits_nothing & _at(question.ignored, matched)
    judged = question.asked & ~hits_ignored & ~(hits_nothing & question.outside)
    order = np.argsort(-question.scores, kind="stable")
    order = order[judged[order]]
    missed = question.counted.copy()
    missed[matched[~hits_nothing]] = False
    return Ranking(order, matched[order], question.scores[order], np.nonzero(missed)[0])


def _at(flags: Flags, index: Indices) -> Flags:
    """`flags[index]`, also where there are no flags at all and no index means one."""
    return flags[index] if len(flags) else np.zeros(len(index), np.bool_)
