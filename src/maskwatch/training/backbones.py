"""Networks with ImageNet weights. Input: uint8 BGR crops; scaling and channel order are inside."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np

from maskwatch.errors import DownloadError, ModelFileError, UnknownNameError, UsageError
from maskwatch.types import CLASSES

BACKBONES: dict[str, Any] = {
    name: maker
    for name, maker in sorted(vars(keras.applications).items())
    if callable(maker) and name[0].isupper()
}
"""Every network of `keras.applications`, by its name there."""

_INPUTS = {
    "resnet": "caffe",
    "vgg16": "caffe",
    "vgg19": "caffe",
    "densenet": "torch",
    "convnext": "raw",
    "efficientnet": "raw",
    "efficientnet_v2": "raw",
    "mobilenet_v3": "raw",
}
"""By the module of a network: what its ImageNet weights were trained on; all others: `signed`."""

# Statistics of ImageNet as each school of weights took them, see keras' imagenet_utils.
_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)
_TORCH_MEAN_RGB = (0.485, 0.456, 0.406)
_TORCH_STD_RGB = (0.229, 0.224, 0.225)

_BLOCKS = (
    r"conv\d+_block\d+(?=_)",
    r"stage_\d+_block_\d+",
    r"expanded_conv(_\d+)?(?=_)",
    r"block_?\d+[a-z]?(?=_)",
    r"(?<=conv_)(dw|pw)_\d+",
)
"""How the layers of a block are named, over all networks."""


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


@keras.saving.register_keras_serializable(package="maskwatch")
class BgrInput(keras.layers.Layer):  # type: ignore[misc]
    """BGR of 0 to 255 to what a network was trained on.

    Attributes:
        form: `signed`: RGB of -1 to 1; `unit`: RGB of 0 to 1; `raw`: RGB of 0 to 255; `torch`: RGB
            less ImageNet's mean, over its deviation; `caffe`: BGR of 0 to 255 less its mean.
    """

    def __init__(self, form: str, **kwargs: Any) -> None:
        # Pixels lose nothing here; half precision would round them.
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.form = form

    def call(self, inputs: Any) -> Any:
        """Scale `(N, S, S, 3)`."""
        bgr = keras.ops.cast(inputs, "float32")
        if self.form == "caffe":
            return bgr - np.array(_CAFFE_MEAN_BGR, np.float32)
        rgb = keras.ops.take(bgr, [2, 1, 0], axis=-1)
        if self.form == "torch":
            mean, deviation = (np.array(v, np.float32) for v in (_TORCH_MEAN_RGB, _TORCH_STD_RGB))
            return (rgb / 255.0 - mean) / deviation
        if self.form == "signed":
            return rgb / 127.5 - 1.0
        return rgb / 255.0 if self.form == "unit" else rgb

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's own shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes."""
        return {**super().get_config(), "form": self.form}


def backbone_name(name: str) -> str:
    """The name as `keras.applications` spells it; case, `-` and `_` do not count.

    Raises:
        UnknownNameError: It has no such network.
    """
    by_letters = {_letters(known): known for known in BACKBONES}
    if _letters(name) not in by_letters:
        raise UnknownNameError("backbone", name, BACKBONES)
    return by_letters[_letters(name)]


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def input_form(name: str) -> str:
    """What the ImageNet weights of a backbone were trained on, a form of `BgrInput`."""
    module = BACKBONES[backbone_name(name)].__module__.rsplit(".", 1)[-1]
    return _INPUTS.get(module, "signed")


def build_backbone(name: str, size_px: int | None, weights: str | Path) -> keras.Model:
    """A network without its top: scaled pictures in, feature maps out.

    Args:
        name: Any of `BACKBONES`.
        size_px: Side of the input; None takes pictures of any size.
        weights: `imagenet`, which Keras downloads; `none`; or a file.

    Raises:
        UnknownNameError: No such network.
        UsageError: It cannot take pictures that small.
        DownloadError: The ImageNet weights are not here and cannot be fetched.
        ModelFileError: The file is missing, damaged or of another network.
    """
    proper = backbone_name(name)
    shape = (size_px, size_px, 3)
    chosen = "imagenet" if str(weights) == "imagenet" else None
    try:
        backbone = BACKBONES[proper](input_shape=shape, include_top=False, weights=chosen)
    except Exception as exc:
        raise _translated(proper, size_px, exc) from exc
    if chosen is None and str(weights) != "none":
        load_backbone(backbone, Path(weights))
    return backbone


