"""`maskwatch evaluate`: how well a model tells masks, or finds faces, on labelled data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maskwatch.cli.console import counted, error, tell, track
from maskwatch.cli.data import Format, Map

if TYPE_CHECKING:
    from maskwatch.metrics.detector_comparison import DetectorComparison
    from maskwatch.training.evaluation import Evaluation
    from maskwatch.training.judges import Judge


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A classifier: folder of a run, ONNX file, 'default' or embedded name. Or "
            "detectors, by name, ONNX file or run of mtcnn train: DETECTOR[+CLASSIFIER],…",
        ),
    ],
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA...", help="Folders of labelled face crops or photos with boxes."
        ),
    ],
    split: Annotated[
        str | None,
        typer.Option(
            help="train, val, test or all.", show_default="test, else val, else everything"
        ),
    ] = None,
    min_size: Annotated[
        float, typer.Option(help="Leave out faces smaller than this many pixels.", min=0)
    ] = 24,
    json: Annotated[Path | None, typer.Option(help="File for all figures.")] = None,
    html: Annotated[Path | None, typer.Option(help="File for a report that stands alone.")] = None,
    plots: Annotated[Path | None, typer.Option(help="Folder for the plots as PNG.")] = None,
    sheets: Annotated[
        Path | None,
        typer.Option(help="Folder for pictures of misses and false alarms; detectors only."),
    ] = None,
    form: Format = None,
    mapping: Map = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that are there.")
    ] = False,
) -> None:
    """Judge labelled faces, or look for them, and print how well it went.

    A classifier: on data without incorrect_mask a model of three classes is judged by its
    probabilities of with_mask and without_mask alone. Detectors: average precision of faces and of
    each class on photos with boxes; a folder of photos without labels tells false alarms alone.
    Pictures that cannot be read are named and skipped; the exit code is then 1.
    """
    from maskwatch.datasets.names import parse_map
    from maskwatch.training.detection import is_detector

    outputs = Outputs(json, html, plots, sheets, overwrite)
    measure = _detectors if is_detector(model) else _classifier
    unread = measure(
        model,
        data,
        outputs,
        {
            "split": split,
            "min_face_px": min_size,
            "track": track,
            "form": form,
            "mapping": parse_map(mapping),
        },
    )
    for line in unread:
        error(line)
    if unread:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where results go.

    Attributes:
        json: A file for all figures.
        html: A file for the page.
        plots: A folder for plots.
        sheets: A folder for pictures of errors.
        overwrite: Whether files that are there may be replaced.
    """

    json: Path | None
    html: Path | None
    plots: Path | None
    sheets: Path | None
    overwrite: bool

    def check(self, inside: Sequence[Path]) -> None:
        """See before the work that its results can be written.

        Args:
            inside: The files that may come into the folders.

        Raises:
            OutputExistsError: One is there.
            UsageError: Two are the same file.
            MissingExtraError: matplotlib is not installed.
        """
        from maskwatch.errors import OutputExistsError, UsageError

        if self.html is not None or self.plots is not None:
            from maskwatch.training.report import need_matplotlib

            need_matplotlib("--html" if self.html is not None else "--plots")
        files = [path for path in (self.json, self.html) if path is not None]
        if len(files) == 2 and files[0].resolve() == files[1].resolve():
            raise UsageError(
                f"--json and --html are both {self.json}. Give each a file of its own."
            )
        for path in (*files, *inside):
            if path.exists() and not self.overwrite:
                raise OutputExistsError(path)

    def write(self, figures: Mapping[str, Any], page: Callable[[], str]) -> None:
        """Write the JSON file and the page."""
        import json as json_module

        from maskwatch.datasets.importing import put

        if self.json is not None:
            put(self.json, (json_module.dumps(figures, indent=2) + "\n").encode())
        if self.html is not None:
            put(self.html, page().encode())

    def tell(self) -> None:
        """Say what was written."""
        places = (self.json, self.html, self.plots, self.sheets)
        written = [str(path) for path in places if path is not None]
        if written:
            tell(f"written: {', '.join(written)}")


def _classifier(
    model: str, data: list[Path], outputs: Outputs, options: dict[str, Any]
) -> tuple[str, ...]:
    """Judge faces with a classifier; returns a line for whatever could not be read."""
    from maskwatch.errors import UsageError
    from maskwatch.training.evaluation import evaluate as judge_all
    from maskwatch.training.report import plot_files, report_page, write_plots

    if outputs.sheets is not None:
        raise UsageError(
            f"--sheets shows what detectors miss, and {model!r} is a classifier; --html shows its "
            "errors."
        )
    outputs.check([] if outputs.plots is None else plot_files(outputs.plots))
    done = judge_all(_judge(model), data, model=model, **options)
    _print(done)
    outputs.write(done.json(), lambda: report_page(done))
    if outputs.plots is not None:
        write_plots(done, outputs.plots)
    outputs.tell()
    return done.unread


def _judge(model: str) -> Judge:
    """The classifier.

    Raises:
        UnknownNameError: It is none, and no detector either.
    """
    from maskwatch.detectors import DETECTORS
    from maskwatch.errors import UnknownNameError
    from maskwatch.models import embedded
    from maskwatch.training.judges import load_judge

    try:
        return load_judge(model)
    except UnknownNameError as exc:
        names = [card.name for card in embedded().values() if card.kind == "classifier"]
        known = {"default", "FILE.onnx", *names, *DETECTORS}
        raise UnknownNameError("classifier or detector", model, known) from exc


def _print(done: Evaluation) -> None:
    where = ", ".join(source.label for source in done.sources)
    tell(f"{done.model} on {where}: {counted(len(done.faces), 'face')}")
    for line in done.table().splitlines():
        tell(line)
    for reason, count in done.left_out.items():
        tell(f"left out: {counted(count, 'face')} {reason}")


def _detectors(
    model: str, data: list[Path], outputs: Outputs, options: dict[str, Any]
) -> tuple[str, ...]:
    """Look for faces with detectors; returns a line for whatever could not be read."""
    from maskwatch.training.detection import evaluate_detectors, parse_specs
    from maskwatch.training.detection.sheets import sheet_files, write_sheets
    from maskwatch.training.report.detection_page import detection_page
    from maskwatch.training.report.detection_plots import plot_files, write_plots

    names = [spec.name for spec in parse_specs([model])]
    inside = [] if outputs.plots is None else plot_files(outputs.plots)
    if outputs.sheets is not None:
        inside = [*inside, *sheet_files(names, outputs.sheets)]
    outputs.check(inside)
    done = evaluate_detectors(names, data, **options)
    _print_comparison(done)
    outputs.write(done.json(), lambda: detection_page(done))
    if outputs.plots is not None:
        write_plots(done, outputs.plots)
    if outputs.sheets is not None:
        write_sheets(done, outputs.sheets)
    outputs.tell()
    return done.unread


def _print_comparison(done: DetectorComparison) -> None:
    where = ", ".join(source.label for source in done.sources)
    faces = f"{counted(done.faces, 'face')} of {done.min_face_px:g} px and more"
    tell(f"{where}: {counted(done.photos, 'photo')}, {faces}")
    for line in done.table().splitlines():
        tell(line)
    for reason, count in done.left_out.items():
        tell(f"left out: {counted(count, 'face')} {reason}")
