"""Rules of packs of photos."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from maskwatch.errors import ModelFileError
from maskwatch.training.onepass.pack import IGNORED, NO_STATE, Pack, Scene, scene
from maskwatch.types import Image

NO_BOXES = np.zeros((0, 4), np.float32)


def photo(height: int, width: int) -> Image:
    """A smooth picture, so that compression keeps it well."""
    ys, xs = np.mgrid[:height, :width]
    return np.stack([xs * 255 / width, ys * 255 / height, xs * 0 + 90], axis=-1).astype(np.uint8)


def made() -> Pack:
    """Two photos, one without faces."""
    boxes = np.array([[10, 20, 50, 80], [0, 0, 8, 8]], np.float32)
    return Pack(
        (
            scene(photo(90, 120), boxes, [2, IGNORED], "a"),
            scene(photo(64, 64), NO_BOXES, [], "b"),
        ),
        {"quality": 1},
    )


def test_kept_as_webp() -> None:
    """Pictures are WebP, by which the packed photos of the shipped training stay under 60 MB."""
    assert all(each.data[:4] + each.data[8:12] == b"RIFFWEBP" for each in made().scenes)


def test_saved_and_loaded(tmp_path: Path) -> None:
    """A pack that was saved comes back the same."""
    pack = made()
    pack.save(tmp_path / "new" / "pack.npz")
    again = Pack.load(tmp_path / "new" / "pack.npz")
    assert again.facts == {"quality": 1}
    assert list(again.sources) == ["a", "b"]
    for one, other in zip(pack.scenes, again.scenes, strict=True):
        assert one.data == other.data
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.states, other.states)
        assert other.boxes.shape[1] == 4


def test_large_photos_are_scaled() -> None:
    """Photo and boxes are scaled together, down to the longer side that is kept."""
    made = scene(photo(400, 1000), np.array([[100, 50, 300, 350]], np.float32), [0], "a")
    assert made.image().shape == (256, 640, 3)
    np.testing.assert_allclose(made.boxes, [[64, 32, 192, 224]])
    expected = cv2.resize(photo(400, 1000), (640, 256), interpolation=cv2.INTER_AREA)
    assert np.abs(made.image().astype(int) - expected).mean() < 3


def test_small_photos_are_kept() -> None:
    """A photo that is small enough keeps its size."""
    made = scene(photo(90, 120), np.array([[1, 2, 3, 4]], np.float32), [NO_STATE], "a")
    assert made.image().shape == (90, 120, 3)
    np.testing.assert_array_equal(made.boxes, [[1, 2, 3, 4]])


@pytest.mark.parametrize("content", [None, b"", b"no pack"], ids=["missing", "empty", "other"])
def test_unusable_files(tmp_path: Path, content: bytes | None) -> None:
    """A file that is no pack is refused by name."""
    path = tmp_path / "pack.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"pack\.npz"):
        Pack.load(path)


def test_damaged_picture() -> None:
    """A picture that cannot be decoded is an error that names its source."""
    broken = Scene(b"\xff\xd8", np.zeros((0, 4), np.float32), np.zeros(0, np.int64), "ilc")
    with pytest.raises(ModelFileError, match="ilc"):
        broken.image()
