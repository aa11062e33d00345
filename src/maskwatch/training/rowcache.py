"""Rows of numbers that are costly to make, kept in files: made once, found again by their key.

A file is written under another name, with a note of how much of it is whole, and gets its name
when it is complete: a kill leaves it to be continued, and nothing half is ever taken for whole.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskwatch.errors import OutputError
from maskwatch.images import os_reason
from maskwatch.training.observer import SILENT, Observer
from maskwatch.weights.disk import locked, sha256
from maskwatch.weights.store import cache_dir

_FORM = 1
"""Raised when the rows of the same key would come out otherwise."""

_NOTE_EVERY_S = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """The next rows.

    Attributes:
        units: What they were made of, in units (pictures, say) counted from the start.
        rows: `(n, ...)`.
        unread: By row, counted from the start: why it could not be made; its numbers mean nothing.
    """

    units: int
    rows: NDArray[Any]
    unread: dict[int, str]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Complete rows.

    Attributes:
        values: `(N, ...)`, on disk.
        unread: As in `Chunk`.
        reused: Whether they were found and not made.
    """

    values: NDArray[Any]
    unread: dict[int, str]
    reused: bool


@dataclass(frozen=True, slots=True)
class RowCache:
    """A folder of rows.

    Attributes:
        folder: Where; None is `training` in maskwatch's own cache folder.
    """

    folder: Path | None = None

    def get(
        self,
        facts: Mapping[str, Any],
        count: int,
        units: int,
        make: Callable[[int], Iterator[Chunk]],
        *,
        doing: str,
        stop: threading.Event | None = None,
        observer: Observer = SILENT,
    ) -> Rows | None:
        """Rows found by their key, or made.

        Args:
            facts: All that they depend on, as JSON can hold it.
            count: Number of rows.
            units: Number of units.
            make: From a unit number to the chunks from there on.
            doing: What is done, for the observer.
            stop: Ends the making; what was made is kept for next time.
            observer: Told how far it is.

        Returns:
            The rows; None where `stop` ended it.

        Raises:
            OutputError: The disk is full or the folder not writable.
        """
        key = key_of(facts)
        root = self.folder or cache_dir() / "training"
        with _writing(root):
            root.mkdir(parents=True, exist_ok=True)
        # Two trainings may want the same rows at once: the second waits for the first.
        with locked(root / f"{key}.lock"):
            place = root / key
            if place.exists():
                try:
                    return _open(place, count)
                except (OSError, ValueError, KeyError) as exc:
                    observer.note(f"what is cached in {place} is damaged ({exc}): made again.")
                    shutil.rmtree(place)
            part = root / f"{key}.part"
            with _writing(part):
                done = _fill(part, facts, count, units, make, doing, stop, observer)
                if not done:
                    return None
                part.rename(place)
            return _opened(place, reused=False)


def key_of(facts: Mapping[str, Any]) -> str:
    """The name under which rows of these facts are kept."""
    text = json.dumps({**facts, "form": _FORM}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _fill(
    part: Path,
    facts: Mapping[str, Any],
    count: int,
    units: int,
    make: Callable[[int], Iterator[Chunk]],
    doing: str,
    stop: threading.Event | None,
    observer: Observer,
) -> bool:
    """Write rows from where an earlier try ended; say whether they are complete."""
    part.mkdir(exist_ok=True)
    note = _read_note(part)
    observer.begin(doing, units, note["units"])
    values = part / "rows.bin"
    with values.open("r+b" if values.exists() else "w+b") as stream:
        stream.truncate(note["bytes"])
        stream.seek(note["bytes"])
        noted_s = time.monotonic()
        for chunk in make(note["units"]) if note["units"] < units else ():
            rows = np.ascontiguousarray(chunk.rows)
            stream.write(rows.data)
            note["units"] += chunk.units
            note["bytes"] += rows.nbytes
            note["unread"] |= {str(row): why for row, why in chunk.unread.items()}
            note |= {"shape": list(rows.shape[1:]), "dtype": str(rows.dtype)}
            observer.step(note["units"])
            stopped = stop is not None and stop.is_set()
            if stopped or time.monotonic() - noted_s >= _NOTE_EVERY_S:
                _write_note(part, stream, note)
                noted_s = time.monotonic()
            if stopped and note["units"] < units:
                return False
        _write_note(part, stream, note)
    whole = {**note, "count": count, "sha256": sha256(values), "facts": dict(facts)}
    _put(part / "rows.json", whole)
    (part / "progress.json").unlink()
    return True


def _read_note(part: Path) -> dict[str, Any]:
    fresh: dict[str, Any] = {"units": 0, "bytes": 0, "unread": {}, "shape": [], "dtype": "float32"}
    try:
        note = json.loads((part / "progress.json").read_text())
        written = (part / "rows.bin").stat().st_size
    except (OSError, ValueError):
        return fresh
    return note if isinstance(note, dict) and written >= note.get("bytes", 0) else fresh


def _write_note(part: Path, stream: Any, note: dict[str, Any]) -> None:
    """Note how much is whole, once that much lies on the disk."""
    stream.flush()
    os.fsync(stream.fileno())
    _put(part / "progress.json", note)


def _put(path: Path, content: dict[str, Any]) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(content))
    part.replace(path)


def _open(place: Path, count: int) -> Rows:
    """Rows that are whole; ValueError says what is wrong with them."""
    facts = json.loads((place / "rows.json").read_text())
    if facts["count"] != count or sha256(place / "rows.bin") != facts["sha256"]:
        raise ValueError("its checksum differs")
    return _opened(place, reused=True)


def _opened(place: Path, *, reused: bool) -> Rows:
    facts = json.loads((place / "rows.json").read_text())
    shape = (facts["count"], *facts["shape"])
    values = np.memmap(place / "rows.bin", facts["dtype"], "r", shape=shape)
    return Rows(values, {int(row): why for row, why in facts["unread"].items()}, reused)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "Free some space, or give" if full else "Give"
        raise OutputError(
            f"cannot write {path}: {os_reason(exc)}. {advice} --cache DIR on another disk; what "
            "was made so far is kept."
        ) from exc
