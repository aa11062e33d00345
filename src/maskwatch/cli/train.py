"""`maskwatch train`: a classifier by a recipe."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from maskwatch.cli.console import error, stop_on_signals, tell

if TYPE_CHECKING:
    from maskwatch.training.observer import Row
    from maskwatch.training.recipes import Recipe
    from maskwatch.training.runs import Run

_LINE_EVERY_S = 10.0

Own = "the recipe's own"


def train(
    data: Annotated[
        Path | None,
        typer.Argument(help="Class folders, or photos with boxes.", show_default=False),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="See --list.", show_default=False, metavar="NAME")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the run.", show_default=False)
    ] = None,
    show_list: Annotated[
        bool, typer.Option("--list", help="Print the recipes and what each reproduces.")
    ] = False,
    weights: Annotated[
        str, typer.Option(help="Of the backbone: imagenet, none, or a file.")
    ] = "imagenet",
    backbone: Annotated[
        str | None, typer.Option(help="A name of keras.applications.", show_default=Own)
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="adam, adamw or rmsprop.", show_default=Own)
    ] = None,
    unfreeze: Annotated[
        str | None,
        typer.Option(help="Backbone layers that learn: none, all, or its last N blocks."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, show_default=Own)] = None,
    batch: Annotated[int | None, typer.Option(min=1, show_default=Own)] = None,
    rate: Annotated[
        float | None, typer.Option(help="Learning rate.", show_default=Own, metavar="X")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Side of the input in pixels.", min=16, show_default=Own)
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(help="Stop after so many epochs without a better one.", min=1),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed gives another training.", min=0)] = 0,
    precision: Annotated[
        str, typer.Option(help="auto (mixed on a GPU), float32, mixed_bfloat16, mixed_float16.")
    ] = "auto",
    min_size: Annotated[
        float, typer.Option(help="Leave out faces of photos smaller than this many pixels.", min=1)
    ] = 24,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder for features and crops.", show_default="the user's cache"),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help="voc, coco, yolo or folders.", show_default="recognised"),
    ] = None,
    mapping: Annotated[
        str | None,
        typer.Option("--map", metavar="NAME=CLASS,…", help="Meaning of class names."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run that is there.")
    ] = False,
) -> None:
    """Train a classifier.

    Ctrl-C saves; the same command goes on from there, also after a kill.
    """
    from maskwatch.training.recipes import recipe_named

    if show_list:
        _print_recipes()
        return
    for name, value in (("DATA", data), ("--recipe NAME", recipe), ("--out DIR", out)):
        if value is None:
            raise typer.BadParameter(f"{name} is missing. See --list and --help.")
    assert data is not None and recipe is not None and out is not None  # noqa: PT018
    chosen = _varied(
        recipe_named(recipe),
        size,
        backbone=backbone,
        optimizer=optimizer,
        trainable=_blocks(unfreeze),
        epochs=epochs,
        batch=batch,
        rate=rate,
        patience=patience,
    )
    fit = _fit()
    from maskwatch.datasets.names import parse_map
    from maskwatch.training.backbones import backbone_name

    chosen = replace(chosen, backbone=backbone_name(chosen.backbone))
    with stop_on_signals() as stop, TrainProgress() as progress:
        run = fit.train(
            data,
            chosen,
            out,
            weights=weights,
            seed=seed,
            cache=cache,
            stop=stop,
            observer=progress,
            min_face_px=min_size,
            form=form,
            mapping=parse_map(mapping),
            policy=precision,
            overwrite=overwrite,
        )
    _close(run)


def _fit() -> Any:
    """The library's part, which needs the extra."""
    from maskwatch.errors import MissingExtraError

    # TensorFlow tells of every instruction set it found before it says anything useful.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        from maskwatch.training import fit
    except ModuleNotFoundError as exc:
        if (exc.name or "").startswith("maskwatch"):
            raise
        raise MissingExtraError("maskwatch train", "train") from exc
    return fit


def _blocks(unfreeze: str | None) -> str | int | None:
    return int(unfreeze) if unfreeze is not None and unfreeze.lstrip("-").isdigit() else unfreeze


def _varied(recipe: Recipe, size: int | None, **changes: object) -> Recipe:
    """The recipe with the choices that were given."""
    given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    if size is not None:
        given["size_px"] = size
        if recipe.first_size_px is not None:
            given["first_size_px"] = max(size * recipe.first_size_px // recipe.size_px, 16)
    return replace(recipe, **given)


def _print_recipes() -> None:
    from textwrap import wrap

    from maskwatch.training.recipes import RECIPES

    for recipe in RECIPES.values():
        tell(f"{recipe.name}: {recipe.summary}")
        for line in wrap(recipe.source, 90):
            tell(f"    {line}")


def _close(run: Run) -> None:
    """The last line; leave with 1 where it was stopped."""
    if not run.finished:
        error(f"stopped by signal; saved in {run.folder}. The same command goes on from there.")
        raise typer.Exit(1)
    facts = run.facts
    tell(
        f"validation accuracy {facts['val_accuracy']:.4f} (epoch {facts['kept_epoch']} of "
        f"{facts['epochs_done']}), {facts['train_seconds']:.0f} s; written: {run.folder}"
    )


class TrainProgress:
    """Progress on stderr: a bar on a terminal, lines elsewhere."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare.

        Args:
            clock: Seconds.
        """
        self._clock = clock
        self._bar: Any = None
        self._task: Any = None
        self._doing = ""
        self._total = self._first = 0
        self._begin_s = self._line_s = clock()

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        if sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[figures]}", markup=False),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            # Should a second Ctrl-C end the program, nobody would bring the cursor back.
            self._bar.console.show_cursor(True)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def note(self, line: str) -> None:
        """A line of its own."""
        if self._bar is not None:
            self._bar.console.print(line, highlight=False, markup=False, soft_wrap=True)
        else:
            tell(line, to_stderr=True)

    def begin(self, doing: str, total: int, done: int) -> None:
        """A bar of its own; what was done before does not count as speed."""
        self._doing, self._total, self._first = doing, total, done
        self._begin_s = self._line_s = self._clock()
        if self._bar is not None:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(doing, total=total, completed=done, figures="")

    def step(self, done: int, loss: float | None = None, accuracy: float | None = None) -> None:
        """Move the bar, or print a line now and then."""
        figures = "" if loss is None else f"loss {loss:.4f}, accuracy {accuracy:.4f}"
        if self._bar is not None:
            self._bar.update(self._task, completed=done, figures=figures)
            return
        now = self._clock()
        if now - self._line_s >= _LINE_EVERY_S:
            self._line_s = now
            left = (now - self._begin_s) / max(done - self._first, 1) * (self._total - done)
            parts = [f"{self._doing}: {done} of {self._total}", figures, f"{_time(left)} left"]
            tell(", ".join(part for part in parts if part), to_stderr=True)

    def epoch(self, row: Row, epochs: int) -> None:
        """A line an epoch."""
        self.note(
            f"epoch {row.epoch}/{epochs}: loss {row.loss:.4f}, accuracy {row.accuracy:.4f}; "
            f"validation: loss {row.val_loss:.4f}, accuracy {row.val_accuracy:.4f}"
        )


def _time(seconds: float) -> str:
    """`12 s`, `3 min`, `2.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
