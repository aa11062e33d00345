"""The one-pass network: a backbone, a light feature pyramid, and a head without anchor boxes.

MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) gives maps of strides 8, 16 and 32; they are
mixed downwards and upwards (Liu et al. 2018, "Path Aggregation Network", arXiv:1803.01534) with
depthwise separable convolutions; a decoupled head (Ge et al. 2021, YOLOX, arXiv:2107.08430), whose
convolutions all levels share while each has its own normalisation (Lyu et al. 2022, RTMDet,
arXiv:2212.07784), says at each place: a face, its mask state, where its centre is and how large it
is, in strides of the level, as in YOLOX.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from maskwatch.training.backbones import BgrToUnit
from maskwatch.types import CLASSES

STRIDES = (8, 16, 32)
"""Pixels of the input between the places of each level."""

BOX, FACE, STATES, PLACE = slice(0, 4), 4, slice(5, 8), slice(8, 11)
"""Columns of the network's output: edges of the box x0 y0 x1 y1 in pixels; logit of a face; logits
of the states in the order of `CLASSES`; centre x y of the place and stride of its level, pixels."""

_TAPS = ("block_6_expand_relu", "block_13_expand_relu", "block_16_project_BN")
_FACE_PRIOR = 0.01
"""Chance of a face at a place before anything is learnt (Lin et al. 2017, arXiv:1708.02002)."""

_LARGEST = 4.0
"""Sides are at most exp of this, in strides."""

_SIDE_PRIOR = 1.2
"""Logarithm of the sides before anything is learnt, in strides."""


def build_network(
    backbone: keras.Model | None = None, *, channels: int = 64, depth: int = 2, alpha: float = 1.0
) -> keras.Model:
    """A network for pictures whose sides are multiples of 32 px.

    Args:
        backbone: MobileNetV2 without top for pictures of any size, whose weights are kept; None
            takes one with random weights.
        channels: Of the pyramid and the head.
        depth: Convolutions of each branch of the head.
        alpha: Width of the backbone where none is given.

    Returns:
        From `(B, H, W, 3)` uint8 BGR to `(B, A, 11)`, see `BOX`; A places, those of stride 8 first,
        each level row by row.
    """
    backbone = backbone or keras.applications.MobileNetV2(
        input_shape=(None, None, 3), alpha=alpha, include_top=False, weights=None
    )
    images = keras.Input((None, None, 3), dtype="uint8", name="images")
    taps = [backbone.get_layer(name).output for name in _TAPS]
    features = keras.Model(backbone.input, taps, name="features")
    levels = _pyramid(features(BgrToUnit()(images)), channels)
    head = _Head(channels, depth)
    rows = [head(level, number) for number, level in enumerate(levels)]
    joined = keras.layers.Concatenate(axis=1, dtype="float32", name="places")(rows)
    return keras.Model(images, joined, name="onepass")


def _pyramid(maps: list[Any], channels: int) -> list[Any]:
    """Three maps of equal depth in which each level knows of the others."""
    low, middle, high = (
        _pointwise(each, channels, f"lateral_{stride}")
        for each, stride in zip(maps, STRIDES, strict=True)
    )
    add, double = keras.layers.Add, keras.layers.UpSampling2D
    middle = _separable(add()([middle, double(2)(high)]), channels, "down_16")
    low = _separable(add()([low, double(2)(middle)]), channels, "down_8")
    middle = add()([middle, _separable(low, channels, "reduce_16", stride=2)])
    middle = _separable(middle, channels, "up_16")
    high = add()([high, _separable(middle, channels, "reduce_32", stride=2)])
    return [low, middle, _separable(high, channels, "up_32")]


def _pointwise(values: Any, channels: int, name: str) -> Any:
    values = keras.layers.Conv2D(channels, 1, use_bias=False, name=name)(values)
    return _normed(values, name)


def _separable(values: Any, channels: int, name: str, *, stride: int = 1) -> Any:
    if stride == 2:  # as in MobileNetV2, whatever the side: nothing moves by half a place
        values = keras.layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_pad")(values)
    values = keras.layers.DepthwiseConv2D(
        3, stride, padding="same" if stride == 1 else "valid", use_bias=False, name=f"{name}_dw"
    )(values)
    values = keras.layers.BatchNormalization(name=f"{name}_dw_bn")(values)
    return _pointwise(values, channels, name)


def _normed(values: Any, name: str) -> Any:
    values = keras.layers.BatchNormalization(name=f"{name}_bn")(values)
    return keras.layers.ReLU(6.0, name=f"{name}_relu")(values)


class _Head:
    """Two branches whose convolutions all levels share: one of the box, one of face and state."""

    def __init__(self, channels: int, depth: int) -> None:
        layers = keras.layers
        self._branches = {
            branch: [
                (
                    layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{name}_dw"),
                    layers.Conv2D(channels, 1, use_bias=False, name=name),
                )
                for name in (f"{branch}_{number}" for number in range(depth))
            ]
            for branch in ("box", "judge")
        }
        sides = keras.initializers.Constant(np.array([0.0, 0.0, _SIDE_PRIOR, _SIDE_PRIOR]))
        self._box = layers.Conv2D(4, 1, bias_initializer=sides, name="box")
        face = math.log(_FACE_PRIOR / (1 - _FACE_PRIOR))
        prior = keras.initializers.Constant(np.array([face, *[0.0] * len(CLASSES)]))
        self._judge = layers.Conv2D(1 + len(CLASSES), 1, bias_initializer=prior, name="judge")

    def __call__(self, level: Any, number: int) -> Any:
        box = self._box(self._branch("box", level, number))
        judged = self._judge(self._branch("judge", level, number))
        return Places(STRIDES[number], dtype="float32", name=f"places_{STRIDES[number]}")(
            [box, judged]
        )

    def _branch(self, branch: str, values: Any, number: int) -> Any:
        for index, (depthwise, pointwise) in enumerate(self._branches[branch]):
            name = f"{branch}_{index}_{STRIDES[number]}"
            values = keras.layers.BatchNormalization(name=f"{name}_dw_bn")(depthwise(values))
            values = _normed(pointwise(values), name)
        return values


@keras.saving.register_keras_serializable(package="maskwatch")
class Places(keras.layers.Layer):  # type: ignore[misc]
    """From the head's maps of one level to a row for each place, in pixels of the input."""

    def __init__(self, stride: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stride = stride

    def call(self, inputs: Any) -> Any:
        """Decode `(B, h, w, 4)` and `(B, h, w, 4)` to `(B, h * w, 11)`, see `BOX`."""
        ops = keras.ops
        box, judged = inputs
        shape = ops.shape(box)
        stride = float(self.stride)
        ys = (ops.cast(ops.arange(shape[1]), "float32") + 0.5) * stride
        xs = (ops.cast(ops.arange(shape[2]), "float32") + 0.5) * stride
        # Broadcast by addition: the shape is known only when it runs.
        flat = ops.zeros_like(box[..., :1])
        x, y = flat + xs[None, None, :, None], flat + ys[None, :, None, None]
        centre = ops.concatenate([x, y], axis=-1) + box[..., :2] * stride
        half = ops.exp(ops.minimum(box[..., 2:], _LARGEST)) * (stride / 2)
        rows = ops.concatenate([centre - half, centre + half, judged, x, y, flat + stride], axis=-1)
        return ops.reshape(rows, (shape[0], shape[1] * shape[2], 8 + len(CLASSES)))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """A row a place."""
        return (input_shape[0][0], None, 8 + len(CLASSES))

    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes."""
        return {**super().get_config(), "stride": self.stride}
