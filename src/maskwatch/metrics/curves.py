"""ROC and precision-recall curves of one class against the rest, and the areas under them.

In NumPy and not scikit-learn, which the base install lacks; held to scikit-learn by the tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Both curves of one class, a point a threshold, from the highest threshold to the lowest.

    Empty where there are no samples of the class, or none of the rest.

    Attributes:
        false_positive_rate: `(K,)`, from 0 to 1; share of the rest that is taken for the class.
        recall: `(K,)`, from 0 to 1; share of the class that is found.
        precision: `(K,)`; share of what is taken for the class that is of it. The first point,
            where nothing is, has 1.
    """

    false_positive_rate: Doubles
    recall: Doubles
    precision: Doubles

    @classmethod
    def of(cls, is_class: NDArray[np.bool_], scores: NDArray[np.floating]) -> Curves:
        """Draw them.

        Args:
            is_class: `(N,)` whether each sample is of the class.
            scores: `(N,)` how much each is taken to be; equal scores pass a threshold together.
        """
        positives = int(is_class.sum())
        negatives = len(is_class) - positives
        if not positives or not negatives:
            return cls(*(np.zeros(0) for _ in range(3)))
        order = np.argsort(-scores, kind="stable")
        last = np.r_[np.nonzero(np.diff(scores[order]))[0], len(order) - 1]
        hits = np.cumsum(is_class[order])[last]
        taken = last + 1
        return cls(
            np.r_[0.0, (taken - hits) / negatives],
            np.r_[0.0, hits / positives],
            np.r_[1.0, hits / taken],
        )

    @property
    def auc(self) -> float:
        """Area under the ROC curve, by trapezoids; NaN for empty curves.

        The chance that a sample of the class scores higher than one of the rest (Fawcett 2006,
        "An introduction to ROC analysis").
        """
        if not len(self.recall):
            return float("nan")
        widths = np.diff(self.false_positive_rate)
        return float(np.sum(widths * (self.recall[1:] + self.recall[:-1]) / 2))

    @property
    def average_precision(self) -> float:
        """Mean precision over the gains in recall, without interpolation; NaN for empty curves."""
        if not len(self.recall):
            return float("nan")
        return float(np.sum(np.diff(self.recall) * self.precision[1:]))
