"""The words of an evaluation: where a face comes from, what was said of it, a slice, a mistake."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskwatch.metrics.classification import ClassificationReport, number
from maskwatch.types import Floats, MaskState


@dataclass(frozen=True, slots=True)
class Source:
    """A data set that was judged.

    Attributes:
        name: Its own.
        split: The part of it; empty where it has no splits, `all` where all were taken.
        folder: Where it is.
    """

    name: str
    split: str
    folder: Path

    @property
    def label(self) -> str:
        """Name and split: `ilc (val)`."""
        return f"{self.name} ({self.split})" if self.split else self.name


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where a face is to be found.

    Attributes:
        path: The picture.
        index: Number of its box in the picture's labels, from 0; 0 for a ready-made crop.
        box: `(4,)` x0 y0 x1 y1 in its pixels; for a ready-made crop see `preprocess.as_box`.
    """

    path: Path
    index: int
    box: Floats


@dataclass(frozen=True, slots=True, eq=False)
class JudgedFaces:
    """N labelled faces and what the model says of them, as parallel arrays.

    Attributes:
        truth: `(N,)` index into `CLASSES`.
        probs: `(N, 3)` as the model gave them.
        sizes_px: `(N,)` square root of the box's area; the longer side of a ready-made crop.
        known: `(N,)` whether serving would name a state for it (`classifier.decide`); where not,
            it says `unknown`.
        source: `(N,)` index into `Evaluation.sources`.
        places: Where each is.
    """

    truth: NDArray[np.int64]
    probs: Floats
    sizes_px: Floats
    known: NDArray[np.bool_]
    source: NDArray[np.int64]
    places: tuple[Place, ...]

    def __len__(self) -> int:
        return len(self.truth)


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """Some of the faces.

    Attributes:
        name: Which.
        report: How well they were told, by the rule at the head of `metrics.evaluation`.
        with_without: The same for those with and those without a mask, see `Evaluation`.
    """

    name: str
    report: ClassificationReport
    with_without: ClassificationReport

    def json(self) -> dict[str, Any]:
        """The figures, ready for `json.dumps`; undefined ones are null."""
        figures = self.report.json()
        kept = ("count", "accuracy", "accuracy_interval", "balanced_accuracy", "recall")
        return {
            "name": self.name,
            **{key: figures[key] for key in kept},
            "with_without_accuracy": number(self.with_without.accuracy),
        }


@dataclass(frozen=True, slots=True)
class Mistake:
    """A face that was told wrong.

    Attributes:
        index: Its number among the faces.
        place: Where it is.
        source: Name of its data set.
        truth: Its label.
        predicted: What the model says.
        probability: How sure it is of that.
        truth_probability: What it gives the label.
        size_px: As in `JudgedFaces`.
    """

    index: int
    place: Place
    source: str
    truth: MaskState
    predicted: MaskState
    probability: float
    truth_probability: float
    size_px: float

    def json(self) -> dict[str, Any]:
        """The facts, ready for `json.dumps`."""
        return {
            "path": str(self.place.path),
            "box_index": self.place.index,
            "source": self.source,
            "truth": self.truth.value,
            "predicted": self.predicted.value,
            "probability": number(self.probability),
            "truth_probability": number(self.truth_probability),
            "size_px": round(self.size_px, 1),
        }


def text(value: float) -> str:
    """A share as text; a dash where it is undefined."""
    return "-" if np.isnan(value) else f"{value:.3f}"


def percent(value: float) -> str:
    """A share in percent; a dash where it is undefined."""
    return "-" if np.isnan(value) else f"{100 * value:.1f}%"


def interval_text(report: ClassificationReport) -> str:
    """The interval of an accuracy: `0.929 to 0.966`."""
    low, high = report.accuracy_interval
    return f"{text(low)} to {text(high)}"
