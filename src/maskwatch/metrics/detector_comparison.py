"""Detectors side by side on the same photos."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from maskwatch.metrics.detection import ANY, NAMES, DetectionReport
from maskwatch.metrics.detection_errors import errors_json
from maskwatch.metrics.judged import Source, text

HEADS = (
    *("any", "with", "without", "incorrect", "mean", "AP30", "AP"),
    *("precision", "recall", "false", "ms"),
)
"""Names of the figures of a detector, see `row`."""

HEADS_EXPLAINED = (
    "any to mean: AP at IoU 0.5 of any face, each class and their mean; AP30 at IoU 0.3 and AP "
    "over 0.5:0.95 of any face; precision, recall and false alarms as shipped, at IoU 0.5; ms: "
    "median milliseconds a photo, classifier included."
)


@dataclass(frozen=True, slots=True, eq=False)
class DetectorComparison:
    """One or more detectors on the same labelled photos.

    Attributes:
        reports: Of each detector, in the order asked for; at least one.
        left_out: Labels that were not used, by reason.
        unread: A line for each photo or data set that could not be read.
    """

    reports: tuple[DetectionReport, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    unread: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[Source, ...]:
        """The data sets."""
        return self.reports[0].sources

    @property
    def photos(self) -> int:
        """How many were looked at."""
        return self.reports[0].photos

    @property
    def faces(self) -> int:
        """How many labelled faces count."""
        return self.reports[0].scores[ANY].count

    @property
    def min_face_px(self) -> float:
        """Smaller faces are ignored."""
        return self.reports[0].min_face_px

    def json(self) -> dict[str, Any]:
        """All figures, ready for `json.dumps`; undefined ones are null."""
        return {
            "photos": self.photos,
            "faces": self.faces,
            "min_face_px": self.min_face_px,
            "sources": [source.label for source in self.sources],
            "detectors": [{**r.json(), "errors": errors_json(r)} for r in self.reports],
            "left_out": dict(self.left_out),
            "unread": list(self.unread),
        }

    def table(self) -> str:
        """The most telling figures as text, a line a detector; then by size, data set and state."""
        lines = aligned("detector", HEADS, [(r.name, row(r)) for r in self.reports])
        lines += ["", *textwrap.wrap(HEADS_EXPLAINED, 96)]
        if self.faces:
            lines += ["", *aligned("AP50 by size", *self._sizes("ap50"))]
            lines += ["", *aligned("recall by size", *self._sizes("recall"))]
        if len(self.sources) > 1:
            for index, source in enumerate(self.sources):
                parts = [report.by_source[index] for report in self.reports]
                lines += ["", *aligned(source.label, HEADS, [(p.name, row(p)) for p in parts])]
        for report in self.reports:
            if report.tells_states and report.states.count:
                lines += ["", f"states of faces found by {report.name}:", report.states.table()]
        return "\n".join(lines)

    def _sizes(self, figure: str) -> tuple[list[str], list[tuple[str, list[str]]]]:
        """Heads and rows of one figure by size."""
        heads = [f"{part.name} ({part.count})" for part in self.reports[0].by_size]
        rows = []
        for report in self.reports:
            values = [
                part.ap50 if figure == "ap50" else part.shipped.recall for part in report.by_size
            ]
            rows.append((report.name, [text(value) for value in values]))
        return heads, rows


def row(report: DetectionReport) -> list[str]:
    """The figures of `HEADS`, a dash where there is none."""
    whole = report.scores[ANY]
    classes = [report.scores[key].ap50 if key in report.scores else np.nan for key in NAMES]
    figures = [whole.ap50, *classes, report.mean("ap50"), whole.ap30, whole.ap]
    figures += [whole.shipped.precision, whole.shipped.recall]
    ms = "-" if np.isnan(report.ms) else f"{report.ms:.1f}"
    return [*map(text, figures), str(len(report.false_alarms)), ms]


def aligned(
    title: str, heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]
) -> list[str]:
    """Lines of a table, the first column to the left, others to the right."""
    table = [(title, *heads), *((name, *cells) for name, cells in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        f"{first:<{widths[0]}}"
        + "".join(f"{cell:>{width + 2}}" for cell, width in zip(cells, widths[1:], strict=True))
        for first, *cells in table
    ]
