"""Box arithmetic against slow and obvious versions on random boxes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from maskwatch.boxes import areas, clip, iou, mapped, nms, squares
from maskwatch.types import Floats

seeds = pytest.mark.parametrize("seed", range(5), ids=lambda seed: f"seed{seed}")

Box = NDArray[np.float32]


def random_boxes(rng: np.random.Generator, count: int) -> Floats:
    """Boxes on whole pixels around and beyond a 40 x 40 picture, some of them empty."""
    corners = rng.integers(-5, 40, (count, 2))
    return np.hstack([corners, corners + rng.integers(0, 25, (count, 2))]).astype(np.float32)


def pixels(box: Box) -> set[tuple[int, int]]:
    """The pixels of a box on whole coordinates."""
    x0, y0, x1, y1 = (int(v) for v in box)
    return {(x, y) for x in range(x0, x1) for y in range(y0, y1)}


def slow_iou(a: Box, b: Box) -> float:
    """Pixels in both by pixels in either."""
    either = pixels(a) | pixels(b)
    return len(pixels(a) & pixels(b)) / len(either) if either else 0.0


def slow_nms(boxes: Floats, scores: Floats, max_iou: float) -> list[int]:
    """Take the best that is left, throw away what overlaps it too much, repeat."""
    left = sorted(range(len(boxes)), key=lambda i: -scores[i])
    kept = []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [i for i in left if slow_iou(boxes[best], boxes[i]) <= max_iou]
    return kept


@seeds
def test_areas(seed: int) -> None:
    """The area is the number of pixels."""
    boxes = random_boxes(np.random.default_rng(seed), 30)
    assert areas(boxes).tolist() == [len(pixels(box)) for box in boxes]


@pytest.mark.parametrize(
    "box",
    [
        pytest.param([10, 0, 0, 10], id="x"),
        pytest.param([0, 10, 10, 0], id="y"),
        pytest.param([10, 10, 0, 0], id="both"),
    ],
)
def test_inside_out(box: list[float]) -> None:
    """A box turned inside out has no area and overlaps nothing."""
    boxes = np.array([box], np.float32)
    assert areas(boxes).tolist() == [0]
    assert iou(boxes, np.array([[0, 0, 10, 10]], np.float32)).tolist() == [[0]]


@seeds
def test_iou(seed: int) -> None:
    """IoU is the share of common pixels, for every pair; empty boxes have 0."""
    rng = np.random.default_rng(seed)
    first, second = random_boxes(rng, 20), random_boxes(rng, 15)
    expected = [[slow_iou(a, b) for b in second] for a in first]
    assert iou(first, second) == pytest.approx(np.array(expected), abs=1e-6)


@pytest.mark.parametrize(("n", "m"), [(0, 3), (3, 0), (0, 0)])
def test_iou_of_none(n: int, m: int) -> None:
    """No boxes give an empty table of the right shape."""
    assert iou(np.zeros((n, 4), np.float32), np.zeros((m, 4), np.float32)).shape == (n, m)


@seeds
@pytest.mark.parametrize("max_iou", [0.0, 0.3, 0.7, 1.0])
def test_nms(seed: int, max_iou: float) -> None:
    """Suppression keeps what the slow version keeps, best first."""
    rng = np.random.default_rng(seed)
    boxes = random_boxes(rng, 60)
    scores = rng.permutation(60).astype(np.float32)
    assert nms(boxes, scores, max_iou).tolist() == slow_nms(boxes, scores, max_iou)


def test_nms_ties() -> None:
    """Of boxes as good as each other the first stays."""
    boxes = np.array([[0, 0, 10, 10]] * 3, np.float32)
    assert nms(boxes, np.full(3, 0.5, np.float32), 0.5).tolist() == [0]


def test_nms_of_none() -> None:
    """No boxes give no indices, of a type that can index."""
    kept = nms(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), 0.5)
    assert kept.shape == (0,)
    assert kept.dtype == np.int64


@seeds
def test_clip(seed: int) -> None:
    """A cut box has the pixels of the box that lie in the picture."""
    boxes = random_boxes(np.random.default_rng(seed), 30)
    picture = pixels(np.array([0, 0, 30, 20], np.float32))
    for box, cut in zip(boxes, clip(boxes, 30, 20), strict=True):
        assert pixels(cut) == pixels(box) & picture
        assert ((cut >= 0) & (cut <= [30, 20, 30, 20])).all()


@seeds
@pytest.mark.parametrize("scale", [0.5, 1.0, 1.3])
def test_squares(seed: int, scale: float) -> None:
    """A square has the box's centre and `scale` times its longer side."""
    for box in random_boxes(np.random.default_rng(seed), 20):
        x0, y0, x1, y1 = (float(v) for v in box)
        side = max(x1 - x0, y1 - y0) * scale
        left, top = (x0 + x1) / 2 - side / 2, (y0 + y1) / 2 - side / 2
        expected = [left, top, left + side, top + side]
        assert squares(box[None], scale)[0] == pytest.approx(expected, abs=1e-4)


def test_squares_of_none() -> None:
    """No boxes give no squares."""
    assert squares(np.zeros((0, 4), np.float32), 1.3).shape == (0, 4)


@seeds
def test_mapped(seed: int) -> None:
    """The bounds of a turned, scaled and moved ellipse, told by points on its edge."""
    rng = np.random.default_rng(seed)
    boxes, matrix = random_boxes(rng, 20), rng.normal(0, 3, (2, 3))
    angles = np.linspace(0, 2 * np.pi, 4001)
    for box, found in zip(boxes, mapped(boxes, matrix), strict=True):
        centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
        edge = centre + half * np.column_stack([np.cos(angles), np.sin(angles)])
        points = edge @ matrix[:, :2].T + matrix[:, 2]
        assert found == pytest.approx(np.hstack([points.min(axis=0), points.max(axis=0)]), abs=1e-2)
