"""What a model made of labelled faces, and every figure that follows from it.

The two-class rule. Where the labels of a data set have no `incorrect_mask` among the faces judged,
a three-class model cannot fairly be asked for it: each face is then judged by its probabilities of
`with_mask` and `without_mask` alone, scaled to sum to 1. How many it would have called
`incorrect_mask` is reported beside. Faces of data sets that do have the class are judged by the
largest of the three probabilities. Where several data sets are judged together the rule holds for
each by itself, so that the figures of all follow from those of each.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskwatch.metrics.calibration import Calibration
from maskwatch.metrics.classification import ClassificationReport, number
from maskwatch.metrics.curves import Curves
from maskwatch.metrics.judged import (
    JudgedFaces,
    Mistake,
    Slice,
    Source,
    interval_text,
    percent,
    text,
)
from maskwatch.types import CLASSES, Floats, MaskState

NAMES = tuple(state.value for state in CLASSES)
INCORRECT = CLASSES.index(MaskState.INCORRECT_MASK)

TWO_CLASS_RULE = (
    "no incorrect_mask among the labels, so faces are judged by their probabilities of with_mask "
    "and without_mask alone, scaled to sum to 1"
)

SIZE_EDGES_PX = (24.0, 32.0, 48.0, 96.0)
"""Where one slice of face sizes ends and the next begins."""

MISTAKES = 24
"""How many of the most confident errors are shown."""


# No slots, so that figures are computed once.
@dataclass(frozen=True, eq=False)
class Evaluation:
    """Faces judged by a model, and the figures that follow.

    Attributes:
        model: Its name.
        sources: The data sets.
        faces: What was judged, face by face.
        min_face_px: Smaller faces were left out.
        left_out: Faces that were not judged, by reason.
        unread: A line for each picture or data set that could not be read.
    """

    model: str
    sources: tuple[Source, ...]
    faces: JudgedFaces = field(repr=False)
    min_face_px: float = 0.0
    left_out: Mapping[str, int] = field(default_factory=dict)
    unread: tuple[str, ...] = ()

    @property
    def accuracy(self) -> float:
        """Share of faces told right; NaN without faces."""
        return self.report.accuracy

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """95% interval of the accuracy, see `intervals.wilson`."""
        return self.report.accuracy_interval

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall over the classes that have faces."""
        return self.report.balanced_accuracy

    @cached_property
    def two_class_sources(self) -> tuple[int, ...]:
        """The data sets, as indices, that the two-class rule holds for."""
        labels = self.faces.truth
        own = [labels[self.faces.source == index] for index in range(len(self.sources))]
        return tuple(
            index
            for index, labels in enumerate(own)
            if len(labels) and not np.any(labels == INCORRECT)
        )

    @cached_property
    def by_two_classes(self) -> NDArray[np.bool_]:
        """Whether the two-class rule holds for each face, `(N,)`."""
        return np.asarray(np.isin(self.faces.source, self.two_class_sources), np.bool_)

    @cached_property
    def probs(self) -> Floats:
        """Probabilities after the two-class rule, `(N, 3)`.

        Where a model gives both classes nothing at all, each gets one half.
        """
        probs = self.faces.probs.astype(np.float64)
        pairs = probs[:, :INCORRECT]
        sums = pairs.sum(axis=1, keepdims=True)
        scaled = np.divide(pairs, sums, out=np.full_like(pairs, 0.5), where=sums > 0)
        halved = np.concatenate([scaled, np.zeros_like(sums)], axis=1)
        return np.where(self.by_two_classes[:, None], halved, probs).astype(np.float32)

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The class that each face is told to be, `(N,)` index into `CLASSES`."""
        return np.asarray(self.probs.argmax(axis=1), np.int64)

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Whether each face is told right, `(N,)`."""
        return np.asarray(self.predicted == self.faces.truth, np.bool_)

    @cached_property
    def report(self) -> ClassificationReport:
        """How well the states were told."""
        return self._report(np.ones(len(self.faces), np.bool_))

    @cached_property
    def with_without(self) -> ClassificationReport:
        """The same among faces labelled `with_mask` or `without_mask`, by these two alone."""
        return self._with_without(np.ones(len(self.faces), np.bool_))

    @property
    def called_incorrect(self) -> float:
        """Share of the faces under the two-class rule that were called `incorrect_mask`."""
        raw = self.faces.probs[self.by_two_classes].argmax(axis=1)
        return float(np.mean(raw == INCORRECT)) if len(raw) else float("nan")

    @cached_property
    def curves(self) -> dict[str, Curves]:
        """ROC and precision-recall of each class against the rest."""
        return {
            name: Curves.of(self.faces.truth == index, self.probs[:, index])
            for index, name in enumerate(NAMES)
        }

    @cached_property
    def calibration(self) -> Calibration:
        """Confidence against accuracy."""
        return Calibration.of(self.probs.max(axis=1, initial=0), self.right)

    @property
    def unknown_share(self) -> float:
        """Share of the faces of which serving would say `unknown`."""
        return float(np.mean(~self.faces.known)) if len(self.faces) else float("nan")

    @cached_property
    def told(self) -> ClassificationReport:
        """How well the states were told of all other faces."""
        return self._report(self.faces.known)

    @cached_property
    def by_size(self) -> tuple[Slice, ...]:
        """The faces by size, small ones first; sizes that no face has are left out."""
        edges = [0.0, *SIZE_EDGES_PX, np.inf]
        sizes = self.faces.sizes_px
        slices = []
        for low, high in pairwise(edges):
            chosen = (sizes >= low) & (sizes < high)
            if chosen.any():
                slices.append(self._slice(_size_name(low, high), chosen))
        return tuple(slices)

    @cached_property
    def by_source(self) -> tuple[Slice, ...]:
        """The faces by data set."""
        return tuple(
            self._slice(source.label, self.faces.source == index)
            for index, source in enumerate(self.sources)
        )

    def mistakes(self, limit: int = MISTAKES) -> list[Mistake]:
        """The faces told wrong with the most confidence, the worst first."""
        wrong = np.nonzero(~self.right)[0]
        sure = self.probs[wrong, self.predicted[wrong]]
        return [self._mistake(int(i)) for i in wrong[np.argsort(-sure, kind="stable")][:limit]]

    def json(self) -> dict[str, Any]:
        """All figures, ready for `json.dumps`; undefined ones are null."""
        report = self.report
        interval = [number(end) for end in self.accuracy_interval]
        return {
            "model": self.model,
            "count": len(self.faces),
            "accuracy": number(self.accuracy),
            "accuracy_interval": interval,
            "balanced_accuracy": number(self.balanced_accuracy),
            "mean_f1": number(report.mean_f1),
            "classes": {name: self._class_json(name, i) for i, name in enumerate(NAMES)},
            "confusion": report.confusion.tolist(),
            "with_without": self.with_without.json(),
            "two_class_rule": {
                "sources": [self.sources[i].label for i in self.two_class_sources],
                "rule": TWO_CLASS_RULE,
                "called_incorrect": number(self.called_incorrect),
            },
            "calibration": self.calibration.json(),
            "unknown": {"share": number(self.unknown_share), "rest": self.told.json()},
            "by_size": [part.json() for part in self.by_size],
            "by_source": [part.json() for part in self.by_source],
            "mistakes": [mistake.json() for mistake in self.mistakes()],
            "min_face_px": self.min_face_px,
            "left_out": dict(self.left_out),
            "unread": list(self.unread),
        }

    def table(self) -> str:
        """The most telling figures as text."""
        lines = [f"{'class':<16}{'precision':>10}{'recall':>8}{'F1':>8}{'AUC':>8}{'AP':>8}{'n':>8}"]
        for index, name in enumerate(NAMES):
            figures = self._figures(name)
            cells = "".join(f"{text(value):>8}" for value in list(figures.values())[1:])
            count = int(self.report.confusion[index].sum())
            lines.append(f"{name:<16}{text(figures['precision']):>10}{cells}{count:>8}")
        lines += ["", *self._headlines()]
        for title, parts in (("size", self.by_size), ("source", self.by_source)):
            if len(parts) > 1:
                lines += ["", *_slice_lines(title, parts)]
        return "\n".join(lines)

    def rule_text(self) -> str:
        """What the two-class rule did here, a sentence; empty where it did not apply."""
        names = [self.sources[index].label for index in self.two_class_sources]
        if not names:
            return ""
        return (
            f"{', '.join(names)}: {TWO_CLASS_RULE}. {percent(self.called_incorrect)} of them "
            "would otherwise have been called incorrect_mask."
        )

    def _headlines(self) -> list[str]:
        pair, told = self.with_without, self.told
        lines = [
            f"accuracy {text(self.accuracy)} ({interval_text(self.report)}), "
            f"balanced {text(self.balanced_accuracy)}, mean F1 {text(self.report.mean_f1)}, "
            f"n={len(self.faces)}",
            f"with or without a mask {text(pair.accuracy)} ({interval_text(pair)}), n={pair.count}",
            f"calibration error (ECE) {text(self.calibration.ece)}",
            f"unknown {percent(self.unknown_share)}, accuracy of the rest {text(told.accuracy)}",
        ]
        return lines + textwrap.wrap(self.rule_text(), 79)

    def _figures(self, name: str) -> dict[str, float]:
        report, curves = self.report, self.curves[name]
        return {
            "precision": report.precision[name],
            "recall": report.recall[name],
            "f1": report.f1[name],
            "auc": curves.auc,
            "ap": curves.average_precision,
        }

    def _class_json(self, name: str, index: int) -> dict[str, Any]:
        figures = {key: number(value) for key, value in self._figures(name).items()}
        return {"count": int(self.report.confusion[index].sum()), **figures}

    def _report(self, chosen: NDArray[np.bool_]) -> ClassificationReport:
        return ClassificationReport.of(self.faces.truth[chosen], self.predicted[chosen], NAMES)

    def _with_without(self, chosen: NDArray[np.bool_]) -> ClassificationReport:
        chosen = chosen & (self.faces.truth != INCORRECT)
        predicted = self.faces.probs[chosen, :INCORRECT].argmax(axis=1)
        return ClassificationReport.of(self.faces.truth[chosen], predicted, NAMES[:INCORRECT])

    def _slice(self, name: str, chosen: NDArray[np.bool_]) -> Slice:
        return Slice(name, self._report(chosen), self._with_without(chosen))

    def _mistake(self, index: int) -> Mistake:
        truth, predicted = self.faces.truth[index], self.predicted[index]
        return Mistake(
            index,
            self.faces.places[index],
            self.sources[self.faces.source[index]].label,
            CLASSES[truth],
            CLASSES[predicted],
            float(self.probs[index, predicted]),
            float(self.probs[index, truth]),
            float(self.faces.sizes_px[index]),
        )


def _size_name(low_px: float, high_px: float) -> str:
    if low_px == 0:
        return f"under {high_px:g} px"
    return f"{low_px:g} px and more" if np.isinf(high_px) else f"{low_px:g} to {high_px:g} px"


def _slice_lines(title: str, parts: tuple[Slice, ...]) -> list[str]:
    width = max(16, *(len(part.name) + 2 for part in parts))
    lines = [f"{title:<{width}}{'accuracy':>10}{'95% interval':>18}{'balanced':>10}{'n':>8}"]
    for part in parts:
        report = part.report
        lines.append(
            f"{part.name:<{width}}{text(report.accuracy):>10}{interval_text(report):>18}"
            f"{text(report.balanced_accuracy):>10}{report.count:>8}"
        )
    return lines
