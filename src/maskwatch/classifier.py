"""Judge the masks of faces: crops in, states out.

`unknown` is given by one written rule, `decide`: a face gets it when

1. the square root of its box's area is under `MIN_FACE_PX` pixels, or
2. its picture is too blurred: the variance of the Laplacian of the grey crop, resized to 64 px, is
   under `MIN_SHARPNESS` (Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield
   microscopy"), or
3. no class reaches `MIN_CONFIDENCE`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from maskwatch.boxes import areas
from maskwatch.errors import ModelFileError, UnknownNameError, UsageError
from maskwatch.models import embedded, embedded_path
from maskwatch.preprocess import face_crops
from maskwatch.runtime import OnnxModel
from maskwatch.types import CLASSES, Faces, Floats, Image, MaskState

DEFAULT = "classifier"
"""The embedded classifier that is used where none is named."""

MIN_FACE_PX = 10.0
"""Detectors raise many false alarms below it, and people leave such faces unlabelled."""

MIN_SHARPNESS = 6.0
"""Faces blurred on purpose to this value are judged right in 88% of cases, sharp ones in 95%."""

MIN_CONFIDENCE = 0.55
"""Of labelled faces judged with less, half were judged wrongly."""

FUSED_FROM_PX = 24.0
"""Square root of the area of faces from which on a classifier is asked beside the detector: those
that the mixture was measured on."""

FUSED_SHARE = 0.5
"""Weight of the embedded classifier's answer where the detector has told the states itself.

Measured behind the one-pass detector on the 483 faces of 24 px and more that it finds on ilc val:
shares from 0.5 to 0.7 do alike, and better than either judge alone (states right: 0.959 by the
detector, 0.955 by the classifier, 0.965 by both; `benchmarks/results/judges.json`, which also tells
that behind `aizoo` 0.7 would be better)."""

_SHARPNESS_PX = 64


class Classifier(Protocol):
    """Judges face crops."""

    size_px: int
    """Side of the crops it takes."""

    def __call__(self, crops: Image) -> Floats:
        """Probabilities `(N, 3)`, in the order of `CLASSES`, for `(N, S, S, 3)` uint8 BGR."""
        ...


class OnnxClassifier:
    """A classifier in an ONNX file that takes uint8 BGR crops and gives probabilities."""

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        """Load and check the file.

        Args:
            path: An ONNX file with input `(N, S, S, 3)` uint8 and output `(N, 3)`.
            threads: Threads for one call; None takes one for each core.

        Raises:
            ModelNotFoundError: No such file.
            ModelFileError: The file is corrupt or another kind of model.
        """
        self._model = OnnxModel(path, threads=threads)
        shape, outputs = self._model.input_shape, self._model.output_shapes
        square = len(shape) == 4 and shape[3] == 3 and shape[1] == shape[2] and shape[1]
        three = len(outputs) == 1 and len(outputs[0]) == 2 and outputs[0][1] == len(CLASSES)
        if not square or not three or self._model.input_dtype != "uint8":
            raise ModelFileError(
                f"{path} is not a mask classifier: it takes {self._model.input_dtype} {shape} and "
                f"gives {outputs}; expected uint8 (N, S, S, 3) and (N, {len(CLASSES)})."
            )
        self.size_px = int(square)

    def __call__(self, crops: Image) -> Floats:
        """Probabilities `(N, 3)` for `(N, S, S, 3)` uint8 BGR.

        Raises:
            ModelOutputError: The network failed or returned NaN.
        """
        if not len(crops):
            return np.zeros((0, len(CLASSES)), np.float32)
        return self._model(np.ascontiguousarray(crops))[0]


def load_classifier(name: str = "default", *, threads: int | None = None) -> OnnxClassifier:
    """An embedded classifier or one from an ONNX file.

    Args:
        name: `default`, the name of an embedded classifier, or the path of an ONNX file.
        threads: Threads for one call; None takes one for each core.

    Raises:
        UnknownNameError: It is none of these.
        ModelError: The file cannot be used.
    """
    known = [card.name for card in embedded().values() if card.kind == "classifier"]
    if name == "default" or name in known:
        return OnnxClassifier(
            embedded_path(DEFAULT if name == "default" else name), threads=threads
        )
    path = Path(name)
    if path.suffix == ".onnx" or path.exists():
        return OnnxClassifier(path, threads=threads)
    raise UnknownNameError("classifier", name, ["default", *known, "FILE.onnx"])


def share_of(name: str) -> float:
    """Weight of a classifier's answer, by its name: one that a user names judges alone."""
    return FUSED_SHARE if name == "default" else 1.0


