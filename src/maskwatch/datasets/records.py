"""The one form in memory that every data set is brought into: a list of records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from maskwatch.errors import DatasetError
from maskwatch.images import IMAGE_SUFFIXES
from maskwatch.types import Floats, MaskState

T = TypeVar("T")

State = MaskState | None
"""The state of a labelled face; None where the label says only that it is one."""

FACE = "face"
"""The name of a class without a state, as written in files and folders."""


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """A picture with its labels as they are written.

    Attributes:
        path: The picture.
        boxes: `(N, 4)` float32, x0 y0 x1 y1 in its pixels; None where it is a face crop.
        names: The class name of each box; of a crop, the one of its folder.
        split: Such as `train`; empty where the set has no splits.
    """

    path: Path
    boxes: Floats | None
    names: tuple[str, ...]
    split: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A picture with its labels understood.

    Attributes:
        path: The picture.
        boxes: `(N, 4)` float32, x0 y0 x1 y1 in its pixels; None where it is a face crop.
        states: The state of each box; of a crop, its own.
        source: Name of the data set that it comes from.
        split: Such as `train`; empty where the set has no splits.
    """

    path: Path
    boxes: Floats | None
    states: tuple[State, ...]
    source: str = ""
    split: str = ""

    def __post_init__(self) -> None:
        count = 1 if self.boxes is None else len(self.boxes)
        if len(self.states) != count:
            raise ValueError(f"{count} faces but {len(self.states)} states.")

    def in_split(self, split: str) -> Record:
        """The same in another split."""
        return replace(self, split=split)


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A data set.

    Attributes:
        name: Name of its folder.
        format: The form it was read from, one of `formats.FORMATS`.
        records: In a fixed order.
        unread: What could not be read and is therefore missing, a line each.
    """

    name: str
    format: str
    records: tuple[Record, ...]
    unread: tuple[str, ...] = ()

    @property
    def boxed(self) -> bool:
        """Whether these are photos with boxes, not face crops."""
        return any(record.boxes is not None for record in self.records)


class Track(Protocol):
    """Hands items on one by one and shows how far it is."""

    def __call__(self, items: Sequence[T], doing: str) -> Iterable[T]:
        """Go through `items`; `doing` says what is done with them."""
        ...


def silently(items: Sequence[T], doing: str) -> Iterable[T]:
    """Show nothing."""
    return items


def state_name(state: State) -> str:
    """How a state is written in files and folders."""
    return FACE if state is None else state.value


def class_counts(records: Iterable[Record]) -> dict[str, Counter[str]]:
    """Faces of each class by split, splits and classes in alphabetical order."""
    counts: dict[str, Counter[str]] = {}
    for record in records:
        counter = counts.setdefault(record.split, Counter())
        counter.update(state_name(state) for state in record.states)
    return {split: Counter(dict(sorted(counts[split].items()))) for split in sorted(counts)}


_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def split_named(name: str) -> str | None:
    """The split that a folder or list of this name holds: `valid` is `val`; None for no split."""
    return _SPLITS.get(name.lower())


def pictures_in(folder: Path, *, below: bool = True) -> list[Path]:
    """The picture files in a folder, sorted; hidden ones and what is in hidden folders left out.

    Args:
        folder: Where to look.
        below: Look into the folders in it, too.

    Raises:
        DatasetError: It cannot be listed.
    """
    try:
        found = list(folder.rglob("*") if below else folder.iterdir())
    except OSError as exc:
        raise DatasetError(f"cannot list folder {folder}: {exc.strerror}.") from exc
    return sorted(
        path
        for path in found
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )
