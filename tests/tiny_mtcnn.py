"""MTCNN's networks with weights drawn by lot, and what they compute, told slowly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from maskwatch.detectors.mtcnn import STOCK_THRESHOLDS, Networks
from maskwatch.weights.mtcnn_network import build

Array = NDArray[Any]

CHANNELS = {"pnet": (10, 16, 32), "rnet": (28, 48, 64), "onet": (32, 64, 64, 128)}
KERNELS = {"pnet": (3, 3, 3), "rnet": (3, 3, 2), "onet": (3, 3, 3, 2)}
POOLS: dict[str, tuple[tuple[int, str] | None, ...]] = {
    "pnet": ((2, "same"), None, None),
    "rnet": ((3, "same"), (3, "valid"), None),
    "onet": ((3, "same"), (3, "valid"), (2, "same"), None),
}
DENSE = {"pnet": None, "rnet": 128, "onet": 256}
SIDES_PX = {"pnet": 12, "rnet": 24, "onet": 48}
OUTPUTS = {"pnet": (4, 2), "rnet": (4, 2), "onet": (4, 10, 2)}


def lot(
    name: str,
    seed: int = 0,
    *,
    face: float = 0.0,
    landmarks: bool = True,
    slopes: tuple[float, float] = (-0.5, 1.5),
) -> list[NDArray[np.float32]]:
    """Weights of a network in the order of Keras.

    Args:
        name: `pnet`, `rnet` or `onet`.
        seed: Of the lot.
        face: What the class of faces has ahead.
        landmarks: Whether the O-Net gives them.
        slopes: Least and largest of the PReLUs.
    """
    rng = np.random.default_rng(seed)
    arrays: list[Array] = []
    before = 3
    for channels, side in zip(CHANNELS[name], KERNELS[name], strict=True):
        fan = before * side * side
        arrays.append(rng.normal(0, (2 / fan) ** 0.5, (side, side, before, channels)))
        arrays += [rng.normal(0, 0.1, channels), rng.uniform(*slopes, (1, 1, channels))]
        before = channels
    if (units := DENSE[name]) is not None:
        before *= 9
        arrays.append(rng.normal(0, (2 / before) ** 0.5, (before, units)))
        arrays += [rng.normal(0, 0.1, units), rng.uniform(*slopes, units)]
        before = units
    for size in OUTPUTS[name]:
        if size == 10 and not landmarks:
            continue
        shape = (1, 1, before, size) if DENSE[name] is None else (before, size)
        spread = 1.0 if size == 2 else 0.2
        arrays += [rng.normal(0, spread / before**0.5, shape), np.zeros(size)]
    arrays[-1][1] = face
    return [array.astype(np.float32) for array in arrays]


def write_mtcnn(folder: Path, seed: int = 0, *, landmarks: bool = True) -> list[Path]:
    """P-, R- and O-Net that take much for a face."""
    pytest.importorskip("onnx", reason="onnx is not installed (extra dev)")
    paths = []
    for name in CHANNELS:
        path = folder / f"{name}.onnx"
        path.write_bytes(build(name, lot(name, seed, face=0.5, landmarks=landmarks)))
        paths.append(path)
    return paths


def some_networks(folder: Path, *, landmarks: bool = True) -> Networks:
    """The same with the stock thresholds."""
    return Networks(tuple(write_mtcnn(folder, landmarks=landmarks)), STOCK_THRESHOLDS)


def slow_network(name: str, arrays: list[NDArray[np.float32]], pictures: Array) -> list[Array]:
    """What a network gives for BGR pictures `(N, H, W, 3)` from 0 to 255, layer by layer as Keras.

    Returns:
        Scores, offsets and, where it has them, landmarks.
    """
    left = [array.astype(np.float64) for array in arrays]
    x = (pictures[..., ::-1].astype(np.float64) - 127.5) / 128
    for pool in POOLS[name]:
        x = _prelu(_convolved(x, left.pop(0)) + left.pop(0), left.pop(0))
        if pool is not None:
            x = _pooled(x, *pool)
    if DENSE[name] is not None:
        x = x.transpose(0, 2, 1, 3).reshape(len(x), -1)  # column by column
        x = _prelu(x @ left.pop(0) + left.pop(0), left.pop(0))
    answers = []
    while left:
        kernel, bias = left.pop(0), left.pop(0)
        answers.append((x @ (kernel if kernel.ndim == 2 else kernel[0, 0])) + bias)
    powers = np.exp(answers[-1] - answers[-1].max(axis=-1, keepdims=True))
    return [powers[..., 1] / powers.sum(axis=-1), *answers[:-1]]


def _convolved(x: Array, kernel: Array) -> Array:
    side = len(kernel)
    rows, columns = x.shape[1] - side + 1, x.shape[2] - side + 1
    out = np.zeros((len(x), rows, columns, kernel.shape[3]))
    for row in range(side):
        for column in range(side):
            out += x[:, row : row + rows, column : column + columns] @ kernel[row, column]
    return out


def _prelu(x: Array, slopes: Array) -> Array:
    return np.where(x > 0, x, slopes * x)


def _pooled(x: Array, side: int, padding: str) -> Array:
    """Largest of each window, every 2 px; `same` also has windows that reach over the end."""
    sizes = x.shape[1:3]
    counts = [-(-size // 2) if padding == "same" else (size - side) // 2 + 1 for size in sizes]
    missing = [
        max(0, 2 * (count - 1) + side - size) for count, size in zip(counts, sizes, strict=True)
    ]
    before = [each // 2 for each in missing]
    out = np.zeros((len(x), *counts, x.shape[3]))
    for row in range(counts[0]):
        for column in range(counts[1]):
            top, start = 2 * row - before[0], 2 * column - before[1]
            window = x[:, max(top, 0) : top + side, max(start, 0) : start + side]
            out[:, row, column] = window.max(axis=(1, 2))
    return out
