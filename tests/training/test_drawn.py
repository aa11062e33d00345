"""Rules of training faces whose masks are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from maskwatch.images import write_image
from maskwatch.training.drawn import draw_on_crops, draw_on_photos
from maskwatch.training.samples import STORED_PX
from maskwatch.types import CLASSES, Faces, Image, MaskState
from portraits import Portrait


class Known:
    """A detector that has been told where the face is."""

    name = "known"
    min_score = 0.5
    tells_states = False

    def __init__(self, portrait: Portrait) -> None:
        self._faces = Faces(
            portrait.box, np.ones(1, np.float32), landmarks=portrait.landmarks[None]
        )

    def __call__(self, images: Sequence[Image]) -> list[Faces]:
        return [self._faces for _ in images]


@pytest.fixture
def photo(hopper: Portrait, tmp_path: Path) -> Path:
    path = tmp_path / "hopper.png"
    write_image(path, hopper.image)
    return path


def test_photos(hopper: Portrait, photo: Path) -> None:
    """Each photo gives crops with a mask on, labelled by how it is worn, marked as drawn."""
    made = draw_on_photos([(photo, hopper.box)] * 12, Known(hopper), 24, seed=1)
    assert made.crops.shape[1:] == (STORED_PX, STORED_PX, 3)
    assert made.drawn.all()
    assert not made.boxed.any()
    labels = set(made.labels.tolist())
    assert labels == {CLASSES.index(MaskState.WITH_MASK), CLASSES.index(MaskState.INCORRECT_MASK)}


def test_seed(hopper: Portrait, photo: Path) -> None:
    """The same seed draws the same masks, another one others."""
    first, again, other = (
        draw_on_photos([(photo, hopper.box)] * 2, Known(hopper), 24, seed=seed).crops
        for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_small_and_unfound_faces(hopper: Portrait, photo: Path) -> None:
    """Faces too small, and those that the detector does not find where the label is, are left."""
    assert len(draw_on_photos([(photo, hopper.box)], Known(hopper), 9999, seed=1)) == 0
    beside = hopper.box + np.float32(2 * np.ptp(hopper.box))
    assert len(draw_on_photos([(photo, beside)], Known(hopper), 24, seed=1)) == 0


def test_crops(hopper: Portrait, tmp_path: Path) -> None:
    """On ready-made crops masks are worn well or under the nose; chins are outside them."""
    path = tmp_path / "crop.png"
    x0, y0, x1, y1 = hopper.box[0].astype(int)
    write_image(path, np.ascontiguousarray(hopper.image[y0:y1, x0:x1]))
    moved = hopper.landmarks - hopper.box[0, :2]
    whole = np.array([[0, 0, x1 - x0, y1 - y0]], np.float32)
    inside = Portrait(hopper.image, whole, moved.astype(np.float32))
    made = draw_on_crops([path] * 6, Known(inside), seed=1)
    assert len(made) == 6
    assert made.drawn.all()
