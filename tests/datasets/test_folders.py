"""Rules of pictures sorted into a folder a class."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskwatch.datasets.folders import read_folders
from maskwatch.errors import DatasetError
from maskwatch.types import MaskState


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_classes(tmp_path: Path) -> None:
    """Pictures come by class in the classes' order, sorted within each, also from subfolders."""
    files = ["with_mask/b.jpg", "with_mask/a.PNG", "with_mask/deep/er/c.webp"]
    touch(*(tmp_path / name for name in [*files, "incorrect_mask/x.jpeg", "without_mask/y.bmp"]))
    listed = read_folders(tmp_path)
    assert [(path.relative_to(tmp_path).as_posix(), state) for path, state in listed] == [
        ("with_mask/a.PNG", MaskState.WITH_MASK),
        ("with_mask/b.jpg", MaskState.WITH_MASK),
        ("with_mask/deep/er/c.webp", MaskState.WITH_MASK),
        ("without_mask/y.bmp", MaskState.WITHOUT_MASK),
        ("incorrect_mask/x.jpeg", MaskState.INCORRECT_MASK),
    ]


def test_other_files(tmp_path: Path) -> None:
    """Files that are no pictures and folders that are no classes are passed over."""
    names = ["with_mask/notes.txt", "with_mask/.DS_Store", "other/a.jpg", "unknown/a.jpg", "a.jpg"]
    touch(*(tmp_path / name for name in names))
    assert list(read_folders(tmp_path)) == []


def test_two_classes_are_enough(tmp_path: Path) -> None:
    """A set without one of the classes is read as it is."""
    touch(tmp_path / "with_mask" / "a.jpg", tmp_path / "without_mask" / "a.jpg")
    assert [state for _, state in read_folders(tmp_path)] == ["with_mask", "without_mask"]


@pytest.mark.parametrize("exists", [True, False], ids=["empty", "missing"])
def test_no_classes(tmp_path: Path, exists: bool) -> None:
    """A folder without any class is refused with the names that were expected."""
    folder = tmp_path if exists else tmp_path / "none"
    expected = "with_mask, without_mask, incorrect_mask"
    with pytest.raises(DatasetError, match=f"no class folders in .*Expected some of: {expected}"):
        list(read_folders(folder))


def test_folder_named_as_a_picture(tmp_path: Path) -> None:
    """A folder whose name ends like a picture's is none."""
    touch(tmp_path / "with_mask" / "holiday.jpg" / "a.png")
    assert [path.name for path, _ in read_folders(tmp_path)] == ["a.png"]
