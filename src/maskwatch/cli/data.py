"""`maskwatch data`: bring data sets into one form, look them over, split, cut and add to them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskwatch.cli.console import counted, error, tell, track

if TYPE_CHECKING:
    from maskwatch.datasets.importing import Written
    from maskwatch.datasets.records import Dataset

app = typer.Typer(
    help="Import, check, split, cut and mask data sets.", no_args_is_help=True, add_completion=False
)

_CROP_SCALE = 1.3
"""The default of `--margin`: `preprocess.CROP_SCALE`, written here because importing it is slow."""

Source = Annotated[Path, typer.Argument(metavar="SRC", help="Folder of the data set.")]
Out = Annotated[Path, typer.Option(help="Folder for the result.", show_default=False)]
Format = Annotated[
    str | None,
    typer.Option("--format", help="voc, coco, yolo or folders.", show_default="recognised"),
]
Map = Annotated[
    str | None,
    typer.Option(
        "--map",
        metavar="NAME=CLASS,…",
        help="Meaning of class names: with_mask, without_mask, incorrect_mask, face or skip.",
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Write into a folder that has something in it.")
]


@app.command("import")
def import_(
    source: Source,
    out: Out,
    form: Format = None,
    mapping: Map = None,
    split: Annotated[str | None, typer.Option(help="Put all pictures into this split.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Copy a data set into maskwatch's own form.

    Photos with boxes become images/, annotations/*.xml and SPLIT.txt; face crops become
    SPLIT/CLASS/. Photos that are in no split are listed in all.txt.
    """
    from maskwatch.datasets.importing import check_out, write_records

    dataset = _load(source, form, mapping)
    check_out(source, out, overwrite=overwrite)
    records = dataset.records
    if split is not None:
        records = tuple(record.in_split(_split_name(split)) for record in records)
    _finish(write_records(records, out, track), out, dataset)


@app.command()
def crops(
    source: Source,
    out: Out,
    margin: Annotated[
        float, typer.Option(help="Side of the crop in longer sides of the box.", min=0.1)
    ] = _CROP_SCALE,
    min_size: Annotated[
        float, typer.Option(help="Leave out faces smaller than this many pixels.", min=1)
    ] = 24,
    size: Annotated[
        int | None,
        typer.Option(help="Side of every crop in pixels.", min=1, show_default="as in the photo"),
    ] = None,
    form: Format = None,
    mapping: Map = None,
    overwrite: Overwrite = False,
) -> None:
    """Cut the faces of photos with boxes into SPLIT/CLASS/ folders."""
    from maskwatch.datasets.crops import write_crops
    from maskwatch.datasets.importing import check_out

    dataset = _load(source, form, mapping)
    check_out(source, out, overwrite=overwrite)
    written = write_crops(
        dataset.records, out, margin=margin, min_face_px=min_size, size_px=size, track=track
    )
    _finish(written, out, dataset)


@app.command()
def split(
    source: Source,
    out: Out,
    ratios: Annotated[str, typer.Option(help="Shares of train, val and test.")] = "0.7,0.15,0.15",
    seed: Annotated[int, typer.Option(help="Another seed gives another split.", min=0)] = 0,
    form: Format = None,
    mapping: Map = None,
    overwrite: Overwrite = False,
) -> None:
    """Split a data set anew; copies of a picture stay together, classes keep their shares."""
    from maskwatch.datasets.importing import check_out, write_records
    from maskwatch.datasets.split import parse_ratios, split_records

    shares = parse_ratios(ratios)
    dataset = _load(source, form, mapping)
    check_out(source, out, overwrite=overwrite)
    records, unread = split_records(dataset.records, shares, seed=seed, track=track)
    written = write_records(records, out, track)
    written.unread += unread
    _finish(written, out, dataset)


