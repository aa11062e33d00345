"""Photos with boxes in Pascal VOC form: `images/`, `annotations/*.xml`, a list of names a split.

Others call these folders `JPEGImages` and `Annotations`, keep the lists in `ImageSets/Main`, or put
the XML files beside the pictures; `read_all_voc` understands these too.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maskwatch.datasets.records import Labelled, pictures_in, split_named
from maskwatch.errors import DatasetError
from maskwatch.images import IMAGE_SUFFIXES
from maskwatch.types import Floats


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPhoto:
    """A photo and the boxes drawn on it.

    Attributes:
        path: The picture.
        boxes: `(N, 4)` float32, x0 y0 x1 y1 in its pixels.
        names: The class name of each box, as written.
    """

    path: Path
    boxes: Floats
    names: tuple[str, ...]


def read_voc(folder: Path, split: str) -> Iterator[LabelledPhoto]:
    """Read the photos of one split.

    Args:
        folder: Holds `images/`, `annotations/` and `SPLIT.txt` with a name a line.
        split: Such as `train`.

    Raises:
        DatasetError: A list, picture or annotation is missing or cannot be understood.
    """
    listing = folder / f"{split}.txt"
    if not listing.is_file():
        raise DatasetError(f"no split {split!r} in {folder}: {listing} is missing.")
    if not (folder / "images").is_dir():
        raise DatasetError(f"no folder 'images' in {folder}.")
    pictures = {
        path.stem: path
        for path in (folder / "images").iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES
    }
    for name in _listed(listing):
        if name not in pictures:
            raise DatasetError(f"{listing} names {name!r}, which is not in {folder / 'images'}.")
        boxes, names = read_annotation(folder / "annotations" / f"{name}.xml")
        yield LabelledPhoto(pictures[name], boxes, names)


def looks_like_voc(folder: Path) -> bool:
    """Whether there are XML files where VOC has them."""
    return any(_annotations(folder).glob("*.xml"))


def read_all_voc(folder: Path) -> Iterator[Labelled]:
    """Read all photos that have an annotation, of all splits.

    A photo that no list names is in no split; one that several name comes once for each, which is
    a leak that a check should see.

    Raises:
        DatasetError: A photo is not there or an annotation cannot be understood.
    """
    annotations = _annotations(folder)
    places = [path for name in _IMAGE_FOLDERS if (path := folder / name).is_dir()]
    pictures = {path.stem: path for path in pictures_in(places[0] if places else annotations)}
    splits: dict[str, list[str]] = {}
    for place in (folder, folder / "ImageSets" / "Main"):
        for listing in sorted(place.glob("*.txt")):
            if split := split_named(listing.stem):
                for name in _listed(listing):
                    key = name if name in pictures else Path(name).stem
                    splits.setdefault(key, []).append(split)
    for path in sorted(annotations.glob("*.xml")):
        if path.stem not in pictures:
            raise DatasetError(f"no picture {path.stem!r} for {path}.")
        boxes, names = read_annotation(path)
        for split in dict.fromkeys(splits.get(path.stem, [""])):
            yield Labelled(pictures[path.stem], boxes, names, split)


_ANNOTATION_FOLDERS = ("annotations", "Annotations", "labels", ".")
_IMAGE_FOLDERS = ("images", "JPEGImages")


def _annotations(folder: Path) -> Path:
    """The first of the usual folders that holds XML files."""
    places = [folder / name for name in _ANNOTATION_FOLDERS]
    return next((place for place in places if any(place.glob("*.xml"))), folder)


def _listed(listing: Path) -> list[str]:
    """The names in a list, a line each, which may have spaces inside."""
    lines = listing.read_text(encoding="utf-8-sig").splitlines()
    return [line.strip() for line in lines if line.strip()]


def read_annotation(path: Path) -> tuple[Floats, tuple[str, ...]]:
    """Read the boxes `(N, 4)` and class names of one VOC file.

    Raises:
        DatasetError: The file is missing or is not VOC.
    """
    boxes, names = [], []
    try:
        for item in ET.parse(path).getroot().iter("object"):
            corners = [item.findtext(f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]
            boxes.append([float(value or "") for value in corners])
            names.append(item.findtext("name") or "")
    except (OSError, ET.ParseError, ValueError) as exc:
        raise DatasetError(f"cannot read the boxes in {path}: {exc}.") from exc
    return np.array(boxes, np.float32).reshape(-1, 4), tuple(names)