def classify(
    classifier: Classifier | None,
    images: Sequence[Image],
    found: Sequence[Faces],
    *,
    share: float = 1.0,
) -> list[tuple[Faces, tuple[MaskState, ...]]]:
    """Judge all faces of several pictures in one call of the network.

    Args:
        classifier: The judge; None leaves the states to the detector.
        images: B pictures, BGR.
        found: The faces of each.
        share: Weight of the classifier's answer where the detector has told the states itself.
            With less than 1 it is asked only about faces of `FUSED_FROM_PX` and more.

    Returns:
        For each picture its faces with state probabilities, and a decision a face.

    Raises:
        UsageError: There is no classifier, and the detector tells no states.
    """
    size_px = _SHARPNESS_PX if classifier is None else classifier.size_px
    crops = [
        face_crops(image, faces.boxes, size_px) for image, faces in zip(images, found, strict=True)
    ]
    joined = np.concatenate([np.zeros((0, size_px, size_px, 3), np.uint8), *crops])
    told = np.concatenate([np.zeros((0, len(CLASSES)), np.float32), *(_told(f) for f in found)])
    probs, sharp = _fused(classifier, joined, told, found, share), sharpness(joined)
    judged, start = [], 0
    for faces in found:
        end = start + len(faces)
        states = decide(faces.boxes, probs[start:end], sharp[start:end])
        judged.append((faces.with_state_probs(probs[start:end]), states))
        start = end
    return judged


def _told(faces: Faces) -> Floats:
    """The states by the detector, `(N, 3)`; NaN where it tells none."""
    if faces.state_probs is None:
        return np.full((len(faces), len(CLASSES)), np.nan, np.float32)
    return faces.state_probs


def _fused(
    classifier: Classifier | None,
    crops: Image,
    told: Floats,
    found: Sequence[Faces],
    share: float,
) -> Floats:
    """The probabilities of all faces, `(N, 3)`, see `classify`."""
    untold = np.isnan(told[:, 0])
    if classifier is None:
        if untold.any():
            raise UsageError("this detector tells no mask states. Choose a classifier: default.")
        return told
    sizes = np.concatenate([np.zeros(0, np.float32), *(np.sqrt(areas(f.boxes)) for f in found)])
    asked = np.nonzero(untold | (share >= 1) | (sizes >= FUSED_FROM_PX))[0]
    judged = classifier(crops if len(asked) == len(crops) else crops[asked])
    weights = np.where(untold[asked], 1.0, share).astype(np.float32)[:, None]
    fused = np.nan_to_num(told)
    fused[asked] = weights * judged + (1 - weights) * fused[asked]
    return fused


def sharpness(crops: Image) -> Floats:
    """Variance of the Laplacian of each grey crop at 64 px, `(N,)`."""
    values = np.empty(len(crops), np.float32)
    for index, crop in enumerate(crops):
        grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
        small = cv2.resize(grey, (_SHARPNESS_PX, _SHARPNESS_PX), interpolation=cv2.INTER_AREA)
        values[index] = cv2.Laplacian(small, cv2.CV_32F).var()
    return values


def decide(boxes: Floats, state_probs: Floats, sharp: Floats) -> tuple[MaskState, ...]:
    """The state of each face, by the rule at the head of this file.

    Args:
        boxes: `(N, 4)` in pixels.
        state_probs: `(N, 3)`.
        sharp: `(N,)`, see `sharpness`.
    """
    telling = (
        (np.sqrt(areas(boxes)) >= MIN_FACE_PX)
        & (sharp >= MIN_SHARPNESS)
        & (state_probs.max(axis=1, initial=0) >= MIN_CONFIDENCE)
    )
    best = state_probs.argmax(axis=1)
    return tuple(
        CLASSES[index] if known else MaskState.UNKNOWN
        for index, known in zip(best, telling, strict=True)
    )
