"""Haar cascades, frontal and profile, from the files inside the OpenCV package.

Viola and Jones 2001, "Rapid object detection using a boosted cascade of simple features". They
were made for bare, upright faces; many masked ones are missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from maskwatch.boxes import clip, iou, nms
from maskwatch.types import Faces, Floats, Image

_FRONTAL_LONG_SIDE_PX = 640
# The profile cascade takes two thirds of the time at full size and finds next to nothing more.
_PROFILE_LONG_SIDE_PX = 400
_MIN_FACE_PX = 24
_MIN_WINDOWS = 2
_PYRAMID_STEP = 1.2
_SAME_FACE_IOU = 0.4
_MAX_IOU = 0.3
# The profile cascade raises about twice as many false alarms for its windows.
_PROFILE_WEIGHT = 0.5
_HALF_SURE_WINDOWS = 3.0
# The cascades draw a square around the head; a face is labelled narrower. Taken off on each side,
# as shares of the side: left, top, right, bottom.
_TIGHTEN = (0.08, 0.04, -0.08, 0.0)


class HaarDetector:
    """Frontal and profile cascades on the grey picture, their boxes merged.

    A cascade looks through many overlapping windows and finds a real face in several of them. It
    gives no probability; the score is `n / (n + 3)` for n windows that agree, those of the
    profile cascade counted half. On photos of faces from 24 px this ranks far better than the
    weight of the last stage.
    """

    name = "haar"
    tells_states = False

    def __init__(self, min_score: float = 0.5) -> None:
        """Load the cascades.

        Args:
            min_score: Faces scored lower are not returned.
        """
        folder = Path(cv2.__file__).parent / "data"
        self.min_score = min_score
        self._frontal = cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_alt2.xml"))
        self._profile = cv2.CascadeClassifier(str(folder / "haarcascade_profileface.xml"))

    def __call__(self, images: Sequence[Image]) -> list[Faces]:
        """Find the faces of each picture."""
        return [self._find(image) for image in images]

    def _find(self, image: Image) -> Faces:
        height, width = image.shape[:2]
        boxes, windows = self._scan_all(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
        agreeing = (iou(boxes, boxes) > _SAME_FACE_IOU).astype(np.float32) @ windows
        scores = agreeing / (agreeing + _HALF_SURE_WINDOWS)
        kept = nms(boxes, scores, _MAX_IOU)
        kept = kept[scores[kept] >= self.min_score]
        return Faces(clip(boxes[kept], width, height), scores[kept])

    def _scan_all(self, grey: cv2.typing.MatLike) -> tuple[Floats, Floats]:
        """Boxes `(N, 4)` and weighted windows `(N,)` of both cascades, profiles from both sides."""
        frontal, frontal_windows = _scan(self._frontal, grey, _FRONTAL_LONG_SIDE_PX)
        facing_left, left_windows = _scan(self._profile, grey, _PROFILE_LONG_SIDE_PX)
        flipped, right_windows = _scan(self._profile, cv2.flip(grey, 1), _PROFILE_LONG_SIDE_PX)
        facing_right = flipped.copy()
        facing_right[:, [0, 2]] = grey.shape[1] - flipped[:, [2, 0]]
        profile_windows = np.concatenate([left_windows, right_windows]) * _PROFILE_WEIGHT
        return (
            np.concatenate([frontal, facing_left, facing_right]),
            np.concatenate([frontal_windows, profile_windows]).astype(np.float32),
        )


def _scan(
    cascade: cv2.CascadeClassifier, grey: cv2.typing.MatLike, long_side_px: int
) -> tuple[Floats, Floats]:
    """Boxes `(N, 4)` that one cascade finds, and in how many windows `(N,)`."""
    height, width = grey.shape[:2]
    scale = min(1.0, long_side_px / max(height, width))
    if scale < 1:
        # Of a very narrow picture one row or column is left.
        size = max(1, round(width * scale)), max(1, round(height * scale))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    found, windows = cascade.detectMultiScale2(
        grey,
        scaleFactor=_PYRAMID_STEP,
        minNeighbors=_MIN_WINDOWS,
        minSize=(_MIN_FACE_PX, _MIN_FACE_PX),
    )
    boxes = np.asarray(found, np.float32).reshape(-1, 4) / np.float32(scale)
    boxes[:, 2:] += boxes[:, :2]
    sides = boxes[:, 2:3] - boxes[:, :1]
    return boxes + sides * np.array(_TIGHTEN, np.float32), np.asarray(windows, np.float32).ravel()
