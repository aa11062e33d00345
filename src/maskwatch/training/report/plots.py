"""The plots of an evaluation, drawn by matplotlib without a screen.

Colours of the classes are those of `maskwatch.draw` (Okabe and Ito), told apart by colour-blind
people too; line styles say the same once more.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from maskwatch.datasets.importing import put
from maskwatch.draw import STATE_COLOURS
from maskwatch.errors import MissingExtraError
from maskwatch.metrics.curves import Curves
from maskwatch.metrics.evaluation import NAMES, Evaluation
from maskwatch.metrics.intervals import wilson
from maskwatch.metrics.judged import Slice, text
from maskwatch.types import CLASSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

T = TypeVar("T")

DPI = 180


@dataclass(frozen=True, slots=True)
class Look:
    """The colours of a plot.

    Attributes:
        back: Behind everything.
        ink: Of text.
        faint: Of the grid.
        accent: A blue; of the first class, and of what has no class.
        heat: matplotlib's name of the colours from few to many.
    """

    back: str
    ink: str
    faint: str
    accent: str
    heat: str


LIGHT = Look("#ffffff", "#1d2730", "#d9dee3", "#0072b2", "Blues")
DARK = Look("#182028", "#dde4ea", "#38434e", "#56b4e9", "Blues_r")

_DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1)))
_MAX_SLICES = 12


def need_matplotlib(what: str) -> None:
    """See that plots can be drawn.

    Args:
        what: What was asked for.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as exc:
        raise MissingExtraError(what, "train") from exc


def plot_files(folder: Path) -> list[Path]:
    """Every file that `write_plots` may write."""
    return [folder / f"{name}.png" for name in PLOTS]


