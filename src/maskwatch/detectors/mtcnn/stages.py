"""The first two stages, each by itself: for the detector, for training and for measuring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maskwatch.boxes import squares
from maskwatch.detectors.mtcnn.crops import cut
from maskwatch.detectors.mtcnn.overlap import suppressed
from maskwatch.detectors.mtcnn.pyramid import scales, shrunk, windows
from maskwatch.runtime import OnnxModel
from maskwatch.types import Floats, Image


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Scores that belong to the weights of three networks.

    Attributes:
        proposal: What a candidate of the P-Net must exceed.
        refined: What one of the R-Net must exceed.
        face: What the O-Net must give at the least.
    """

    proposal: float
    refined: float
    face: float


STOCK = Thresholds(0.6, 0.7, 0.8)
"""Of the package `mtcnn` 1.0."""

TRAINED = Thresholds(0.4, 0.4, 0.7)
"""Of networks that `maskwatch mtcnn train` trained."""

MAX_OVERLAP = 0.7

_MAX_OVERLAP_OF_WINDOWS = 0.5

# Of one picture; the photos of crowds that were looked at have far fewer.
_MAX_CANDIDATES = 5000


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Squares that a network takes for faces.

    Attributes:
        boxes: `(N, 4)` in pixels of the picture, also outside of it.
        scores: `(N,)`, best first.
    """

    boxes: Floats
    scores: Floats


def proposals(pnet: OnnxModel, image: Image, min_face_px: float, min_score: float) -> Candidates:
    """The first stage: what the P-Net takes for faces, anywhere and of any size.

    Args:
        pnet: The network.
        image: BGR picture.
        min_face_px: Side of the smallest faces that are looked for.
        min_score: What a candidate must exceed.

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


def refined(rnet: OnnxModel, image: Image, candidates: Candidates, min_score: float) -> Candidates:
    """The second stage: of candidates those that the R-Net takes for faces; as above."""
    if not len(candidates.boxes):
        return candidates
    scores, offsets = rnet(cut(image, candidates.boxes, 24))[:2]
    likely = np.nonzero(scores > min_score)[0]
    return _kept(moved(candidates.boxes[likely], offsets[likely]), scores[likely])


def _kept(boxes: Floats, scores: Floats) -> Candidates:
    kept = suppressed(boxes, scores, MAX_OVERLAP)[:_MAX_CANDIDATES]
    return Candidates(squares(boxes[kept], 1), scores[kept])


def moved(boxes: Floats, offsets: Floats) -> Floats:
    """Boxes `(N, 4)` with their sides moved by shares of their size, `(N, 4)`.

    The size counts the last pixel too, as in the paper's code.
    """
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    return np.asarray(boxes + offsets * np.hstack([sides, sides]), dtype=np.float32)
