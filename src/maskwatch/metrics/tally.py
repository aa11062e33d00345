"""Hits, false alarms and misses at one threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from maskwatch.metrics.classification import number
from maskwatch.metrics.intervals import wilson
from maskwatch.metrics.matching import Ranking


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of faces.

    Attributes:
        hits: Found, and labelled.
        false_alarms: Found, and not labelled.
        missed: Labelled, and not found.
    """

    hits: int
    false_alarms: int
    missed: int

    @classmethod
    def of(cls, ranking: Ranking) -> Tally:
        """Count everything that is ranked."""
        hits = int(ranking.hit.sum())
        return cls(hits, len(ranking.found) - hits, len(ranking.missed))

    @property
    def precision(self) -> float:
        """Share of the found faces that are labelled; NaN where none is found."""
        return _share(self.hits, self.hits + self.false_alarms)

    @property
    def recall(self) -> float:
        """Share of the labelled faces that are found; NaN where none is labelled."""
        return _share(self.hits, self.hits + self.missed)

    @property
    def f1(self) -> float:
        """Harmonic mean of both; NaN where there is no face at all."""
        return _share(2 * self.hits, 2 * self.hits + self.false_alarms + self.missed)

    @property
    def precision_interval(self) -> tuple[float, float]:
        """95% interval, see `wilson`."""
        return wilson(self.hits, self.hits + self.false_alarms)

    @property
    def recall_interval(self) -> tuple[float, float]:
        """95% interval, see `wilson`."""
        return wilson(self.hits, self.hits + self.missed)

    def json(self) -> dict[str, Any]:
        """All figures, ready for `json.dumps`; undefined ones are null."""
        return {
            "hits": self.hits,
            "false_alarms": self.false_alarms,
            "missed": self.missed,
            "precision": number(self.precision),
            "precision_interval": [number(end) for end in self.precision_interval],
            "recall": number(self.recall),
            "recall_interval": [number(end) for end in self.recall_interval],
            "f1": number(self.f1),
        }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
