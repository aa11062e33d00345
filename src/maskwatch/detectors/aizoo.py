"""AIZOO's mask detector: an SSD of 1M parameters that finds faces with and without a mask.

Liu et al. 2016, "SSD: Single Shot MultiBox Detector" (arXiv:1512.02325), with anchors of its own.
It knows no masks worn wrongly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from maskwatch.boxes import clip, nms
from maskwatch.errors import ModelFileError, ModelOutputError
from maskwatch.types import CLASSES, Faces, Floats, Image, MaskState

# Of the publisher, for its inputs of 260 and 360 px alike; sides are shares of the picture's.
_STRIDES_PX = (8, 16, 32, 64)
_ANCHOR_SIDES = ((0.04, 0.056), (0.08, 0.11), (0.16, 0.22), (0.32, 0.45), (0.64, 0.72))
_ANCHOR_RATIOS = (0.62, 0.42)
_VARIANCES = (0.1, 0.1, 0.2, 0.2)
_MAX_IOU = 0.4

_OUTPUTS = ("loc_branch_concat", "cls_branch_concat")
_STATES = (MaskState.WITH_MASK, MaskState.WITHOUT_MASK)
_MAX_CANDIDATES = 1000


class AizooDetector:
    """The SSD; it gives the states with the faces, never `incorrect_mask`."""

    name = "aizoo"
    tells_states = True

    def __init__(
        self, files: Sequence[Path], min_score: float = 0.5, *, side_px: int | None = None
    ) -> None:
        """Load the network.

        Args:
            files: A `.prototxt` and a `.caffemodel`, in any order.
            min_score: Faces scored lower are not returned.
            side_px: Side of the square that pictures are scaled to; None takes what the
                `.prototxt` says.

        Raises:
            ModelFileError: The files are no such pair, cannot be loaded or are another network.
        """
        self.min_score = min_score
        text, self._net = _load(files)
        self.side_px = side_px or _declared_side_px(text)
        self._anchors = anchors(map_sides(self.side_px))
        try:
            # Other networks load as well; only a run tells them apart.
            self._forward(np.zeros((self.side_px, self.side_px, 3), np.uint8))
        except ModelOutputError as exc:
            raise ModelFileError(
                f"{_named(files)} are another network than AIZOO's: {exc}"
            ) from exc

    def __call__(self, images: Sequence[Image]) -> list[Faces]:
        """Find the faces of each picture, with state probabilities.

        Raises:
            ModelOutputError: The network failed or returned NaN.
        """
        return [self._find(image) for image in images]

    def _find(self, image: Image) -> Faces:
        height, width = image.shape[:2]
        offsets, confidences = self._forward(image)
        scores = confidences.max(axis=1)
        likely = np.nonzero(scores >= self.min_score)[0]
        likely = likely[np.argsort(-scores[likely], kind="stable")[:_MAX_CANDIDATES]]
        size = np.array([width, height, width, height], np.float32)
        boxes = clip(decode(offsets[likely], self._anchors[likely]) * size, width, height)
        solid = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        likely, boxes = likely[solid], boxes[solid]
        kept = nms(boxes, scores[likely], _MAX_IOU)
        chosen = likely[kept]
        return Faces(boxes[kept], scores[chosen], state_probs=state_probs(confidences[chosen]))

    def _forward(self, image: Image) -> tuple[Floats, Floats]:
        """Box offsets `(A, 4)` and confidences `(A, 2)` of every anchor."""
        size = (self.side_px, self.side_px)
        try:
            self._net.setInput(cv2.dnn.blobFromImage(image, 1 / 255, size, swapRB=True))
            outputs = [np.asarray(output) for output in self._net.forward(_OUTPUTS)]
        except cv2.error as exc:
            reason = " ".join(exc.err.split())
            raise ModelOutputError(f"the AIZOO network failed: {reason}") from exc
        expected = [(1, len(self._anchors), 4), (1, len(self._anchors), len(_STATES))]
        if [output.shape for output in outputs] != expected:
            shapes = " and ".join(str(output.shape) for output in outputs)
            raise ModelOutputError(f"the AIZOO network returned {shapes}, expected {expected}.")
        if not all(np.isfinite(output).all() for output in outputs):
            raise ModelOutputError("the AIZOO network returned NaN. Fetch its files again.")
        return outputs[0][0], outputs[1][0]


def map_sides(side_px: int) -> tuple[int, ...]:
    """Sides of the five feature maps for a square input: 33, 17, 9, 5 and 3 for 260 px."""
    sides = [-(-side_px // stride) for stride in _STRIDES_PX]
    # The last map comes from a convolution of 3 x 3 without padding.
    return (*sides, sides[-1] - 2)


def anchors(sides: Sequence[int]) -> Floats:
    """Anchor boxes of all maps as shares of the picture, centre x y, width, height: `(A, 4)`.

    Each place of a map, row by row, has four: two squares, then the smaller side stretched.

    Args:
        sides: Of the five maps.
    """
    rows = []
    for side, (small, large) in zip(sides, _ANCHOR_SIDES, strict=True):
        shapes = [(small, small), (large, large)]
        shapes += [(small * r**0.5, small / r**0.5) for r in _ANCHOR_RATIOS]
        centres = (np.arange(side) + 0.5) / side
        x, y = np.meshgrid(centres, centres)
        places = np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), len(shapes), axis=0)
        rows.append(np.hstack([places, np.tile(shapes, (side * side, 1))]))
    return np.concatenate(rows).astype(np.float32)


def decode(offsets: Floats, anchors: Floats) -> Floats:
    """Boxes x0 y0 x1 y1 as shares of the picture, `(N, 4)` (SSD, equation 2, with variances).

    Args:
        offsets: `(N, 4)`, of the centre in anchor sides and of the logarithm of the sides.
        anchors: `(N, 4)`, as `anchors` gives them.
    """
    scaled = offsets * np.array(_VARIANCES, np.float32)
    centres = anchors[:, :2] + scaled[:, :2] * anchors[:, 2:]
    half = anchors[:, 2:] * np.exp(scaled[:, 2:]) / 2
    return np.asarray(np.hstack([centres - half, centres + half]), dtype=np.float32)


def state_probs(confidences: Floats) -> Floats:
    """State probabilities `(N, 3)` from the confidences `(N, 2)` of masked and bare faces.

    The network gives the two independently of each other; they are scaled to a sum of 1.
    """
    probs = np.zeros((len(confidences), len(CLASSES)), np.float32)
    columns = [CLASSES.index(state) for state in _STATES]
    probs[:, columns] = confidences / np.maximum(confidences.sum(axis=1, keepdims=True), 1e-9)
    return probs


def _load(files: Sequence[Path]) -> tuple[str, cv2.dnn.Net]:
    """The text of the network, and the network."""
    by_suffix = {path.suffix.lower(): path for path in files}
    if sorted(by_suffix) != [".caffemodel", ".prototxt"]:
        raise ModelFileError(
            f"the AIZOO network needs a .prototxt and a .caffemodel; got {_named(files)}."
        )
    text, weights = by_suffix[".prototxt"], by_suffix[".caffemodel"]
    try:
        net = cv2.dnn.readNetFromCaffe(str(text), str(weights))
        return text.read_text(encoding="utf-8", errors="replace"), net
    except (cv2.error, OSError) as exc:
        reason = " ".join(str(getattr(exc, "err", exc)).split())
        raise ModelFileError(
            f"cannot load the AIZOO network from {_named(files)}: {reason}"
        ) from exc


def _declared_side_px(text: str) -> int:
    """Side of the input that the text of the network declares.

    Raises:
        ModelFileError: It declares no square input of colour pictures.
    """
    dims = [int(number) for number in re.findall(r"^input_dim:\s*(\d+)", text, re.MULTILINE)]
    if len(dims) != 4 or dims[1] != 3 or dims[2] != dims[3]:
        raise ModelFileError(
            f"the .prototxt is not AIZOO's: its input is {dims or 'not declared'}, expected "
            "[1, 3, side, side]."
        )
    return dims[3]


def _named(files: Sequence[Path]) -> str:
    return ", ".join(str(path) for path in files) or "no files"
