"""Rules of the one-pass detector's network and of what it learns from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed (extra train)")

from maskwatch.boxes import iou as exact_iou  # noqa: E402
from maskwatch.errors import UnknownNameError  # noqa: E402
from maskwatch.training.onepass.fit import freeze  # noqa: E402
from maskwatch.training.onepass.loss import (  # noqa: E402
    LARGEST,
    RADIUS,
    SMALLEST,
    Given,
    OnePassLoss,
    face_losses,
    giou,
    give,
    iou,
)
from maskwatch.training.onepass.network import STRIDES, Places, build_network  # noqa: E402
from maskwatch.training.onepass.pack import IGNORED, NO_STATE  # noqa: E402
from maskwatch.types import Floats  # noqa: E402

SIZE = 64


def places() -> Floats:
    """Centre and stride of every place of a 64 px input, `(84, 3)`."""
    rows = [
        ((x + 0.5) * stride, (y + 0.5) * stride, stride)
        for stride in STRIDES
        for y in range(SIZE // stride)
        for x in range(SIZE // stride)
    ]
    return np.array(rows, np.float32)


def predicted(seed: int, pictures: int = 2) -> Floats:
    """Rows of a network that is partly right: boxes of random extent, `(B, 84, 11)`."""
    rng = np.random.default_rng(seed)
    grid = np.tile(places(), (pictures, 1, 1))
    reach = np.exp(rng.normal(1.0, 0.7, (*grid.shape[:2], 4))) * 8
    boxes = np.concatenate([grid[..., :2] - reach[..., :2], grid[..., :2] + reach[..., 2:]], -1)
    judged = rng.normal(0, 1.5, (*grid.shape[:2], 4))
    return np.concatenate([boxes, judged, grid], -1).astype(np.float32)


TRUTH = np.array(
    [
        [[4, 4, 40, 44, 0, 1], [30, 20, 62, 60, 2, 1], [50, 2, 56, 8, 1, 1], [0] * 6],
        [[10, 10, 30, 34, NO_STATE, 1], [36, 36, 60, 60, IGNORED, 1], [0] * 6, [0] * 6],
    ],
    np.float32,
)


def slow_give(truth: Floats, rows: Floats) -> dict[str, Any]:
    """The rule of `give`, place by place; `owner` is the face of each place or -1."""
    pictures, anchors = rows.shape[:2]
    owner = np.full((pictures, anchors), -1)
    quality, states, free = (np.zeros((pictures, anchors)) for _ in range(3))
    for b in range(pictures):
        for a in range(anchors):
            x, y, stride = rows[b, a, 8:]
            free[b, a], smallest = 1, np.inf
            for m, (x0, y0, x1, y1, label, real) in enumerate(truth[b]):
                if not real:
                    continue
                wide, high = x1 - x0, y1 - y0
                off_x, off_y = abs(x - (x0 + x1) / 2), abs(y - (y0 + y1) / 2)
                if label == IGNORED:
                    if off_x < wide / 2 and off_y < high / 2:
                        free[b, a] = 0
                    continue
                side = np.sqrt(wide * high) / stride
                if (side < SMALLEST and stride > 8) or (side >= LARGEST and stride < 32):
                    continue
                reach = [
                    min(RADIUS * stride, max(each / 4, 0.75 * stride)) for each in (wide, high)
                ]
                if off_x < reach[0] and off_y < reach[1] and wide * high < smallest:
                    smallest, owner[b, a] = wide * high, m
            if owner[b, a] >= 0:
                face = truth[b, owner[b, a]]
                states[b, a] = face[4]
                quality[b, a] = exact_iou(face[None, :4], rows[b, a : a + 1, :4])[0, 0]
    return {"owner": owner, "quality": quality, "states": states, "free": free}


@pytest.mark.parametrize("seed", range(4))
def test_places_of_faces(seed: int) -> None:
    """Which place learns which face is as the rule says, told place by place."""
    rows = predicted(seed)
    expected = slow_give(TRUTH, rows)
    given = give(keras.ops.convert_to_tensor(TRUTH), keras.ops.convert_to_tensor(rows))
    for name in ("quality", "states", "free"):
        np.testing.assert_allclose(np.asarray(getattr(given, name)), expected[name], atol=1e-5)
    owner = expected["owner"]
    np.testing.assert_array_equal(np.asarray(given.taken), owner >= 0)
    for b in range(2):
        for a in np.nonzero(owner[b] >= 0)[0]:
            np.testing.assert_allclose(np.asarray(given.boxes)[b, a], TRUTH[b, owner[b, a], :4])


@pytest.mark.parametrize("side", [5, 12, 30, 44, 60])
def test_every_face_is_learnt(side: int) -> None:
    """Wherever a face is, and however small, at least one place and at most 18 learn it."""
    rng = np.random.default_rng(side)
    for _ in range(50):
        corner = rng.uniform(0, SIZE - side, 2)
        truth = np.array([[[*corner, *(corner + side), 1, 1]]], np.float32)
        given = give(
            keras.ops.convert_to_tensor(truth), keras.ops.convert_to_tensor(predicted(0, 1))
        )
        assert 1 <= np.asarray(given.taken).sum() <= 18


def test_overlap() -> None:
    """IoU is that of `maskwatch.boxes`; GIoU falls below 0 the farther boxes are apart."""
    rng = np.random.default_rng(0)
    first, second = (rng.uniform(0, 40, (6, 4)).astype(np.float32) for _ in range(2))
    for boxes in (first, second):
        boxes[:, 2:] = boxes[:, :2] + 5 + boxes[:, 2:] / 2
    found = np.asarray(iou(first[:, None], second[None]))
    np.testing.assert_allclose(found, exact_iou(first, second), atol=1e-5)
    box = np.array([0, 0, 10, 10], np.float32)
    others = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [90, 0, 100, 10]])
    expected = [1.0, 50 / 150, 0.0, 0 - (1000 - 200) / 1000]
    np.testing.assert_allclose(
        np.asarray(giou(box, others.astype(np.float32))), expected, atol=1e-4
    )


def test_face_losses() -> None:
    """A face's place weighs its quality, another the square of its score, an ignored one none."""
    logits = np.array([[0.3, 2.0, 2.0]], np.float32)
    quality, free = np.array([[0.8, 0, 0]], np.float32), np.array([[1, 1, 0]], np.float32)
    given = Given(None, None, (quality > 0).astype(np.float32), quality, free)
    score = 1 / (1 + np.exp(-logits[0]))
    first = -(0.8 * np.log(score[0]) + 0.2 * np.log(1 - score[0])) * 0.8
    second = -np.log(1 - score[1]) * 0.75 * score[1] ** 2
    found = np.asarray(face_losses(keras.ops.convert_to_tensor(logits), given))
    np.testing.assert_allclose(found[0], [first, second, 0], rtol=1e-4)