def _translated(name: str, size_px: int | None, exc: Exception) -> Exception:
    """What to raise for what a network's maker raised."""
    text = " ".join(str(exc).split())
    if failed := re.search(r"URL fetch failure on (\S+?): (.*)", text):
        url, reason = failed.groups()
        reason = reason.removeprefix("None -- ")
        return DownloadError(
            f"cannot download the ImageNet weights of {name} from {url} ({reason}). Fetch that "
            "file where there is a network and give it with --weights FILE; --weights none "
            "starts from random weights."
        )
    if isinstance(exc, OSError):
        return DownloadError(f"cannot load the ImageNet weights of {name}: {text}.")
    return UsageError(f"{name} cannot take pictures of {size_px} px: {text[:200]}")


def load_backbone(backbone: keras.Model, path: Path) -> None:
    """Load weights into a network from `*.weights.h5`, Keras' older `*.h5`, or a whole `*.keras`.

    A `.keras` file may hold the network itself or a classifier with it inside.

    Raises:
        ModelFileError: The file is missing, damaged or of another network.
    """
    if not path.is_file():
        raise ModelFileError(f"cannot load backbone weights from {path}: no such file.")
    try:
        if path.suffix == ".keras":
            backbone.set_weights(_fitting(keras.models.load_model(path), backbone, path))
        else:
            backbone.load_weights(path)
    except ModelFileError:
        raise
    except Exception as exc:  # h5py, zipfile and Keras share no base but Exception
        raise ModelFileError(
            f"cannot load backbone weights from {path} into {backbone.name}: {_why(exc)}"
        ) from exc


def _why(exc: Exception) -> str:
    """The part of Keras' words that says what does not fit, on one line."""
    text = " ".join(str(exc).split())
    _, _, example = text.partition("Example error message for ")
    return (example or text)[:300]


def _fitting(loaded: Any, backbone: keras.Model, path: Path) -> list[Any]:
    """The weights of the first network within a model that has the backbone's shapes."""
    wanted = [tuple(weight.shape) for weight in backbone.weights]
    models = [loaded, *(layer for layer in loaded._flatten_layers() if hasattr(layer, "weights"))]
    for model in models:
        if [tuple(weight.shape) for weight in model.weights] == wanted:
            return list(model.get_weights())
    raise ModelFileError(
        f"cannot load backbone weights from {path}: no part of it has the {len(wanted)} weights "
        f"of {backbone.name}."
    )


def weights_hash(model: keras.Model) -> str:
    """A hash of all weights of a model, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for value in model.get_weights():
        digest.update(f"{value.shape}{value.dtype}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def unfreeze(backbone: keras.Model, name: str, trainable: str | int, norm_momentum: float) -> None:
    """Say which layers learn.

    Args:
        backbone: From `build_backbone`.
        name: For messages.
        trainable: `none`, `all`, or the number of its last blocks.
        norm_momentum: Momentum of batch normalisation's statistics.

    Raises:
        UsageError: It has fewer blocks, or its layers are not named by blocks.
    """
    first = 0 if trainable == "all" else len(backbone.layers)
    if isinstance(trainable, int):
        starts = block_starts(backbone)
        if not starts:
            raise UsageError(f"the layers of {name} are not named by blocks. Unfreeze none or all.")
        if trainable > len(starts):
            raise UsageError(
                f"{name} has {len(starts)} blocks, cannot unfreeze {trainable}. Give fewer, or all."
            )
        first = starts[-trainable]
    backbone.trainable = True
    for index, layer in enumerate(backbone.layers):
        # A frozen BatchNormalization also keeps its statistics, so it computes as in serving.
        layer.trainable = index >= first
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = norm_momentum
    if trainable == "none":
        backbone.trainable = False


def block_starts(backbone: keras.Model) -> list[int]:
    """Where each block of a network begins in its layers; empty where names do not tell."""
    starts: dict[str, int] = {}
    for index, layer in enumerate(backbone.layers):
        for pattern in _BLOCKS:
            if found := re.search(pattern, layer.name):
                starts.setdefault(re.sub(r"^(dw|pw)_", "", found[0]), index)
                break
    return sorted(starts.values())


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
        load_backbone(backbone, weights)
    features = keras.layers.Dropout(dropout)(backbone(BgrToUnit()(crops)))
    probs = keras.layers.Dense(
        len(CLASSES), activation="softmax", dtype="float32", name="state_probs"
    )(features)
    return keras.Model(crops, probs, name="mask_classifier")
