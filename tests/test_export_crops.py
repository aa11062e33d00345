"""Rules of the faces that exported files are calibrated and checked on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from maskwatch.errors import DatasetError, SourceNotFoundError
from maskwatch.export_crops import read_export_crops
from maskwatch.images import write_image
from maskwatch.types import Image


def shaded(path: Path, shade: int) -> None:
    write_image(path, np.full((30, 30, 3), shade, np.uint8))


def folders(folder: Path, splits: dict[str, range]) -> Path:
    """Crops whose shades say which they are."""
    for split, shades in splits.items():
        for shade in shades:
            state = ("with_mask", "without_mask")[shade % 2]
            shaded(folder / split / state / f"{shade}.png", shade)
    return folder


def shades(crops: Image) -> set[int]:
    return set(crops[:, 0, 0, 0].tolist())


@pytest.mark.parametrize(
    ("splits", "split", "checked"),
    [
        pytest.param(
            {"train": range(40), "val": range(50, 60), "test": range(80, 90)},
            "val",
            set(range(50, 60)),
            id="val",
        ),
        pytest.param(
            {"train": range(40), "test": range(80, 90)}, "test", set(range(80, 90)), id="test"
        ),
    ],
)
def test_splits(tmp_path: Path, splits: dict[str, range], split: str, checked: set[int]) -> None:
    """Calibration is on the split train, the check on val, or test where there is no val."""
    found = read_export_crops(folders(tmp_path, splits), 8)
    assert shades(found.calibration) == set(range(40))
    assert (found.check_split, shades(found.check)) == (split, checked)
    assert found.calibration.shape == (40, 8, 8, 3)


def test_no_split_train(tmp_path: Path) -> None:
    """Without a split train no face is both calibrated and checked on."""
    data = folders(tmp_path, {"val": range(50, 60), "test": range(80, 90)})
    found = read_export_crops(data, 8)
    assert (found.check_split, shades(found.check)) == ("val", set(range(50, 60)))
    assert shades(found.calibration) == set(range(80, 90))


@pytest.mark.parametrize("split", ["", "train", "val"])
def test_one_split(tmp_path: Path, split: str) -> None:
    """With a single split, one half of the pictures calibrates and the other checks."""
    found = read_export_crops(folders(tmp_path, {split: range(21)}), 8)
    assert found.check_split == ""
    assert len(found.calibration) == 11
    assert shades(found.calibration) | shades(found.check) == set(range(21))
    assert not shades(found.calibration) & shades(found.check)


def test_counts(tmp_path: Path) -> None:
    """No more are taken than asked for, drawn by the seed alone."""
    data = folders(tmp_path, {"train": range(60), "val": range(100, 160)})
    one, same, other = (
        read_export_crops(data, 8, calibration=9, check=7, seed=seed) for seed in (1, 1, 2)
    )
    assert (len(one.calibration), len(one.check)) == (9, 7)
    assert np.array_equal(one.calibration, same.calibration)
    assert shades(one.calibration) != shades(other.calibration)
    assert len(read_export_crops(data, 8, calibration=0, check=7).calibration) == 0


def test_photos(tmp_path: Path) -> None:
    """From photos only faces with a state and of the size asked for are cut."""
    boxes = [("with_mask", 30), ("face", 30), ("without_mask", 20)]
    items = "".join(
        f"<object><name>{name}</name><bndbox><xmin>5</xmin><ymin>5</ymin>"
        f"<xmax>{5 + side}</xmax><ymax>{5 + side}</ymax></bndbox></object>"
        for name, side in boxes
    )
    for name in "ab":
        shaded(tmp_path / f"{name}.png", 90)
        (tmp_path / f"{name}.xml").write_text(f"<annotation>{items}</annotation>")
    found = read_export_crops(tmp_path, 8)
    assert (len(found.calibration), len(found.check)) == (1, 1)


def test_unreadable(tmp_path: Path) -> None:
    """Pictures that cannot be read are passed over."""
    data = folders(tmp_path, {"train": range(10), "val": range(10)})
    (data / "val" / "with_mask" / "4.png").write_bytes(b"")
    assert shades(read_export_crops(data, 8).check) == set(range(10)) - {4}


def test_no_faces(tmp_path: Path) -> None:
    """Data without a readable face for one of the two are an error that says for which."""
    data = folders(tmp_path, {"train": range(4), "val": range(1)})
    (data / "val" / "with_mask" / "0.png").write_bytes(b"")
    with pytest.raises(DatasetError, match="no face of 24 px or more to check in"):
        read_export_crops(data, 8)


def test_no_folder(tmp_path: Path) -> None:
    """A folder that is not there is named."""
    with pytest.raises(SourceNotFoundError, match=r"no such folder: .*nowhere"):
        read_export_crops(tmp_path / "nowhere", 8)
