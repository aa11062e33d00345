"""MTCNN's networks in Keras, as `weights.mtcnn_network` has them in ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from maskwatch.errors import ModelError, ModelFileError
from maskwatch.runtime import OnnxModel
from maskwatch.training.checkpoints import writing
from maskwatch.types import Floats, Image
from maskwatch.weights.mtcnn_network import PLANS, build

STAGES = tuple(PLANS)
"""Names of the networks in the order in which they look at a picture."""

LANDMARKS = 10
"""Columns of five landmarks: five x, then five y."""

MAX_DIFFERENCE = 1e-4
"""An exported file that answers more differently from Keras is not written."""

_CHANNELS = {"pnet": (10, 16, 32), "rnet": (28, 48, 64), "onet": (32, 64, 64, 128)}
_KERNELS_PX = {"pnet": (3, 3, 3), "rnet": (3, 3, 2), "onet": (3, 3, 3, 2)}
_DENSE = {"rnet": 128, "onet": 256}
_SLOPE = 0.25  # He et al. 2015, arXiv:1502.01852


def side_px(stage: str) -> int:
    """Side of the crops that a network is trained on."""
    return PLANS[stage].side_px


def build_network(stage: str, *, landmarks: bool = False) -> keras.Model:
    """A network with random weights.

    It takes crops `(N, side, side, 3)` in BGR from 0 to 255 and gives `(N, 6)`: four offsets and
    the logits of the two classes (no face, face); with landmarks ten columns more between them.

    Args:
        stage: One of `STAGES`.
        landmarks: Whether the O-Net gives them; the others never do.
    """
    plan, layers = PLANS[stage], keras.layers
    crops = keras.Input((plan.side_px, plan.side_px, 3), name="crops")
    x = (keras.ops.flip(crops, axis=-1) - 127.5) / 128.0
    parts = zip(_CHANNELS[stage], _KERNELS_PX[stage], plan.pools, strict=True)
    for index, (channels, kernel_px, pool) in enumerate(parts):
        x = layers.Conv2D(
            channels, kernel_px, kernel_initializer="he_normal", name=f"conv_{index}"
        )(x)
        x = _prelu(f"slopes_{index}", [1, 2])(x)
        if pool is not None:
            padding = "valid" if pool[1] == "VALID" else "same"
            x = layers.MaxPooling2D(pool[0], 2, padding=padding)(x)
    if plan.map_side:
        x = layers.Flatten()(layers.Permute((2, 1, 3))(x))  # column by column
        x = layers.Dense(_DENSE[stage], kernel_initializer="he_normal", name="dense")(x)
        x = _prelu("slopes_dense", None)(x)
    outputs = [_output(stage, name, size, x) for name, size in _outputs(stage, landmarks)]
    return keras.Model(crops, layers.Concatenate()(outputs), name=stage)


def _prelu(name: str, shared: list[int] | None) -> Any:
    start = keras.initializers.Constant(_SLOPE)
    return keras.layers.PReLU(alpha_initializer=start, shared_axes=shared, name=name)


def _outputs(stage: str, landmarks: bool) -> list[tuple[str, int]]:
    more = [("landmarks", LANDMARKS)] if landmarks and PLANS[stage].landmarks else []
    return [("offsets", 4), *more, ("classes", 2)]


def _output(stage: str, name: str, size: int, x: Any) -> Any:
    if PLANS[stage].map_side:
        return keras.layers.Dense(size, name=name)(x)
    return keras.layers.Flatten()(keras.layers.Conv2D(size, 1, name=name)(x))


def arrays_of(network: keras.Model) -> list[Floats]:
    """The weights in the order of `weights.mtcnn_network.build`."""
    return [np.asarray(array, np.float32) for layer in _layers(network) for array in layer]


def _layers(network: keras.Model) -> list[list[Any]]:
    return [network.get_layer(name).get_weights() for name in _names(network)]


def _names(network: keras.Model) -> list[str]:
    """Layers with weights, in the order of the arrays."""
    names = [layer.name for layer in network.layers if layer.weights]
    heads = [name for name in ("offsets", "landmarks", "classes") if name in names]
    body = [f"{kind}_{n}" for n in range(len(names)) for kind in ("conv", "slopes")]
    return [name for name in (*body, "dense", "slopes_dense") if name in names] + heads


def load_arrays(network: keras.Model, arrays: Sequence[Floats]) -> None:
    """Put weights into a network; landmarks are left out where it has none.

    Args:
        network: Of `build_network`.
        arrays: As `arrays_of` gives them.

    Raises:
        ModelFileError: They are those of another network.
    """
    given, names = list(arrays), _names(network)
    wanted = sum(len(weights) for weights in _layers(network))
    if len(given) == wanted + 2 and "landmarks" not in names:
        del given[-4:-2]
    try:
        if len(given) != wanted:
            raise ValueError(f"{len(given)} arrays, expected {wanted}")
        for name in names:
            layer = network.get_layer(name)
            count = len(layer.weights)
            layer.set_weights([np.asarray(array) for array in given[:count]])
            del given[:count]
    except ValueError as exc:
        raise ModelFileError(
            f"these are not the weights of a {network.name}: {exc}. Begin from another run."
        ) from exc


def has_landmarks(stage: str, arrays: Sequence[Floats]) -> bool:
    """Whether the weights of a network include those of landmarks."""
    return PLANS[stage].landmarks and np.shape(arrays[-3]) == (LANDMARKS,)


def export(stage: str, arrays: Sequence[Floats], path: Path) -> float:
    """Write a network as the ONNX file that `detectors.mtcnn` loads, checked against Keras.

    Args:
        stage: One of `STAGES`.
        arrays: Its weights.
        path: The file; one that is there is replaced.

    Returns:
        The largest difference of an answer on random pictures.

    Raises:
        ModelError: The file answers differently.
        MissingExtraError: onnx is not installed.
        OutputError: The file cannot be written.
    """
    network = build_network(stage, landmarks=has_landmarks(stage, arrays))
    load_arrays(network, arrays)
    part = path.with_name(f"part-{path.name}")
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(build(stage, arrays))
        difference = _difference(network, part)
        if difference > MAX_DIFFERENCE:
            part.unlink()
            raise ModelError(f"{path} would differ from the network by {difference:.2g}.")
        part.replace(path)
    return difference


def _difference(network: keras.Model, path: Path) -> float:
    rng = np.random.default_rng(0)
    crops: Image = rng.integers(0, 256, (16, *network.input_shape[1:]), np.uint8)
    answers = answers_of(network, crops)
    scores, *others = OnnxModel(path, threads=1)(crops.astype(np.float32))
    found = np.hstack([part.reshape(len(crops), -1) for part in (*others, scores)])
    return float(np.abs(found - answers).max())


def answers_of(network: keras.Model, crops: Image) -> Floats:
    """What a network says of crops: offsets, landmarks if any, and the score, `(N, 5)` or more."""
    # Called, not `predict_on_batch`, which would first be compiled for each number of crops.
    given = network(crops.astype(np.float32), training=False)
    answers = np.asarray(keras.ops.convert_to_numpy(given), np.float64)
    scores = 1 / (1 + np.exp(answers[:, -2:-1] - answers[:, -1:]))
    return np.hstack([answers[:, :-2], scores]).astype(np.float32)
