"""Classifiers on ImageNet backbones. Input: uint8 BGR crops; output: state probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from maskwatch.errors import ModelFileError
from maskwatch.types import CLASSES


@keras.saving.register_keras_serializable(package="maskwatch")
class BgrToUnit(keras.layers.Layer):  # type: ignore[misc]
    """BGR of 0 to 255 to RGB of -1 to 1, the scale of MobileNetV2's ImageNet weights."""

    def call(self, inputs: Any) -> Any:
        """Scale `(N, S, S, 3)` and reverse its channels."""
        rgb = keras.ops.take(keras.ops.cast(inputs, self.compute_dtype), [2, 1, 0], axis=-1)
        return rgb / 127.5 - 1.0

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's own shape."""
        return input_shape


def mobilenet_v2(
    size_px: int | None, weights: Path | None, *, alpha: float = 1.0, dropout: float = 0.2
) -> keras.Model:
    """MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) with a three-class softmax.

    Args:
        size_px: Side of the square input; None takes pictures of any size.
        weights: Keras weights of the backbone without its top, or None for random ones.
        alpha: Width multiplier.
        dropout: Share of pooled features dropped in training.

    Raises:
        ModelFileError: The weights are missing or do not fit.
    """
    crops = keras.Input((size_px, size_px, 3), name="crops")
    backbone = keras.applications.MobileNetV2(
        input_shape=(size_px, size_px, 3),
        alpha=alpha,
        include_top=False,
        weights=None,
        pooling="avg",
    )
    if weights is not None:
        try:
            backbone.load_weights(weights)
        except (OSError, ValueError) as exc:
            raise ModelFileError(f"cannot load backbone weights from {weights}: {exc}") from exc
    features = keras.layers.Dropout(dropout)(backbone(BgrToUnit()(crops)))
    probs = keras.layers.Dense(
        len(CLASSES), activation="softmax", dtype="float32", name="state_probs"
    )(features)
    return keras.Model(crops, probs, name="mask_classifier")