@app.command()
def check(
    source: Source,
    json: Annotated[Path | None, typer.Option(help="File for all findings.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="PNG file for a contact sheet.")] = None,
    form: Format = None,
    mapping: Map = None,
    overwrite: Overwrite = False,
) -> None:
    """Report counts, unreadable files, copies, leakage between splits and contradicting labels.

    Copies cut very differently are not found, so that counts of them are lower bounds.
    Findings are no failure: the exit code is 1 only where a picture could not be read.
    """
    import json as json_module

    from maskwatch.datasets.check import check_dataset
    from maskwatch.datasets.importing import put
    from maskwatch.errors import OutputExistsError, UsageError

    if sheet is not None and sheet.suffix.lower() != ".png":
        raise UsageError(f"--sheet {sheet} must end in .png.")
    for place in (json, sheet):
        if place is not None and place.exists() and not overwrite:
            raise OutputExistsError(place)
    report = check_dataset(_load(source, form, mapping), track)
    for line in report.table().splitlines():
        tell(line)
    if json is not None:
        put(json, (json_module.dumps(report.json(), indent=2) + "\n").encode())
    if sheet is not None:
        from maskwatch.datasets.sheet import contact_sheet
        from maskwatch.images import write_image

        write_image(sheet, contact_sheet(report))
    written = [str(place) for place in (json, sheet) if place is not None]
    if written:
        tell(f"written: {', '.join(written)}")
    _report_unread(report.unread)


@app.command()
def mask(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Folder of pictures.")],
    out: Out,
    styles: Annotated[
        str | None, typer.Option(help="Styles to choose from.", show_default="all")
    ] = None,
    wear: Annotated[
        str, typer.Option(help="Ways to choose from: correct, nose_out, chin, hanging.")
    ] = "correct",
    seed: Annotated[int, typer.Option(help="The only source of chance.", min=0)] = 0,
    detector: Annotated[
        str | None,
        typer.Option(help="What finds the faces.", show_default="yunet if installed, else onepass"),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw masks on bare faces and write their crops into CLASS/ folders and masks.jsonl."""
    from maskwatch import weights
    from maskwatch.datasets.importing import check_out
    from maskwatch.detectors import load_detector
    from maskwatch.errors import SourceNotFoundError
    from maskwatch.masking import Looks, mask_folder

    looks = Looks.parse(styles, wear, seed)
    if not source.is_dir():
        raise SourceNotFoundError(f"no such folder: {source}.")
    check_out(source, out, overwrite=overwrite)
    # Masks sit best on landmarks, which the embedded detector does not give.
    detector = detector or ("yunet" if weights.find("yunet") else "auto")
    written = mask_folder(source, out, load_detector(detector), looks, track=track)
    _finish(written, out, None)


def _load(source: Path, form: str | None, mapping: str | None) -> Dataset:
    from maskwatch.datasets.formats import load_dataset
    from maskwatch.datasets.names import parse_map

    return load_dataset(source, form, parse_map(mapping))


def _split_name(name: str) -> str:
    """The name of a split: `valid` is `val`.

    Raises:
        UnknownNameError: It is none.
    """
    from maskwatch.datasets.records import split_named
    from maskwatch.datasets.split import SPLIT_NAMES
    from maskwatch.errors import UnknownNameError

    known = split_named(name)
    if known is None:
        raise UnknownNameError("split", name, SPLIT_NAMES)
    return known


def _finish(written: Written, out: Path, dataset: Dataset | None) -> None:
    """Print the summary; leave with 1 where pictures could not be read."""
    for name, counter in written.counts.items():
        faces = ", ".join(f"{count} {word}" for word, count in sorted(counter.items()))
        tell(f"{name}: {faces or 'no faces'}" if name else faces)
    for reason, count in written.skipped.items():
        tell(f"left out: {count} {reason}")
    tell(f"{counted(written.pictures, 'picture')} written to {out}")
    _report_unread([*(dataset.unread if dataset else ()), *written.unread])


def _report_unread(lines: Sequence[str]) -> None:
    for line in lines:
        error(line)
    if lines:
        raise typer.Exit(1)
