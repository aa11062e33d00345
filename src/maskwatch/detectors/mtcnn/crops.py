"""Cut all candidates of a picture at once."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from maskwatch.types import Floats, Image

OUTSIDE = 127.5
"""What lies outside of the picture: the grey that is 0 to the networks."""


def cut(image: Image, boxes: Floats, side_px: int) -> Floats:
    """Crops of all boxes at one size, bilinear, `(N, side, side, 3)` float32 from 0 to 255.

    Rows and columns whose centre lies outside of the picture are grey. Corners are sampled at the
    corners of the box, as TensorFlow's `crop_and_resize` does, with which the stock weights of the
    package `mtcnn` were used; a side of the picture is there one pixel short, and here too.

    Args:
        image: BGR picture.
        boxes: `(N, 4)` in pixels of the picture, also outside of it.
        side_px: Side of the crops.
    """
    height, width = image.shape[:2]
    left, right, share_x, out_x = _between(boxes[:, 0], boxes[:, 2], width, side_px)
    top, bottom, share_y, out_y = _between(boxes[:, 1], boxes[:, 3], height, side_px)
    # One number a pixel, so that one is fetched at once and not its three channels.
    pixels = cv2.cvtColor(image, cv2.COLOR_BGR2BGRA).view(np.uint32).reshape(-1)

    def row(y: NDArray[np.int64]) -> Floats:
        """Pixels of these rows, between columns, `(N, side, side, 4)`."""
        places = y[:, :, None] * width
        return _blend(
            _channels(pixels[places + left[:, None, :]]),
            _channels(pixels[places + right[:, None, :]]),
            share_x[:, None, :, None],
        )

    crops = _blend(row(top), row(bottom), share_y[:, :, None, None])[..., :3]
    crops[out_y[:, :, None] | out_x[:, None, :]] = OUTSIDE
    return np.ascontiguousarray(crops)


def _between(
    low: Floats, high: Floats, size_px: int, steps: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, NDArray[np.bool_]]:
    """Where the samples of one axis lie, each `(N, steps)`.

    Returns:
        The pixel before, the pixel after, the share of the latter, and whether it is outside.
    """
    shares = np.linspace(0, 1, steps, dtype=np.float32)
    places = low[:, None] + (high - low)[:, None] * shares
    places = places * ((size_px - 1) / size_px)
    outside = (places < 0) | (places > size_px - 1)
    places = np.clip(places, 0, size_px - 1)
    before = places.astype(np.int64)
    after = np.minimum(before + 1, size_px - 1)
    return before, after, (places - before).astype(np.float32), outside


def _channels(pixels: NDArray[np.uint32]) -> Image:
    return pixels[..., None].view(np.uint8)


def _blend(first: Floats | Image, second: Floats | Image, share: Floats) -> Floats:
    start = first.astype(np.float32)
    return np.asarray(start + (second - start) * share, np.float32)
