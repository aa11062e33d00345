"""What of a face training sees: crops as serving cuts them, turned and shifted at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from maskwatch.preprocess import CROP_SCALE, face_crops
from maskwatch.training.augment import STORED_MARGIN, augment
from maskwatch.training.recipes import Shifts
from maskwatch.types import Floats, Image


@dataclass(frozen=True, slots=True)
class Views:
    """Crops kept of faces, and random views of them.

    Attributes:
        size_px: Side of a view.
        augmentation: As in a recipe.
    """

    size_px: int
    augmentation: Shifts | str | None = None

    @property
    def stored_px(self) -> int:
        """Side of the crops that are kept; `strong` keeps a margin around what serving sees."""
        strong = self.augmentation == "strong"
        return round(self.size_px * STORED_MARGIN) if strong else self.size_px

    def cut(self, image: Image, boxes: Floats) -> Image:
        """The crops to keep, `(N, stored_px, stored_px, 3)`."""
        margin = STORED_MARGIN if self.augmentation == "strong" else 1.0
        return face_crops(image, boxes, self.stored_px, CROP_SCALE * margin)

    def draw(self, stored: Image, rng: np.random.Generator, size_px: int | None = None) -> Image:
        """A random view of a kept crop, `(size_px, size_px, 3)`; by default of `self.size_px`."""
        side = size_px or self.size_px
        if self.augmentation == "strong":
            return augment(stored, side, rng)
        view = stored
        if isinstance(self.augmentation, Shifts):
            view = shifted(stored, self.augmentation, rng)
        if side != view.shape[0]:
            view = _uint8(cv2.resize(view, (side, side), interpolation=cv2.INTER_AREA))
        return view


def shifted(image: Image, shifts: Shifts, rng: np.random.Generator) -> Image:
    """Turn, shift, shear, zoom and mirror in one step, as `ImageDataGenerator` composes them.

    Args:
        image: `(S, S, 3)`.
        shifts: How far at most.
        rng: Source of chance.
    """
    side = image.shape[0]
    matrix = shift_matrix(shifts, side, rng)
    # The matrix says where each pixel of the result comes from.
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    edge = cv2.BORDER_REPLICATE
    return _uint8(cv2.warpAffine(image, matrix, (side, side), flags=flags, borderMode=edge))


def shift_matrix(shifts: Shifts, side: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """From a place in the result to its place in the picture, `(2, 3)`, x before y."""
    turn = np.deg2rad(rng.uniform(-shifts.rotation_deg, shifts.rotation_deg))
    moved = rng.uniform(-shifts.shift, shifts.shift, 2) * side
    shear = np.deg2rad(rng.uniform(-shifts.shear_deg, shifts.shear_deg))
    zoom = rng.uniform(1 - shifts.zoom, 1 + shifts.zoom, 2)
    mirror = -1.0 if shifts.flip and rng.random() < 0.5 else 1.0
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    sheared = np.array([[1.0, -np.sin(shear)], [0.0, np.cos(shear)]])
    linear = turned @ sheared @ np.diag(zoom * [mirror, 1.0])
    centre = np.full(2, (side - 1) / 2)
    offset = centre + turned @ moved - linear @ centre
    return np.hstack([linear, offset[:, None]])


def _uint8(image: Any) -> Image:
    return np.asarray(image, dtype=np.uint8)
