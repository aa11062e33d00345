"""Training views: parts of photos at random scales, with the faces in them, damaged as by cameras.

Everything depends on the seed and the number of the step alone, so that a training that is resumed
sees what it would have seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from maskwatch.boxes import areas, mapped
from maskwatch.preprocess import DETECTOR_LONG_SIDE_PX, PADDING
from maskwatch.training.augment import Damage, blur, colour, jpeg, light, noise
from maskwatch.training.loop import Batch
from maskwatch.training.onepass.loss import TARGET_COLUMNS
from maskwatch.training.onepass.pack import IGNORED, Pack, Scene
from maskwatch.training.onepass.recipe import OnePassRecipe
from maskwatch.types import CLASSES, Floats, Image, MaskState

SCALES = (0.35, 1.5)
"""Scales of views, of photos as serving sees them: 0.5 is what the fast preset sees."""

_LEAST_FILLED = 0.7
"""Share of the side of a view that the longer side of the photo fills at the least."""

_LARGEST_FACE = 0.95
_SMALLEST_FACE_PX = 7.0
_LEAST_SEEN = 0.45
_ELSEWHERE = 0.08
_TURNED = 0.25
_TURN_DEG = 12.0

DAMAGES: tuple[tuple[float, Damage], ...] = (
    (0.6, light),
    (0.35, colour),
    (0.1, blur),
    (0.1, noise),
    (0.3, jpeg),
)
"""Probability and kind of each damage of a view, in their order."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A part of a photo.

    Attributes:
        image: `(S, S, 3)` uint8 BGR.
        boxes: `(N, 4)` float32 in its pixels.
        states: `(N,)` as of a `Scene`.
    """

    image: Image
    boxes: Floats
    states: NDArray[np.int64]


def scene_weights(pack: Pack, recipe: OnePassRecipe) -> NDArray[np.float64]:
    """Probability of each photo to be looked at, `(N,)`, sums to 1.

    Within a source, photos with a face that wears its mask wrongly come `rare_weight` times as
    often as others.
    """
    sources = pack.sources
    rare = np.array([_rare(scene.states).any() for scene in pack.scenes], bool)
    weights = np.where(rare, recipe.rare_weight, 1.0)
    for name in np.unique(sources):
        own = sources == name
        weights[own] *= recipe.sources.get(str(name), 1.0) / weights[own].sum()
    return np.asarray(weights / weights.sum(), np.float64)


def batches(pack: Pack, recipe: OnePassRecipe) -> Callable[[int], Batch]:
    """From a step to its batch.

    Returns:
        A function that gives `(B, S, S, 3)` uint8 and targets `(B, max_faces, TARGET_COLUMNS)`.
    """
    weights = scene_weights(pack, recipe)

    def batch_at(step: int) -> Batch:
        rng = np.random.default_rng([recipe.seed, step])
        size_px = recipe.size_at(step)
        views = [
            random_view(pack, weights, size_px, recipe, rng) for _ in range(recipe.batch_at(step))
        ]
        targets = np.stack([target(view, recipe.max_faces) for view in views])
        return np.stack([view.image for view in views]), targets

    return batch_at


def target(view: View, max_faces: int) -> Floats:
    """The faces of a view as rows, `(max_faces, TARGET_COLUMNS)`; of more, the largest."""
    rows = np.zeros((max_faces, TARGET_COLUMNS), np.float32)
    order = np.argsort(-areas(view.boxes), kind="stable")[:max_faces]
    rows[: len(order), :4] = view.boxes[order]
    rows[: len(order), 4] = view.states[order]
    rows[: len(order), 5] = 1
    return rows


def random_view(
    pack: Pack,
    weights: NDArray[np.float64],
    size_px: int,
    recipe: OnePassRecipe,
    rng: np.random.Generator,
) -> View:
    """A view of one photo, or four small ones of four photos side by side."""

    def pick(side_px: int) -> View:
        scene = pack.scenes[int(rng.choice(len(weights), p=weights))]
        return view_of(scene, side_px, recipe.rare_weight, rng)

    view = (
        _mosaic([pick(size_px // 2) for _ in range(4)])
        if rng.random() < recipe.mosaic
        else (pick(size_px))
    )
    image = view.image
    for probability, damage in DAMAGES:
        if rng.random() < probability:
            image = damage(image, rng)
    return View(image, view.boxes, view.states)


def _mosaic(views: list[View]) -> View:
    side = views[0].image.shape[0]
    rows = [np.hstack([views[i].image, views[i + 1].image]) for i in (0, 2)]
    offsets = [(0, 0), (side, 0), (0, side), (side, side)]
    boxes = [
        view.boxes + np.array([*at, *at], np.float32)
        for view, at in zip(views, offsets, strict=True)
    ]
    return View(
        np.vstack(rows), np.concatenate(boxes), np.concatenate([view.states for view in views])
    )


def view_of(scene: Scene, size_px: int, rare_weight: float, rng: np.random.Generator) -> View:
    """A random view of a photo: most often around one of its faces, perhaps turned or mirrored.

    Args:
        scene: The photo.
        size_px: Side of the view.
        rare_weight: How much more often a face with a wrongly worn mask is the one.
        rng: Source of chance.
    """
    image = scene.image()
    height, width = image.shape[:2]
    least = max(SCALES[0], _LEAST_FILLED * size_px / DETECTOR_LONG_SIDE_PX)
    chosen = np.exp(rng.uniform(np.log(least), np.log(SCALES[1])))
    scale = float(chosen) * DETECTOR_LONG_SIDE_PX / max(height, width)
    faces = np.nonzero(scene.states != IGNORED)[0]
    centre = rng.uniform(0.2, 0.8, 2) * (width, height)
    if len(faces) and rng.random() >= _ELSEWHERE:
        chances = np.where(_rare(scene.states[faces]), rare_weight, 1.0)
        box = scene.boxes[rng.choice(faces, p=chances / chances.sum())]
        scale = _fitting(scale, box, size_px)
        reach = max(0.0, size_px / scale - float((box[2:] - box[:2]).max())) / 2
        centre = (box[:2] + box[2:]) / 2 + rng.uniform(-1, 1, 2) * reach
    centre = _within(centre, size_px / scale / 2, width, height)
    matrix = _matrix(scale, centre, size_px, rng)
    view = _warped(image, matrix, scale, size_px)
    boxes, states = _seen(mapped(scene.boxes, matrix), scene.states, size_px)
    return View(view, boxes, states)


def _fitting(scale: float, box: Floats, size_px: int) -> float:
    """The scale, or the nearest at which a face is neither cut nor a few pixels small."""
    side = float((box[2:] - box[:2]).max())
    least, most = _SMALLEST_FACE_PX / max(side, 1.0), _LARGEST_FACE * size_px / max(side, 1.0)
    return float(np.clip(scale, least, most))


def _within(centre: Any, half: float, width: int, height: int) -> NDArray[np.float64]:
    """The centre moved so that a view shows no more beyond the photo than it must."""
    limits = np.array([width, height], float)
    low = np.minimum(half, limits / 2)
    return np.asarray(np.clip(centre, low, np.maximum(limits - half, limits / 2)), np.float64)


def _matrix(scale: float, centre: Any, size_px: int, rng: np.random.Generator) -> Any:
    """The 2 x 3 matrix from the photo to a view of it."""
    angle = np.deg2rad(rng.uniform(-_TURN_DEG, _TURN_DEG)) if rng.random() < _TURNED else 0.0
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if rng.random() < 0.5:
        linear[:, 0] *= -1
    return np.hstack([linear, (np.full(2, size_px / 2) - linear @ centre)[:, None]])


def _warped(image: Image, matrix: Any, scale: float, size_px: int) -> Image:
    """The view; a photo is made smaller by area first, as in serving, so that nothing flickers."""
    if scale < 0.9:
        size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
        shrunk = np.array(size) / image.shape[1::-1]
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = np.hstack([matrix[:, :2] / shrunk, matrix[:, 2:]])
    view = cv2.warpAffine(
        image,
        matrix,
        (size_px, size_px),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(PADDING, PADDING, PADDING),
    )
    return np.asarray(view, np.uint8)


def _seen(
    boxes: Floats, states: NDArray[np.int64], size_px: int
) -> tuple[Floats, NDArray[np.int64]]:
    """The boxes cut to the view; faces cut too far or too small to learn are ignored."""
    cut = np.clip(boxes, 0, size_px)
    area = areas(cut)
    kept = area > 4
    poor = (area < _LEAST_SEEN * areas(boxes)) | (np.sqrt(area) < _SMALLEST_FACE_PX * 0.99)
    states = np.where(poor, IGNORED, states)
    return np.asarray(cut[kept], np.float32), np.asarray(states[kept], np.int64)


def _rare(states: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.asarray(states == CLASSES.index(MaskState.INCORRECT_MASK), bool)
