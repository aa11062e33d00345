"""Write a data set in our own form: VOC with split lists for boxes, class folders for crops."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from maskwatch.datasets.records import Record, State, Track, class_counts, silently, state_name
from maskwatch.errors import OutputError, OutputExistsError, UnreadableImageError, UsageError
from maskwatch.images import os_reason, read_image

NO_SPLIT = "all"
"""Name of the list of photos that are in no split."""


@dataclass(slots=True)
class Written:
    """What was written.

    Attributes:
        counts: Faces of each class by split.
        pictures: Picture files written.
        skipped: What was left out on purpose, by reason.
        unread: A line for each picture that could not be read.
    """

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    pictures: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    unread: list[str] = field(default_factory=list)


class Names:
    """Gives each picture a file name of its own, also where case does not count."""

    def __init__(self) -> None:
        self._taken: set[tuple[Path, str]] = set()

    def free(self, folder: Path, stem: str) -> str:
        """`stem`, or with a number behind it where that is taken in `folder`."""
        name, number = stem, 1
        while (folder, name.casefold()) in self._taken:
            number += 1
            name = f"{stem}-{number}"
        self._taken.add((folder, name.casefold()))
        return name


def check_out(source: Path, out: Path, *, overwrite: bool) -> None:
    """See that a folder may be written.

    Raises:
        OutputExistsError: It has something in it and overwriting was not asked for.
        UsageError: It is the source, lies in it or holds it.
        OutputError: It is a file.
    """
    here, there = source.resolve(), out.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise UsageError(f"--out {out} and the source {source} overlap. Choose another place.")
    if out.exists() and not out.is_dir():
        raise OutputError(f"cannot write {out}: it is a file, not a folder.")
    if not overwrite and out.is_dir() and any(out.iterdir()):
        raise OutputExistsError(out)


def write_records(records: Sequence[Record], out: Path, track: Track = silently) -> Written:
    """Write records; pictures are copied as they are and must be readable.

    Files of the same name are replaced, others in `out` stay.

    Raises:
        OutputError: A file cannot be written.
    """
    written = Written()
    names = Names()
    done: list[Record] = []
    lists: dict[str, list[str]] = {}
    for record in track(records, "copying pictures"):
        try:
            height, width = read_image(record.path).shape[:2]
        except UnreadableImageError as exc:
            written.unread.append(str(exc))
            continue
        if record.boxes is None:
            folder = class_folder(out, record.split, record.states[0])
            name = names.free(folder, record.path.stem)
            copy(record.path, folder / f"{name}{record.path.suffix.lower()}")
        else:
            name = names.free(out / "images", record.path.stem)
            file = f"{name}{record.path.suffix.lower()}"
            copy(record.path, out / "images" / file)
            put(out / "annotations" / f"{name}.xml", _annotation(record, file, width, height))
            lists.setdefault(record.split or NO_SPLIT, []).append(name)
        done.append(record)
    for split, listed in lists.items():
        put(out / f"{split}.txt", "".join(f"{name}\n" for name in listed).encode())
    written.counts = class_counts(done)
    written.pictures = len(done)
    return written


def class_folder(out: Path, split: str, state: State) -> Path:
    """Where crops of a state go."""
    return out / split / state_name(state) if split else out / state_name(state)


def copy(source: Path, target: Path) -> None:
    """Copy a file.

    Raises:
        OutputError: It cannot be read or written.
    """
    _write(target, source.read_bytes)


def put(target: Path, content: bytes) -> None:
    """Write a file.

    Raises:
        OutputError: It cannot be written.
    """
    _write(target, lambda: content)


def _write(target: Path, content: Callable[[], bytes]) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content())
    except OSError as exc:
        raise OutputError(f"cannot write {target}: {os_reason(exc)}.") from exc


def _annotation(record: Record, file: str, width: int, height: int) -> bytes:
    root = ET.Element("annotation")
    _add(root, [("filename", file)])
    _add(ET.SubElement(root, "size"), [("width", width), ("height", height), ("depth", 3)])
    boxes = [] if record.boxes is None else record.boxes.tolist()
    for box, state in zip(boxes, record.states, strict=True):
        item = ET.SubElement(root, "object")
        _add(item, [("name", state_name(state)), ("difficult", 0)])
        corners = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
        _add(ET.SubElement(item, "bndbox"), [(key, round(value, 2)) for key, value in corners])
    ET.indent(root, " ")
    return bytes(ET.tostring(root, encoding="utf-8"))


def _add(parent: ET.Element, texts: Iterable[tuple[str, object]]) -> None:
    for tag, text in texts:
        ET.SubElement(parent, tag).text = str(text)
