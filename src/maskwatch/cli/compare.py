"""`maskwatch compare`: recipes side by side, in one table and one page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maskwatch.cli.console import counted, error, stop_on_signals, tell, track

if TYPE_CHECKING:
    from maskwatch.training.comparison import Comparison


def compare(
    data: Annotated[Path, typer.Argument(help="Class folders, or photos with boxes.")],
    recipes: Annotated[
        str, typer.Option(metavar="A,B,…", help="See maskwatch train --list.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder for runs and results.", show_default=False)],
    optimizers: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…", help="adam, adamw, rmsprop.", show_default="each recipe's own"
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Trainings of each.", min=1)] = 3,
    epochs: Annotated[
        int | None, typer.Option(help="At most.", min=1, show_default="each recipe's own")
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            metavar="W,RECIPE=W,…",
            help="Of the backbones: imagenet, none or a file, for all or by recipe.",
        ),
    ] = "imagenet",
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder for features and crops.", show_default="the user's cache"),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin anew where OUT has other results.")
    ] = False,
) -> None:
    """Train every recipe with every optimizer and seed, and compare accuracy, size and speed.

    Ctrl-C saves; the same command goes on from there, also after a kill, and tries again what
    failed. More recipes, optimizers and seeds may be added. The exit code is 1 where a training
    failed or was stopped.
    """
    from maskwatch.training.trials import parse_weights, plan_trials

    trials = plan_trials(
        _names(recipes),
        _names(optimizers or ""),
        seeds=seeds,
        epochs=epochs,
        weights=parse_weights(weights),
    )
    compare_all = _library()
    from maskwatch.cli.train import TrainProgress

    with stop_on_signals() as stop, TrainProgress() as progress:
        done: Comparison = compare_all(
            data,
            trials,
            out,
            cache=cache,
            overwrite=overwrite,
            stop=stop,
            observer=progress,
            track=track,
        )
    _close(done, out)


def _library() -> Any:
    """The library's part, which needs the extra."""
    from maskwatch.errors import MissingExtraError

    # TensorFlow tells of every instruction set it found before it says anything useful.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        from maskwatch.training.compare import compare as compare_all
        from maskwatch.training.report import need_matplotlib

        need_matplotlib("maskwatch compare")  # for the chart at the end of it all
    except ModuleNotFoundError as exc:
        if (exc.name or "").startswith("maskwatch"):
            raise
        raise MissingExtraError("maskwatch compare", "train") from exc
    return compare_all


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _close(done: Comparison, out: Path) -> None:
    """Table, failures, what is left; leave with 1 where not all is well."""
    if done.groups:
        for line in done.table().splitlines():
            tell(line)
        tell(
            f"tested on {done.tested_on}; times of a call on the CPU with "
            f"{counted(done.threads, 'thread')}"
        )
        tell(f"written: {out / 'index.html'}")
    for name, line in done.failures.items():
        error(f"{name}: {line}")
    if done.left:
        error(f"stopped by signal; left: {', '.join(done.left)}. The same command goes on.")
    if done.failures or done.left:
        raise typer.Exit(1)
