"""Rules of recognising and reading data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_sets import PHOTOS, Maker, drawn, voc_text

from maskwatch.datasets.formats import load_dataset
from maskwatch.datasets.importing import write_records
from maskwatch.datasets.records import Record
from maskwatch.datasets.yolo import yaml_names
from maskwatch.errors import DatasetError, SourceNotFoundError, UnknownNameError
from maskwatch.images import write_image
from maskwatch.types import MaskState

WITH, WITHOUT, INCORRECT = (
    MaskState.WITH_MASK,
    MaskState.WITHOUT_MASK,
    MaskState.INCORRECT_MASK,
)
STATES = {"a": (WITH, WITHOUT), "b": (INCORRECT,), "c": (WITHOUT,), "d": ()}


def by_name(records: tuple[Record, ...]) -> dict[str, Record]:
    return {record.path.stem: record for record in records}


@pytest.mark.parametrize(
    ("make", "form", "splits"),
    [
        ("voc", "voc", True),
        ("voc_published", "voc", True),
        ("voc_flat", "voc", False),
        ("yolo", "yolo", True),
        ("yolo_published", "yolo", True),
        ("coco", "coco", True),
    ],
)
def test_boxes(tmp_path: Path, make: str, form: str, splits: bool) -> None:
    """Every form of the same photos is recognised and gives the same boxes, states and splits."""
    getattr(Maker(tmp_path), make)()
    dataset = load_dataset(tmp_path)
    assert dataset.format == form
    assert dataset.boxed
    records = by_name(dataset.records)
    assert records.keys() == PHOTOS.keys()
    for name, (split, boxes) in PHOTOS.items():
        record = records[name]
        assert record.states == STATES[name]
        assert record.boxes is not None
        assert record.boxes.shape == (len(boxes), 4)
        assert np.allclose(record.boxes, [list(b) for _, b in boxes] or np.zeros((0, 4)), atol=0.01)
        assert record.split == (split if splits else "")
        assert record.source == tmp_path.name


def test_crops(tmp_path: Path) -> None:
    """Class folders within split folders give crops, whatever the case of their names."""
    Maker(tmp_path).crops()
    dataset = load_dataset(tmp_path)
    assert dataset.format == "folders"
    assert not dataset.boxed
    found = {record.path.stem: (record.split, record.states) for record in dataset.records}
    assert found == {
        "a": ("train", (WITH,)),
        "b": ("train", (WITHOUT,)),
        "c": ("val", (WITH,)),
        "z": ("test", (INCORRECT,)),
    }


def test_crops_without_splits(tmp_path: Path) -> None:
    """Class folders alone are crops of no split."""
    write_image(tmp_path / "no_mask" / "x.png", drawn(1))
    (record,) = load_dataset(tmp_path).records
    assert (record.split, record.states, record.boxes) == ("", (WITHOUT,), None)


@pytest.mark.parametrize("make", ["voc", "voc_flat", "yolo", "coco", "crops"])
def test_round_trip(tmp_path: Path, make: str) -> None:
    """What is written in our own form reads back the same."""
    getattr(Maker(tmp_path / "in"), make)()
    before = load_dataset(tmp_path / "in")
    written = write_records(before.records, tmp_path / "out")
    assert written.pictures == len(before.records)
    after = load_dataset(tmp_path / "out")
    assert after.format == ("voc" if before.boxed else "folders")
    old, new = by_name(before.records), by_name(after.records)
    assert old.keys() == new.keys()
    for name, record in old.items():
        assert new[name].states == record.states
        assert new[name].split == record.split
        assert new[name].path.read_bytes() == record.path.read_bytes()
        if record.boxes is not None:
            boxes = new[name].boxes
            assert boxes is not None
            assert np.allclose(boxes, record.boxes, atol=0.01)


def test_unrecognised(tmp_path: Path) -> None:
    """A folder of no known form is refused, and the error says what was looked for."""
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DatasetError, match=r"Looked for .*annotations/\*\.xml.*COCO.*labels/"):
        load_dataset(tmp_path)


def test_no_folder(tmp_path: Path) -> None:
    """A folder that is not there is a source that is not found."""
    with pytest.raises(SourceNotFoundError, match="no such folder"):
        load_dataset(tmp_path / "no")


def test_unknown_format(tmp_path: Path) -> None:
    """A format that does not exist is refused with the list of those that do."""
    with pytest.raises(UnknownNameError, match="coco, folders, voc, yolo"):
        load_dataset(tmp_path, "pascal")


def test_unreadable_picture_of_yolo(tmp_path: Path) -> None:
    """A picture whose size YOLO labels need and that does not open is named, the rest is read."""
    Maker(tmp_path).yolo()
    (tmp_path / "images" / "train" / "a.png").write_bytes(b"no picture")
    dataset = load_dataset(tmp_path)
    assert len(dataset.records) == len(PHOTOS) - 1
    (line,) = dataset.unread
    assert "a.png" in line


@pytest.mark.parametrize(
    "line", ["0 0.5 0.5 0.1", "9 0.5 0.5 0.1 0.1", "-1 0.5 0.5 0.1 0.1", "0 nan 0.5 0.1 0.1", "x"]
)
def test_broken_yolo_line(tmp_path: Path, line: str) -> None:
    """A YOLO line that is no box is refused with its file and number."""
    Maker(tmp_path).yolo()
    (tmp_path / "labels" / "train" / "a.txt").write_text(f"0 0.5 0.5 0.1 0.1\n{line}\n")
    with pytest.raises(DatasetError, match=r"line 2 of .*a\.txt"):
        load_dataset(tmp_path)


def test_yolo_without_names(tmp_path: Path) -> None:
    """YOLO without class names is refused; classes.txt will do."""
    Maker(tmp_path).yolo()
    (tmp_path / "data.yaml").unlink()
    with pytest.raises(DatasetError, match=r"no class names .* data\.yaml.*classes\.txt"):
        load_dataset(tmp_path)
    (tmp_path / "classes.txt").write_text(
        "WithoutMask\nmask_weared_incorrect\nwith_mask\nwithout_mask\n"
    )
    assert by_name(load_dataset(tmp_path).records)["a"].states == STATES["a"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("names: [a, 'b c', \"d\"]", id="list"),
        pytest.param("nc: 3\nnames:\n- a\n- b c\n- d\ntrain: x\n", id="dashes"),
        pytest.param("names:\n  - 'a'  # first\n  - b c\n  - d", id="indented dashes"),
        pytest.param("names:\n  0: a\n  1: 'b c'\n  2: d\nnc: 3", id="table"),
        pytest.param("names: {1: b c, 0: a, 2: d}", id="inline table"),
        pytest.param("names: [\n  a,\n  b c,\n  d,\n]\nval: y", id="list over lines"),
    ],
)
def test_yaml_names(text: str) -> None:
    """Every usual way to write the names in YAML is read."""
    assert yaml_names(text, Path("data.yaml")) == ["a", "b c", "d"]


@pytest.mark.parametrize("text", ["nc: 2", "names:", "names: {0: a, 2: b}"])
def test_yaml_without_names(text: str) -> None:
    """YAML without a complete list of names is refused."""
    with pytest.raises(DatasetError, match="class names"):
        yaml_names(text, Path("data.yaml"))


@pytest.mark.parametrize(
    "content", ["{", '{"images": []}', '{"images": [], "annotations": [{}], "categories": []}']
)
def test_broken_coco(tmp_path: Path, content: str) -> None:
    """COCO that cannot be understood is refused with its file."""
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "coco.json").write_text(content)
    with pytest.raises(DatasetError, match=r"coco\.json"):
        load_dataset(tmp_path)


def test_coco_without_picture(tmp_path: Path) -> None:
    """COCO that names a picture that is not there is refused with the places looked at."""
    Maker(tmp_path).coco()
    (tmp_path / "images" / "c.png").unlink()
    with pytest.raises(DatasetError, match=r"'c\.png'.*Looked in"):
        load_dataset(tmp_path)


def test_photo_in_two_splits(tmp_path: Path) -> None:
    """A photo that two lists name is in both splits."""
    Maker(tmp_path).voc()
    (tmp_path / "val.txt").write_text("c\na\na\n")
    found = [record.split for record in load_dataset(tmp_path).records if record.path.stem == "a"]
    assert found == ["train", "val"]


def test_voc_without_picture(tmp_path: Path) -> None:
    """VOC with an annotation of no picture is refused."""
    Maker(tmp_path).voc()
    (tmp_path / "annotations" / "e.xml").write_text(voc_text([]))
    with pytest.raises(DatasetError, match="no picture 'e'"):
        load_dataset(tmp_path)


def test_shared_sets(shared: Path) -> None:
    """The published sets are recognised, and their counts are those in their description."""
    ilc = load_dataset(shared / "data" / "detection" / "ilc")
    assert (ilc.format, len(ilc.records)) == ("voc", 1831)
    states = [state for record in ilc.records for state in record.states]
    assert [states.count(s) for s in (WITH, WITHOUT, INCORRECT)] == [2593, 1745, 581]
    wider = load_dataset(shared / "data" / "detection" / "wider")
    assert {state for record in wider.records for state in record.states} == {None}
    crops = load_dataset(shared / "data" / "classification" / "prajnasb")
    assert {record.split for record in crops.records} == {"train", "val", "test"}
