"""`maskwatch mtcnn`: train MTCNN's three networks, and measure them before and after."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maskwatch.cli.console import counted, error, stop_on_signals, tell, track
from maskwatch.cli.train import TrainProgress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maskwatch.detectors import Detector
    from maskwatch.training.mtcnn.recipe import MtcnnRecipe
    from maskwatch.training.observer import Row

app = typer.Typer(
    help="Train MTCNN for masked faces, and measure it.", no_args_is_help=True, add_completion=False
)

_LETTERS = {"p": "pnet", "r": "rnet", "o": "onet"}


@app.command("train")
def train(
    data: Annotated[
        list[Path], typer.Argument(metavar="DATA...", help="Folders of photos with boxes.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the run.", show_default=False)],
    stages: Annotated[
        str, typer.Option(help="Networks to train, with commas between them.")
    ] = "p,r,o",
    start: Annotated[
        str, typer.Option("--from", help="Weights to begin with: stock, none, or a run's folder.")
    ] = "stock",
    landmarks: Annotated[
        str, typer.Option(help="yes: the O-Net keeps those it has; no: it gives none.")
    ] = "no",
    steps: Annotated[
        str | None,
        typer.Option(
            metavar="N[,N,N]", help="Batches of each network.", show_default="the recipe's own"
        ),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Crops in one.", min=2, show_default="the recipe's own")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(help="Learning rate.", metavar="X", show_default="the recipe's own"),
    ] = None,
    finder: Annotated[
        str,
        typer.Option(help="Detector of faces that nobody labelled, which are ignored; or none."),
    ] = "auto",
    seed: Annotated[int, typer.Option(help="Another seed gives another training.", min=0)] = 7,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Train the networks of --stages anew.")
    ] = False,
) -> None:
    """Train P-, R- and O-Net, each on what the ones before it find.

    Trained on the split train; after each network its recall on the split val is printed. Ctrl-C
    saves; the same command goes on from there, also after a kill.
    """
    chosen = _stages(stages)
    keeps = _yes_or_no(landmarks)
    with _training():
        from maskwatch.training.mtcnn.train import train as train_all

        recipe = _recipe(chosen, steps, batch, rate, seed)
        with stop_on_signals() as stop, Progress() as progress:
            finished = train_all(
                data,
                out,
                recipe,
                stages=chosen,
                start=start,
                landmarks=keeps,
                finder=_finder(finder),
                overwrite=overwrite,
                stop=stop,
                observer=progress,
                track=track,
            )
    if not finished:
        error(f"stopped by signal; saved in {out}. The same command goes on from there.")
        raise typer.Exit(1)
    tell(f"written: {out}")


@app.command("evaluate")
def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL[,MODEL]", help="default, stock, or folders of runs; before first."
        ),
    ],
    data: Annotated[
        list[Path], typer.Argument(metavar="DATA...", help="Folders of photos with boxes.")
    ],
    split: Annotated[
        str | None,
        typer.Option(
            help="train, val, test or all.", show_default="test, else val, else everything"
        ),
    ] = None,
    min_score: Annotated[
        float | None,
        typer.Option(help="Faces scored lower are not found.", min=0, max=1, show_default="own"),
    ] = None,
    min_size: Annotated[
        float, typer.Option(help="Leave out faces smaller than this many pixels.", min=0)
    ] = 24,
    networks: Annotated[
        bool, typer.Option(help="Measure the recall of each network, too, on the split val.")
    ] = True,
    json: Annotated[Path | None, typer.Option(help="File for all figures.")] = None,
    sheets: Annotated[
        Path | None, typer.Option(help="Folder for pictures of what changed.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that are there.")
    ] = False,
) -> None:
    """Measure MTCNN: masked faces at IoU 0.3, AP, recall by state, size and network.

    Photos that cannot be read are named and skipped; the exit code is then 1.
    """
    from maskwatch.cli.evaluate import Outputs
    from maskwatch.errors import UsageError

    models = [part.strip() for part in model.split(",") if part.strip()]
    if sheets is not None and len(models) < 2:
        raise UsageError(
            f"--sheets shows what changed, and {model!r} is one model. Give stock,RUN."
        )
    outputs = Outputs(json, None, None, sheets, overwrite)
    with _training():
        from maskwatch.training.mtcnn.evaluate import evaluate_mtcnn, sheet_files, write_sheets

        names = [Path(each).name for each in models]
        outputs.check([] if sheets is None else sheet_files(names, sheets))
        done = evaluate_mtcnn(
            models,
            data,
            split=split,
            min_score=min_score,
            min_face_px=min_size,
            by_network=networks,
            track=track,
        )
        where = ", ".join(source.label for source in done.detection.sources)
        tell(f"{where}: {counted(done.detection.photos, 'photo')}")
        for line in done.table().splitlines():
            tell(line)
        outputs.write(done.json(), str)
        if sheets is not None:
            write_sheets(done.detection, sheets)
        outputs.tell()
    for line in done.detection.unread:
        error(line)
    if done.detection.unread:
        raise typer.Exit(1)


class Progress(TrainProgress):
    """Progress of a training that has one epoch a network."""

    def epoch(self, row: Row, epochs: int) -> None:
        """A line a network; its validation is told apart."""
        self.note(f"loss {row.loss:.4f}, accuracy {row.accuracy:.4f}, {row.seconds:.0f} s")


@contextmanager
def _training() -> Iterator[None]:
    """The library's part, which needs the extra."""
    from maskwatch.errors import MissingExtraError

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        yield
    except ModuleNotFoundError as exc:
        if (exc.name or "").startswith("maskwatch"):
            raise
        raise MissingExtraError("maskwatch mtcnn", "train") from exc


def _stages(text: str) -> list[str]:
    """Names of the networks.

    Raises:
        UnknownNameError: There is no such network.
        UsageError: There is none.
    """
    from maskwatch.errors import UnknownNameError, UsageError

    letters = [part.strip() for part in text.split(",") if part.strip()]
    for letter in letters:
        if letter not in _LETTERS:
            raise UnknownNameError("network", letter, _LETTERS)
    if not letters:
        raise UsageError("--stages names no network. Give some of p,r,o.")
    return [name for letter, name in _LETTERS.items() if letter in letters]


def _yes_or_no(text: str) -> bool:
    from maskwatch.errors import UnknownNameError

    if text not in ("yes", "no"):
        raise UnknownNameError("--landmarks", text, ("yes", "no"))
    return text == "yes"


def _recipe(
    stages: list[str], steps: str | None, batch: int | None, rate: float | None, seed: int
) -> MtcnnRecipe:
    """The usual recipe with the choices that were given.

    Raises:
        UsageError: Steps are no numbers, or not one for each network.
    """
    from maskwatch.errors import UsageError
    from maskwatch.training.mtcnn.recipe import MtcnnRecipe

    recipe = MtcnnRecipe(seed=seed)
    counts = [] if steps is None else steps.split(",")
    if not all(count.strip().isdigit() and int(count) > 0 for count in counts) or (
        len(counts) not in (0, 1, len(stages))
    ):
        raise UsageError(f"--steps {steps}: give one number, or one for each of {len(stages)}.")
    changed = dict(recipe.stages)
    for index, stage in enumerate(stages):
        given: dict[str, Any] = {"batch": batch, "peak_rate": rate}
        if counts:
            given["steps"] = int(counts[index % len(counts)])
        known = {name: value for name, value in given.items() if value is not None}
        changed[stage] = replace(changed[stage], **known)
    return replace(recipe, stages=changed)


def _finder(name: str) -> Detector | None:
    from maskwatch.detectors import load_detector

    return None if name == "none" else load_detector(name)
