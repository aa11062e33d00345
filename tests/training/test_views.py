"""Rules of the views of faces."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from maskwatch.preprocess import face_crops
from maskwatch.training.recipes import Shifts
from maskwatch.training.views import Views, shift_matrix, shifted
from portraits import Portrait


@pytest.mark.parametrize(
    ("shifts", "largest"),
    [
        pytest.param(Shifts(rotation_deg=20), {"turn": 20}, id="rotation"),
        pytest.param(Shifts(zoom=0.15), {"zoom": 0.15}, id="zoom"),
        pytest.param(Shifts(shift=0.2), {"shift": 0.2}, id="shift"),
        pytest.param(Shifts(shear_deg=5), {"shear": 5}, id="shear"),
        pytest.param(Shifts(), {}, id="nothing"),
    ],
)
def test_ranges(shifts: Shifts, largest: dict[str, float]) -> None:
    """Each kind reaches as far as it says and no farther, the others stay away."""
    rng = np.random.default_rng(0)
    found = {"turn": 0.0, "zoom": 0.0, "shift": 0.0, "shear": 0.0}
    centre = np.array([49.5, 49.5, 1.0])
    for _ in range(300):
        matrix = shift_matrix(shifts, 100, rng)
        (a, b), (c, d) = matrix[:, :2]
        found["turn"] = max(found["turn"], abs(np.rad2deg(np.arctan2(c, a))))
        found["zoom"] = max(found["zoom"], abs(np.hypot(a, c) - 1))
        away = np.abs(matrix @ centre - centre[:2]).max() / 100
        found["shift"] = max(found["shift"], away)
        angle = np.arctan2(a * d - b * c, a * b + c * d)
        found["shear"] = max(found["shear"], abs(90 - np.rad2deg(angle)))
    for kind, value in found.items():
        limit = largest.get(kind, 0.0)
        assert value <= limit + 1e-6, kind
        assert value >= 0.9 * limit, kind


def test_flip() -> None:
    """Half of the views are the mirror image, pixel by pixel, the others the picture."""
    image = np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    rng = np.random.default_rng(0)
    mirrored = 0
    for _ in range(100):
        view = shifted(image, Shifts(flip=True), rng)
        if (view == image[:, ::-1]).all():
            mirrored += 1
        else:
            assert (view == image).all()
    assert 35 <= mirrored <= 65


def test_zoom_out_repeats_the_edge() -> None:
    """What lies outside the picture is its edge repeated."""
    image = np.zeros((40, 40, 3), np.uint8)
    image[:, :20] = 200
    rng = np.random.default_rng(3)
    for _ in range(20):
        view = shifted(image, Shifts(shift=0.4), rng)
        assert set(np.unique(view[:, 0])) <= set(range(201))
        assert {int(view[20, 0, 0]), int(view[20, -1, 0])} <= {0, 200}


@pytest.mark.parametrize("augmentation", [None, "strong", Shifts(rotation_deg=9)])
def test_views(hopper: Portrait, augmentation: Shifts | str | None) -> None:
    """Views have the size asked for and depend on the generator alone."""
    views = Views(48, augmentation)
    (stored,) = views.cut(hopper.image, hopper.box)
    assert stored.shape == (views.stored_px, views.stored_px, 3)
    for side in (None, 32):
        one, same = (views.draw(stored, np.random.default_rng(5), side) for _ in range(2))
        assert one.shape == (side or 48, side or 48, 3)
        assert one.dtype == np.uint8
        assert (one == same).all()
    other = views.draw(stored, np.random.default_rng(6))
    again = views.draw(stored, np.random.default_rng(5))
    assert (other == again).all() == (augmentation is None)


def test_without_augmentation(hopper: Portrait) -> None:
    """Without augmentation a view is what serving sees."""
    views = Views(64)
    (stored,) = views.cut(hopper.image, hopper.box)
    assert (stored == face_crops(hopper.image, hopper.box, 64)[0]).all()
    assert (views.draw(stored, np.random.default_rng(0)) == stored).all()


def test_strong_keeps_a_margin(hopper: Portrait) -> None:
    """Crops for strong augmentation show, around what serving sees, a quarter more."""
    wide = Views(64, "strong").cut(hopper.image, hopper.box)[0]
    assert wide.shape[0] == 80
    inner = cv2.resize(wide[8:72, 8:72], (64, 64))
    assert np.abs(inner.astype(int) - face_crops(hopper.image, hopper.box, 64)[0]).mean() < 6
