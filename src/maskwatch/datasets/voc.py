"""Photos with boxes in Pascal VOC form: `images/`, `annotations/*.xml`, a list of names a split."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

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
    for name in listing.read_text(encoding="utf-8").split():
        if name not in pictures:
            raise DatasetError(f"{listing} names {name!r}, which is not in {folder / 'images'}.")
        boxes, names = read_annotation(folder / "annotations" / f"{name}.xml")
        yield LabelledPhoto(pictures[name], boxes, names)


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
