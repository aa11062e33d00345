"""Box arithmetic. A box is x0 y0 x1 y1 in pixels; a set of boxes is `(N, 4)` float32."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maskwatch.types import Floats


def areas(boxes: Floats) -> Floats:
    """Area of each box in square pixels, `(N,)`; 0 where a box is turned inside out."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1], dtype=np.float32)


def iou(first: Floats, second: Floats) -> Floats:
    """Intersection over union of every pair, `(N, M)` for `(N, 4)` and `(M, 4)`.

    Two empty boxes have IoU 0.
    """
    top_left = np.maximum(first[:, None, :2], second[None, :, :2])
    bottom_right = np.minimum(first[:, None, 2:], second[None, :, 2:])
    sides = np.maximum(bottom_right - top_left, 0)
    shared = sides[..., 0] * sides[..., 1]
    union = areas(first)[:, None] + areas(second)[None, :] - shared
    return np.asarray(shared / np.maximum(union, 1e-9), dtype=np.float32)


def nms(boxes: Floats, scores: Floats, max_iou: float) -> NDArray[np.int64]:
    """Greedy non-maximum suppression.

    Args:
        boxes: `(N, 4)`.
        scores: `(N,)`.
        max_iou: A box that overlaps a better one by more than this is dropped.

    Returns:
        Indices of the boxes kept, best score first.
    """
    order = np.argsort(-scores, kind="stable")
    overlap = iou(boxes, boxes)
    alive = np.ones(len(boxes), dtype=bool)
    kept: list[int] = []
    for index in order:
        if alive[index]:
            kept.append(int(index))
            alive &= overlap[index] <= max_iou
    return np.asarray(kept, dtype=np.int64)


def clip(boxes: Floats, width_px: int, height_px: int) -> Floats:
    """Boxes cut to the picture, `(N, 4)`."""
    limits = np.array([width_px, height_px, width_px, height_px], np.float32)
    return np.asarray(np.clip(boxes, 0, limits), dtype=np.float32)


def squares(boxes: Floats, scale: float) -> Floats:
    """Squares around the centres of boxes, `(N, 4)`.

    Args:
        boxes: `(N, 4)`.
        scale: Side of the square as a multiple of the longer side of the box.
    """
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) * (scale / 2)
    return np.asarray(np.hstack([centres - half, centres + half]), dtype=np.float32)


def mapped(boxes: Floats, matrix: NDArray[np.float64]) -> Floats:
    """Boxes `(N, 4)` after their picture is turned and scaled: each the bounds of its ellipse.

    A face fills the ellipse within its box rather than the corners, so that a turned face is not
    boxed larger than it is.

    Args:
        boxes: `(N, 4)`.
        matrix: `(2, 3)`, from old points to new ones, as of `cv2.warpAffine`.
    """
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 @ matrix[:, :2].T + matrix[:, 2]
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    reach = np.sqrt(half**2 @ (matrix[:, :2] ** 2).T)
    return np.asarray(np.hstack([centres - reach, centres + reach]), np.float32)
