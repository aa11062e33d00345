"""What a detector found on labelled photos, and every figure that follows from it.

A labelled face counts when the square root of its box's area is at least `min_face_px`. Smaller
ones are ignored: not missed, and no false alarm where a found face matches one or is itself that
small. For a class the score of a found face is its score as a face times the probability of the
class; labelled faces of other classes are not there, and those without a state are ignored.
Matching is told at the head of `matching`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from maskwatch.metrics.average_precision import (
    COCO_POINTS,
    average_precision,
    envelope,
    interval,
    precision_recall,
    resampled,
    resampling,
)
from maskwatch.metrics.classification import ClassificationReport, number
from maskwatch.metrics.found import NO_STATE, Doubles, Found, Indices, Truths
from maskwatch.metrics.judged import Source
from maskwatch.metrics.matching import Overlaps, Question, Ranking, overlaps, rank
from maskwatch.metrics.tally import Tally
from maskwatch.types import CLASSES

ANY = "any"
"""Names the figures of faces whatever their state."""

NAMES = tuple(state.value for state in CLASSES)
KEYS = (ANY, *NAMES)

LOOSE_IOU, IOU = 0.3, 0.5
COCO_IOUS = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""As pycocotools computes them, so that a face on the edge falls to the same side."""

SIZE_EDGES_PX = (16.0, 24.0, 48.0, 96.0, float("inf"))
"""Where one slice of face sizes ends and the next begins."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The figures of any face, or of one class.

    Attributes:
        name: `ANY` or a class.
        count: Labelled faces that count.
        ap30: Average precision at an IoU of 0.3, all points.
        ap50: At 0.5, all points.
        ap50_interval: 95% interval of it, from resampled photos.
        ap: Mean over 0.5, 0.55, …, 0.95 at 101 points each, as COCO has it.
        shipped: Hits, false alarms and misses as shipped, at an IoU of 0.5; a face is of the class
            that it most probably has.
        shipped30: The same at 0.3.
    """

    name: str
    count: int
    ap30: float
    ap50: float
    ap50_interval: tuple[float, float]
    ap: float
    shipped: Tally
    shipped30: Tally

    def json(self) -> dict[str, Any]:
        """The figures, ready for `json.dumps`; undefined ones are null."""
        return {
            "count": self.count,
            "ap30": number(self.ap30),
            "ap50": number(self.ap50),
            "ap50_interval": [number(end) for end in self.ap50_interval],
            "ap": number(self.ap),
            "shipped": self.shipped.json(),
            "shipped_iou30": self.shipped30.json(),
        }


@dataclass(frozen=True, slots=True)
class SizeScores:
    """The figures of any face within a range of sizes.

    Attributes:
        low_px: From this size.
        high_px: To below this one.
        count: Labelled faces.
        ap50: Average precision at an IoU of 0.5.
        ap50_interval: 95% interval of it, from resampled photos.
        shipped: Hits, false alarms and misses as shipped.
    """

    low_px: float
    high_px: float
    count: int
    ap50: float
    ap50_interval: tuple[float, float]
    shipped: Tally

    @property
    def name(self) -> str:
        """The range: `24-48 px`, `96+ px`."""
        if np.isinf(self.high_px):
            return f"{self.low_px:g}+ px"
        return f"{self.low_px:g}-{self.high_px:g} px"

    def json(self) -> dict[str, Any]:
        """The figures, ready for `json.dumps`; undefined ones are null."""
        return {
            "size": self.name,
            "count": self.count,
            "ap50": number(self.ap50),
            "ap50_interval": [number(end) for end in self.ap50_interval],
            "recall": number(self.shipped.recall),
            "recall_interval": [number(end) for end in self.shipped.recall_interval],
        }