def write_plots(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write each plot of `PLOTS` as `NAME.png`; one that there is nothing for is left out.

    Raises:
        MissingExtraError: matplotlib is not installed.
        OutputError: A file cannot be written.
    """
    return write_each(PLOTS, evaluation, folder)


def write_each(
    plots: Mapping[str, Callable[[T, Look], Figure | None]], subject: T, folder: Path
) -> list[Path]:
    """Write each plot of a subject as `NAME.png`, as `write_plots` does."""
    need_matplotlib("drawing plots")
    written = []
    for name, plot in plots.items():
        png = png_of(plot, subject, LIGHT)
        if png is not None:
            put(folder / f"{name}.png", png)
            written.append(folder / f"{name}.png")
    return written


Plot = Callable[[Evaluation, Look], "Figure | None"]


def png_of(plot: Callable[[T, Look], Figure | None], shown: T, look: Look) -> bytes | None:
    """A plot of something as a PNG file; None where there is nothing to draw."""
    import matplotlib as mpl

    with mpl.rc_context(_settings(look)):
        figure = plot(shown, look)
        if figure is None:
            return None
        file = io.BytesIO()
        # Without the version of matplotlib, so that the same figures give the same bytes.
        figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    return file.getvalue()


def _settings(look: Look) -> dict[Any, Any]:
    return {
        "font.size": 10,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": look.faint,
        "axes.facecolor": look.back,
        "axes.labelcolor": look.ink,
        "axes.titlecolor": look.ink,
        "axes.axisbelow": True,
        "figure.facecolor": look.back,
        "figure.edgecolor": look.back,
        "grid.color": look.faint,
        "grid.linewidth": 0.7,
        "legend.frameon": False,
        "savefig.facecolor": look.back,
        "text.color": look.ink,
        "xtick.color": look.ink,
        "ytick.color": look.ink,
        # A dollar sign in a data set's name is a dollar sign.
        "text.parse_math": False,
    }


def new_figure(width: float = 4.8, height: float = 3.8) -> tuple[Figure, Axes]:
    """A figure in inches; no pyplot, which would keep it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def _colour(index: int, look: Look) -> str:
    if index == 0:  # blue, which has to be brighter on a dark background
        return look.accent
    blue, green, red = STATE_COLOURS[CLASSES[index]]
    return f"#{red:02x}{green:02x}{blue:02x}"


def _present(evaluation: Evaluation) -> list[int]:
    """The classes that any face has or is told to have."""
    confusion = evaluation.report.confusion
    return [i for i in range(len(NAMES)) if confusion[i].any() or confusion[:, i].any()]


def confusion(evaluation: Evaluation, look: Look) -> Figure:
    """Counts of true against predicted class, coloured by the share of the true class."""
    classes = _present(evaluation)
    counts = evaluation.report.confusion[np.ix_(classes, classes)]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = new_figure()
    # Not the whole range of colours, so that all stand off from the background.
    low, high = (0.0, 1.15) if look is LIGHT else (-0.1, 1.25)
    image = axes.imshow(shares, cmap=look.heat, vmin=low, vmax=high, aspect="auto")
    for row, column in np.ndindex(counts.shape):
        red, green, blue, _ = image.cmap(image.norm(shares[row, column]))
        bright = 0.299 * red + 0.587 * green + 0.114 * blue > 0.55
        axes.text(
            column,
            row,
            f"{counts[row, column]}\n{100 * shares[row, column]:.1f}%",
            ha="center",
            va="center",
            color="#1d2730" if bright else "#ffffff",
            fontsize=11,
        )
    words = [NAMES[i].replace("_", " ") for i in classes]
    axes.set_xticks(range(len(classes)), words, fontsize=9)
    axes.set_yticks(range(len(classes)), words, rotation=90, va="center", fontsize=9)
    axes.set(xlabel="told to be", ylabel="labelled", title="Confusion")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(np.arange(1, len(classes)) - 0.5, minor=True)
    axes.grid(visible=True, which="minor", color=look.back, linewidth=3)
    axes.tick_params(which="minor", length=0)
    return figure


def roc(evaluation: Evaluation, look: Look) -> Figure | None:
    """ROC of each class against the rest; of good models the corner, too, in which they differ."""
    drawn = _with_curves(evaluation)
    if not drawn:
        return None
    figure, axes = unit_axes()
    places = [axes]
    # Curves that rise this fast leave the middle of the plot free.
    if all(np.interp(0.3, c.false_positive_rate, c.recall) > 0.95 for c in drawn.values()):
        places.append(_corner(axes))
    for index, curves in drawn.items():
        label = f"{NAMES[index].replace('_', ' ')}  {text(curves.auc)}"
        for place in places:
            place.plot(curves.false_positive_rate, curves.recall, label=label, **_line(index, look))
    axes.set(xlabel="false positive rate", ylabel="recall", title="ROC, one class against rest")
    legend_below(figure, axes, "area under the curve")
    return figure


def _corner(axes: Axes) -> Axes:
    """A plot in the plot that shows its upper left corner."""
    corner = axes.inset_axes((0.34, 0.16, 0.62, 0.68))
    corner.set(xlim=(-0.002, 0.1), ylim=(0.9, 1.002))
    corner.set_title("the corner", fontsize=9, fontweight="normal")
    corner.tick_params(labelsize=8)
    corner.grid(visible=True)
    return corner


def precision_recall(evaluation: Evaluation, look: Look) -> Figure | None:
    """Precision against recall of each class."""
    drawn = _with_curves(evaluation)
    if not drawn:
        return None
    figure, axes = unit_axes()
    for index, curves in drawn.items():
        label = f"{NAMES[index].replace('_', ' ')}  {text(curves.average_precision)}"
        # The area under these steps is the average precision.
        axes.step(curves.recall, curves.precision, where="pre", label=label, **_line(index, look))
    axes.set(xlabel="recall", ylabel="precision", title="Precision and recall")
    legend_below(figure, axes, "average precision")
    return figure


def legend_below(figure: Figure, axes: Axes, title: str | None = None) -> None:
    """Below the axes, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=3,
        fontsize=8,
        columnspacing=1.2,
        title=title,
        title_fontsize=8,
    )


def _with_curves(evaluation: Evaluation) -> dict[int, Curves]:
    """The curves of the classes that have any."""
    return {i: c for i, name in enumerate(NAMES) if len((c := evaluation.curves[name]).recall)}


def unit_axes() -> tuple[Figure, Axes]:
    """Axes from 0 to 1."""
    figure, axes = new_figure()
    axes.grid(visible=True)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    return figure, axes


def _line(index: int, look: Look) -> dict[str, Any]:
    return {"color": _colour(index, look), "linestyle": _DASHES[index], "linewidth": 2}


def reliability(evaluation: Evaluation, look: Look) -> Figure | None:
    """Accuracy against confidence in bins, and how many faces each bin holds."""
    bins = evaluation.calibration
    filled = np.nonzero(bins.counts)[0]
    if not len(filled):
        return None
    figure, axes = new_figure()
    edges = np.linspace(0, 1, len(bins.counts) + 1)
    width = edges[1]
    axes.grid(visible=True)
    axes.bar(
        edges[filled],
        bins.counts[filled] / bins.counts.sum(),
        width * 0.94,
        align="edge",
        color=look.faint,
        label="share of the faces",
    )
    axes.plot([0, 1], [0, 1], color=look.ink, linewidth=1, linestyle=":", label="what should be")
    counts, shares = bins.counts[filled], bins.accuracy[filled]
    ends = [wilson(round(s * n), int(n)) for s, n in zip(shares, counts, strict=True)]
    axes.errorbar(
        bins.confidence[filled],
        shares,
        yerr=spans(shares, np.array(ends)),
        color=look.accent,
        marker="o",
        capsize=3,
        elinewidth=1,
        linewidth=2,
        label="what is, with 95% interval",
    )
    # Nothing is chosen with less than a third; two classes start at a half.
    axes.set_xlim(max(0.0, float(edges[filled[0]]) - width), 1.01)
    axes.set_ylim(0, 1.03)
    title = f"Calibration, expected error {text(bins.ece)}"
    axes.set(xlabel="confidence", ylabel="accuracy", title=title)
    legend_below(figure, axes)
    return figure


def by_size(evaluation: Evaluation, look: Look) -> Figure | None:
    """Accuracy by face size."""
    return _by_slice(evaluation.by_size, "Accuracy by face size", look)


def by_source(evaluation: Evaluation, look: Look) -> Figure | None:
    """Accuracy by data set, the first ones; None for a single one."""
    if len(evaluation.sources) < 2:
        return None
    return _by_slice(evaluation.by_source[:_MAX_SLICES], "Accuracy by data set", look)


def _by_slice(parts: tuple[Slice, ...], title: str, look: Look) -> Figure | None:
    """A point with its 95% interval a slice, from top to bottom."""
    parts = tuple(part for part in parts if part.report.count)
    if not parts:
        return None
    figure, axes = new_figure(height=1.35 + 0.52 * len(parts))
    shares = np.array([part.report.accuracy for part in parts])
    ends = np.array([part.report.accuracy_interval for part in parts])
    rows = np.arange(len(parts))
    axes.errorbar(
        shares,
        rows,
        xerr=spans(shares, ends),
        fmt="o",
        color=look.accent,
        capsize=4,
        markersize=7,
        linewidth=2,
    )
    for row, (share, part) in enumerate(zip(shares, parts, strict=True)):
        label = f"{text(float(share))}  of {part.report.count}"
        axes.annotate(label, (share, row), (0, 9), textcoords="offset points", ha="center")
    axes.set_yticks(rows, [shortened(part.name) for part in parts])
    axes.set_ylim(len(parts) - 0.5, -0.75)
    low = max(0.0, float(ends.min()) - 0.02)
    # Room on the right for the label of a share of 1.
    axes.set_xlim(low, 1 + 0.12 * (1 - low))
    axes.set_xticks([tick for tick in axes.get_xticks() if low <= tick <= 1])
    axes.grid(visible=True, axis="x")
    axes.set(title=title, xlabel="accuracy with 95% interval")
    return figure


def spans(shares: NDArray[np.float64], ends: NDArray[np.float64]) -> NDArray[np.float64]:
    """From shares `(N,)` to the ends `(N, 2)` of their intervals, `(2, N)`, none negative."""
    return np.maximum([shares - ends[:, 0], ends[:, 1] - shares], 0)


def shortened(name: str) -> str:
    """A name that fits beside a plot."""
    return name if len(name) <= 24 else f"{name[:11]}…{name[-12:]}"


PLOTS: dict[str, Plot] = {
    "confusion": confusion,
    "roc": roc,
    "precision_recall": precision_recall,
    "reliability": reliability,
    "by_size": by_size,
    "by_source": by_source,
}
"""Every plot by name."""
