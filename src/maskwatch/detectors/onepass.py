"""The one-pass detector: one look of one network finds the faces and judges their masks.

How it was made is in `maskwatch.training.onepass`, how well it does in its model card.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from maskwatch.boxes import clip, nms
from maskwatch.errors import ModelError, ModelFileError
from maskwatch.preprocess import DETECTOR_LONG_SIDE_PX, DETECTOR_MULTIPLE_PX, shrunk_and_padded
from maskwatch.runtime import OnnxModel
from maskwatch.types import CLASSES, Faces, Image

FAST_LONG_SIDE_PX = 320
"""Longer side at which it looks at pictures where time is short."""

_MAX_IOU = 0.5
_MAX_CANDIDATES = 1000


def is_onepass(path: Path) -> bool:
    """Whether a file is a one-pass detector; not where it is missing, damaged or another model."""
    if path.suffix != ".onnx" or not path.is_file():
        return False
    try:
        return _fits(OnnxModel(path, threads=1))
    except ModelError:
        return False


def _fits(model: OnnxModel) -> bool:
    shape, outputs = model.input_shape, model.output_shapes
    pictures = len(shape) == 4 and shape[3] == 3 and model.input_dtype == "uint8"
    return pictures and [len(each) for each in outputs] == [3, 2, 3] and outputs[0][2] == 4


class OnePassDetector:
    """A network from pictures to faces with the probabilities of the three states."""

    name = "onepass"
    tells_states = True

    def __init__(
        self,
        path: Path,
        min_score: float = 0.55,
        *,
        long_side_px: int = DETECTOR_LONG_SIDE_PX,
        threads: int | None = None,
    ) -> None:
        """Load and check the file.

        Args:
            path: An ONNX file with input `(N, H, W, 3)` uint8 and the outputs boxes `(N, A, 4)`,
                scores `(N, A)` and state probabilities `(N, A, 3)`.
            min_score: Faces scored lower are not returned.
            long_side_px: Longer side that pictures are scaled to.
            threads: Threads for one call; None takes one for each core.

        Raises:
            ModelNotFoundError: No such file.
            ModelFileError: The file is corrupt or another kind of model.
        """
        self.min_score = min_score
        self._long_side_px = long_side_px
        self._model = OnnxModel(path, threads=threads)
        if not _fits(self._model):
            raise ModelFileError(
                f"{path} is not a one-pass detector: it takes {self._model.input_dtype} "
                f"{self._model.input_shape} and gives {self._model.output_shapes}; expected uint8 "
                f"(N, H, W, 3) and (N, A, 4), (N, A), (N, A, {len(CLASSES)})."
            )

    def __call__(self, images: Sequence[Image]) -> list[Faces]:
        """Find the faces of each picture, best score first, with state probabilities.

        Raises:
            ModelOutputError: The network failed or returned NaN.
        """
        return [self._find(image) for image in images]

    def _find(self, image: Image) -> Faces:
        height, width = image.shape[:2]
        scaled, scale_xy = shrunk_and_padded(image, self._long_side_px, DETECTOR_MULTIPLE_PX)
        boxes, scores, probs = (output[0] for output in self._model(scaled[None]))
        likely = np.nonzero(scores >= self.min_score)[0]
        if len(likely) > _MAX_CANDIDATES:
            likely = likely[np.argpartition(-scores[likely], _MAX_CANDIDATES)[:_MAX_CANDIDATES]]
        boxes = clip(boxes[likely] / np.tile(scale_xy, 2), width, height)
        solid = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        likely, boxes = likely[solid], boxes[solid]
        kept = nms(boxes, scores[likely], _MAX_IOU)
        chosen = likely[kept]
        return Faces(boxes[kept], scores[chosen], state_probs=probs[chosen])