def test_loss_falls_with_better_rows() -> None:
    """Boxes, scores and states that fit cost less, and hardly anything where all is right."""
    loss = OnePassLoss(smoothing=0.0)
    rows = predicted(1, 1)
    truth = TRUTH[:1, :2]
    poor = float(loss(truth, rows))
    right = rows.copy()
    given = slow_give(truth, rows)
    right[0, :, 4] = -12
    for place in np.nonzero(given["owner"][0] >= 0)[0]:
        face = truth[0, given["owner"][0, place]]
        right[0, place, :4] = face[:4]
        right[0, place, 4:8] = [12, *(24 * np.eye(3)[int(face[4])] - 12)]
    assert float(loss(truth, right)) < 0.02 < 1 < poor


def test_unknown_states_teach_no_state() -> None:
    """The logits of the states do not matter for a face whose state is not known."""
    loss, rows = OnePassLoss(), predicted(2)
    truth = TRUTH.copy()
    truth[..., 4] = np.where(truth[..., 5] > 0, NO_STATE, 0)
    changed = rows.copy()
    changed[..., 5:8] = changed[..., 5:8][..., ::-1] * 3
    assert float(loss(truth, rows)) == pytest.approx(float(loss(truth, changed)), rel=1e-6)
    known = truth.copy()
    known[0, 0, 4] = 1
    assert float(loss(known, rows)) != pytest.approx(float(loss(known, changed)), rel=1e-3)


def test_pictures_without_faces() -> None:
    """A batch without any face has a finite loss."""
    assert np.isfinite(float(OnePassLoss()(np.zeros((2, 4, 6), np.float32), predicted(3))))


def test_places_are_decoded() -> None:
    """Centres are off the place's, sides are exp of the map, in strides; rows come row by row."""
    box = np.random.default_rng(0).normal(size=(1, 2, 3, 4)).astype(np.float32)
    judged = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    rows = np.asarray(Places(16)([box, judged]))
    assert rows.shape == (1, 6, 11)
    x, y = 2.5 * 16, 1.5 * 16
    centre = np.array([x, y]) + box[0, 1, 2, :2] * 16
    half = np.exp(box[0, 1, 2, 2:]) * 8
    np.testing.assert_allclose(rows[0, 5, :4], [*(centre - half), *(centre + half)], rtol=1e-4)
    np.testing.assert_array_equal(rows[0, 5, 4:], [*judged[0, 1, 2], x, y, 16])


@pytest.fixture(scope="module")
def network() -> Any:
    """A narrow network."""
    return build_network(channels=8, depth=1, alpha=0.35)


@pytest.mark.parametrize("size", [(64, 64), (96, 160)], ids=["square", "wide"])
def test_network(network: Any, size: tuple[int, int]) -> None:
    """Pictures of any sides that are multiples of 32 get a row a place of each stride."""
    images = np.random.default_rng(0).integers(0, 256, (2, *size, 3)).astype(np.uint8)
    rows = np.asarray(network(images))
    wanted = [
        (x + 0.5) * s for s in STRIDES for _ in range(size[0] // s) for x in range(size[1] // s)
    ]
    assert rows.shape == (2, len(wanted), 11)
    np.testing.assert_array_equal(rows[0, :, 8], wanted)
    chances = 1 / (1 + np.exp(-rows[..., 4]))
    assert np.median(chances) < 0.1, "nothing is learnt yet, so a face is unlikely everywhere"


def test_frozen_layers(network: Any) -> None:
    """Layers before the named one are kept as they are, all others learn."""
    freeze(network, "block_3_expand")
    layers = {layer.name: layer for layer in network.get_layer("features").layers}
    assert not layers["block_2_project_BN"].trainable
    assert layers["block_3_expand"].trainable
    with pytest.raises(UnknownNameError, match="block_99"):
        freeze(network, "block_99")
