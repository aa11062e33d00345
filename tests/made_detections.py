"""Labelled and found faces made at random, near enough to each other that matching is contested."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from maskwatch.metrics.detection import DetectionReport
from maskwatch.metrics.found import NO_STATE, Doubles, Found, Truths
from maskwatch.metrics.judged import Source


def contested(
    seed: int, photos: int = 12, *, states: bool = True, unstated: float = 0.15
) -> tuple[Truths, Found]:
    """Truths and found faces of several photos, some of which have none of one or the other.

    Args:
        seed: Of the random numbers.
        photos: How many.
        states: Whether found faces have state probabilities.
        unstated: Share of the labelled faces without a state.
    """
    rng = np.random.default_rng(seed)
    truth_photo = np.sort(rng.integers(0, photos, 5 * photos))
    found_photo = np.sort(rng.integers(0, photos, 14 * photos))
    truth_boxes = _boxes(rng, len(truth_photo))
    found_boxes = _boxes(rng, len(found_photo))
    # Most of the found ones lie near a labelled one.
    for index, photo in enumerate(found_photo):
        own = np.nonzero(truth_photo == photo)[0]
        if len(own) and rng.random() < 0.8:
            near = truth_boxes[rng.choice(own)]
            found_boxes[index] = near + rng.integers(-7, 8, 4)
    labels = rng.integers(0, 3, len(truth_photo))
    labels[rng.random(len(labels)) < unstated] = NO_STATE
    # Rounded, so that scores are equal now and then.
    scores = rng.random(len(found_photo)).round(2)
    probs = rng.dirichlet((0.7, 0.7, 0.7), len(found_photo)) if states else None
    return (
        Truths(truth_photo, truth_boxes, labels),
        Found(found_photo, found_boxes, scores, probs),
    )


def _boxes(rng: np.random.Generator, count: int) -> Doubles:
    corners = rng.integers(0, 90, (count, 2))
    sides = rng.integers(12, 60, (count, 2))
    return np.concatenate([corners, corners + sides], axis=1).astype(np.float64)


def report_of(
    truths: Truths,
    found: Found,
    photos: int,
    *,
    min_score: float = 0.5,
    min_face_px: float = 24,
    sources: int = 1,
    name: str = "made",
) -> DetectionReport:
    """A report; as shipped the detector finds what has at least `min_score`."""
    enough = found.scores >= min_score
    probs = None if found.state_probs is None else found.state_probs[enough]
    shipped = Found(found.photo[enough], found.boxes[enough], found.scores[enough], probs)
    return DetectionReport(
        name,
        truths,
        found,
        shipped,
        np.arange(photos) % sources,
        tuple(Source(f"set{index}", "val", Path("here")) for index in range(sources)),
        min_score,
        min_face_px,
        np.full(photos, 7.0),
    )
