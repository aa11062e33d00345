"""Pictures to network inputs. Training and serving both use this, and nothing else does it.

The crop of a face goes into the network as it is, uint8 BGR: channel order and scaling are the
first layer of every classifier (`maskwatch.training.backbones`), so that an exported file holds
them too. A one-pass detector sees the whole picture, scaled and filled up with grey, in that form.

A classifier sees the square of `CROP_SCALE` times the longer side of the face box, around its
centre, so that it sees the chin and what hangs below it. Where the square leaves the picture, the
picture's edge is repeated.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from maskwatch.boxes import areas, clip, squares
from maskwatch.types import Floats, Image

CROP_SCALE = 1.3
"""Side of the square crop as a multiple of the longer side of the face box."""

DETECTOR_LONG_SIDE_PX = 640
"""Longer side at which a one-pass detector sees a picture, unless it is asked to be faster."""

DETECTOR_MULTIPLE_PX = 32
"""Both sides of a one-pass detector's input are multiples of this, its largest stride."""

PADDING = 114
"""Grey value beside a picture, in a one-pass detector's input."""

MAX_SIDE = 4
"""A labelled box is impossible whose longer side is that of the picture this many times; a face
that the camera sees in part may be somewhat larger than the picture."""


def crop_square(image: Image, square: Floats, size_px: int) -> Image:
    """Cut a square region and resize it.

    Args:
        image: `(H, W, 3)` BGR.
        square: x0 y0 x1 y1 in pixels, as wide as high; may leave the picture.
        size_px: Side of the result.

    Returns:
        `(size_px, size_px, 3)` uint8 BGR.
    """
    height, width = image.shape[:2]
    x0, y0 = (int(v) for v in np.floor(square[:2] + 0.5))
    side = max(1, int(np.floor(square[2] - square[0] + 0.5)))
    x1, y1 = x0 + side, y0 + side
    # A square wholly outside still needs one row and column of picture to repeat.
    inside = image[
        min(max(y0, 0), height - 1) : max(min(y1, height), 1),
        min(max(x0, 0), width - 1) : max(min(x1, width), 1),
    ]
    left, top = min(max(-x0, 0), side - 1), min(max(-y0, 0), side - 1)
    right = max(side - left - inside.shape[1], 0)
    bottom = max(side - top - inside.shape[0], 0)
    if left or top or right or bottom:
        edges = (top, bottom, left, right)
        inside = np.asarray(cv2.copyMakeBorder(inside, *edges, cv2.BORDER_REPLICATE), np.uint8)
    how = cv2.INTER_AREA if side > size_px else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(inside, (size_px, size_px), interpolation=how), dtype=np.uint8)


def face_crops(image: Image, boxes: Floats, size_px: int, scale: float = CROP_SCALE) -> Image:
    """Cut the classifier's view of every face.

    Args:
        image: `(H, W, 3)` BGR.
        boxes: `(N, 4)` face boxes in pixels.
        size_px: Side of each crop.
        scale: Side of the square as a multiple of the longer side of its box.

    Returns:
        `(N, size_px, size_px, 3)` uint8 BGR.
    """
    crops = np.empty((len(boxes), size_px, size_px, 3), np.uint8)
    for index, square in enumerate(squares(boxes, scale)):
        crops[index] = crop_square(image, square, size_px)
    return crops


def possible_boxes(image: Image, boxes: Floats) -> NDArray[np.bool_]:
    """Whether each finite box shows something of the picture and is not absurdly large, `(N,)`."""
    height, width = image.shape[:2]
    longer = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    seen = areas(clip(boxes, width, height)) > 0
    return np.asarray(seen & (longer <= MAX_SIDE * max(height, width)), np.bool_)


def as_box(image: Image, scale: float = CROP_SCALE) -> Floats:
    """The box for which `face_crops` gives a ready-made face crop back whole, `(1, 4)`.

    For data sets of crops, where nobody has drawn the box inside.
    """
    height, width = image.shape[:2]
    centre = np.array([width, height, width, height], np.float32) / 2
    half = max(height, width) / scale / 2
    offsets = np.array([-half, -half, half, half], np.float32)
    return np.asarray((centre + offsets)[None], dtype=np.float32)


def shrunk_and_padded(image: Image, long_side_px: int, multiple_px: int) -> tuple[Image, Floats]:
    """What a one-pass detector sees of a picture: scaled, and filled up with grey.

    Args:
        image: `(H, W, 3)` uint8 BGR.
        long_side_px: Longer side that it is scaled to.
        multiple_px: Right and below grey is added until both sides are multiples of this.

    Returns:
        The input and how much each of x and y was scaled, `(2,)`.
    """
    height, width = image.shape[:2]
    scale = long_side_px / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size != (width, height):
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        image = np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)
    right, below = (-side % multiple_px for side in size)
    if right or below:
        padded = np.full((size[1] + below, size[0] + right, 3), PADDING, np.uint8)
        padded[: size[1], : size[0]] = image
        image = padded
    return image, np.array([size[0] / width, size[1] / height], np.float32)
