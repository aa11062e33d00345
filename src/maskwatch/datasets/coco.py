"""Photos with boxes in COCO form: JSON with `images`, `annotations` and `categories`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from maskwatch.datasets.records import Labelled, split_named
from maskwatch.errors import DatasetError

_KEYS = ("images", "annotations", "categories")
_HEAD_BYTES = 1 << 16


def coco_files(folder: Path) -> list[Path]:
    """The files of a folder that look like COCO: JSON in it, its `annotations/`, or its splits."""
    inner = [path for path in folder.iterdir() if path.is_dir()]
    places = [folder, *(p for p in inner if p.name == "annotations" or split_named(p.name))]
    files = sorted(path for place in places for path in place.glob("*.json"))
    return [path for path in files if _looks_like_coco(path)]


def _looks_like_coco(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    # A broken file of this name is reported when it is read, not taken for another form.
    return any(f'"{key}"'.encode() in head for key in _KEYS) or "coco" in path.name.lower()


def read_coco(folder: Path) -> Iterator[Labelled]:
    """Read all pictures of all COCO files of a folder.

    The split is that of the file's name (`instances_val2017.json`) or of its folder.

    Raises:
        DatasetError: A file cannot be understood or a picture is not there.
    """
    for path in coco_files(folder):
        yield from _read_file(path, folder)


def _read_file(path: Path, folder: Path) -> Iterator[Labelled]:
    split = _split_of(path, folder)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        categories = {int(item["id"]): str(item["name"]) for item in content["categories"]}
        labels: dict[Any, list[tuple[list[float], str]]] = {}
        for item in content["annotations"]:
            x, y, w, h = (float(value) for value in item["bbox"])
            name = categories[int(item["category_id"])]
            labels.setdefault(item["image_id"], []).append(([x, y, x + w, y + h], name))
        pictures = [(item["id"], str(item["file_name"])) for item in content["images"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        why = f"{type(exc).__name__}: {exc}"
        raise DatasetError(f"cannot read COCO labels in {path}: {why}.") from exc
    for key, name in pictures:
        found = labels.get(key, [])
        boxes = np.asarray([box for box, _ in found], np.float32).reshape(-1, 4)
        names = tuple(name for _, name in found)
        yield Labelled(_picture(path, folder, split, name), boxes, names, split)


def _split_of(path: Path, folder: Path) -> str:
    if path.parent != folder and (split := split_named(path.parent.name)):
        return split
    words = "".join(c if c.isalpha() else " " for c in path.stem).split()
    return next((split for word in words if (split := split_named(word))), "")


def _picture(path: Path, folder: Path, split: str, name: str) -> Path:
    """Where a picture lies: beside its file, or in a folder of pictures."""
    within = [path.parent, folder / "images", folder]
    if split:
        # The folder is named like the split or like the file: `val2017`, `valid`.
        within += [p for p in folder.iterdir() if p.is_dir() and p.name.startswith(split)]
        within += [folder / "images" / split]
    for place in within:
        if (place / name).is_file():
            return place / name
    looked = ", ".join(str(place) for place in within)
    raise DatasetError(f"{path} names {name!r}, which is not there. Looked in: {looked}.")
