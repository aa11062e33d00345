"""Rules of looking a data set over."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_sets import Maker, drawn

from maskwatch.datasets.check import Leakage, Report, check_dataset, copies_between
from maskwatch.datasets.formats import load_dataset
from maskwatch.datasets.sheet import contact_sheet
from maskwatch.images import write_image


def known(folder: Path) -> Path:
    """A set with copies in val, test and train, one contradiction, and one broken file."""
    pictures = {
        "train/with_mask/0.png": 0,
        "train/with_mask/1.png": 1,
        "train/with_mask/1-again.png": 1,
        "train/without_mask/2.png": 2,
        "train/without_mask/3.png": 3,
        "val/with_mask/0.png": 0,
        "val/without_mask/2.jpg": 2,
        "val/without_mask/4.png": 4,
        "val/with_mask/5.png": 5,
        "test/with_mask/3.jpg": 3,
        "test/with_mask/6.png": 6,
    }
    for place, seed in pictures.items():
        write_image(folder / place, drawn(seed))
    (folder / "test" / "with_mask" / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report on the set with known answers."""
    return check_dataset(load_dataset(known(tmp_path_factory.mktemp("known"))))


def test_counts(report: Report) -> None:
    """Faces are counted by split and class, pictures by split, broken ones in neither."""
    assert report.counts["train"] == {"with_mask": 3, "without_mask": 2}
    assert report.pictures == {"train": 5, "val": 4, "test": 2}
    assert len(report.unread) == 1


def test_copies(report: Report) -> None:
    """Copies are counted as pairs and as pictures."""
    assert (len(report.pairs), report.exact, report.in_groups) == (4, 2, 8)


def test_leakage(report: Report) -> None:
    """Leakage of a split is its pictures with a copy in train, and their share."""
    assert report.leakage == {"val": Leakage(2, 0.5, 1), "test": Leakage(1, 0.5, 0)}
    assert len(report.leaks) == 3


def test_conflicts(report: Report) -> None:
    """Copies with different labels contradict each other."""
    (pair,) = report.conflicts
    names = {report.records[index].path.name for index in (pair.first, pair.second)}
    assert names == {"3.png", "3.jpg"}


def test_sizes(report: Report) -> None:
    """The size of a crop is its longer side."""
    assert report.sizes_px == {0: 120, 10: 120, 50: 120, 90: 120, 100: 120}


def test_json_and_table(report: Report) -> None:
    """Both forms of the report have the findings."""
    content = json.loads(json.dumps(report.json()))
    assert content["leakage"]["val"] == {"pictures": 2, "share": 0.5, "exact": 1}
    assert len(content["conflicts"]) == 1
    table = report.table()
    assert "2 of 4 pictures of val (50.0%) have a copy in train" in table
    assert "contradicting labels: 1 pairs" in table


def test_sheet(report: Report) -> None:
    """The contact sheet has a row a class and the pairs that leak."""
    sheet = contact_sheet(report)
    assert sheet.shape == (3 * 24 + 2 * 96 + 198, 12 * 96, 3)


def test_boxes(tmp_path: Path) -> None:
    """The size of a box is the square root of its area; without copies nothing leaks."""
    Maker(tmp_path).voc()
    report = check_dataset(load_dataset(tmp_path))
    assert report.leakage == {"val": Leakage(0, 0, 0), "test": Leakage(0, 0, 0)}
    assert report.sizes_px[0] == pytest.approx(np.sqrt(30 * 36), abs=0.1)
    assert contact_sheet(report).shape[1] == 12 * 96


def test_copies_between(tmp_path: Path) -> None:
    """Copies between two lists of pictures are pairs of one and the other."""
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    write_image(first, drawn(1))
    write_image(second, np.asarray(cv2.resize(drawn(1), (90, 60)), np.uint8))
    write_image(tmp_path / "c.png", drawn(2))
    ((one, two, likeness),) = copies_between([first], [tmp_path / "c.png", second])
    assert (one, two) == (first, second)
    assert likeness > 0.94
