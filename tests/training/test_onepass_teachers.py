"""Rules of labels that models give."""

from __future__ import annotations

import numpy as np
import pytest

from maskwatch.training.onepass.pack import IGNORED, NO_STATE
from maskwatch.training.onepass.teachers import (
    MIN_FACE_PX,
    SURE_FACE,
    SURE_STATE,
    TwoStageTeacher,
    sure_states,
)
from maskwatch.types import Faces, Floats, Image, MaskState
from run_helpers import FakeDetector

IMAGE = np.full((200, 200, 3), 90, np.uint8)
SIDE = MIN_FACE_PX + 4


class FixedClassifier:
    """Gives the same probabilities for every crop."""

    size_px = 32

    def __init__(self, *probs: float) -> None:
        self._probs = probs

    def __call__(self, crops: Image) -> Floats:
        assert crops.shape[1:] == (32, 32, 3)
        return np.tile(np.array(self._probs, np.float32), (len(crops), 1))


def found(*faces: tuple[float, float, float]) -> FakeDetector:
    """A detector that finds squares, each by its left upper corner, side and score."""
    boxes = np.array([[at, at, at + side, at + side] for at, side, _ in faces], np.float32)
    return FakeDetector(Faces(boxes, np.array([score for *_, score in faces], np.float32)))


SURE = FixedClassifier(0.03, 0.02, 0.95)
UNSURE = FixedClassifier(SURE_STATE - 0.1, 0.1, 0.15)


@pytest.mark.parametrize(
    ("face", "classifier", "state"),
    [
        ((10, SIDE, SURE_FACE + 0.1), SURE, 2),
        ((10, SIDE, SURE_FACE - 0.1), SURE, IGNORED),
        ((10, MIN_FACE_PX - 2, SURE_FACE + 0.1), SURE, IGNORED),
        ((10, SIDE, SURE_FACE + 0.1), UNSURE, IGNORED),
    ],
    ids=["sure", "doubtful face", "small face", "doubtful state"],
)
def test_states(face: tuple[float, float, float], classifier: FixedClassifier, state: int) -> None:
    """A face is taken over with its state where both are sure, and ignored where not."""
    boxes, states = TwoStageTeacher(found(face), classifier)(IMAGE)
    assert states.tolist() == [state]
    np.testing.assert_allclose(boxes, [[10, 10, 10 + face[1], 10 + face[1]]])


def test_known_state() -> None:
    """Where the state of all is known the classifier is not asked."""
    teacher = TwoStageTeacher(found((10, SIDE, 0.9)), UNSURE, MaskState.WITHOUT_MASK)
    assert teacher(IMAGE)[1].tolist() == [1]


def test_nothing_found() -> None:
    """No faces give arrays of the right shapes."""
    boxes, states = TwoStageTeacher(FakeDetector(), SURE)(IMAGE)
    assert boxes.shape == (0, 4)
    assert states.shape == (0,)


def test_sure_states() -> None:
    """A state is told only where the classifier is sure of it."""
    boxes = np.array([[0, 0, 50, 50], [60, 60, 90, 90]], np.float32)
    assert sure_states(IMAGE, boxes, SURE).tolist() == [2, 2]
    assert sure_states(IMAGE, boxes, UNSURE).tolist() == [NO_STATE, NO_STATE]
