"""Loss and accuracy over the epochs, as a picture."""

from __future__ import annotations

import io
from pathlib import Path

from maskwatch.errors import MissingExtraError
from maskwatch.training.checkpoints import writing
from maskwatch.training.observer import Row

_TRAIN, _VAL, _KEPT = "#8a93a6", "#1668b8", "#c2410c"


def write_curves(path: Path, rows: list[Row], kept: Row | None, title: str) -> None:
    """Draw two panels: loss, and accuracy in percent; training and validation in each.

    Args:
        path: A PNG file.
        rows: An epoch each.
        kept: The epoch whose weights were kept, which is marked.
        title: Above the panels.

    Raises:
        MissingExtraError: matplotlib is not installed.
        OutputError: The file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError as exc:
        raise MissingExtraError("drawing curves", "train") from exc
    figure = Figure(figsize=(9, 3.6), dpi=120, layout="constrained")
    figure.suptitle(title, fontsize=11)
    epochs = [row.epoch for row in rows]
    panels = (
        ("loss", [row.loss for row in rows], [row.val_loss for row in rows]),
        (
            "accuracy, %",
            [100 * row.accuracy for row in rows],
            [100 * row.val_accuracy for row in rows],
        ),
    )
    for axes, (name, train, val) in zip(figure.subplots(1, 2), panels, strict=True):
        # One epoch has no line: dots show it.
        axes.plot(epochs, train, "o-", ms=3, color=_TRAIN, label="training (augmented)")
        axes.plot(epochs, val, "o-", ms=3, color=_VAL, label="validation")
        if kept is not None:
            value = val[kept.epoch - 1]
            axes.plot(kept.epoch, value, "o", ms=8, mfc="none", mec=_KEPT, mew=1.5, label="kept")
        axes.set_xlabel("epoch")
        axes.set_title(name, fontsize=10, loc="left")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(color="#e5e7eb", linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False, fontsize=9)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    part = path.with_name(f"part-{path.name}")
    with writing(path.parent):
        part.write_bytes(content.getvalue())
        part.replace(path)
