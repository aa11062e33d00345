"""How MTCNN cuts its candidates out of a picture."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from maskwatch.detectors.mtcnn.crops import OUTSIDE, cut


def slow_cut(image: Any, box: Any, side: int) -> Any:
    """One crop, pixel by pixel."""
    height, width = image.shape[:2]
    out = np.full((side, side, 3), OUTSIDE)
    for row in range(side):
        for column in range(side):
            x = (box[0] + column * (box[2] - box[0]) / (side - 1)) * (width - 1) / width
            y = (box[1] + row * (box[3] - box[1]) / (side - 1)) * (height - 1) / height
            if not (0 <= x <= width - 1 and 0 <= y <= height - 1):
                continue
            left, top = math.floor(x), math.floor(y)
            right, bottom = math.ceil(x), math.ceil(y)
            a, b = x - left, y - top
            upper = image[top, left] * (1 - a) + image[top, right] * a
            lower = image[bottom, left] * (1 - a) + image[bottom, right] * a
            out[row, column] = upper * (1 - b) + lower * b
    return out


BOXES = [
    pytest.param([10, 8, 34, 32], id="inside"),
    pytest.param([3.3, 4.7, 7.1, 8.5], id="small"),
    pytest.param([-9.4, 5.2, 20.6, 35.2], id="over-the-left"),
    pytest.param([30.1, 20.2, 80.1, 70.2], id="over-a-corner"),
    pytest.param([-50, -60, 200, 190], id="around-the-picture"),
    pytest.param([100, 100, 120, 120], id="outside"),
    pytest.param([5, 9, 40, 19], id="no-square"),
    pytest.param([7, 7, 7, 7], id="a-point"),
]


@pytest.fixture(scope="module")
def image() -> Any:
    return np.random.default_rng(0).integers(0, 256, (41, 53, 3)).astype(np.uint8)


@pytest.mark.parametrize("side", [24, 48])
@pytest.mark.parametrize("box", BOXES)
def test_cut(image: Any, box: list[float], side: int) -> None:
    """A crop has, at each of its pixels, what lies there between four pixels of the picture."""
    (crop,) = cut(image, np.array([box], np.float32), side)
    assert crop.shape == (side, side, 3)
    assert crop.dtype == np.float32
    assert crop == pytest.approx(slow_cut(image.astype(float), box, side), abs=0.02)


def test_all_at_once(image: Any) -> None:
    """Many crops in one call are what each is alone."""
    boxes = np.array([param.values[0] for param in BOXES], np.float32)
    together = cut(image, boxes, 24)
    for box, crop in zip(boxes, together, strict=True):
        assert crop.tolist() == cut(image, box[None], 24)[0].tolist()


def test_part_of_a_picture() -> None:
    """A picture that is a view of another one is cut as its copy is."""
    whole = np.random.default_rng(1).integers(0, 256, (60, 60, 3)).astype(np.uint8)
    box = np.array([[2, 3, 19, 20]], np.float32)
    part = whole[5:40, 7:45, ::-1]
    assert cut(part, box, 24).tolist() == cut(part.copy(), box, 24).tolist()


def test_one_pixel() -> None:
    """A picture of one pixel is that pixel where the box covers it, and grey elsewhere."""
    image = np.full((1, 1, 3), 200, np.uint8)
    assert cut(image, np.array([[0, 0, 1, 1]], np.float32), 24).tolist() == [
        [[[200] * 3] * 24] * 24
    ]


def test_no_boxes(image: Any) -> None:
    """No boxes give no crops."""
    assert cut(image, np.zeros((0, 4), np.float32), 24).shape == (0, 24, 24, 3)
