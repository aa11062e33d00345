"""Rules of the rows that are kept on disk."""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskwatch.errors import OutputError
from maskwatch.training import rowcache
from maskwatch.training.observer import Silent
from maskwatch.training.rowcache import Chunk, RowCache, Rows

FACTS: dict[str, Any] = {"kind": "test", "size": 3}
UNITS = 6
ALL = np.arange(24, dtype=np.float32).reshape(12, 2)


class Maker:
    """Makes two rows a unit and notes from where it was asked to."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.begun: list[int] = []
        self.fail_at = fail_at

    def __call__(self, first: int) -> Iterator[Chunk]:
        self.begun.append(first)
        for unit in range(first, UNITS):
            if unit == self.fail_at:
                raise KeyboardInterrupt
            unread = {2 * unit: "bad"} if unit == 1 else {}
            yield Chunk(1, ALL[2 * unit : 2 * unit + 2], unread)


class Notes(Silent):
    def __init__(self, stop_at: int = 99) -> None:
        self.lines: list[str] = []
        self.begun: list[tuple[int, int]] = []
        self.stop = threading.Event()
        self.stop_at = stop_at

    def note(self, line: str) -> None:
        self.lines.append(line)

    def begin(self, doing: str, total: int, done: int) -> None:
        self.begun.append((total, done))

    def step(self, done: int, loss: float | None = None, accuracy: float | None = None) -> None:
        if done >= self.stop_at:
            self.stop.set()


def get(folder: Path, make: Maker, notes: Notes | None = None, **facts: Any) -> Rows | None:
    notes = notes or Notes()
    cache = RowCache(folder)
    return cache.get(FACTS | facts, 12, UNITS, make, doing="rows", stop=notes.stop, observer=notes)


def check(rows: Rows | None, *, reused: bool) -> None:
    assert rows is not None
    assert (np.asarray(rows.values) == ALL).all()
    assert rows.unread == {2: "bad"}
    assert rows.reused is reused


def test_made_once(tmp_path: Path) -> None:
    """Rows are made once and found again, with what could not be read; other facts are others."""
    make = Maker()
    check(get(tmp_path, make), reused=False)
    check(get(tmp_path, make), reused=True)
    assert make.begun == [0]
    check(get(tmp_path, make, size=4), reused=False)
    assert make.begun == [0, 0]


def test_default_folder(no_home: Path) -> None:
    """Rows lie in maskwatch's cache folder unless another is given."""
    rows = RowCache().get(FACTS, 12, UNITS, Maker(), doing="rows")
    check(rows, reused=False)
    assert list((no_home / "training").glob("*/rows.bin"))


def test_stopped(tmp_path: Path) -> None:
    """Stopped, there are no rows yet, and the next call goes on where it was."""
    make, notes = Maker(), Notes(stop_at=3)
    assert get(tmp_path, make, notes) is None
    later = Notes()
    check(get(tmp_path, make, later), reused=False)
    assert make.begun == [0, 3]
    assert later.begun == [(UNITS, 3)]


def test_stopped_at_the_end(tmp_path: Path) -> None:
    """Stopped at the last row, all is made and nothing is thrown away."""
    check(get(tmp_path, Maker(), Notes(stop_at=UNITS)), reused=False)


@pytest.mark.parametrize("every_s", [0.0, 1e9], ids=["noted often", "never noted"])
def test_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every_s: float) -> None:
    """Killed, the rows come out whole next time: from the last note on, or from the start."""
    monkeypatch.setattr(rowcache, "_NOTE_EVERY_S", every_s)
    with pytest.raises(KeyboardInterrupt):
        get(tmp_path, Maker(fail_at=4))
    make = Maker()
    check(get(tmp_path, make), reused=False)
    assert make.begun == [4 if every_s == 0 else 0]


def test_note_ahead_of_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A note of more rows than the file holds (a crash of the machine) is not believed."""
    monkeypatch.setattr(rowcache, "_NOTE_EVERY_S", 0.0)
    with pytest.raises(KeyboardInterrupt):
        get(tmp_path, Maker(fail_at=4))
    (values,) = tmp_path.glob("*.part/rows.bin")
    values.write_bytes(values.read_bytes()[:-5])
    make = Maker()
    check(get(tmp_path, make), reused=False)
    assert make.begun == [0]


@pytest.mark.parametrize("file", ["rows.bin", "rows.json"])
@pytest.mark.parametrize("how", ["changed", "short", "gone"])
def test_damaged(tmp_path: Path, file: str, how: str) -> None:
    """Damaged rows are noticed, told of and made again."""
    get(tmp_path, Maker())
    (path,) = tmp_path.glob(f"*/{file}")
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:-9] + (b"" if how == "short" else b"x" * 9))
    notes = Notes()
    check(get(tmp_path, Maker(), notes), reused=False)
    assert "is damaged" in notes.lines[0]
    check(get(tmp_path, Maker()), reused=True)


def test_another_number_of_rows(tmp_path: Path) -> None:
    """Rows of another number than asked for are made again."""
    get(tmp_path, Maker())
    (path,) = tmp_path.glob("*/rows.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"count": 11}))
    check(get(tmp_path, Maker()), reused=False)


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is an error that says what to do; what was made is kept."""
    monkeypatch.setattr(rowcache, "_NOTE_EVERY_S", 0.0)
    original, left = rowcache._write_note, [3]

    def full(*arguments: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(*arguments)

    monkeypatch.setattr(rowcache, "_write_note", full)
    with pytest.raises(OutputError, match=r"No space left.* --cache DIR on another disk"):
        get(tmp_path, Maker())
    monkeypatch.setattr(rowcache, "_write_note", original)
    make = Maker()
    check(get(tmp_path, make), reused=False)
    assert make.begun == [3]


def test_folder_that_cannot_be(tmp_path: Path) -> None:
    """A cache folder that is a file is an error that names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        get(tmp_path / "file", Maker())
