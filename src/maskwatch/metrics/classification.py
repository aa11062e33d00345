"""How well states were told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskwatch.metrics.intervals import wilson


@dataclass(frozen=True, slots=True, eq=False)
class ClassificationReport:
    """Counts of true class against predicted class.

    Attributes:
        classes: Class names.
        confusion: `(C, C)` int, a row for each true class, a column for each predicted one.
    """

    classes: tuple[str, ...]
    confusion: NDArray[np.int64]

    @classmethod
    def of(
        cls, truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: Sequence[str]
    ) -> ClassificationReport:
        """Count `(N,)` class indices."""
        confusion = np.zeros((len(classes), len(classes)), np.int64)
        np.add.at(confusion, (truth, predicted), 1)
        return cls(tuple(classes), confusion)

    @property
    def count(self) -> int:
        """Number of samples."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share of samples told right; NaN without samples."""
        return _ratio(np.trace(self.confusion), self.count)

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """95% interval of the accuracy, see `wilson`."""
        return wilson(int(np.trace(self.confusion)), self.count)

    @property
    def recall(self) -> dict[str, float]:
        """Share of each true class told right; NaN for a class without samples."""
        return {
            name: _ratio(self.confusion[i, i], self.confusion[i].sum())
            for i, name in enumerate(self.classes)
        }

    @property
    def precision(self) -> dict[str, float]:
        """Share of each predicted class that is right; NaN for one never predicted."""
        return {
            name: _ratio(self.confusion[i, i], self.confusion[:, i].sum())
            for i, name in enumerate(self.classes)
        }

    @property
    def f1(self) -> dict[str, float]:
        """Harmonic mean of precision and recall; NaN for a class neither there nor predicted."""
        return {
            name: _ratio(
                2 * self.confusion[i, i],
                self.confusion[i].sum() + self.confusion[:, i].sum(),
            )
            for i, name in enumerate(self.classes)
        }

    @property
    def mean_f1(self) -> float:
        """Mean F1 over the classes that have samples."""
        values = [self.f1[name] for name, value in self.recall.items() if not np.isnan(value)]
        return float(np.mean(values)) if values else float("nan")

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall over the classes that have samples."""
        values = [value for value in self.recall.values() if not np.isnan(value)]
        return float(np.mean(values)) if values else float("nan")

    def json(self) -> dict[str, Any]:
        """All figures, ready for `json.dumps`; undefined ones are null."""
        return {
            "count": self.count,
            "accuracy": number(self.accuracy),
            "accuracy_interval": [number(end) for end in self.accuracy_interval],
            "balanced_accuracy": number(self.balanced_accuracy),
            "mean_f1": number(self.mean_f1),
            "recall": {name: number(value) for name, value in self.recall.items()},
            "precision": {name: number(value) for name, value in self.precision.items()},
            "f1": {name: number(value) for name, value in self.f1.items()},
            "confusion": self.confusion.tolist(),
        }

    def table(self) -> str:
        """The figures as text, a line a class."""
        lines = [f"{'class':<16}{'precision':>10}{'recall':>8}{'count':>7}"]
        for index, name in enumerate(self.classes):
            lines.append(
                f"{name:<16}{self.precision[name]:>10.3f}{self.recall[name]:>8.3f}"
                f"{int(self.confusion[index].sum()):>7}"
            )
        lines.append(
            f"accuracy {self.accuracy:.3f}, balanced {self.balanced_accuracy:.3f}, n={self.count}"
        )
        return "\n".join(lines)


def _ratio(part: Any, whole: Any) -> float:
    return float(part) / float(whole) if whole else float("nan")


def number(value: float) -> float | None:
    """A figure for JSON: four digits after the point, null where it is undefined."""
    return None if np.isnan(value) else round(float(value), 4)