# No slots, so that figures are computed once.
@dataclass(frozen=True, eq=False)
class DetectionReport:
    """Faces that a detector found on P labelled photos, and the figures that follow.

    Attributes:
        name: The detector's.
        truths: The labelled faces.
        found: All that it finds down to very low scores, for curves and their areas.
        shipped: What it finds as it is shipped, for precision, recall and states.
        photo_source: `(P,)` index into `sources` of each photo.
        sources: The data sets.
        min_score: Its threshold as shipped.
        min_face_px: Smaller faces are ignored.
        times_ms: `(P,)` milliseconds that it took for each photo as shipped; may be empty.
        paths: Of the P photos; may be empty.
    """

    name: str
    truths: Truths = field(repr=False)
    found: Found = field(repr=False)
    shipped: Found = field(repr=False)
    photo_source: Indices = field(repr=False)
    sources: tuple[Source, ...]
    min_score: float
    min_face_px: float
    times_ms: Doubles = field(repr=False)
    paths: tuple[Path, ...] = field(default=(), repr=False)

    @property
    def photos(self) -> int:
        """How many there are."""
        return len(self.photo_source)

    @property
    def tells_states(self) -> bool:
        """Whether it says of a face how its mask is worn."""
        return self.found.state_probs is not None

    @property
    def keys(self) -> tuple[str, ...]:
        """What there are figures of: `ANY`, and the classes where it tells them."""
        return KEYS if self.tells_states else (ANY,)

    @property
    def ms(self) -> float:
        """Median milliseconds a photo; NaN where no time was taken."""
        return float(np.median(self.times_ms)) if len(self.times_ms) else float("nan")

    @cached_property
    def scores(self) -> Mapping[str, Scores]:
        """The figures of any face and of each class."""
        return {key: self._scores(key) for key in self.keys}

    def mean(self, figure: str) -> float:
        """Mean of `ap30`, `ap50` or `ap` over the classes that have labelled faces."""
        values = [getattr(self.scores[key], figure) for key in self.keys if key != ANY]
        known = [value for value in values if not np.isnan(value)]
        return float(np.mean(known)) if known else float("nan")

    @cached_property
    def mean_ap50_interval(self) -> tuple[float, float]:
        """95% interval of the mean over classes of the average precision at 0.5."""
        rows = [self._samples[key] for key in self.keys if key != ANY and self.scores[key].count]
        return interval(np.mean(rows, axis=0)) if rows else interval(np.zeros(0))

    @cached_property
    def states(self) -> ClassificationReport:
        """How well states were told of the faces that were found as shipped.

        Raises:
            ValueError: It tells none.
        """
        found, truth = self._told_faces.T
        return ClassificationReport.of(self.truths.states[truth], self._told[found], NAMES)

    @cached_property
    def wrong_states(self) -> Indices:
        """Faces found as shipped whose state is told wrong, `(K, 2)`, the surest first.

        Each is the index of the found face and that of the labelled one; none where no states
        are told.
        """
        if self.shipped.state_probs is None:
            return np.zeros((0, 2), np.int64)
        found, truth = self._told_faces.T
        wrong = self._told_faces[self._told[found] != self.truths.states[truth]]
        sure = self.shipped.state_probs[wrong[:, 0]].max(axis=1)
        return np.asarray(wrong[np.argsort(-sure, kind="stable")], np.int64)

    @cached_property
    def by_size(self) -> tuple[SizeScores, ...]:
        """Any face by size; faces of other sizes are ignored."""
        return tuple(self._of_size(low, high) for low, high in pairwise(SIZE_EDGES_PX))

    @cached_property
    def by_source(self) -> tuple[DetectionReport, ...]:
        """The same report of each data set by itself."""
        return tuple(self._of_source(index) for index in range(len(self.sources)))

    def ranking(
        self,
        key: str,
        iou: float,
        *,
        shipped: bool = False,
        range_px: tuple[float, float] | None = None,
    ) -> Ranking:
        """Hits and false alarms of any face or of a class, best score first.

        Args:
            key: One of `keys`.
            iou: The least overlap of a hit, at least `LOOSE_IOU`.
            shipped: Of what is found as shipped, faces of the class that they most probably have;
                else of all that is found, by the score of the class.
            range_px: Count faces of this size, to below its end; None takes `min_face_px`.
        """
        low, high = (self.min_face_px, float("inf")) if range_px is None else range_px
        sizes = self.truths.sizes_px
        counted = (sizes >= low) & (sizes < high)
        ignored = ~counted
        found = self.shipped if shipped else self.found
        scores, asked = found.scores, np.ones(len(found), np.bool_)
        if key != ANY:
            index, states = NAMES.index(key), self.truths.states
            counted, ignored = counted & (states == index), ignored | (states == NO_STATE)
            if shipped:
                asked = self._told == index
            elif found.state_probs is not None:
                scores = scores * found.state_probs[:, index]
        own = found.sizes_px
        question = Question(scores, asked, (own < low) | (own >= high), counted, ignored)
        return rank(self._pairs[shipped], question, iou)

    def curve(self, key: str) -> tuple[Doubles, Doubles]:
        """Precision and recall down to each found face at an IoU of 0.5; empty without faces."""
        ranking = self.ranking(key, IOU)
        if not ranking.count:
            return np.zeros(0), np.zeros(0)
        return precision_recall(ranking.hit, ranking.count)

    @cached_property
    def misses(self) -> Indices:
        """Labelled faces that are not found as shipped, as indices, the largest first."""
        missed = self.ranking(ANY, IOU, shipped=True).missed
        order = np.argsort(-self.truths.sizes_px[missed], kind="stable")
        return np.asarray(missed[order], np.int64)

    @cached_property
    def false_alarms(self) -> Indices:
        """Faces found as shipped that are none, as indices, the best scored first."""
        ranking = self.ranking(ANY, IOU, shipped=True)
        return np.asarray(ranking.found[~ranking.hit], np.int64)

    @property
    def false_alarms_a_photo(self) -> float:
        """Mean number on a photo, as shipped; NaN without photos."""
        return len(self.false_alarms) / self.photos if self.photos else float("nan")

    @property
    def photos_with_false_alarms(self) -> int:
        """Photos that have at least one, as shipped."""
        return len(np.unique(self.shipped.photo[self.false_alarms]))

    def json(self) -> dict[str, Any]:
        """All figures, ready for `json.dumps`; undefined ones are null."""
        sources = [{"source": part.sources[0].label, **part._facts()} for part in self.by_source]
        return {
            "detector": self.name,
            "min_score": round(float(self.min_score), 4),
            "min_face_px": self.min_face_px,
            **self._facts(),
            "ms_a_photo": number(self.ms),
            "states": self.states.json() if self.tells_states else None,
            "by_size": [part.json() for part in self.by_size],
            "by_source": sources,
            "curves": {key: self._curve_json(key) for key in self.keys},
        }

    def _facts(self) -> dict[str, Any]:
        mean = {figure: number(self.mean(figure)) for figure in ("ap30", "ap50", "ap")}
        ends = [number(end) for end in self.mean_ap50_interval]
        return {
            "photos": self.photos,
            "any": self.scores[ANY].json(),
            "classes": {key: self.scores[key].json() for key in self.keys if key != ANY},
            "mean": {**mean, "ap50_interval": ends} if self.tells_states else None,
            "false_alarms": {
                "count": len(self.false_alarms),
                "a_photo": number(self.false_alarms_a_photo),
                "photos": self.photos_with_false_alarms,
            },
        }

    def _curve_json(self, key: str) -> list[float]:
        """The best precision at each recall of 0, 0.01, …, 1 or a higher one."""
        precision, recall = self.curve(key)
        places = np.searchsorted(recall, np.linspace(0, 1, COCO_POINTS))
        return [round(float(value), 4) for value in np.append(envelope(precision), 0)[places]]

    def _scores(self, key: str) -> Scores:
        ap30, ap50 = (self._ap(key, iou) for iou in (LOOSE_IOU, IOU))
        return Scores(
            key,
            self.ranking(key, IOU).count,
            ap30,
            ap50,
            interval(self._samples[key]),
            float(np.mean([self._ap(key, iou, COCO_POINTS) for iou in COCO_IOUS])),
            Tally.of(self.ranking(key, IOU, shipped=True)),
            Tally.of(self.ranking(key, LOOSE_IOU, shipped=True)),
        )

    def _ap(self, key: str, iou: float, points: int | None = None) -> float:
        ranking = self.ranking(key, iou)
        return average_precision(ranking.hit, ranking.count, points)

    @cached_property
    def _samples(self) -> Mapping[str, Doubles]:
        """Average precision at 0.5 in each resample, `(R,)`."""
        return {key: self._resampled(self.ranking(key, IOU)) for key in self.keys}

    @cached_property
    def _weights(self) -> Doubles:
        return resampling(self.photos)

    def _resampled(self, ranking: Ranking) -> Doubles:
        counted = np.concatenate([ranking.truth[ranking.hit], ranking.missed])
        counts = np.bincount(self.truths.photo[counted], minlength=self.photos).astype(np.float64)
        photo = self.found.photo[ranking.found]
        return resampled(ranking.hit, photo, counts, self._weights)

    def _of_size(self, low_px: float, high_px: float) -> SizeScores:
        ranking = self.ranking(ANY, IOU, range_px=(low_px, high_px))
        shipped = self.ranking(ANY, IOU, shipped=True, range_px=(low_px, high_px))
        return SizeScores(
            low_px,
            high_px,
            ranking.count,
            average_precision(ranking.hit, ranking.count),
            interval(self._resampled(ranking)),
            Tally.of(shipped),
        )

    def _of_source(self, index: int) -> DetectionReport:
        photos = np.asarray(self.photo_source == index, np.bool_)
        return replace(
            self,
            truths=self.truths.on(photos),
            found=self.found.on(photos),
            shipped=self.shipped.on(photos),
            photo_source=np.zeros(int(photos.sum()), np.int64),
            sources=self.sources[index : index + 1],
            times_ms=self.times_ms[photos] if len(self.times_ms) else self.times_ms,
            paths=tuple(path for path, own in zip(self.paths, photos, strict=False) if own),
        )

    @cached_property
    def _told(self) -> Indices:
        """The class that each face found as shipped most probably has, `(N,)`."""
        if self.shipped.state_probs is None:
            if not len(self.shipped):
                return np.zeros(0, np.int64)
            raise ValueError(f"{self.name} tells no states.")
        return np.asarray(self.shipped.state_probs.argmax(axis=1), np.int64)

    @cached_property
    def _told_faces(self) -> Indices:
        """Faces found as shipped and the labelled ones they hit that have a state, `(K, 2)`."""
        ranking = self.ranking(ANY, IOU, shipped=True)
        both = np.stack([ranking.found, ranking.truth], axis=1)[ranking.hit]
        return np.asarray(both[self.truths.states[both[:, 1]] != NO_STATE], np.int64)

    @cached_property
    def _pairs(self) -> tuple[Overlaps, Overlaps]:
        """Of all that is found, and of what is found as shipped."""
        first, second = (overlaps(f, self.truths, LOOSE_IOU) for f in (self.found, self.shipped))
        return first, second
