"""The plots of detectors on labelled photos: curves, and figures by size and by data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maskwatch.metrics.detection import ANY, KEYS, DetectionReport
from maskwatch.metrics.detector_comparison import DetectorComparison
from maskwatch.metrics.judged import text
from maskwatch.training.report.plots import (
    Look,
    legend_below,
    new_figure,
    shortened,
    spans,
    unit_axes,
    write_each,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito, told apart by colour-blind people too; the first is the look's own blue.
_COLOURS = ("#e69f00", "#009e73", "#d55e00", "#cc79a7", "#999999")
_DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (4, 1, 1, 1)))
_MARKERS = "osD^v<>p"
_MAX_SOURCES = 8

Plot = Callable[[DetectorComparison, Look], "Figure | None"]


def plot_files(folder: Path) -> list[Path]:
    """Every file that `write_plots` may write."""
    return [folder / f"{name}.png" for name in PLOTS]


def write_plots(comparison: DetectorComparison, folder: Path) -> list[Path]:
    """Write each plot of `PLOTS` as `NAME.png`; one that there is nothing for is left out.

    Raises:
        MissingExtraError: matplotlib is not installed.
        OutputError: A file cannot be written.
    """
    return write_each(PLOTS, comparison, folder)


def precision_recall(comparison: DetectorComparison, look: Look) -> Figure | None:
    """Precision against recall of any face and of each class; None for several detectors."""
    if len(comparison.reports) > 1:
        return None
    report = comparison.reports[0]
    lines = [(report, key, words(key)) for key in report.keys]
    return _curves(lines, "Precision and recall at IoU 0.5", look)


def precision_recall_of(key: str, comparison: DetectorComparison, look: Look) -> Figure | None:
    """Precision against recall of one class, a line a detector; None for a single one."""
    if len(comparison.reports) < 2:
        return None
    lines = [(report, key, report.name) for report in comparison.reports if key in report.keys]
    return _curves(lines, f"{words(key).capitalize()}: precision and recall at IoU 0.5", look)


def _curves(
    lines: Sequence[tuple[DetectionReport, str, str]], title: str, look: Look
) -> Figure | None:
    """A line for each detector and class that there are faces of; a dot where it is shipped."""
    drawn = [line for line in lines if line[0].scores[line[1]].count]
    if not drawn:
        return None
    figure, axes = unit_axes()
    for index, (report, key, name) in enumerate(drawn):
        precision, recall = report.curve(key)
        scores = report.scores[key]
        style = _style(index, look)
        label = f"{shortened(name)}  {text(scores.ap50)}"
        axes.plot(recall, precision, label=label, linewidth=1.8, **style)
        place = scores.shipped.recall, scores.shipped.precision
        axes.plot(*place, marker="o", color=style["color"], markeredgecolor=look.back, zorder=4)
    axes.set(xlabel="recall", ylabel="precision", title=title)
    legend_below(figure, axes, "average precision; dots: at the shipped threshold")
    return figure


def recall_by_size(comparison: DetectorComparison, look: Look) -> Figure | None:
    """Share of the faces that are found as shipped, by size."""
    figures = {
        report.name: [(p.shipped.recall, *p.shipped.recall_interval) for p in report.by_size]
        for report in comparison.reports
    }
    return _points(figures, _sizes(comparison), "Recall by face size, as shipped", look)


def ap_by_size(comparison: DetectorComparison, look: Look) -> Figure | None:
    """Average precision of any face by size."""
    figures = {
        report.name: [(part.ap50, *part.ap50_interval) for part in report.by_size]
        for report in comparison.reports
    }
    return _points(figures, _sizes(comparison), "AP50 of any face by size", look)


def ap_by_source(comparison: DetectorComparison, look: Look) -> Figure | None:
    """Average precision of any face by data set, the first ones; None for a single one."""
    if len(comparison.sources) < 2:
        return None
    figures = {}
    for report in comparison.reports:
        scores = [part.scores[ANY] for part in report.by_source[:_MAX_SOURCES]]
        figures[report.name] = [(part.ap50, *part.ap50_interval) for part in scores]
    names = [shortened(source.label) for source in comparison.sources[:_MAX_SOURCES]]
    return _points(figures, names, "AP50 of any face by data set", look)


def _sizes(comparison: DetectorComparison) -> list[str]:
    return [f"{part.name}\n{part.count} faces" for part in comparison.reports[0].by_size]


def _points(
    figures: dict[str, list[tuple[float, float, float]]],
    names: Sequence[str],
    title: str,
    look: Look,
) -> Figure | None:
    """A point with its 95% interval for each detector and slice."""
    if np.isnan([value for row in figures.values() for value, _, _ in row]).all():
        return None
    figure, axes = new_figure()
    axes.grid(visible=True, axis="y")
    step = 0.7 / len(figures)
    for index, (name, row) in enumerate(figures.items()):
        values = np.array(row)
        places = np.arange(len(row)) + step * (index - (len(figures) - 1) / 2)
        known = ~np.isnan(values).any(axis=1)
        axes.errorbar(
            places[known],
            values[known, 0],
            yerr=spans(values[known, 0], values[known, 1:]),
            fmt=_MARKERS[index % len(_MARKERS)],
            color=_style(index, look)["color"],
            capsize=3,
            markersize=6,
            linewidth=1.8,
            label=shortened(name),
        )
    axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylim(-0.02, 1.02)
    axes.set(title=title, ylabel="with 95% interval")
    legend_below(figure, axes)
    return figure


def _style(index: int, look: Look) -> dict[str, Any]:
    colours = (look.accent, *_COLOURS)
    return {
        "color": colours[index % len(colours)],
        "linestyle": _DASHES[index % len(_DASHES)],
    }


def words(key: str) -> str:
    """`any face`, `with mask`."""
    return "any face" if key == ANY else key.replace("_", " ")


PLOTS: dict[str, Plot] = {
    "precision_recall": precision_recall,
    **{f"precision_recall_{key}": partial(precision_recall_of, key) for key in KEYS},
    "recall_by_size": recall_by_size,
    "ap_by_size": ap_by_size,
    "ap_by_source": ap_by_source,
}
"""Every plot by name."""
