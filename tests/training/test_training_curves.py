"""Rules of the picture of loss and accuracy."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from maskwatch.errors import MissingExtraError, OutputError
from maskwatch.images import read_image
from maskwatch.training.curves import write_curves
from maskwatch.training.observer import Row

ROWS = [Row(i + 1, 1 / (i + 1), 0.5 + i / 20, 1.2 / (i + 1), 0.6, 1e-3, 1.0) for i in range(8)]


@pytest.mark.parametrize("count", [1, 8], ids=["one epoch", "eight"])
def test_curves(tmp_path: Path, count: int) -> None:
    """A picture is written, whose curves follow the rows."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra train)")
    rows = ROWS[:count]
    write_curves(tmp_path / "a.png", rows, rows[-1], "title")
    write_curves(tmp_path / "b.png", [*rows[:-1], ROWS[4]], None, "title")
    one, other = (read_image(tmp_path / name) for name in ("a.png", "b.png"))
    assert one.shape == other.shape
    assert min(one.shape[:2]) > 300
    assert np.abs(one.astype(int) - other).max() > 100
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.png", "b.png"]


def test_no_place(tmp_path: Path) -> None:
    """A folder that is not there is an error that names it."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra train)")
    with pytest.raises(OutputError, match="nowhere"):
        write_curves(tmp_path / "nowhere" / "a.png", ROWS, None, "title")


def test_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without matplotlib the error names the extra."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"maskwatch\[train\]"):
        write_curves(tmp_path / "a.png", ROWS, None, "title")
