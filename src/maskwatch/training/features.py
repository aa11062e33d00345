"""What a frozen backbone makes of every face: run once for each face and view, and kept on disk."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import keras
import numpy as np

from maskwatch.errors import UnreadableImageError
from maskwatch.training.backbones import weights_hash
from maskwatch.training.faces import FaceSet, Picture, ahead, cores, cut_faces, rows_of
from maskwatch.training.forward import Forward, forward_of
from maskwatch.training.observer import SILENT, Observer
from maskwatch.training.recipes import Recipe, Shifts
from maskwatch.training.rowcache import Chunk, RowCache, Rows
from maskwatch.training.views import Views
from maskwatch.types import Floats, Image

_VIEW_SEED = 1
"""Views are the same for every seed of a training, so that all share them."""

_BATCH = 32


def cached_features(
    features: keras.Model,
    faces: FaceSet,
    recipe: Recipe,
    cache: RowCache,
    *,
    fingerprint: str,
    augmented: bool,
    stop: threading.Event | None = None,
    observer: Observer = SILENT,
) -> Rows | None:
    """Features of all faces, `(N, V, D)`; V is 1 where they are not augmented.

    Args:
        features: From crops to `(N, D)`.
        faces: In order.
        recipe: Names the backbone, the size and the augmentation.
        cache: Where they are kept.
        fingerprint: Of `faces`.
        augmented: Whether views are drawn, or faces taken as serving sees them.
        stop: Ends it; what was done is kept.
        observer: Told how far it is.

    Returns:
        They; None where it was stopped.
    """
    views = Views(recipe.size_px, recipe.augmentation if augmented else None)
    number = recipe.views if views.augmentation else 1
    shifts = views.augmentation
    facts = {
        "kind": "features",
        "backbone": recipe.backbone,
        "weights": weights_hash(features),
        "scale": recipe.scale,
        "pool": recipe.pool,
        "size_px": recipe.size_px,
        "augmentation": asdict(shifts) if isinstance(shifts, Shifts) else shifts,
        "views": [_VIEW_SEED, number],
        "pictures": fingerprint,
    }
    if (policy := keras.config.dtype_policy().name) != "float32":
        facts["precision"] = policy

    def make(first: int) -> Iterator[Chunk]:
        forward = forward_of(features, (len(faces.pictures) - first) * number)
        return _chunks(forward, faces, views, number, first)

    return cache.get(
        facts,
        len(faces),
        len(faces.pictures),
        make,
        doing="features of pictures",
        stop=stop,
        observer=observer,
    )


def cached_crops(
    faces: FaceSet,
    views: Views,
    cache: RowCache,
    *,
    fingerprint: str,
    stop: threading.Event | None = None,
    observer: Observer = SILENT,
) -> Rows | None:
    """Decoded crops of all faces, `(N, P, P, 3)` uint8, in the form that `views` draws from."""
    strong = views.augmentation == "strong"
    facts = {
        "kind": "crops",
        "stored_px": views.stored_px,
        "margin": strong,
        "pictures": fingerprint,
    }
    plain = Views(views.size_px, "strong" if strong else None)

    def make(first: int) -> Iterator[Chunk]:
        starts = rows_of(faces.pictures)
        crops = _cut(faces.pictures[first:], plain)
        for index, (picture, cut) in enumerate(crops, first):
            rows, unread = _or_blank(picture, cut, plain.stored_px, int(starts[index]))
            yield Chunk(1, rows, unread)

    return cache.get(
        facts,
        len(faces),
        len(faces.pictures),
        make,
        doing="reading pictures",
        stop=stop,
        observer=observer,
    )


def _cut(
    pictures: tuple[Picture, ...], views: Views
) -> Iterator[tuple[Picture, Image | UnreadableImageError]]:
    yield from ahead(pictures, lambda p: (p, cut_faces(p, views.cut)), workers=cores())


def _or_blank(
    picture: Picture, cut: Image | UnreadableImageError, side: int, first: int
) -> tuple[Image, dict[int, str]]:
    """The crops of a picture; black ones and the reason where it cannot be read."""
    if not isinstance(cut, UnreadableImageError):
        return cut, {}
    count = len(picture.labels)
    return np.zeros((count, side, side, 3), np.uint8), {first + i: str(cut) for i in range(count)}


def _chunks(
    forward: Forward, faces: FaceSet, views: Views, number: int, first: int
) -> Iterator[Chunk]:
    """Features from a picture on, some pictures at a time."""
    starts = rows_of(faces.pictures)

    def work(index: int) -> tuple[Image, dict[int, str]]:
        picture, row = faces.pictures[index], int(starts[index])
        cut, unread = _or_blank(picture, cut_faces(picture, views.cut), views.stored_px, row)
        drawn = [
            [
                views.draw(crop, np.random.default_rng([_VIEW_SEED, row + i, view]))
                for view in range(number)
            ]
            for i, crop in enumerate(cut)
        ]
        return np.asarray(drawn, np.uint8), unread

    waiting: list[tuple[Image, dict[int, str]]] = []
    for made in ahead(range(first, len(faces.pictures)), work, workers=cores()):
        waiting.append(made)
        if sum(len(crops) for crops, _ in waiting) * number >= _BATCH:
            yield _forwarded(forward, waiting)
            waiting = []
    if waiting:
        yield _forwarded(forward, waiting)


def _forwarded(forward: Forward, made: list[tuple[Image, dict[int, str]]]) -> Chunk:
    crops: Any = np.concatenate([crops for crops, _ in made])
    faces, number = crops.shape[:2]
    flat = crops.reshape(faces * number, *crops.shape[2:])
    # A photo may hold hundreds of faces.
    parts = [forward(flat[i : i + 2 * _BATCH]) for i in range(0, len(flat), 2 * _BATCH)]
    rows: Floats = np.concatenate(parts).reshape(faces, number, -1)
    unread = {row: why for _, bad in made for row, why in bad.items()}
    return Chunk(len(made), rows, unread)
