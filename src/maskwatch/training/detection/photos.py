"""The labelled photos that detectors are measured on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maskwatch.boxes import areas
from maskwatch.datasets.formats import FORMATS, load_dataset
from maskwatch.datasets.records import Dataset, Record, pictures_in, split_named
from maskwatch.errors import DatasetError, SourceError, SourceNotFoundError, UnknownNameError
from maskwatch.metrics.judged import Source
from maskwatch.preprocess import possible_boxes
from maskwatch.types import Floats, Image, MaskState

ALL = "all"
_SPLITS = ("train", "val", "test", ALL)
_BOXED = ("voc", "coco", "yolo")
_LABEL_SUFFIXES = (".xml", ".json", ".txt", ".csv")


@dataclass(frozen=True, slots=True, eq=False)
class PhotoSet:
    """The part of a data set that is looked at.

    Attributes:
        source: Its name, split and folder.
        records: Its photos.
    """

    source: Source
    records: tuple[Record, ...]


def find_photos(
    folders: Sequence[Path],
    split: str | None,
    form: str | None = None,
    mapping: Mapping[str, str] | None = None,
) -> tuple[list[PhotoSet], list[str]]:
    """The photos to look at, and a line for whatever cannot be read.

    A folder of photos without any labels stands for photos without faces. A folder that holds
    several data sets stands for all of them.

    Args:
        folders: Of data sets.
        split: `train`, `val`, `test` or `all`; None takes `test`, else `val`, else everything.
        form: The form of the data sets, see `load_dataset`; None recognises it.
        mapping: Meanings of class names, see `load_dataset`.

    Raises:
        UnknownNameError: No such split or form, or a mapping to no class.
        SourceError: No such folder.
        DatasetError: Not one can be read.
    """
    split = None if split is None else _split(split)
    sets: list[PhotoSet] = []
    failures: list[SourceError | DatasetError] = []
    unread: list[str] = []
    for folder in folders:
        try:
            inside = _inside(folder, form)
        except SourceError as exc:
            failures.append(exc)
            continue
        for place in inside:
            try:
                dataset = _load(place, form, mapping)
                unread += dataset.unread
                sets.append(_chosen(place, dataset, split))
            except DatasetError as exc:
                failures.append(exc)
    if not sets:
        raise failures[0] if failures else DatasetError("no data set was given.")
    return _named(sets), [*unread, *map(str, failures)]


def usable_labels(
    record: Record, image: Image, left_out: Counter[str]
) -> tuple[Floats, tuple[MaskState | None, ...]]:
    """The boxes `(n, 4)` and states of a photo; impossible boxes are counted and left out."""
    boxes = np.zeros((0, 4), np.float32) if record.boxes is None else record.boxes
    usable = np.isfinite(boxes).all(axis=1) & (areas(boxes) > 0)
    usable[usable] = possible_boxes(image, boxes[usable])
    if not usable.all():
        left_out["with an impossible box"] += int((~usable).sum())
    kept = np.nonzero(usable)[0]
    return boxes[kept], tuple(record.states[index] for index in kept)


def _split(name: str) -> str:
    known = ALL if name == ALL else split_named(name)
    if known is None:
        raise UnknownNameError("split", name, _SPLITS)
    return known


def _inside(folder: Path, form: str | None) -> list[Path]:
    """The data sets that a folder stands for: itself, or those in it."""
    if not folder.is_dir():
        raise SourceNotFoundError(f"no such folder: {folder}.")
    if form is not None or _is_boxed(folder):
        return [folder]
    inner = sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != ".")
    # Parts of one data set are not data sets, even where one of them reads well.
    if any(split_named(place.name) for place in inner):
        return [folder]
    return inner if any(_is_boxed(place) for place in inner) else [folder]


def _is_boxed(folder: Path) -> bool:
    return any(FORMATS[name][0](folder) for name in _BOXED)


def _load(folder: Path, form: str | None, mapping: Mapping[str, str] | None) -> Dataset:
    """Read a data set, or a folder of photos without labels.

    Raises:
        DatasetError: It is neither.
    """
    pictures = [] if form is not None or _is_boxed(folder) else pictures_in(folder)
    try:
        dataset = load_dataset(folder, form, mapping)
    except DatasetError:
        # Labels in a form that is not understood are no reason to take photos for empty.
        if not pictures or any(_label_files(folder)):
            raise
        nothing = np.zeros((0, 4), np.float32)
        name = folder.resolve().name
        return Dataset(name, "photos", tuple(Record(path, nothing, (), name) for path in pictures))
    if not dataset.boxed and dataset.records:
        raise DatasetError(
            f"{folder} holds face crops, and detectors need photos with boxes. "
            "Name a classifier to evaluate on crops."
        )
    return dataset


def _label_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.suffix.lower() in _LABEL_SUFFIXES)


def _chosen(folder: Path, dataset: Dataset, split: str | None) -> PhotoSet:
    """The photos of one split; of the default one where None is asked for.

    Photos without labels are in no split and are taken whichever is asked for.
    """
    records = tuple(record for record in dataset.records if record.boxes is not None)
    there = {record.split for record in records}
    if split is None or dataset.format == "photos":
        split = next((name for name in ("test", "val") if name in there), ALL)
    if split == ALL:
        label = ALL if there - {""} else ""
        return PhotoSet(Source(dataset.name, label, folder), records)
    if split not in there:
        names = ", ".join(sorted(there - {""})) or "none"
        raise DatasetError(f"no photos in split {split!r} of {folder}. Its splits: {names}.")
    chosen = tuple(record for record in records if record.split == split)
    return PhotoSet(Source(dataset.name, split, folder), chosen)


def _named(sets: Sequence[PhotoSet]) -> list[PhotoSet]:
    """The same with names that are told apart."""
    counts = Counter(part.source.label for part in sets)
    named = []
    for part in sets:
        source = part.source
        if counts[source.label] > 1:
            name = "/".join(source.folder.resolve().parts[-2:])
            source = Source(name, source.split, source.folder)
        named.append(PhotoSet(source, part.records))
    return named
