"""How sources box faces, and their boxes brought to one convention.

Labels were compared with the boxes of YuNet-n on the same faces (train splits, faces of 24 px and
more that both have at an IoU of 0.35; 350, 260 and 150 photos by lot). Medians, as shares of
YuNet's width and height, and in brackets the scatter (1.48 times the median deviation):

    source  faces  median IoU  left            top             right           bottom
    ilc       783        0.70  -0.001 (0.100)  +0.081 (0.121)  +0.004 (0.108)  +0.026 (0.104)
    kaggle    522        0.68  -0.004 (0.064)  +0.177 (0.054)  +0.034 (0.058)  +0.090 (0.083)
    wider     412        0.81  -0.009 (0.062)  -0.008 (0.083)  +0.005 (0.061)  +0.012 (0.057)

WIDER boxes begin at the hair line, Kaggle's at the eyebrows and reach below the chin, those of ILC
lie between. Between states within a source only the bottom side differs, and by as much in each, so
that a shift and a scale for each source are enough.

What is left are the labels of ILC themselves: each side scatters by a tenth of the face, where two
exact boxes of its convention and Kaggle's overlap by 0.82. So the convention alone takes no face
below an IoU of 0.5, the scatter does: whoever is judged by the boxes of ILC loses some faces at
0.5 that are found at 0.3, whatever is learnt. Boxes are learnt as ILC has them, between the others;
each source is judged by its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maskwatch.boxes import areas, iou
from maskwatch.types import Floats

LEARNT = "ilc"
"""The source whose convention is learnt."""

SIDES: dict[str, tuple[float, float, float, float]] = {
    "ilc": (-0.001, 0.081, 0.004, 0.026),
    "kaggle": (-0.004, 0.177, 0.034, 0.090),
    "wider": (-0.009, -0.008, 0.005, 0.012),
}
"""By source: left, top, right and bottom of its boxes less those of the reference, as shares of the
reference's width and height."""


def normalised(
    boxes: Floats,
    source: str,
    sides: dict[str, tuple[float, float, float, float]] | None = None,
) -> Floats:
    """Boxes `(N, 4)` of a source in the convention that is learnt; of an unknown one as they are.

    Args:
        boxes: In pixels.
        source: Name of its data set.
        sides: As `SIDES`, which None takes.
    """
    table = SIDES if sides is None else sides
    if source not in table or LEARNT not in table:
        return boxes
    own, wanted = (np.array(table[name], np.float32) for name in (source, LEARNT))
    sizes = (boxes[:, 2:] - boxes[:, :2]) / (1 + own[2:] - own[:2])
    return np.asarray(boxes + np.hstack([sizes, sizes]) * (wanted - own), np.float32)


def pairs(
    labelled: Floats, found: Floats, *, min_iou: float = 0.35, min_face_px: float = 24.0
) -> NDArray[np.int64]:
    """Labelled and found boxes of one photo that are each other's best, `(K, 2)` indices.

    Args:
        labelled: `(N, 4)`.
        found: `(M, 4)`.
        min_iou: Least overlap.
        min_face_px: Least square root of the area of the labelled box.
    """
    if not len(labelled) or not len(found):
        return np.zeros((0, 2), np.int64)
    shared = iou(labelled, found)
    best = shared.argmax(axis=1)
    rows = np.arange(len(labelled))
    own = (shared.argmax(axis=0)[best] == rows) & (shared[rows, best] >= min_iou)
    own &= areas(labelled) >= min_face_px**2
    return np.stack([rows[own], best[own]], axis=1)


def measured_sides(labelled: Floats, found: Floats) -> Floats:
    """The sides of a source as `SIDES` has them, `(4,)`, from pairs of boxes `(K, 4)`."""
    sizes = found[:, 2:] - found[:, :2]
    shares = (labelled - found) / np.hstack([sizes, sizes])
    return np.asarray(np.median(shares, axis=0), np.float32)
