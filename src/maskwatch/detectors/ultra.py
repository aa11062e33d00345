"""Linzaer's Ultra-Light face detector, the variant trained on masked faces too.

A small SSD with receptive field blocks (Liu et al. 2018, arXiv:1711.07767), input 640 x 480. It
tells masked faces from bare ones, but was taught on hands, scarves and the like as masks; its two
classes are added up here, and a classifier judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from maskwatch.boxes import clip, nms
from maskwatch.errors import ModelFileError
from maskwatch.runtime import OnnxModel
from maskwatch.types import Faces, Floats, Image

_MEAN, _SCALE = 127.0, 128.0
_MAX_IOU = 0.3
_MAX_CANDIDATES = 1000


class UltraDetector:
    """The network; decoding of its anchors is inside the file."""

    name = "ultra"
    tells_states = False

    def __init__(self, path: Path, min_score: float = 0.5, *, threads: int | None = None) -> None:
        """Load and check the file.

        Args:
            path: An ONNX file with input `(1, 3, H, W)` float32 and the outputs probabilities
                `(1, A, classes)`, the background first, and boxes `(1, A, 4)` as shares.
            min_score: Faces scored lower are not returned.
            threads: Threads for one call; None takes one for each core.

        Raises:
            ModelNotFoundError: No such file.
            ModelFileError: The file is corrupt or another kind of model.
        """
        self.min_score = min_score
        self._model = OnnxModel(path, threads=threads)
        shape, outputs = self._model.input_shape, self._model.output_shapes
        fits = len(shape) == 4 and shape[1] == 3 and shape[2] and shape[3]
        if not fits or [len(out) for out in outputs] != [3, 3] or outputs[1][2] != 4:
            raise ModelFileError(
                f"{path} is not the Ultra-Light detector: it takes {shape} and gives {outputs}; "
                "expected (1, 3, H, W) and (1, A, classes), (1, A, 4)."
            )
        self._size = (int(shape[3] or 0), int(shape[2] or 0))

    def __call__(self, images: Sequence[Image]) -> list[Faces]:
        """Find the faces of each picture.

        Raises:
            ModelOutputError: The network failed or returned NaN.
        """
        return [self._find(image) for image in images]

    def _find(self, image: Image) -> Faces:
        height, width = image.shape[:2]
        probs, boxes = (output[0] for output in self._model(network_input(image, self._size)))
        scores = 1 - probs[:, 0]
        likely = np.nonzero(scores >= self.min_score)[0]
        likely = likely[np.argsort(-scores[likely], kind="stable")[:_MAX_CANDIDATES]]
        size = np.array([width, height, width, height], np.float32)
        boxes = clip(boxes[likely] * size, width, height)
        solid = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        likely, boxes = likely[solid], boxes[solid]
        kept = nms(boxes, scores[likely], _MAX_IOU)
        return Faces(boxes[kept], scores[likely[kept]])


def network_input(image: Image, size: tuple[int, int]) -> Floats:
    """A picture stretched to `size` (width, height), as `(1, 3, H, W)` float32 RGB around 0."""
    scaled = cv2.resize(image, size)
    rgb = np.asarray(scaled, np.float32)[:, :, ::-1].transpose(2, 0, 1)
    return np.ascontiguousarray((rgb - _MEAN) / _SCALE)[None]
