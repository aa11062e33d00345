"""Rules of cutting: what a crop shows, what it is, and what is to be learnt of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras", reason="Keras is not installed (extra train)")

from maskwatch.boxes import iou
from maskwatch.detectors.mtcnn.pyramid import windows
from maskwatch.detectors.mtcnn.stages import moved
from maskwatch.training.mtcnn.batches import mirrored, targets_of
from maskwatch.training.mtcnn.crops import (
    chosen_of,
    judged,
    square_rows,
    squares_around,
    wanted_offsets,
    window_rows,
)
from maskwatch.training.mtcnn.photos import Photo
from maskwatch.training.mtcnn.recipe import (
    NEGATIVE,
    PART,
    POSITIVE,
    UNUSED,
    MtcnnRecipe,
)
from maskwatch.training.onepass.pack import IGNORED, NO_STATE
from maskwatch.types import Floats, Image

RECIPE = MtcnnRecipe(near=40, faces=500, others=500)
SIZE = 250


def photo(boxes: list[list[float]], states: list[int]) -> Photo:
    return Photo(
        Path("a.png"), np.array(boxes, np.float32).reshape(-1, 4), np.array(states, np.int64), "a"
    )


def some_boxes(count: int, seed: int = 0) -> Floats:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 120, (count, 2))
    return np.hstack([corners, corners + rng.uniform(15, 90, (count, 2))]).astype(np.float32)


@pytest.mark.parametrize("stage", ["rnet", "onet"])
def test_offsets_of_squares(stage: str) -> None:
    """Offsets, applied as the cascade does, lead to the face's box."""
    boxes, faces = some_boxes(20), some_boxes(20, 1)
    np.testing.assert_allclose(moved(boxes, wanted_offsets(boxes, faces, stage)), faces, atol=1e-3)


def test_offsets_of_windows() -> None:
    """Offsets of a window of the P-Net, applied as the pyramid does, lead to the face's box."""
    scale, face = 0.37, np.array([[40, 30, 71, 66]], np.float32)
    row, column = 5, 6
    box = (np.array([[2 * column + 1, 2 * row + 1, 2 * column + 12, 2 * row + 12]])) / scale
    offsets = np.zeros((9, 9, 4), np.float32)
    offsets[row, column] = wanted_offsets(box.astype(np.float32), face, "pnet")
    scores = np.zeros((9, 9), np.float32)
    scores[row, column] = 1
    found, _ = windows(scores, offsets, scale, 0.5)
    np.testing.assert_allclose(found, face, atol=1e-3)


def slow_kind(box: Any, known: Photo, recipe: MtcnnRecipe) -> int:
    """The kind of one box, told face by face."""
    best = doubtful = 0.0
    for face, state in zip(known.boxes, known.states, strict=True):
        overlap = float(iou(box[None], face[None])[0, 0])
        if state == IGNORED:
            doubtful = max(doubtful, overlap)
        else:
            best = max(best, overlap)
    if best < 0.3:
        return NEGATIVE if doubtful <= recipe.ignored_iou else UNUSED
    if best < 0.4 or best <= doubtful:
        return UNUSED
    return POSITIVE if best > 0.65 else PART


def test_kinds() -> None:
    """Kinds follow from the best overlap; near doubtful faces nothing is denied or claimed."""
    known = photo(some_boxes(6, 2).tolist(), [0, 1, 2, NO_STATE, IGNORED, IGNORED])
    rng = np.random.default_rng(3)
    around = np.repeat(known.boxes, 60, axis=0) + rng.normal(0, 9, (360, 4)).astype(np.float32)
    kinds, nearest = judged(around, known, RECIPE)
    assert kinds.tolist() == [slow_kind(box, known, RECIPE) for box in around]
    assert set(kinds.tolist()) == {POSITIVE, PART, NEGATIVE, UNUSED}
    own = kinds == POSITIVE
    shared = iou(around[own], known.boxes)
    np.testing.assert_array_equal(nearest[own], shared[:, :4].argmax(axis=1))


def test_kinds_without_faces() -> None:
    """On a photo without faces every box is none."""
    kinds, _ = judged(some_boxes(5), photo([], []), RECIPE)
    assert kinds.tolist() == [NEGATIVE] * 5


def ramp() -> Image:
    """A picture whose blue tells the column and whose green the row."""
    ys, xs = np.mgrid[:SIZE, :SIZE]
    return np.stack([xs, ys, xs * 0], axis=-1).astype(np.uint8)


def boxes_told(stage: str, crops: Any, targets: Any) -> Floats:
    """The faces' boxes as crops of `ramp` and their offsets tell them, `(N, 4)`.

    A colour is that of a pixel's middle.
    """
    told = []
    for crop, target in zip(crops.astype(float), targets, strict=True):
        sides = []
        for channel in (0, 1):
            line = crop[..., channel].mean(axis=channel)
            first, last = line[1:-1][0], line[1:-1][-1]
            pixel = (last - first) / (len(line) - 3)
            if stage == "pnet":
                start = first + 0.5 - 1.5 * pixel
                sides.append((start + pixel, start + 12 * pixel, 11 * pixel))
            else:
                start, end = first - pixel, last + pixel
                sides.append((start, end, abs(end - start) + 1))
        (x0, x1, width), (y0, y1, height) = sides
        offsets = target[1:5]
        told.append(
            [
                x0 + offsets[0] * width,
                y0 + offsets[1] * height,
                x1 + offsets[2] * width,
                y1 + offsets[3] * height,
            ]
        )
    return np.array(told, np.float32)


