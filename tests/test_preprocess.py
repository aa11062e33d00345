"""The classifier's crop against a slow and obvious version."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from maskwatch.preprocess import (
    CROP_SCALE,
    PADDING,
    as_box,
    crop_square,
    face_crops,
    shrunk_and_padded,
)
from maskwatch.types import Floats, Image

HEIGHT, WIDTH = 37, 53


def picture() -> Image:
    """Noise, so that no two places look the same."""
    return np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def slow_crop(image: Image, x0: int, y0: int, side: int) -> Image:
    """Pixel by pixel, the nearest of the picture where there is none."""
    height, width = image.shape[:2]
    crop = np.empty((side, side, 3), np.uint8)
    for y in range(side):
        for x in range(side):
            row = min(max(y0 + y, 0), height - 1)
            column = min(max(x0 + x, 0), width - 1)
            crop[y, x] = image[row, column]
    return crop


def square(x0: float, y0: float, side: float) -> Floats:
    return np.array([x0, y0, x0 + side, y0 + side], np.float32)


PLACES = {
    "inside": (10, 8, 20),
    "whole-height": (5, 0, HEIGHT),
    "left": (-7, 8, 20),
    "right": (WIDTH - 9, 8, 20),
    "above": (10, -6, 20),
    "below": (10, HEIGHT - 4, 20),
    "top-left": (-5, -9, 20),
    "bottom-right": (WIDTH - 3, HEIGHT - 8, 20),
    "all-sides": (-20, -30, 100),
    "touching-left": (-20, 5, 20),
    "touching-right": (WIDTH, 5, 20),
    "touching-top": (5, -20, 20),
    "touching-bottom": (5, HEIGHT, 20),
    "far-left": (-500, 5, 20),
    "far-right": (500, 5, 20),
    "far-above": (5, -500, 20),
    "far-below": (5, 500, 20),
    "far-corner": (900, 900, 20),
    "far-corner-above": (-900, -900, 20),
    "one-pixel": (12, 9, 1),
    "one-pixel-outside": (-4, HEIGHT + 3, 1),
    "ten-times-the-picture": (-250, -240, 530),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_places(place: tuple[int, int, int]) -> None:
    """At its own size a crop is the picture, with its edge repeated wherever the picture ends."""
    x0, y0, side = place
    crop = crop_square(picture(), square(x0, y0, side), side)
    assert crop.dtype == np.uint8
    assert (crop == slow_crop(picture(), x0, y0, side)).all()


@pytest.mark.parametrize("seed", range(4), ids=lambda seed: f"seed{seed}")
def test_random_places(seed: int) -> None:
    """Squares anywhere, also at fractions of pixels, are cut at the nearest whole pixel."""
    rng = np.random.default_rng(seed)
    for _ in range(25):
        x0, y0 = (float(v) for v in rng.uniform(-60, 80, 2))
        side = int(rng.integers(1, 50))
        left, top = int(np.floor(np.float32(x0) + 0.5)), int(np.floor(np.float32(y0) + 0.5))
        crop = crop_square(picture(), square(x0, y0, side), side)
        assert (crop == slow_crop(picture(), left, top, side)).all()


@pytest.mark.parametrize(
    ("side", "size_px", "how"),
    [
        pytest.param(30, 10, cv2.INTER_AREA, id="smaller"),
        pytest.param(10, 30, cv2.INTER_LINEAR, id="larger"),
    ],
)
def test_resizing(side: int, size_px: int, how: int) -> None:
    """A crop is averaged down or interpolated up to the size asked for."""
    crop = crop_square(picture(), square(-3, 12, side), size_px)
    whole = slow_crop(picture(), -3, 12, side)
    assert (crop == cv2.resize(whole, (size_px, size_px), interpolation=how)).all()


def test_empty_square() -> None:
    """A square without a size is taken as one pixel."""
    crop = crop_square(picture(), square(12, 9, 0), 4)
    assert (crop == picture()[9, 12]).all()


def test_picture_is_left_alone() -> None:
    """A crop is a copy: writing to it leaves the picture as it was."""
    image = picture()
    crop = crop_square(image, square(10, 8, 20), 20)
    crop[:] = 0
    assert (image == picture()).all()


def test_tiny_picture() -> None:
    """A picture of one pixel gives crops of its colour."""
    image = np.full((1, 1, 3), (1, 2, 3), np.uint8)
    crops = face_crops(image, np.array([[0, 0, 1, 1], [-50, 3, 70, 90]], np.float32), 8)
    assert (crops == (1, 2, 3)).all()


def test_face_crops() -> None:
    """Each face gets the square of 1.3 times its longer side around its centre."""
    # 20 x 10 around (25, 18): the square is 26 wide and starts at (12, 5).
    # 10 x 20 around (5, 20): the square is 26 wide and starts at (-8, 7).
    boxes = np.array([[15, 13, 35, 23], [0, 10, 10, 30]], np.float32)
    crops = face_crops(picture(), boxes, 26)
    assert CROP_SCALE == 1.3
    assert (crops[0] == slow_crop(picture(), 12, 5, 26)).all()
    assert (crops[1] == slow_crop(picture(), -8, 7, 26)).all()


def test_no_faces() -> None:
    """No faces give an empty batch of the right shape."""
    crops = face_crops(picture(), np.zeros((0, 4), np.float32), 16)
    assert crops.shape == (0, 16, 16, 3)
    assert crops.dtype == np.uint8


@pytest.mark.parametrize("side", [1, 2, 31, 64, 97, 128, 224, 1000])
def test_as_box_of_a_square(side: int) -> None:
    """For a square crop, `as_box` and `face_crops` together give the picture back."""
    image = np.random.default_rng(2).integers(0, 256, (side, side, 3), dtype=np.uint8)
    assert (face_crops(image, as_box(image), side)[0] == image).all()


@pytest.mark.parametrize(("height", "width"), [(40, 60), (60, 40)], ids=["wide", "high"])
def test_as_box_of_an_oblong(height: int, width: int) -> None:
    """An oblong crop comes back whole in the middle, its edges repeated to a square."""
    image = np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)
    crop = face_crops(image, as_box(image), 60)[0]
    top, left = (60 - height) // 2, (60 - width) // 2
    assert (crop == slow_crop(image, -left, -top, 60)).all()
    assert (crop[top : top + height, left : left + width] == image).all()


def test_as_box_at_another_scale() -> None:
    """The scale given to both is the same."""
    image = picture()[:, :HEIGHT]
    assert (face_crops(image, as_box(image, 1.7), HEIGHT, 1.7)[0] == image).all()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((480, 640), (480, 640)),
        ((533, 800), (448, 640)),
        ((100, 50), (640, 320)),
        ((1, 1000), (32, 640)),
        ((7, 7), (640, 640)),
    ],
    ids=["as it is", "shrunk", "grown", "thin", "tiny"],
)
def test_whole_pictures(size: tuple[int, int], expected: tuple[int, int]) -> None:
    """A picture is scaled to the longer side and filled up with grey to multiples, at the end."""
    picture = np.full((*size, 3), 200, np.uint8)
    seen, scale = shrunk_and_padded(picture, 640, 32)
    assert seen.shape == (*expected, 3)
    height, width = (
        round(float(side * each)) for side, each in zip(size, scale[::-1], strict=True)
    )
    assert max(height, width) == 640
    assert (seen[:height, :width] == 200).all()
    assert (seen[height:] == PADDING).all()
    assert (seen[:, width:] == PADDING).all()
