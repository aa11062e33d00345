"""Rules of the views that the one-pass detector is trained on."""

from __future__ import annotations

import numpy as np
import pytest

from maskwatch.preprocess import PADDING
from maskwatch.training.onepass.pack import IGNORED, NO_STATE, Pack, Scene, scene
from maskwatch.training.onepass.recipe import OnePassRecipe
from maskwatch.training.onepass.views import (
    View,
    batches,
    scene_weights,
    target,
    view_of,
)
from maskwatch.types import Floats

INCORRECT = 2
RECIPE = OnePassRecipe(
    size_px=64,
    large_size_px=96,
    late_size_px=160,
    late_from=0.75,
    large_every=3,
    steps=6,
    batch=3,
    large_batch=2,
    late_batch=1,
    max_faces=5,
)


def painted(boxes: Floats, states: list[int], source: str = "a") -> Scene:
    """A dark photo with a bright box where each face is."""
    image = np.full((240, 320, 3), 20, np.uint8)
    for x0, y0, x1, y1 in boxes.astype(int):
        image[y0:y1, x0:x1] = 240
    return scene(image, boxes, states, source)


ONE = painted(np.array([[120, 80, 180, 150]], np.float32), [0])


@pytest.mark.parametrize("seed", range(12))
def test_boxes_follow_the_picture(seed: int) -> None:
    """A box lies where its face is seen, whatever scale, turn and mirroring."""
    view = view_of(ONE, 128, 1.0, np.random.default_rng(seed))
    bright = view.image.min(axis=2) > 130
    if not len(view.boxes) or view.states[0] == IGNORED:
        assert bright.mean() < 0.6
        return
    ys, xs = np.nonzero(bright)
    seen = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
    # A turned rectangle reaches beyond the box of its ellipse by up to a fifth of its longer side.
    side = (view.boxes[0, 2:] - view.boxes[0, :2]).max()
    assert np.abs(seen - view.boxes[0]).max() < 2 + 0.12 * side
    np.testing.assert_allclose(
        (seen[:2] + seen[2:]) / 2, view.boxes[0].reshape(2, 2).mean(0), atol=3
    )


def test_faces_fit() -> None:
    """A view around a face holds all of it, however large the face is in its photo."""
    large = painted(np.array([[20, 10, 300, 230]], np.float32), [1])
    whole = 0
    for seed in range(40):
        view = view_of(large, 64, 1.0, np.random.default_rng(seed))
        whole += bool(len(view.boxes)) and view.states[0] == 1
    assert whole >= 34  # some views look elsewhere on purpose


def test_large_views_show_the_photo() -> None:
    """A view as large as photos are served holds much of one, not a stamp within grey."""
    for seed in range(20):
        view = view_of(ONE, 640, 1.0, np.random.default_rng(seed))
        assert (view.image != PADDING).any(axis=2).mean() > 0.7**2 * 0.75 * 0.9


def test_cut_faces_are_ignored() -> None:
    """A face of which the view shows little is neither taught nor denied."""
    row = painted(
        np.array([[100 + 40 * i, 90, 140 + 40 * i, 140] for i in range(4)], np.float32), [0] * 4
    )
    states = []
    for seed in range(60):
        view = view_of(row, 64, 1.0, np.random.default_rng(seed))
        area = (view.boxes[:, 2] - view.boxes[:, 0]) * (view.boxes[:, 3] - view.boxes[:, 1])
        assert (area > 0).all()
        assert (view.boxes >= 0).all()
        assert (view.boxes <= 64).all()
        states += view.states.tolist()
    assert IGNORED in states


def test_batches_depend_on_the_step_alone() -> None:
    """The batch of a step is the same whenever it is made, and of the size of its part."""
    batch_at = batches(Pack((ONE, ONE)), RECIPE)
    first, again = batch_at(1), batch_at(1)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert first[0].shape == (3, 64, 64, 3)
    assert first[0].dtype == np.uint8
    assert first[1].shape == (3, 5, 6)
    assert batch_at(2)[0].shape == (2, 96, 96, 3)
    assert batch_at(4)[0].shape == (3, 64, 64, 3)
    assert batch_at(5)[0].shape == (1, 160, 160, 3)
    assert not np.array_equal(batch_at(0)[0], first[0])


def test_mosaic() -> None:
    """Of four photos side by side each brings its faces, in its own quarter."""
    recipe = OnePassRecipe(
        size_px=128, large_every=0, steps=1, batch=8, mosaic=1.0, rare_weight=1.0
    )
    images, targets = batches(Pack((ONE,)), recipe)(0)
    assert images.shape == (8, 128, 128, 3)
    real = targets[targets[..., 5] > 0]
    middles = (real[:, :2] + real[:, 2:4]) / 2
    quarters = {(bool(x > 64), bool(y > 64)) for x, y in middles}
    assert len(quarters) == 4
    sides = real[:, 2:4] - real[:, :2]
    assert (sides <= 64 + 1e-3).all()
    for low, high in zip(real[:, :2], real[:, 2:4], strict=True):
        assert (np.floor(low / 64) == np.floor((high - 1e-3) / 64)).all()


def test_targets() -> None:
    """Rows beyond the faces are marked as none; of too many faces the largest stay."""
    boxes = np.array([[0, 0, 4 + i, 4 + i] for i in range(7)], np.float32)
    view = View(np.zeros((64, 64, 3), np.uint8), boxes, np.arange(7) % 3)
    rows = target(view, 5)
    assert rows[:, 5].tolist() == [1] * 5
    assert sorted(rows[:, 2].tolist()) == [6, 7, 8, 9, 10]
    few = target(View(view.image, boxes[:2], np.array([NO_STATE, 2])), 5)
    assert few[:, 5].tolist() == [1, 1, 0, 0, 0]
    assert few[:2, 4].tolist() == [2, NO_STATE]


def test_weights_of_sources() -> None:
    """Sources are looked at in the recipe's proportion, however many photos each has."""
    scenes = [painted(np.array([[1, 1, 30, 30]], np.float32), [0], name) for name in "aaab"]
    weights = scene_weights(Pack(tuple(scenes)), OnePassRecipe(sources={"a": 3.0, "b": 1.0}))
    np.testing.assert_allclose(weights, [0.25] * 4)


def test_weights_of_rare_states() -> None:
    """Photos with a mask worn wrongly are looked at more often than others of their source."""
    states = [[0], [INCORRECT], [1]]
    scenes = [painted(np.array([[1, 1, 30, 30]], np.float32), state) for state in states]
    weights = scene_weights(Pack(tuple(scenes)), OnePassRecipe(sources={}, rare_weight=2.0))
    np.testing.assert_allclose(weights, [0.25, 0.5, 0.25])