@pytest.mark.parametrize("stage", ["pnet", "rnet", "onet"])
@pytest.mark.parametrize("turned", [False, True], ids=["as it is", "mirrored"])
def test_where_crops_are(stage: str, turned: bool) -> None:
    """Crop and offsets together tell where the face is, also where both are mirrored."""
    face = [90.0, 70.0, 140.0, 130.0]
    known = photo([face], [1])
    rng = np.random.default_rng(0)
    if stage == "pnet":
        rows = window_rows(ramp(), known, RECIPE, rng)
    else:
        rows = square_rows(stage, ramp(), known, some_boxes(50), RECIPE, rng)
    rows = rows[rows["kind"] != NEGATIVE]
    assert len(rows) > 20
    assert (rows["state"] == 1).all()
    crops, targets = rows["crop"], targets_of(rows, landmarks=False)
    if not turned:
        told = boxes_told(stage, crops, targets)
        np.testing.assert_allclose(told, [face] * len(told), atol=2.5)
        return
    # Mirrored, columns count down from the other end.
    crops = crops[:, :, ::-1].copy()
    crops[..., 0] = SIZE - 1 - crops[..., 0]
    told = boxes_told(stage, crops, mirrored(targets, stage))
    expected = [SIZE - face[2], face[1], SIZE - face[0], face[3]]
    np.testing.assert_allclose(told, [expected] * len(told), atol=3)


def test_mirrored_exactly() -> None:
    """Twice mirrored targets are as before, and those without a face have no offsets."""
    rng = np.random.default_rng(0)
    targets = rng.normal(0, 1, (6, 16)).astype(np.float32)
    targets[:, 0] = [POSITIVE, PART, NEGATIVE] * 2
    targets[targets[:, 0] == NEGATIVE, 1:5] = 0
    targets[:, 5] = 1
    for stage in ("pnet", "rnet", "onet"):
        once = mirrored(targets, stage)
        assert not np.allclose(once, targets)
        np.testing.assert_allclose(mirrored(once, stage), targets, atol=1e-6)
    # The left eye is the right one's mirror image.
    np.testing.assert_allclose(mirrored(targets, "onet")[:, 6], 1 - targets[:, 7], atol=1e-6)


def test_no_face_near_ignored() -> None:
    """A photo with ignored regions alone gives crops without faces, none of them there."""
    known = photo([[60, 60, 180, 180]], [IGNORED])
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    image[60:180, 60:180] = 255
    rows = window_rows(image, known, RECIPE, np.random.default_rng(0))
    assert set(rows["kind"].tolist()) == {NEGATIVE}
    assert (rows["state"] == NO_STATE).all()


def test_best_candidates_are_kept() -> None:
    """Of the candidates without a face the best scored are kept, for these are the hard ones."""
    known = photo([[150, 150, 190, 190]], [0])
    steps = np.arange(30, dtype=np.float32) * 2
    candidates = np.stack([steps, steps * 0, steps + 20, steps * 0 + 20], axis=1)
    recipe = MtcnnRecipe(near=1, others=4)
    rows = square_rows("rnet", ramp(), known, candidates, recipe, np.random.default_rng(0))
    none = rows[rows["kind"] == NEGATIVE]
    firsts = [crop[12, 0, 0] for crop in none["crop"]]
    assert len(none) == 4
    assert sorted(firsts)[:3] == [0, 2, 4]


def test_limits() -> None:
    """Of each kind at most so many are kept, by chance, in their order."""
    kinds = np.array([POSITIVE] * 10 + [PART] * 3 + [NEGATIVE] * 20 + [UNUSED] * 5, np.int8)
    recipe = MtcnnRecipe(faces=4, others=6)
    chosen = chosen_of(kinds, recipe, np.random.default_rng(0))
    assert [int((kinds[chosen] == kind).sum()) for kind in (POSITIVE, PART, NEGATIVE)] == [4, 3, 6]
    assert (np.diff(chosen) > 0).all()
    assert chosen_of(kinds, recipe, np.random.default_rng(1)).tolist() != chosen.tolist()


def test_squares_around() -> None:
    """Squares around faces are square, and a good part of them are faces and parts."""
    known = photo([[50, 50, 98, 110], [0, 0, 40, 40]], [0, IGNORED])
    boxes = squares_around(known, MtcnnRecipe(near=300), np.random.default_rng(0))
    assert len(boxes) == 300
    np.testing.assert_allclose(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1], rtol=1e-4)
    kinds, _ = judged(boxes, known, RECIPE)
    assert (kinds == POSITIVE).mean() > 0.25
    assert (kinds == PART).mean() > 0.1
