"""The picture at several sizes, and the P-Net's windows on them."""

from __future__ import annotations

import cv2
import numpy as np

from maskwatch.types import Floats, Image

WINDOW_PX = 12
"""Side of the window that the P-Net judges."""

STRIDE_PX = 2
"""From one window to the next."""

FACTOR = 0.709
"""From one size of the picture to the next: half of the area, rounded as in the paper's code."""

MAX_SIDE_PX = 2048
"""Longest side of the largest size, so that a huge photo does not fill the memory."""


def scales(height_px: int, width_px: int, min_face_px: float) -> list[float]:
    """Scales at which a picture is looked at, largest first.

    The first brings faces of `min_face_px` to the window; the last keeps the shorter side of the
    picture from falling below it.

    Args:
        height_px: Of the picture.
        width_px: Of the picture.
        min_face_px: Side of the smallest faces that are looked for.
    """
    scale = min(WINDOW_PX / min_face_px, MAX_SIDE_PX / max(height_px, width_px))
    found = []
    while int(min(height_px, width_px) * scale) >= WINDOW_PX:
        found.append(scale)
        scale *= FACTOR
    return found


def shrunk(picture: Floats | Image, scale: float) -> Floats:
    """The picture at a scale, every pixel the mean of the area it covers; sides rounded down."""
    height, width = picture.shape[:2]
    size = int(width * scale), int(height * scale)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.float32)


def windows(
    scores: Floats, offsets: Floats, scale: float, min_score: float
) -> tuple[Floats, Floats]:
    """Boxes and scores of the windows that look like a face, `(N, 4)` and `(N,)`.

    Args:
        scores: `(h, w)`, of the P-Net on the picture at `scale`.
        offsets: `(h, w, 4)`, of the four sides as shares of the window's.
        scale: As above; boxes are in pixels of the picture itself.
        min_score: What a window must exceed.
    """
    rows, columns = np.nonzero(scores > min_score)
    starts = np.stack([columns, rows], axis=1) * STRIDE_PX
    # Pixels were counted from 1 in the paper's code, first and last ones: 11 px apart.
    sides = np.hstack([starts + 1, starts + WINDOW_PX])
    boxes = (sides + offsets[rows, columns] * (WINDOW_PX - 1)) / scale
    return boxes.astype(np.float32), scores[rows, columns]
