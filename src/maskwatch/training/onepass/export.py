"""The trained network as an ONNX file: pictures in; boxes, scores and state probabilities out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from maskwatch.errors import ModelError
from maskwatch.export import convert_function
from maskwatch.images import part_of
from maskwatch.preprocess import DETECTOR_MULTIPLE_PX, shrunk_and_padded
from maskwatch.quantize import quantize
from maskwatch.runtime import OnnxModel
from maskwatch.training.onepass.network import BOX, FACE, STATES
from maskwatch.types import Image

OUTPUTS = ("boxes", "scores", "state_probs")

MAX_DIFFERENCE = 0.02
"""How far a score or probability of the file in 32 bits may lie from the Keras model's."""


def read_out(rows: Any) -> dict[str, Any]:
    """The network's rows `(B, A, 11)` as what is served, by the names of `OUTPUTS`."""
    return {
        "boxes": rows[..., BOX],
        "scores": keras.ops.sigmoid(rows[..., FACE]),
        "state_probs": keras.ops.softmax(rows[..., STATES], axis=-1),
    }


def export_onepass(network: keras.Model, path: Path, check: Sequence[Image]) -> float:
    """Write a network in 32 bits and compare it with the original.

    Args:
        network: From `build_network`.
        path: Where to write; an earlier file is replaced.
        check: Pictures, sides multiples of 32.

    Returns:
        The largest difference of a score or probability.

    Raises:
        ModelError: The file does not compute what the model does.
    """
    import onnx

    exported = convert_function(
        lambda images: read_out(network(images, training=False)), (None, None, None, 3), "images"
    )
    onnx.checker.check_model(exported)
    part = part_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        onnx.save(exported, part)
        file = OnnxModel(part)
        largest = 0.0
        for picture in check:
            expected = read_out(network(picture[None], training=False))
            given = dict(zip(OUTPUTS, file(picture[None]), strict=True))
            for name in ("scores", "state_probs"):
                difference = np.abs(given[name] - keras.ops.convert_to_numpy(expected[name]))
                largest = max(largest, float(difference.max()))
        if not largest <= MAX_DIFFERENCE:
            raise ModelError(
                f"{path} would differ from the Keras model by {largest:.4f}, more than "
                f"{MAX_DIFFERENCE}. It was not written."
            )
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return largest


def quantize_onepass(
    source: Path, target: Path, pictures: Sequence[Image], long_side_px: int
) -> None:
    """Write a file of `export_onepass` with 8-bit weights and activations.

    Args:
        source: The file in 32 bits.
        target: Where to write; an earlier file is replaced.
        pictures: To calibrate on, a hundred or more photos.
        long_side_px: At which they are looked at.

    Raises:
        ModelError: The network cannot be quantised.
    """
    inputs: list[Image] = [
        shrunk_and_padded(picture, long_side_px, DETECTOR_MULTIPLE_PX)[0][None]
        for picture in pictures
    ]
    quantize(source, target, inputs)
