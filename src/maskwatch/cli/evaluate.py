"""`maskwatch evaluate`: how well a model tells masks on labelled data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskwatch.cli.console import counted, error, tell, track
from maskwatch.cli.data import Format, Map

if TYPE_CHECKING:
    from maskwatch.training.evaluation import Evaluation


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="Folder of a run, an ONNX file, 'default' or an embedded name."
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
    form: Format = None,
    mapping: Map = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that are there.")
    ] = False,
) -> None:
    """Judge labelled faces and print how well it went.

    On data without incorrect_mask a model of three classes is judged by its probabilities of
    with_mask and without_mask alone. Pictures that cannot be read are named and skipped; the exit
    code is then 1.
    """
    from maskwatch.datasets.names import parse_map
    from maskwatch.training.evaluation import evaluate as judge_all
    from maskwatch.training.evaluation import load_judge

    _check_outputs(json, html, plots, overwrite=overwrite)
    done = judge_all(
        load_judge(model),
        data,
        split=split,
        min_face_px=min_size,
        track=track,
        form=form,
        mapping=parse_map(mapping),
        model=model,
    )
    _print(done)
    _write(done, json, html, plots)
    for line in done.unread:
        error(line)
    if done.unread:
        raise typer.Exit(1)


def _check_outputs(
    json: Path | None, html: Path | None, plots: Path | None, *, overwrite: bool
) -> None:
    """See before the work that its results can be written.

    Raises:
        OutputExistsError: One is there.
        UsageError: Two are the same file.
        MissingExtraError: matplotlib is not installed.
    """
    from maskwatch.errors import OutputExistsError, UsageError

    files = [path for path in (json, html) if path is not None]
    if html is not None or plots is not None:
        from maskwatch.training.report import need_matplotlib, plot_files

        need_matplotlib("--html" if html is not None else "--plots")
        files += plot_files(plots) if plots is not None else []
    if json is not None and html is not None and json.resolve() == html.resolve():
        raise UsageError(f"--json and --html are both {json}. Give each a file of its own.")
    for path in files:
        if path.exists() and not overwrite:
            raise OutputExistsError(path)


def _print(done: Evaluation) -> None:
    where = ", ".join(source.label for source in done.sources)
    tell(f"{done.model} on {where}: {counted(len(done.faces), 'face')}")
    for line in done.table().splitlines():
        tell(line)
    for reason, count in done.left_out.items():
        tell(f"left out: {counted(count, 'face')} {reason}")


def _write(done: Evaluation, json: Path | None, html: Path | None, plots: Path | None) -> None:
    import json as json_module

    from maskwatch.datasets.importing import put

    if json is not None:
        put(json, (json_module.dumps(done.json(), indent=2) + "\n").encode())
    if html is not None or plots is not None:
        from maskwatch.training.report import report_page, write_plots

        if html is not None:
            put(html, report_page(done).encode())
        if plots is not None:
            write_plots(done, plots)
    written = [str(path) for path in (json, html, plots) if path is not None]
    if written:
        tell(f"written: {', '.join(written)}")
