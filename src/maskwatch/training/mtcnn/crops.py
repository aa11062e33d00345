"""Crops that the networks learn from: cut as they are when faces are looked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskwatch.boxes import areas, iou
from maskwatch.detectors.mtcnn.crops import cut
from maskwatch.detectors.mtcnn.pyramid import FACTOR, WINDOW_PX, scales, shrunk
from maskwatch.training.mtcnn.networks import LANDMARKS, side_px
from maskwatch.training.mtcnn.photos import Photo
from maskwatch.training.mtcnn.recipe import NEGATIVE, PART, POSITIVE, UNUSED, MtcnnRecipe
from maskwatch.training.onepass.pack import IGNORED, NO_STATE
from maskwatch.types import Floats, Image

Rows = NDArray[np.void]
"""Crops with what is to be learnt of each, see `row_type`."""

_SPAN_PX = WINDOW_PX - 1
"""Between the first and the last pixel of a window of the P-Net: what its offsets are shares of."""

# Windows whose side is so much of the face's are looked at; others cannot overlap it enough.
_SMALLEST_WINDOW, _LARGEST_WINDOW = 0.55, 1.7


def row_type(stage: str) -> np.dtype[np.void]:
    """The fields of a row.

    `crop` `(side, side, 3)` BGR; `kind`; `state` of the face, as of a `Photo`; `offsets` `(4,)`
    from the square to the face's box, as the network gives them; `landmarks` `(10,)`, NaN where
    they are not known.
    """
    side = side_px(stage)
    return np.dtype(
        [
            ("crop", np.uint8, (side, side, 3)),
            ("kind", np.int8),
            ("state", np.int8),
            ("offsets", np.float32, (4,)),
            ("landmarks", np.float32, (LANDMARKS,)),
        ]
    )


def wanted_offsets(boxes: Floats, faces: Floats, stage: str) -> Floats:
    """Offsets that bring boxes to faces, `(N, 4)` for twice `(N, 4)`.

    In units of the box as the cascade applies them: the P-Net's of its 11 px, those of the others
    of the side with the last pixel (`detectors.mtcnn.stages.moved`).
    """
    sides = boxes[:, 2:] - boxes[:, :2] + (0 if stage == "pnet" else 1)
    return np.asarray((faces - boxes) / np.hstack([sides, sides]), np.float32)


def judged(
    boxes: Floats, photo: Photo, recipe: MtcnnRecipe
) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Kind of each box `(N, 4)`, and the index of the face that it overlaps most, `(N,)` each."""
    overlaps = iou(boxes, photo.boxes)
    known = photo.states != IGNORED
    faces = np.where(known, overlaps, 0.0)
    nearest = faces.argmax(axis=1) if len(known) else np.zeros(len(boxes), np.int64)
    best = faces.max(axis=1, initial=0)
    doubtful = np.where(known, 0.0, overlaps).max(axis=1, initial=0)
    kinds = np.full(len(boxes), UNUSED, np.int8)
    kinds[(best < recipe.negative_iou) & (doubtful <= recipe.ignored_iou)] = NEGATIVE
    kinds[(best >= recipe.part_iou) & (best > doubtful)] = PART
    kinds[(best > recipe.positive_iou) & (best > doubtful)] = POSITIVE
    return kinds, nearest


def window_rows(image: Image, photo: Photo, recipe: MtcnnRecipe, rng: np.random.Generator) -> Rows:
    """Rows for the P-Net: windows on the photo at sizes shifted by chance.

    Args:
        image: The photo, damaged or not.
        photo: Its faces.
        recipe: How many.
        rng: Source of chance.
    """
    height, width = image.shape[:2]
    shift = np.exp(rng.uniform(np.log(FACTOR), 0))
    # Twice as many sizes as are looked at: with those alone, every other face would have none at
    # which a window overlaps it enough.
    found = []
    for smallest_px in (recipe.smallest_px * shift, recipe.smallest_px * shift * FACTOR**-0.5):
        for scale in scales(height, width, smallest_px):
            found.append(_windows_at(image, photo, scale, recipe, rng))
    rows = np.concatenate([np.zeros(0, row_type("pnet")), *found])
    return limited(rows, recipe, rng)


def _windows_at(
    image: Image, photo: Photo, scale: float, recipe: MtcnnRecipe, rng: np.random.Generator
) -> Rows:
    """The rows at one size of the photo."""
    picture = np.rint(shrunk(image, scale)).astype(np.uint8)
    corners = _corners(photo, scale, picture.shape, recipe, rng)
    boxes = (np.hstack([corners + 1, corners + WINDOW_PX]) / scale).astype(np.float32)
    kinds, nearest = judged(boxes, photo, recipe)
    kept = np.nonzero(kinds != UNUSED)[0]
    tiles = np.lib.stride_tricks.sliding_window_view(picture, (WINDOW_PX, WINDOW_PX), (0, 1))
    crops = tiles[corners[kept, 1], corners[kept, 0]].transpose(0, 2, 3, 1)
    return _rows("pnet", crops, boxes[kept], kinds[kept], nearest[kept], photo)


