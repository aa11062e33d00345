"""Which form a folder of labelled pictures has, and its pictures in ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from maskwatch.datasets.coco import coco_files, read_coco
from maskwatch.datasets.names import NameTable
from maskwatch.datasets.records import Dataset, Labelled, pictures_in, split_named
from maskwatch.datasets.voc import looks_like_voc, read_all_voc
from maskwatch.datasets.yolo import looks_like_yolo, read_yolo
from maskwatch.errors import DatasetError, SourceNotFoundError, UnknownNameError

Read = Callable[[Path, list[str]], Iterator[Labelled]]


def _class_folders(folder: Path) -> list[tuple[Path, str]]:
    """Folders that hold pictures of one class, and the split of each."""
    inner = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    splits = [(path, split_named(path.name)) for path in inner]
    if not any(split for _, split in splits):
        return [(path, "") for path in inner]
    found: list[tuple[Path, str]] = []
    for path, split in splits:
        if split:
            classes = sorted(path.iterdir())
            found += [(p, split) for p in classes if p.is_dir() and not p.name.startswith(".")]
    return found


def _looks_like_folders(folder: Path) -> bool:
    return any(pictures_in(path) for path, _ in _class_folders(folder))


def _read_folders(folder: Path, unread: list[str]) -> Iterator[Labelled]:
    for place, split in _class_folders(folder):
        for path in pictures_in(place):
            yield Labelled(path, None, (place.name,), split)


FORMATS: dict[str, tuple[Callable[[Path], bool], Read, str]] = {
    "voc": (
        looks_like_voc,
        lambda folder, unread: read_all_voc(folder),
        "annotations/*.xml or *.xml beside the pictures",
    ),
    "coco": (
        lambda folder: bool(coco_files(folder)),
        lambda folder, unread: read_coco(folder),
        "COCO *.json",
    ),
    "yolo": (looks_like_yolo, read_yolo, "labels/ beside images/"),
    "folders": (
        _looks_like_folders,
        _read_folders,
        "a folder of pictures a class, perhaps within train/, val/, test/",
    ),
}
"""By name: how each form is recognised, how it is read, and what was looked for."""


def load_dataset(
    folder: Path, form: str | None = None, mapping: Mapping[str, str] | None = None
) -> Dataset:
    """Read a data set; its pictures are not opened where its labels do not need that.

    Args:
        folder: Where it is.
        form: One of `FORMATS`; None recognises it.
        mapping: Meanings of class names, see `NameTable`.

    Raises:
        SourceNotFoundError: No such folder.
        UnknownNameError: No such form, or a mapping to no class.
        DatasetError: The form is not recognised or the labels cannot be understood.
    """
    if form is not None and form not in FORMATS:
        raise UnknownNameError("data set format", form, FORMATS)
    if not folder.is_dir():
        raise SourceNotFoundError(f"no such folder: {folder}.")
    table = NameTable(mapping)
    chosen = form or recognise(folder)
    unread: list[str] = []
    name = folder.resolve().name
    records = table.resolve(FORMATS[chosen][1](folder, unread), name)
    if not records and not unread:
        raise DatasetError(f"no labelled pictures in {folder} as {chosen}: {FORMATS[chosen][2]}.")
    return Dataset(name, chosen, records, tuple(unread))


def recognise(folder: Path) -> str:
    """The form of a data set.

    Raises:
        DatasetError: None is recognised.
    """
    for name, (looks_like, _, _) in FORMATS.items():
        if looks_like(folder):
            return name
    looked = "; ".join(f"{name}: {signs}" for name, (_, _, signs) in FORMATS.items())
    raise DatasetError(f"cannot tell what kind of data set {folder} is. Looked for {looked}.")
