"""Labels for photos that have none, or lack the states, from models that are sure of them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from maskwatch.boxes import areas
from maskwatch.classifier import Classifier
from maskwatch.detectors import Detector
from maskwatch.preprocess import face_crops
from maskwatch.training.onepass.pack import IGNORED, NO_STATE
from maskwatch.types import CLASSES, Floats, Image, MaskState

SURE_FACE = 0.75
"""Score from which a detected face is one; those scored lower are ignored, not denied."""

SURE_STATE = 0.85
"""Probability from which the state of a face is taken over."""

MIN_FACE_PX = 16.0
"""Square root of the area of faces that are taken over; smaller ones are ignored."""


class Teacher(Protocol):
    """Finds faces and says of each what `Scene.states` holds."""

    def __call__(self, image: Image) -> tuple[Floats, NDArray[np.int64]]:
        """Boxes `(N, 4)` and states `(N,)` for one picture."""
        ...


class TwoStageTeacher:
    """A face detector, set to report doubtful faces too, and a classifier behind it."""

    def __init__(
        self, detector: Detector, classifier: Classifier, only: MaskState | None = None
    ) -> None:
        """Choose.

        Args:
            detector: With a low `min_score`.
            classifier: Judges its faces.
            only: The state of every face, where that is known; the classifier is not asked then.
        """
        self._detector = detector
        self._classifier = classifier
        self._only = only

    def __call__(self, image: Image) -> tuple[Floats, NDArray[np.int64]]:
        """As of a `Teacher`. Faces of which it is not sure are `IGNORED`."""
        (faces,) = self._detector([image])
        if self._only is not None:
            states = np.full(len(faces), CLASSES.index(self._only), np.int64)
        else:
            states = sure_states(image, faces.boxes, self._classifier)
        unsure = (faces.scores < SURE_FACE) | (np.sqrt(areas(faces.boxes)) < MIN_FACE_PX)
        # A face whose state is in doubt may be a hand or a scarf.
        return faces.boxes, np.where(unsure | (states == NO_STATE), IGNORED, states)


def sure_states(image: Image, boxes: Floats, classifier: Classifier) -> NDArray[np.int64]:
    """The state of each face, `(N,)`; `NO_STATE` where the classifier is not sure."""
    if not len(boxes):
        return np.zeros(0, np.int64)
    probs = classifier(face_crops(image, boxes, classifier.size_px))
    sure = probs.max(axis=1) >= SURE_STATE
    return np.asarray(np.where(sure, probs.argmax(axis=1), NO_STATE), np.int64)
