"""The three stages, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from maskwatch.boxes import clip
from maskwatch.detectors.mtcnn.crops import cut
from maskwatch.detectors.mtcnn.networks import Networks
from maskwatch.detectors.mtcnn.overlap import suppressed
from maskwatch.detectors.mtcnn.stages import MAX_OVERLAP, moved, proposals, refined
from maskwatch.errors import ModelFileError
from maskwatch.runtime import OnnxModel
from maskwatch.types import Faces, Floats, Image

MIN_FACE_PX = 20
"""Side of the smallest faces that are looked for, where nothing else is said."""

_SIDES_PX = (None, 24, 48)


class MtcnnDetector:
    """P-Net, R-Net and O-Net; with landmarks where the O-Net gives them."""

    name = "mtcnn"
    tells_states = False

    def __init__(
        self,
        networks: Networks,
        min_score: float | None = None,
        *,
        min_face_px: float = MIN_FACE_PX,
        threads: int | None = None,
    ) -> None:
        """Load the networks.

        Args:
            networks: P-Net, R-Net and O-Net, in this order.
            min_score: Faces scored lower are not returned; None takes the networks' own.
            min_face_px: Side of the smallest faces that are looked for; time goes with its square.
            threads: Threads for one call of a network; None takes one for each core.

        Raises:
            ModelNotFoundError: A file is missing.
            ModelFileError: A file is corrupt, another network, or there are not three.
        """
        files = networks.files
        if len(files) != len(_SIDES_PX):
            raise ModelFileError(f"MTCNN has three files, P-, R- and O-Net; got {len(files)}.")
        self.min_score = networks.thresholds.onet if min_score is None else min_score
        self.min_face_px = min_face_px
        self._thresholds = networks.thresholds
        self._pnet, self._rnet, self._onet = (
            _load(path, side_px, threads) for path, side_px in zip(files, _SIDES_PX, strict=True)
        )

    def __call__(self, images: Sequence[Image]) -> list[Faces]:
        """Find the faces of each picture.

        Raises:
            ModelOutputError: A network failed or returned NaN.
        """
        return [self._find(image) for image in images]

    def _find(self, image: Image) -> Faces:
        found = proposals(self._pnet, image, self.min_face_px, self._thresholds.pnet)
        return self._finish(image, refined(self._rnet, image, found, self._thresholds.rnet))

    def _finish(self, image: Image, squares: Floats) -> Faces:
        """The last stage: of squares `(N, 4)` those that are faces to the O-Net, as their boxes."""
        if not len(squares):
            return Faces.empty()
        height, width = image.shape[:2]
        scores, offsets, *landmarks = self._onet(cut(image, squares, 48))
        likely = np.nonzero(scores >= self.min_score)[0]
        boxes = moved(squares[likely], offsets[likely])
        kept = suppressed(boxes, scores[likely], MAX_OVERLAP, "min")
        inside = clip(boxes[kept], width, height)
        solid = (inside[:, 2:] > inside[:, :2]).all(axis=1)
        chosen = likely[kept[solid]]
        points = [placed(values[chosen], squares[chosen]) for values in landmarks]
        return Faces(inside[solid], scores[chosen], landmarks=points[0] if points else None)


def placed(landmarks: Floats, squares: Floats) -> Floats:
    """Landmarks `(N, 5, 2)` in pixels of the picture.

    Args:
        landmarks: `(N, 10)`: five x, then five y, as shares of the square that was looked at.
        squares: `(N, 4)`, those squares.
    """
    sides = squares[:, 2:] - squares[:, :2] + 1
    shares = landmarks.reshape(-1, 2, 5).transpose(0, 2, 1)
    return np.asarray(shares * sides[:, None] + squares[:, None, :2] - 1, dtype=np.float32)


def _load(path: Path, side_px: int | None, threads: int | None) -> OnnxModel:
    """A network that takes `(N, side, side, 3)` and gives scores, offsets and perhaps landmarks."""
    model = OnnxModel(path, threads=threads)
    cells = 1 if side_px else 3
    sizes = [shape[cells:] for shape in model.output_shapes]
    fits = model.input_shape[1:] == (side_px, side_px, 3) and model.input_dtype == "float32"
    expected = [[(), (4,)], [(), (4,), (10,)]]
    if not fits or sizes not in expected[: 2 if side_px == 48 else 1]:
        raise ModelFileError(
            f"{path} is not the network of MTCNN that looks at {side_px or 'any number of'} px: it "
            f"takes {model.input_dtype} {model.input_shape} and gives {model.output_shapes}. "
            "Give P-Net, R-Net and O-Net in this order."
        )
    return model
