"""Dropping boxes that overlap better ones, as MTCNN does it."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from maskwatch.boxes import areas
from maskwatch.types import Floats

Mode = Literal["union", "min"]
"""What the shared area is divided by: that of the union, or that of the smaller box, which also
drops a box inside another."""

_CHUNK = 512


def overlaps(first: Floats, second: Floats, mode: Mode) -> Floats:
    """Overlap of every pair, `(N, M)` for boxes `(N, 4)` and `(M, 4)`; empty boxes have none."""
    width, height = (
        np.minimum(first[:, None, axis + 2], second[None, :, axis + 2])
        - np.maximum(first[:, None, axis], second[None, :, axis])
        for axis in (0, 1)
    )
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    one, other = areas(first)[:, None], areas(second)[None, :]
    whole = np.minimum(one, other) if mode == "min" else one + other - shared
    return np.asarray(shared / np.maximum(whole, 1e-9), dtype=np.float32)


def suppressed(
    boxes: Floats, scores: Floats, max_overlap: float, mode: Mode = "union"
) -> NDArray[np.int64]:
    """Keep the boxes that no better one overlaps too much.

    Unlike `maskwatch.boxes.nms` a box is dropped for any better one, be that one dropped itself:
    of a chain of windows from one face to the next only the best stays. It needs no loop.

    Args:
        boxes: `(N, 4)`.
        scores: `(N,)`.
        max_overlap: Of the two, more is too much.
        mode: How overlap is measured.

    Returns:
        Indices of the boxes kept, best score first.
    """
    order = np.argsort(scores, kind="stable")[::-1]
    ranked, kept = boxes[order], np.ones(len(boxes), dtype=bool)
    for start in range(0, len(boxes), _CHUNK):  # a full matrix of thousands of boxes is large
        chunk = slice(start, start + _CHUNK)
        better = np.arange(start + _CHUNK) < np.arange(start, start + _CHUNK)[:, None]
        too_much = overlaps(ranked[chunk], ranked[: start + _CHUNK], mode) > max_overlap
        kept[chunk] = ~(too_much & better[: len(too_much), : too_much.shape[1]]).any(axis=1)
    return np.asarray(order[kept], dtype=np.int64)
