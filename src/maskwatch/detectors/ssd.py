"""OpenCV's res10 SSD at 300 px, from its Caffe pair or its TensorFlow pair.

Liu et al. 2016, "SSD: Single Shot MultiBox Detector" (arXiv:1512.02325), on a ten-layer ResNet.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from maskwatch.boxes import clip
from maskwatch.errors import ModelFileError, ModelOutputError
from maskwatch.types import Faces, Floats, Image

_INPUT_PX = 300
_MEAN_BGR = (104.0, 177.0, 123.0)


class SsdDetector:
    """The res10 SSD; the pictures of a call go through the network together where OpenCV can."""

    name = "ssd"
    tells_states = False

    def __init__(self, files: Sequence[Path], min_score: float = 0.5) -> None:
        """Load the network.

        Args:
            files: A `.prototxt` and a `.caffemodel`, or a `.pb` and a `.pbtxt`, in any order.
            min_score: Faces scored lower are not returned.

        Raises:
            ModelFileError: The files are no such pair or cannot be loaded.
        """
        self.min_score = min_score
        self._batches = True
        self._net = _load({path.suffix.lower(): path for path in files})
        kinds = [self._net.getLayer(name).type for name in self._net.getUnconnectedOutLayersNames()]
        if kinds != ["DetectionOutput"]:
            names = ", ".join(str(path) for path in files)
            raise ModelFileError(f"{names} are another network than the SSD; it ends in {kinds}.")

    def __call__(self, images: Sequence[Image]) -> list[Faces]:
        """Find the faces of each picture.

        Raises:
            ModelOutputError: The network failed or returned NaN.
        """
        # Scaled one by one first, so that a batch of large pictures is never copied at full size.
        scaled = [cv2.resize(image, (_INPUT_PX, _INPUT_PX)) for image in images]
        return [
            self._faces(rows, image) for rows, image in zip(self._rows(scaled), images, strict=True)
        ]

    def _rows(self, scaled: list[cv2.typing.MatLike]) -> list[Floats]:
        """For each picture rows of image number, class, score, box 0..1, `(N, 7)`."""
        if len(scaled) > 1 and self._batches:
            try:
                rows = self._forward(scaled)
                return [rows[rows[:, 0] == index] for index in range(len(scaled))]
            except cv2.error:  # OpenCV cannot run a batch through the TensorFlow form
                self._batches = False
        try:
            return [self._forward([image]) for image in scaled]
        except cv2.error as exc:
            raise ModelOutputError(f"the SSD network failed: {exc.err}") from exc

    def _forward(self, scaled: list[cv2.typing.MatLike]) -> Floats:
        self._net.setInput(cv2.dnn.blobFromImages(scaled, mean=_MEAN_BGR))
        rows = np.asarray(self._net.forward(), np.float32).reshape(-1, 7)
        if not np.isfinite(rows).all():
            raise ModelOutputError("the SSD network returned NaN. Fetch its files again.")
        return rows

    def _faces(self, rows: Floats, image: Image) -> Faces:
        height, width = image.shape[:2]
        rows = rows[rows[:, 2] >= self.min_score]
        rows = rows[np.argsort(-rows[:, 2], kind="stable")]
        size = np.array([width, height, width, height], np.float32)
        boxes = clip(rows[:, 3:7] * size, width, height)
        solid = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        return Faces(boxes[solid], rows[solid, 2])


def _load(by_suffix: dict[str, Path]) -> cv2.dnn.Net:
    try:
        match sorted(by_suffix):
            case [".caffemodel", ".prototxt"]:
                return cv2.dnn.readNetFromCaffe(
                    str(by_suffix[".prototxt"]), str(by_suffix[".caffemodel"])
                )
            case [".pb", ".pbtxt"]:
                return cv2.dnn.readNetFromTensorflow(
                    str(by_suffix[".pb"]), str(by_suffix[".pbtxt"])
                )
    except cv2.error as exc:
        names = ", ".join(str(path) for path in by_suffix.values())
        raise ModelFileError(f"cannot load the SSD network from {names}: {exc.err}") from exc
    names = ", ".join(str(path) for path in by_suffix.values()) or "no files"
    raise ModelFileError(
        f"the SSD network needs a .prototxt and a .caffemodel, or a .pb and a .pbtxt; got {names}."
    )
