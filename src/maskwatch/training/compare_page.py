"""What a comparison looks like: a chart of accuracy against time, and a page that stands alone."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from maskwatch.datasets.importing import put
from maskwatch.training.comparison import HEAD, Comparison, cells
from maskwatch.training.report.plots import DARK, LIGHT, Look, png_of
from maskwatch.training.report.style import page, plot_figure, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHART = "accuracy-latency.png"

_OFFSETS = [
    (9.0 * np.cos(angle) * far, 9.0 * np.sin(angle) * far)
    for far in (1.0, 1.8, 2.8, 4.0, 5.5)
    for angle in np.deg2rad([0, 90, 180, 270, 45, 135, 225, 315])
]
"""Places of a label around its point, in points, the best ones first."""


def write_chart(done: Comparison, path: Path) -> None:
    """Write the chart as PNG.

    Raises:
        OutputError: It cannot be written.
    """
    put(path, chart(done, LIGHT))


def chart(done: Comparison, look: Look) -> bytes:
    """Accuracy against the time of a call with one face, as PNG; at least one group."""
    png = png_of(lambda _, chosen: _draw(done, chosen), cast("Any", None), look)
    assert png is not None
    return png


def comparison_page(done: Comparison) -> str:
    """The whole page."""
    parts = [
        "<h1>Recipes compared</h1>",
        f'<p class="soft">Tested on {escape(done.tested_on)}</p>',
        *(
            f'<p class="note"><b>{escape(name)} failed.</b> {escape(line)}</p>'
            for name, line in done.failures.items()
        ),
    ]
    if done.left:
        parts.append(
            f'<p class="note"><b>Not done yet:</b> {escape(", ".join(done.left))}. The same '
            "command goes on.</p>"
        )
    parts += [
        table(HEAD, [cells(group) for group in done.groups]),
        '<div class="plots" style="grid-template-columns: minmax(0, 820px)">',
        plot_figure(chart(done, LIGHT), chart(done, DARK), "Accuracy against time of a call"),
        "</div>",
        _seeds(done),
        _method(done),
    ]
    return page("Recipes compared", "\n".join(parts))


def _seeds(done: Comparison) -> str:
    head = ["run", "accuracy", "balanced", "validation", "epochs", "weights", "training s"]
    rows = [
        [
            f"{r.group}, seed {r.seed}",
            f"{r.accuracy:.4f}",
            f"{r.balanced_accuracy:.4f}",
            f"{r.val_accuracy:.4f}",
            str(r.epochs),
            Path(r.weights).name,
            f"{r.train_s:.1f}",
        ]
        for group in done.groups
        for r in group.results
    ]
    return "<h2>Every run</h2>\n" + table(head, rows)


def _method(done: Comparison) -> str:
    chosen_on = "(val)" in done.tested_on
    return (
        "<h2>How to read it</h2>\n"
        + (
            "<p>There is no split test: the figures are of the split val, on which epochs were "
            "chosen too, and are a little flattering.</p>\n"
            if chosen_on
            else ""
        )
        + "<p>Accuracy is the mean over the seeds, with the standard deviation between seeds; the "
        "95% interval (Wilson) says how far another draw of as many test faces might move the "
        "mean. Recipes whose intervals overlap are not told apart by this test.</p>\n"
        "<p>Training s is the mean time of a training without the features of a frozen backbone, "
        "which all seeds and optimizers share; features s is the time of the run that made them, "
        "a dash stands where none did. MB is the exported file with weights of 16 bits. Times of "
        f"a call are medians of that file on the CPU with {done.threads} thread, measured in one "
        "run in which the models take turns.</p>"
    )


def _draw(done: Comparison, look: Look) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 4.8), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes: Axes = figure.subplots()
    timed = [group for group in done.groups if group.latency_ms]
    axes.set(xlabel="time of a call with one face, ms", ylabel="accuracy")
    axes.set_title("Accuracy against time")
    axes.grid(visible=True)
    if not timed:
        axes.text(0.5, 0.5, "not timed yet", ha="center", transform=axes.transAxes)
        return figure
    times = np.array([group.latency_ms[1] for group in timed])
    means = np.array([group.accuracy for group in timed])
    ends = np.array([group.interval for group in timed])
    spans = np.clip(np.stack([means - ends[:, 0], ends[:, 1] - means]), 0, None)
    faint: dict[str, Any] = {"fmt": "none", "ecolor": look.faint, "elinewidth": 5, "zorder": 1}
    axes.errorbar(times, means, yerr=spans, label="95% interval of the test", **faint)
    for group, time in zip(timed, times, strict=True):
        seeds = group.accuracies
        axes.plot([time] * len(seeds), seeds, "_", color=look.accent, markersize=9, zorder=2)
    axes.plot([], [], "_", color=look.accent, markersize=9, label="a seed")
    mark: dict[str, Any] = {"color": look.accent, "markersize": 8, "markeredgecolor": look.back}
    axes.plot(times, means, "o", zorder=3, label="mean", **mark)
    _scale(axes, times)
    axes.margins(y=0.08)
    axes.set_ylim(top=min(axes.get_ylim()[1], 1 + 0.05 * (1 - ends.min())))
    figure.legend(loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    canvas.draw()  # type: ignore[no-untyped-call, unused-ignore]
    place_labels(axes, [group.first.group for group in timed], times, means)
    return figure


def _scale(axes: Axes, times: Any) -> None:
    """A logarithmic axis with numbers that people read, and room for the labels."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.set_xlim(times.min() / 1.6, times.max() * 1.9)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=20))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def place_labels(axes: Axes, names: list[str], xs: Any, ys: Any) -> list[Any]:
    """Write a name beside each point, so that names cover neither points nor one another.

    The axes must have been drawn once. Where there is no free place the first one is taken.

    Returns:
        The texts.
    """
    from matplotlib.transforms import Bbox

    points = axes.transData.transform(np.column_stack([xs, ys]))
    reach = 5 * axes.figure.dpi / 72
    taken = [Bbox.from_bounds(x - reach, y - reach, 2 * reach, 2 * reach) for x, y in points]
    inside = axes.get_window_extent()
    texts = []
    for name, x, y, own in zip(names, xs, ys, list(taken), strict=True):
        text = axes.annotate(name, (x, y), (0, 0), textcoords="offset points", fontsize=9)
        best = None
        for dx, dy in _OFFSETS:
            _move(text, dx, dy)
            box = text.get_window_extent()
            free = not any(box.overlaps(other) for other in taken if other is not own)
            if free and inside.contains(*box.min) and inside.contains(*box.max):
                best = box
                break
        if best is None:
            _move(text, *_OFFSETS[0])
            best = text.get_window_extent()
        elif np.hypot(*text.xyann) > 20:
            own_x, own_y = text.xyann
            line = {"arrowstyle": "-", "linewidth": 0.6, "shrinkB": 4}
            axes.annotate("", (x, y), (own_x, own_y), textcoords="offset points", arrowprops=line)
        taken.append(best)
        texts.append(text)
    return texts


def _move(text: Any, dx: float, dy: float) -> None:
    text.set_position((dx, dy))
    text.set_ha("left" if dx > 3 else "right" if dx < -3 else "center")
    text.set_va("bottom" if dy > 3 else "top" if dy < -3 else "center")
