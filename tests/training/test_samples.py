"""Rules of the labelled crops that training reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from maskwatch.errors import DatasetError, UnreadableImageError
from maskwatch.images import write_image
from maskwatch.training.augment import plain_view
from maskwatch.training.samples import (
    STORED_PX,
    Samples,
    from_crops_of_one_state,
    from_folders,
    from_photos,
)
from maskwatch.types import CLASSES, Floats, Image, MaskState
from portraits import Portrait


def picture(side: int, shade: int) -> Image:
    return np.full((side, side, 3), shade, np.uint8)


def photos(folder: Path, image: Image, objects: list[tuple[str, Floats]]) -> Path:
    """A set of one photo."""
    write_image(folder / "images" / "a.png", image)
    items = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{b[0]}</xmin><ymin>{b[1]}</ymin>"
        f"<xmax>{b[2]}</xmax><ymax>{b[3]}</ymax></bndbox></object>"
        for name, b in objects
    )
    (folder / "annotations").mkdir()
    (folder / "annotations" / "a.xml").write_text(f"<annotation>{items}</annotation>")
    (folder / "train.txt").write_text("a\n")
    return folder


def test_photos(tmp_path: Path, astronaut: Portrait) -> None:
    """Faces of photos become crops with label, size and origin; other boxes are left out."""
    box = astronaut.box[0]
    objects = [("without_mask", box), ("face", box), ("with_mask", box + 5)]
    samples = from_photos(photos(tmp_path, astronaut.image, objects), "train", 12)
    assert len(samples) == 2
    assert samples.crops.shape == (2, STORED_PX, STORED_PX, 3)
    assert samples.crops.dtype == np.uint8
    assert [CLASSES[i] for i in samples.labels] == ["without_mask", "with_mask"]
    side = float(np.sqrt((box[2] - box[0]) * (box[3] - box[1])))
    assert samples.sizes_px == pytest.approx([side, side])
    assert samples.boxed.tolist() == [True, True]


def test_small_faces_in_photos(tmp_path: Path, astronaut: Portrait) -> None:
    """Faces under the limit are left out, one just at it is kept."""
    sizes = [11.9, 12, 40]
    objects = [("with_mask", np.array([9, 9, 9 + s, 9 + s], np.float32)) for s in sizes]
    samples = from_photos(photos(tmp_path, astronaut.image, objects), "train", 12)
    assert samples.sizes_px == pytest.approx([12, 40])


def test_no_faces_in_photos(tmp_path: Path, astronaut: Portrait) -> None:
    """A set without any face is empty, in the right shapes."""
    samples = from_photos(photos(tmp_path, astronaut.image, []), "train", 12)
    assert len(samples) == 0
    assert samples.crops.shape == (0, STORED_PX, STORED_PX, 3)


def test_folders(tmp_path: Path) -> None:
    """Ready-made crops are labelled by their folder; their size is their longer side."""
    write_image(tmp_path / "with_mask" / "a.png", picture(50, 10))
    write_image(tmp_path / "incorrect_mask" / "b.png", picture(70, 20)[:, :60])
    samples = from_folders(tmp_path)
    assert [CLASSES[i] for i in samples.labels] == ["with_mask", "incorrect_mask"]
    assert samples.sizes_px.tolist() == [50, 70]
    assert samples.boxed.tolist() == [False, False]


def test_crops_are_shown_whole(tmp_path: Path, hopper: Portrait) -> None:
    """What serving sees of a ready-made crop is the whole crop."""
    crop = hopper.image[100:356, 150:406]
    write_image(tmp_path / "with_mask" / "a.png", crop)
    samples = from_folders(tmp_path)
    halved = crop.reshape(128, 2, 128, 2, 3).mean(axis=(1, 3))
    view = plain_view(samples.crops[0], 128)
    assert np.abs(view - halved).mean() < 3


def test_one_state(tmp_path: Path) -> None:
    """A folder of one state is read with its subfolders; other files are passed over."""
    write_image(tmp_path / "b" / "x.png", picture(30, 2))
    write_image(tmp_path / "a.jpg", picture(20, 1))
    (tmp_path / "README.md").write_text("not a picture")
    (tmp_path / "folder.v2").mkdir()
    samples = from_crops_of_one_state(tmp_path, MaskState.WITHOUT_MASK)
    assert samples.labels.tolist() == [1, 1]
    assert samples.sizes_px.tolist() == [20, 30]


def test_damaged_picture(tmp_path: Path) -> None:
    """A damaged picture is an error that names it: training data does not shrink in silence."""
    (tmp_path / "with_mask").mkdir()
    (tmp_path / "with_mask" / "bad.jpg").write_bytes(b"\xff\xd8 no")
    with pytest.raises(UnreadableImageError, match=r"bad\.jpg"):
        from_folders(tmp_path)


def test_no_data(tmp_path: Path) -> None:
    """Folders that hold no data set are refused."""
    with pytest.raises(DatasetError):
        from_folders(tmp_path)
    with pytest.raises(DatasetError):
        from_photos(tmp_path, "train", 12)


def test_join(tmp_path: Path) -> None:
    """Joined sets keep their order and everything about each sample."""
    for index, name in enumerate(("one", "two")):
        write_image(tmp_path / name / "a.png", picture(20 + index, 100 * index))
    parts = [from_crops_of_one_state(tmp_path / "one", CLASSES[0])]
    parts.append(from_crops_of_one_state(tmp_path / "two", CLASSES[2]))
    joined = Samples.join(parts)
    assert len(joined) == 2
    assert joined.labels.tolist() == [0, 2]
    assert joined.sizes_px.tolist() == [20, 21]
    assert joined.crops[:, 0, 0, 0].tolist() == [0, 100]
    assert joined.boxed.tolist() == [False, False]
