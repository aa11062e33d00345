"""MTCNN's pyramid: the sizes of a picture and the windows on them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from maskwatch.detectors.mtcnn.pyramid import FACTOR, MAX_SIDE_PX, scales, shrunk, windows


@pytest.mark.parametrize("size_hw", [(480, 640), (640, 480), (20, 900), (333, 777)], ids=str)
@pytest.mark.parametrize("min_face_px", [12, 20, 37.5])
def test_scales(size_hw: tuple[int, int], min_face_px: float) -> None:
    """From the smallest face at 12 px, step by step, as long as 12 px of the picture are left."""
    found = scales(*size_hw, min_face_px)
    expected, scale = [], 12 / min_face_px
    while math.floor(min(size_hw) * scale) >= 12:
        expected.append(scale)
        scale *= 0.709
    assert found == pytest.approx(expected)
    assert (len(found) > 0) == (min(size_hw) >= min_face_px)


def test_stock_scales() -> None:
    """For 600 x 800 and 20 px these are the ten scales of the package `mtcnn`."""
    assert scales(600, 800, 20) == pytest.approx([0.6 * 0.709**level for level in range(10)])


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 4000), (4000, 19), (19, 19)], ids=str)
def test_too_small(size_hw: tuple[int, int]) -> None:
    """A picture without room for a face is not looked at."""
    assert scales(*size_hw, 20) == []


def test_huge_picture() -> None:
    """A huge picture begins at a size that fits the memory, and the steps are the same."""
    found = scales(6000, 8000, 20)
    assert 8000 * found[0] == pytest.approx(MAX_SIDE_PX)
    assert np.divide(found[1:], found[:-1]) == pytest.approx(np.full(len(found) - 1, FACTOR))


def slow_shrunk(picture: Any, scale: float) -> Any:
    """Pixel by pixel the mean of what it covers, border pixels by the share covered."""
    height, width = picture.shape[:2]
    rows, columns = int(height * scale), int(width * scale)
    out = np.zeros((rows, columns, 3))
    for row in range(rows):
        for column in range(columns):
            top, bottom = row * height / rows, (row + 1) * height / rows
            left, right = column * width / columns, (column + 1) * width / columns
            total = 0.0
            for y in range(int(top), min(math.ceil(bottom), height)):
                for x in range(int(left), min(math.ceil(right), width)):
                    tall = min(bottom, y + 1) - max(top, y)
                    wide = min(right, x + 1) - max(left, x)
                    out[row, column] += picture[y, x] * tall * wide
                    total += tall * wide
            out[row, column] /= total
    return out


@pytest.mark.parametrize("scale", [0.6, 0.4254, 0.3])
def test_shrunk(scale: float) -> None:
    """Every pixel of a smaller picture is the mean of the area that it covers."""
    picture = np.random.default_rng(0).uniform(0, 255, (43, 57, 3)).astype(np.float32)
    found = shrunk(picture, scale)
    assert found.dtype == np.float32
    assert found == pytest.approx(slow_shrunk(picture, scale), abs=1e-2)


def test_windows() -> None:
    """A cell over the limit is a window of pixels 1 to 12, moved by offsets, in the picture."""
    rng = np.random.default_rng(1)
    scores = rng.random((5, 7)).astype(np.float32)
    offsets = rng.normal(0, 0.2, (5, 7, 4)).astype(np.float32)
    expected, likely = [], []
    for row in range(5):
        for column in range(7):
            if scores[row, column] > 0.6:
                x, y = 2 * column, 2 * row
                window = np.array([x + 1, y + 1, x + 12, y + 12])
                expected.append((window + 11 * offsets[row, column]) / 0.3)
                likely.append(scores[row, column])
    boxes, found = windows(scores, offsets, 0.3, 0.6)
    assert len(expected) > 5
    assert boxes.dtype == np.float32
    assert boxes == pytest.approx(np.array(expected), abs=1e-4)
    assert found.tolist() == likely


def test_windows_at_the_limit() -> None:
    """A window has to exceed the limit; where none does there are no boxes."""
    boxes, scores = windows(
        np.full((2, 2), 0.5, np.float32), np.zeros((2, 2, 4), np.float32), 1, 0.5
    )
    assert boxes.shape == (0, 4)
    assert scores.shape == (0,)
