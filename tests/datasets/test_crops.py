"""Rules of writing data sets and of cutting crops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_sets import Maker, drawn

from maskwatch.datasets.crops import write_crops
from maskwatch.datasets.formats import load_dataset
from maskwatch.datasets.importing import Names, check_out
from maskwatch.datasets.records import Record
from maskwatch.errors import DatasetError, OutputError, OutputExistsError, UsageError
from maskwatch.images import read_image, write_image
from maskwatch.preprocess import face_crops
from maskwatch.types import MaskState


def test_crops(tmp_path: Path) -> None:
    """Every face of a state becomes the crop that serving would see, in the folder of its class."""
    Maker(tmp_path / "in").voc()
    written = write_crops(load_dataset(tmp_path / "in").records, tmp_path / "out", size_px=32)
    assert written.pictures == 4
    files = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.png"))
    assert files == [
        "train/incorrect_mask/b-0.png",
        "train/with_mask/a-0.png",
        "train/without_mask/a-1.png",
        "val/without_mask/c-0.png",
    ]
    box = np.array([[30, 16, 66, 56]], np.float32)
    expected = face_crops(read_image(tmp_path / "in" / "images" / "c.png"), box, 32)[0]
    assert np.array_equal(read_image(tmp_path / "out" / files[3]), expected)


def test_size_of_the_photo(tmp_path: Path) -> None:
    """Without a size, a crop has as many pixels as its square has in the photo."""
    Maker(tmp_path / "in").voc()
    write_crops(load_dataset(tmp_path / "in").records, tmp_path / "out", margin=1.5)
    shape = read_image(tmp_path / "out" / "val" / "without_mask" / "c-0.png").shape
    assert shape == (60, 60, 3)


def test_left_out(tmp_path: Path) -> None:
    """Small faces and faces without a state are counted and left out; a broken photo is named."""
    write_image(tmp_path / "a.png", drawn(1))
    (tmp_path / "b.png").write_bytes(b"")
    boxes = np.array([[0, 0, 23, 24], [0, 0, 40, 40]], np.float32)
    state = MaskState.WITH_MASK
    records = [
        Record(tmp_path / "a.png", boxes, (state, None)),
        Record(tmp_path / "b.png", boxes[1:], (state,)),
    ]
    written = write_crops(records, tmp_path / "out")
    assert written.skipped == {"under 24 px": 1, "without a mask state": 1}
    assert written.pictures == 0
    assert len(written.unread) == 1


def test_no_boxes(tmp_path: Path) -> None:
    """Crops cannot be cut again."""
    Maker(tmp_path / "in").crops()
    with pytest.raises(DatasetError, match="crops already"):
        write_crops(load_dataset(tmp_path / "in").records, tmp_path / "out")


def test_names() -> None:
    """Equal names get a number, also where only their case differs, but not in other folders."""
    names = Names()
    assert [names.free(Path("x"), n) for n in ("a", "A", "a", "b")] == ["a", "A-2", "a-3", "b"]
    assert names.free(Path("y"), "a") == "a"


def test_out(tmp_path: Path) -> None:
    """A folder with something in it, a file, and a folder that overlaps the source are refused."""
    source = tmp_path / "in"
    Maker(source).crops()
    for place in (source, source / "out", tmp_path):
        with pytest.raises(UsageError, match="overlap"):
            check_out(source, place, overwrite=True)
    (tmp_path / "out").mkdir()
    check_out(source, tmp_path / "out", overwrite=False)
    (tmp_path / "out" / "file").touch()
    with pytest.raises(OutputExistsError, match="--overwrite"):
        check_out(source, tmp_path / "out", overwrite=False)
    check_out(source, tmp_path / "out", overwrite=True)
    with pytest.raises(OutputError, match="not a folder"):
        check_out(source, tmp_path / "out" / "file", overwrite=True)
