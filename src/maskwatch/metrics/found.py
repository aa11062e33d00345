"""The words of a detection evaluation: labelled faces and found faces of many photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskwatch.types import CLASSES, Faces, Floats, MaskState

Indices = NDArray[np.int64]
Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]

NO_STATE = -1
"""Stands for the class of a labelled face of which only the place is known."""


def sizes_px(boxes: Doubles) -> Doubles:
    """Square root of the area of each box, `(N,)`; 0 where it is turned inside out."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(np.sqrt(sides[:, 0] * sides[:, 1]), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Truths:
    """M labelled faces of several photos as parallel arrays, photo by photo.

    Attributes:
        photo: `(M,)` number of the photo of each, ascending.
        boxes: `(M, 4)` x0 y0 x1 y1 in pixels of its photo.
        states: `(M,)` index into `CLASSES`, or `NO_STATE`.
    """

    photo: Indices
    boxes: Doubles
    states: Indices

    def __post_init__(self) -> None:
        _check(self.photo, boxes=self.boxes, states=self.states)

    @classmethod
    def of(cls, photos: Sequence[tuple[Floats, Sequence[MaskState | None]]]) -> Truths:
        """Put together the boxes `(n, 4)` and states of each photo."""
        states = [
            NO_STATE if state is None else CLASSES.index(state)
            for _, states in photos
            for state in states
        ]
        return cls(
            _numbers([len(boxes) for boxes, _ in photos]),
            _joined([boxes for boxes, _ in photos], 4),
            np.array(states, np.int64),
        )

    def __len__(self) -> int:
        return len(self.photo)

    @property
    def sizes_px(self) -> Doubles:
        """Square root of the area of each box, `(M,)`."""
        return sizes_px(self.boxes)

    def on(self, photos: Flags) -> Truths:
        """Those on some of the photos, `(P,)`, which are numbered anew."""
        kept = photos[self.photo]
        return Truths(_renumbered(self.photo[kept], photos), self.boxes[kept], self.states[kept])


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """N faces that a detector found on several photos as parallel arrays, photo by photo.

    Attributes:
        photo: `(N,)` number of the photo of each, ascending.
        boxes: `(N, 4)` x0 y0 x1 y1 in pixels of its photo.
        scores: `(N,)` that it is a face.
        state_probs: `(N, 3)` in the order of `CLASSES`, or None from a detector of faces alone.
    """

    photo: Indices
    boxes: Doubles
    scores: Doubles
    state_probs: Doubles | None = None

    def __post_init__(self) -> None:
        _check(self.photo, boxes=self.boxes, scores=self.scores)
        if self.state_probs is not None:
            _check(self.photo, state_probs=self.state_probs)

    @classmethod
    def of(cls, photos: Sequence[Faces]) -> Found:
        """Put together the faces of each photo; one without faces needs no state probabilities.

        Raises:
            ValueError: Some faces have state probabilities and others have none.
        """
        probs = [faces.state_probs for faces in photos if faces.state_probs is not None]
        return cls(
            _numbers([len(faces) for faces in photos]),
            _joined([faces.boxes for faces in photos], 4),
            np.concatenate([np.zeros(0), *(faces.scores for faces in photos)]),
            _joined(probs, len(CLASSES)) if probs else None,
        )

    def __len__(self) -> int:
        return len(self.photo)

    @property
    def sizes_px(self) -> Doubles:
        """Square root of the area of each box, `(N,)`."""
        return sizes_px(self.boxes)

    def on(self, photos: Flags) -> Found:
        """Those on some of the photos, `(P,)`, which are numbered anew."""
        kept = photos[self.photo]
        probs = None if self.state_probs is None else self.state_probs[kept]
        photo = _renumbered(self.photo[kept], photos)
        return Found(photo, self.boxes[kept], self.scores[kept], probs)


def _check(photo: Indices, **arrays: NDArray[np.generic]) -> None:
    """See that arrays go together.

    Raises:
        ValueError: They do not.
    """
    if np.any(np.diff(photo) < 0):
        raise ValueError("faces are not in the order of their photos.")
    widths = {"boxes": (4,), "state_probs": (len(CLASSES),)}
    for name, array in arrays.items():
        shape = (len(photo), *widths.get(name, ()))
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, expected {shape}.")


def _numbers(counts: Sequence[int]) -> Indices:
    return np.repeat(np.arange(len(counts)), np.array(counts, np.int64)).astype(np.int64)


def _joined(arrays: Sequence[Floats], width: int) -> Doubles:
    return np.concatenate([np.zeros((0, width)), *arrays])


def _renumbered(photo: Indices, photos: Flags) -> Indices:
    return np.asarray((np.cumsum(photos) - 1)[photo], np.int64)
