"""Photos with boxes in YOLO form: a text file a picture, a line a box, in shares of its size.

Three layouts are in use: `images/` and `labels/`; the same with a folder a split inside
(`images/train`); and a folder a split with both inside (`train/images`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from maskwatch.datasets.records import Labelled, pictures_in, split_named
from maskwatch.errors import DatasetError, UnreadableImageError
from maskwatch.types import Floats

_YAML_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_LIST_FILES = ("classes.txt", "labels/classes.txt", "obj.names", "classes.names")
_ROTATING = range(5, 9)  # EXIF orientations that swap width and height.


def looks_like_yolo(folder: Path) -> bool:
    """Whether the folder has a `labels` folder beside an `images` folder."""
    return any(labels.is_dir() for _, labels, _ in _pairs(folder))


def read_yolo(folder: Path, unread: list[str]) -> Iterator[Labelled]:
    """Read all pictures; one without a label file is of nobody.

    Args:
        folder: Holds `images/` and `labels/`, and the class names in `data.yaml` or `classes.txt`.
        unread: Gets a line for every picture that does not open and is left out.

    Raises:
        DatasetError: No class names, or a label that cannot be understood.
    """
    names = class_names(folder)
    for images, labels, outer in _pairs(folder):
        for path in pictures_in(images):
            inner = path.relative_to(images)
            split = outer or (split_named(inner.parts[0]) if len(inner.parts) > 1 else None) or ""
            text = (labels / inner).with_suffix(".txt")
            if not text.is_file():
                yield Labelled(path, np.zeros((0, 4), np.float32), (), split)
                continue
            try:
                size_wh = _size_wh(path)
            except UnreadableImageError as exc:
                unread.append(str(exc))
                continue
            boxes, found = _read_label(text, size_wh, names)
            yield Labelled(path, boxes, found, split)


def _pairs(folder: Path) -> Iterator[tuple[Path, Path, str]]:
    """Folders of pictures and of labels, and the split that they are in."""
    inner = sorted(path for path in folder.iterdir() if path.is_dir() and split_named(path.name))
    for place in (folder, *inner):
        images, labels = place / "images", place / "labels"
        if images.is_dir() and (place != folder or labels.is_dir()):
            yield images, labels, "" if place == folder else split_named(place.name) or ""


def class_names(folder: Path) -> list[str]:
    """The class names of a YOLO data set by number.

    Raises:
        DatasetError: They are not there or cannot be understood.
    """
    for name in _YAML_FILES:
        if (folder / name).is_file():
            return yaml_names(_text(folder / name), folder / name)
    for name in _LIST_FILES:
        if (folder / name).is_file():
            lines = _text(folder / name).splitlines()
            return [line.strip() for line in lines if line.strip()]
    looked = ", ".join([*_YAML_FILES, *_LIST_FILES])
    raise DatasetError(f"no class names in {folder}. Looked for: {looked}.")


def yaml_names(text: str, path: Path) -> list[str]:
    """The `names:` of a YOLO description: `[a, b]`, a list of `- a`, or a table of `0: a`.

    This reads no other YAML, so that none need be installed.

    Raises:
        DatasetError: There are no such names.
    """
    found = re.search(r"^names[ \t]*:[ \t]*(.*(?:\n(?:[ \t\-\]}#].*)?)*)", text, re.MULTILINE)
    body = re.sub(r"(^|\s)#.*", "", found.group(1)) if found else ""
    body = body.strip()
    if body[:1] in ("[", "{"):
        closing = body.find({"[": "]", "{": "}"}[body[0]])
        entries = body[1 : closing if closing > 0 else None].replace("\n", " ").split(",")
    else:
        entries = [re.sub(r"^\s*-\s+", "", line) for line in body.splitlines()]
    names: dict[int, str] = {}
    for entry in (entry.strip() for entry in entries):
        numbered = re.fullmatch(r"[\"']?(\d+)[\"']?\s*:\s*(.+)", entry)
        name = (numbered.group(2) if numbered else entry).strip().strip("\"'")
        if name:
            names[int(numbered.group(1)) if numbered else len(names)] = name
    if not names or sorted(names) != list(range(len(names))):
        raise DatasetError(f"cannot read the class names in {path}: no complete list `names:`.")
    return [names[i] for i in range(len(names))]


def _read_label(
    path: Path, size_wh: tuple[int, int], names: list[str]
) -> tuple[Floats, tuple[str, ...]]:
    """The boxes of one label file in pixels, and their class names."""
    boxes: list[list[float]] = []
    found: list[str] = []
    width, height = size_wh
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            label, x, y, w, h = line.split()
            left, top = float(x) - float(w) / 2, float(y) - float(h) / 2
            right, bottom = left + float(w), top + float(h)
            corners = [left * width, top * height, right * width, bottom * height]
            if int(label) < 0 or not np.all(np.isfinite(corners)):
                raise ValueError("out of range")
            found.append(names[int(label)])
        except (ValueError, IndexError) as exc:
            raise DatasetError(
                f"cannot read line {number} of {path}: {line.strip()!r}. Expected a class number "
                f"below {len(names)} and four shares: x y width height."
            ) from exc
        boxes.append(corners)
    return np.asarray(boxes, np.float32).reshape(-1, 4), tuple(found)


def _size_wh(path: Path) -> tuple[int, int]:
    """Width and height as `read_image` gives the picture, from its header."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            width, height = picture.size
            turned = picture.getexif().get(0x0112) in _ROTATING
    except (OSError, ValueError, SyntaxError) as exc:
        raise UnreadableImageError(
            f"cannot read picture {path}: not a picture, or damaged."
        ) from exc
    return (height, width) if turned else (width, height)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise DatasetError(f"cannot read {path}: {exc}.") from exc
