"""Rules of reading Pascal VOC labels."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from maskwatch.datasets.voc import read_annotation, read_voc
from maskwatch.errors import DatasetError


def xml(*objects: tuple[str, tuple[float, ...]]) -> str:
    """An annotation of named boxes."""
    items = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin>"
        f"<xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
        for name, box in objects
    )
    return f"<annotation><size><width>9</width></size>{items}</annotation>"


MASKED = ("with_mask", (1, 2, 30, 40))
BARE = ("without_mask", (5.5, 6, 70, 80))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three photos, the third of nobody; two are in `train` and one is in `val`."""
    (tmp_path / "images").mkdir()
    (tmp_path / "annotations").mkdir()
    photos = {"a.jpg": [MASKED, BARE], "b.PNG": [BARE], "c.webp": []}
    for name, objects in photos.items():
        (tmp_path / "images" / name).touch()
        (tmp_path / "annotations" / f"{Path(name).stem}.xml").write_text(xml(*objects))
    (tmp_path / "images" / "readme.txt").touch()
    (tmp_path / "train.txt").write_text("b\na\n")
    (tmp_path / "val.txt").write_text("c\n")
    return tmp_path


def test_split(folder: Path) -> None:
    """A split gives its photos in the order of its list, each with boxes and names."""
    first, second = read_voc(folder, "train")
    assert first.path == folder / "images" / "b.PNG"
    assert second.path == folder / "images" / "a.jpg"
    assert second.names == ("with_mask", "without_mask")
    assert second.boxes.tolist() == [[1, 2, 30, 40], [5.5, 6, 70, 80]]
    assert second.boxes.dtype == np.float32


def test_nobody(folder: Path) -> None:
    """A photo of nobody has a (0, 4) array of boxes."""
    (photo,) = read_voc(folder, "val")
    assert photo.boxes.shape == (0, 4)
    assert photo.names == ()


def test_unknown_split(folder: Path) -> None:
    """A split without a list is refused; list and split are named."""
    with pytest.raises(DatasetError, match=r"no split 'test' in .*test\.txt is missing"):
        list(read_voc(folder, "test"))


def test_missing_picture(folder: Path) -> None:
    """A name without a picture is refused; list and name are named."""
    (folder / "train.txt").write_text("a\nreadme\n")
    with pytest.raises(DatasetError, match=r"train\.txt names 'readme', which is not in"):
        list(read_voc(folder, "train"))


def test_no_pictures_at_all(folder: Path) -> None:
    """A data set without `images/` is refused by name."""
    shutil.rmtree(folder / "images")
    with pytest.raises(DatasetError, match="images"):
        list(read_voc(folder, "train"))


BAD = {
    "missing": (None, r"No such file"),
    "empty": ("", "no element found"),
    "not-xml": ("boxes: none", "syntax error"),
    "cut-off": (xml(BARE)[:-20], "no element found|unclosed token"),
    "no-number": (xml(("x", ("a", 1, 2, 3))), "could not convert"),  # type: ignore[arg-type]
    "no-box": ("<annotation><object><name>x</name></object></annotation>", "could not convert"),
}


@pytest.mark.parametrize(("text", "why"), BAD.values(), ids=BAD.keys())
def test_bad_annotation(tmp_path: Path, text: str | None, why: str) -> None:
    """An annotation that is missing or cannot be understood is named with the reason."""
    path = tmp_path / "a.xml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DatasetError, match=rf"cannot read the boxes in .*a\.xml: .*({why})"):
        read_annotation(path)


def test_nested_objects(tmp_path: Path) -> None:
    """Parts within an object, such as a head, are no boxes of their own."""
    part = "<part><name>head</name><bndbox><xmin>0</xmin></bndbox></part>"
    (tmp_path / "a.xml").write_text(xml(BARE).replace("</object>", f"{part}</object>"))
    boxes, names = read_annotation(tmp_path / "a.xml")
    assert boxes.tolist() == [[5.5, 6, 70, 80]]
    assert names == ("without_mask",)


@pytest.mark.parametrize(
    ("name", "split", "photos", "boxes"),
    [("ilc", "val", 238, 592), ("kaggle", "val", 62, 254)],
    ids=["ilc", "kaggle"],
)
def test_real_data(shared: Path, name: str, split: str, photos: int, boxes: int) -> None:
    """Real sets of photos are read whole."""
    read = list(read_voc(shared / "data" / "detection" / name, split))
    assert len(read) == photos
    assert sum(len(photo.boxes) for photo in read) == boxes
    assert all(photo.path.is_file() for photo in read)
