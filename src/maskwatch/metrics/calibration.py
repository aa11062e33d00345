"""Whether a probability means what it says: of the faces given 0.9, are nine of ten right?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskwatch.metrics.classification import number

BINS = 15
"""As in Guo et al. 2017."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Confidence against accuracy, in bins of equal width over 0 to 1.

    Attributes:
        counts: `(B,)` samples in each bin.
        confidence: `(B,)` their mean confidence; NaN for an empty bin.
        accuracy: `(B,)` share of them that is right; NaN for an empty bin.
    """

    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @classmethod
    def of(
        cls, confidence: NDArray[np.floating], right: NDArray[np.bool_], bins: int = BINS
    ) -> Calibration:
        """Sort samples into bins.

        Args:
            confidence: `(N,)` probability of the class that was chosen.
            right: `(N,)` whether it was the right one.
            bins: How many; each holds its upper edge and not its lower one.
        """
        # float32 sums to a little over 1 at times.
        place = np.clip(np.ceil(confidence.astype(np.float64) * bins) - 1, 0, bins - 1)
        index = place.astype(np.int64)
        counts = np.bincount(index, minlength=bins)
        with np.errstate(invalid="ignore"):
            return cls(
                counts,
                np.bincount(index, confidence, minlength=bins) / counts,
                np.bincount(index, right, minlength=bins) / counts,
            )

    @property
    def ece(self) -> float:
        """Expected calibration error, 0 to 1; NaN without samples.

        The mean distance between confidence and accuracy of a bin, weighted by its samples (Guo
        et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599, equation 3).
        """
        total = self.counts.sum()
        if not total:
            return float("nan")
        gaps = np.nan_to_num(np.abs(self.accuracy - self.confidence))
        return float(np.sum(self.counts * gaps) / total)

    def json(self) -> dict[str, Any]:
        """All figures, ready for `json.dumps`; those of empty bins are null."""
        edges = np.linspace(0, 1, len(self.counts) + 1)
        return {
            "ece": number(self.ece),
            "bins": [
                {
                    "from": number(edges[i]),
                    "to": number(edges[i + 1]),
                    "count": int(self.counts[i]),
                    "confidence": number(self.confidence[i]),
                    "accuracy": number(self.accuracy[i]),
                }
                for i in range(len(self.counts))
            ],
        }
