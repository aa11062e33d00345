"""Rules of the damage done to training crops."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from maskwatch.preprocess import CROP_SCALE, face_crops
from maskwatch.training import augment as module
from maskwatch.training.augment import STORED_MARGIN, STRONG, Damage, augment, plain_view
from maskwatch.types import Image
from portraits import Portrait

DAMAGES = [damage for _, damage in STRONG]
every_damage = pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)


def stored(side: int = 160, seed: int = 0) -> Image:
    """A picture with detail of every size."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC).astype(int)
    return np.clip(picture + rng.integers(-20, 21, picture.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("side", "size_px"), [(160, 128), (160, 32), (64, 96), (40, 32)])
def test_shape(side: int, size_px: int) -> None:
    """Whatever the sides, an augmented view is uint8 of the size asked for."""
    picture = stored(side)
    for seed in range(30):
        view = augment(picture, size_px, np.random.default_rng(seed))
        assert view.shape == (size_px, size_px, 3)
        assert view.dtype == np.uint8
    assert (picture == stored(side)).all(), "the stored crop was changed"


def test_chance_is_the_generators() -> None:
    """The same seed gives the same view, another seed another one."""
    views = [augment(stored(), 64, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert (views[0] == views[1]).all()
    assert (views[0] != views[2]).any()


@every_damage
def test_damage(damage: Damage) -> None:
    """Each damage keeps shape and type, leaves its input alone, and follows its generator."""
    before = stored(64)
    results = []
    for seed in (0, 1, 2, 3, 4, 0):
        picture = before.copy()
        results.append(damage(picture, np.random.default_rng(seed)))
        assert results[-1].shape == before.shape
        assert results[-1].dtype == np.uint8
        assert (picture == before).all()
    assert (results[0] == results[-1]).all()
    assert any((result != before).any() for result in results)
    assert any((result != results[0]).any() for result in results)


def test_all_damages_are_used() -> None:
    """Without damages the view is clean; with a sure one it is always damaged."""

    def black(image: Image, _: np.random.Generator) -> Image:
        return np.zeros_like(image)

    assert augment(stored(), 32, np.random.default_rng(0), ((1.0, black),)).max() == 0
    assert augment(stored(), 32, np.random.default_rng(0), ((0.0, black),)).max() > 0
    clean = module.random_view(stored(), 32, np.random.default_rng(0))
    assert (augment(stored(), 32, np.random.default_rng(0), ()) == clean).all()


def test_views_keep_the_face() -> None:
    """Shifted, scaled and turned, the centre of a stored crop stays in the middle of the view."""
    picture = np.zeros((160, 160, 3), np.uint8)
    cv2.circle(picture, (80, 80), 12, (255, 255, 255), -1)
    for seed in range(60):
        view = module.random_view(picture, 128, np.random.default_rng(seed))
        rows, columns = np.nonzero(view[:, :, 0] > 128)
        assert abs(rows.mean() - 64) < 0.11 * 128
        assert abs(columns.mean() - 64) < 0.11 * 128


def test_views_are_mirrored_now_and_then() -> None:
    """About half of the views are mirrored, none stands on its head."""
    picture = np.zeros((160, 160, 3), np.uint8)
    picture[:80, :, 0] = 255  # blue above
    picture[:, :80, 2] = 255  # red on the left
    views = [module.random_view(picture, 64, np.random.default_rng(seed)) for seed in range(100)]
    assert all(view[8, 32, 0] > view[56, 32, 0] for view in views)
    mirrored = sum(bool(view[32, 8, 2] < view[32, 56, 2]) for view in views)
    assert 30 <= mirrored <= 70


def test_plain_view_is_what_serving_sees(portrait: Portrait) -> None:
    """The centre of a stored crop is, pixel for pixel, the crop that serving cuts."""
    # 128 / 1.3 wide: its square is 128 px and the stored one 160 px, so that nothing is resized.
    middle = portrait.box[0, :2] + (portrait.box[0, 2:] - portrait.box[0, :2]) / 2
    half = 128 / CROP_SCALE / 2
    box = np.concatenate([np.rint(middle) - half, np.rint(middle) + half])[None].astype(np.float32)
    (wide,) = face_crops(portrait.image, box, 160, CROP_SCALE * STORED_MARGIN)
    assert (plain_view(wide, 128) == face_crops(portrait.image, box, 128)[0]).all()


@pytest.mark.parametrize("size_px", [64, 128])
def test_plain_view_at_other_sizes(portrait: Portrait, size_px: int) -> None:
    """For a face of any size the view is framed as the crop of serving, to within 3%."""
    (wide,) = face_crops(portrait.image, portrait.box, 160, CROP_SCALE * STORED_MARGIN)
    view = plain_view(wide, size_px).astype(int)

    def difference(scale: float) -> float:
        (crop,) = face_crops(portrait.image, portrait.box, size_px, CROP_SCALE * scale)
        return float(np.abs(view - crop).mean())

    assert difference(1.0) < 0.5 * min(difference(0.97), difference(1.03))


def test_plain_view_of_a_picture() -> None:
    """The view leaves out an equal edge on all sides."""
    picture = np.zeros((160, 160, 3), np.uint8)
    picture[16:144, 16:144] = 255
    assert plain_view(picture, 128).min() == 255
    assert plain_view(picture, 32).min() == 255
