"""YuNet, a light one-stage face detector with five landmarks.

Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from maskwatch.boxes import clip, nms
from maskwatch.errors import ModelFileError, ModelOutputError
from maskwatch.types import Faces, Floats, Image

_LONG_SIDE_PX = 640
_CLOSE_UP_PX = 320
_TRIAL_PX = 64
# With a side of 32 px or less OpenCV answers from memory that it never wrote.
_MIN_SIDE_PX = 64
_CLOSE_UP_SHARE = 0.35
_MAX_IOU = 0.3
_MAX_CANDIDATES = 5000


class YuNetDetector:
    """YuNet at a long side of 640 px, and once more at 320 px where a face may fill the picture.

    The second look is taken where the first found nothing or a face wider or higher than
    `_CLOSE_UP_SHARE` of the picture: the network misses faces much larger than those it learnt.
    """

    name = "yunet"
    tells_states = False

    def __init__(self, path: Path, min_score: float = 0.6) -> None:
        """Load the network.

        Args:
            path: `face_detection_yunet_2023mar.onnx` or another file of that family.
            min_score: Faces scored lower are not returned. Of 286 labelled faces it finds 93% at
                0.6, 77% at 0.8 and 26% at 0.9.

        Raises:
            ModelFileError: The file cannot be loaded or is another network.
        """
        self.min_score = min_score
        try:
            self._net = cv2.FaceDetectorYN.create(
                str(path), "", (_TRIAL_PX, _TRIAL_PX), min_score, _MAX_IOU, _MAX_CANDIDATES
            )
            # Other networks load as well; only a run tells them apart.
            self._net.detect(np.zeros((_TRIAL_PX, _TRIAL_PX, 3), np.uint8))
        except cv2.error as exc:
            reason = " ".join(exc.err.split())
            raise ModelFileError(f"cannot load {path} as YuNet: {reason}") from exc

    def __call__(self, images: Sequence[Image]) -> list[Faces]:
        """Find the faces of each picture.

        Raises:
            ModelOutputError: The network failed or returned NaN.
        """
        return [self._find(image) for image in images]

    def _find(self, image: Image) -> Faces:
        height, width = image.shape[:2]
        rows = self._rows(image, _LONG_SIDE_PX)
        shares = (rows[:, 2:4] / (width, height)).max(axis=1, initial=0)
        if not len(rows) or shares.max(initial=0) > _CLOSE_UP_SHARE:
            rows = np.concatenate([rows, self._rows(image, _CLOSE_UP_PX)])
        boxes, scores = rows[:, :4].copy(), rows[:, 14]
        boxes[:, 2:] += boxes[:, :2]
        boxes = clip(boxes, width, height)
        kept = nms(boxes, scores, _MAX_IOU)
        kept = kept[(boxes[kept, 2:] > boxes[kept, :2]).all(axis=1)]
        return Faces(boxes[kept], scores[kept], landmarks=rows[kept, 4:14].reshape(-1, 5, 2))

    def _rows(self, image: Image, long_side_px: int) -> Floats:
        """Box x y w h, ten landmark coordinates and score, `(N, 15)`, in pixels of the picture."""
        height, width = image.shape[:2]
        scale = long_side_px / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        right, below = (max(0, _MIN_SIDE_PX - side) for side in size)
        try:
            scaled = cv2.resize(image, size, interpolation=how)
            if right or below:
                scaled = cv2.copyMakeBorder(scaled, 0, below, 0, right, cv2.BORDER_CONSTANT)
            self._net.setInputSize((size[0] + right, size[1] + below))
            _, rows = self._net.detect(scaled)
        except cv2.error as exc:
            raise ModelOutputError(f"the YuNet network failed: {exc.err}") from exc
        found: Floats = np.asarray(np.zeros((0, 15)) if rows is None else rows, np.float32)
        if not np.isfinite(found).all():
            raise ModelOutputError("the YuNet network returned NaN. Fetch its file again.")
        found[:, :14] /= np.tile(np.array([size[0] / width, size[1] / height], np.float32), 7)
        return found
