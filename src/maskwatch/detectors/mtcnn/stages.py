"""The first two stages, each by itself: for the detector, for training and for measuring."""

from __future__ import annotations

import numpy as np

from maskwatch.boxes import squares
from maskwatch.detectors.mtcnn.crops import cut
from maskwatch.detectors.mtcnn.overlap import suppressed
from maskwatch.detectors.mtcnn.pyramid import scales, shrunk, windows
from maskwatch.runtime import OnnxModel
from maskwatch.types import Floats, Image

MAX_OVERLAP = 0.7

_MAX_OVERLAP_OF_WINDOWS = 0.5

# Of one picture; the photos of crowds that were looked at have far fewer.
_MAX_CANDIDATES = 5000


def proposals(pnet: OnnxModel, image: Image, min_face_px: float, min_score: float) -> Floats:
    """The first stage: what the P-Net takes for faces, anywhere and of any size.

    Args:
        pnet: The network.
        image: BGR picture.
        min_face_px: Side of the smallest faces that are looked for.
        min_score: What a candidate must exceed.

    Returns:
        Squares `(N, 4)` in pixels of the picture, also outside of it, best first.

    Raises:
        ModelOutputError: The network failed or returned NaN.
    """
    picture = image.astype(np.float32)
    boxes, scores = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.float32)]
    height, width = image.shape[:2]
    for scale in scales(height, width, min_face_px):
        cells, offsets = pnet(shrunk(picture, scale)[None])
        found, likely = windows(cells[0], offsets[0], scale, min_score)
        kept = suppressed(found, likely, _MAX_OVERLAP_OF_WINDOWS)
        boxes.append(found[kept])
        scores.append(likely[kept])
    return _kept(np.concatenate(boxes), np.concatenate(scores))


def refined(rnet: OnnxModel, image: Image, candidates: Floats, min_score: float) -> Floats:
    """The second stage: of candidates `(N, 4)` those that the R-Net takes for faces; as above."""
    if not len(candidates):
        return candidates
    scores, offsets = rnet(cut(image, candidates, 24))[:2]
    likely = np.nonzero(scores > min_score)[0]
    return _kept(moved(candidates[likely], offsets[likely]), scores[likely])


def _kept(boxes: Floats, scores: Floats) -> Floats:
    return squares(boxes[suppressed(boxes, scores, MAX_OVERLAP)[:_MAX_CANDIDATES]], 1)


def moved(boxes: Floats, offsets: Floats) -> Floats:
    """Boxes `(N, 4)` with their sides moved by shares of their size, `(N, 4)`.

    The size counts the last pixel too, as in the paper's code.
    """
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    return np.asarray(boxes + offsets * np.hstack([sides, sides]), dtype=np.float32)