def _corners(
    photo: Photo, scale: float, shape: Any, recipe: MtcnnRecipe, rng: np.random.Generator
) -> NDArray[np.int64]:
    """First pixels, x and y, of windows around faces and anywhere, `(N, 2)`."""
    limits = np.array([shape[1], shape[0]]) - WINDOW_PX
    boxes = photo.boxes[photo.states != IGNORED]
    share = _SPAN_PX / scale / np.sqrt(np.maximum(areas(boxes), 1))
    boxes = boxes[(share > _SMALLEST_WINDOW) & (share < _LARGEST_WINDOW)]
    middles = np.repeat((boxes[:, :2] + boxes[:, 2:]) / 2 * scale, recipe.near, axis=0)
    reach = rng.choice([1.5, 3.0, 6.0], (len(middles), 1))
    near = np.rint(middles - (1 + WINDOW_PX) / 2 + rng.uniform(-1, 1, middles.shape) * reach)
    near = near[((near >= 0) & (near <= limits)).all(axis=1)]
    anywhere = rng.integers(0, limits + 1, (recipe.near, 2))
    return np.concatenate([near.astype(np.int64), anywhere])


def square_rows(
    stage: str,
    image: Image,
    photo: Photo,
    candidates: Floats,
    recipe: MtcnnRecipe,
    rng: np.random.Generator,
) -> Rows:
    """Rows for the R- or O-Net: candidates of the networks before, and squares around the faces.

    Args:
        stage: Which network.
        image: The photo, damaged or not.
        photo: Its faces.
        candidates: `(N, 4)` squares, best first: of those without a face the first are kept.
        recipe: How many.
        rng: Source of chance.
    """
    kinds, nearest = judged(candidates, photo, recipe)
    order = np.argsort(kinds == UNUSED, kind="stable")[: np.count_nonzero(kinds != UNUSED)]
    none = order[kinds[order] == NEGATIVE][: recipe.others]
    some = order[kinds[order] != NEGATIVE]
    around = squares_around(photo, recipe, rng)
    around_kinds, around_nearest = judged(around, photo, recipe)
    used = np.nonzero(around_kinds != UNUSED)[0]
    boxes = np.concatenate([candidates[some], around[used], candidates[none]])
    kinds = np.concatenate([kinds[some], around_kinds[used], kinds[none]])
    nearest = np.concatenate([nearest[some], around_nearest[used], nearest[none]])
    chosen = chosen_of(kinds, recipe, rng)
    boxes, kinds, nearest = boxes[chosen], kinds[chosen], nearest[chosen]
    crops = np.rint(cut(image, boxes, side_px(stage))).astype(np.uint8)
    return _rows(stage, crops, boxes, kinds, nearest, photo)


def squares_around(photo: Photo, recipe: MtcnnRecipe, rng: np.random.Generator) -> Floats:
    """Squares about as large as the faces, moved and scaled by chance, `(N, 4)`."""
    boxes = np.repeat(photo.boxes[photo.states != IGNORED], recipe.near, axis=0)
    sides = boxes[:, 2:] - boxes[:, :2]
    # Between the shorter and the longer side, as after a network's box is filled up to a square.
    between = rng.uniform(0.4, 1.0, len(boxes))
    size = sides.min(axis=1) ** (1 - between) * sides.max(axis=1) ** between
    size = (size * np.exp(rng.normal(0, 0.12, len(boxes))))[:, None]
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2 + rng.normal(0, 0.09, (len(boxes), 2)) * size
    return np.asarray(np.hstack([middles - size / 2, middles + size / 2]), np.float32)


def _rows(
    stage: str,
    crops: Image,
    boxes: Floats,
    kinds: NDArray[np.int8],
    nearest: NDArray[np.int64],
    photo: Photo,
) -> Rows:
    rows = np.zeros(len(crops), row_type(stage))
    rows["crop"], rows["kind"], rows["state"] = crops, kinds, NO_STATE
    rows["landmarks"] = np.nan
    face = np.nonzero(kinds != NEGATIVE)[0]
    rows["state"][face] = photo.states[nearest[face]]
    rows["offsets"][face] = wanted_offsets(boxes[face], photo.boxes[nearest[face]], stage)
    return rows


def limited(rows: Rows, recipe: MtcnnRecipe, rng: np.random.Generator) -> Rows:
    """The rows of a photo that are kept, by chance, in their order."""
    return rows[chosen_of(rows["kind"], recipe, rng)]


def chosen_of(
    kinds: NDArray[np.int8], recipe: MtcnnRecipe, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Indices of at most so many of each kind, by chance, in their order."""
    limits: Mapping[int, int] = {
        POSITIVE: recipe.faces,
        PART: recipe.faces,
        NEGATIVE: recipe.others,
    }
    parts = []
    for kind, most in limits.items():
        own = np.nonzero(kinds == kind)[0]
        parts.append(rng.permutation(own)[:most])
    return np.sort(np.concatenate(parts))
