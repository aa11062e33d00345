"""An ONNX file in 8 bits, by static quantisation.

Weights get a scale a channel and activations one a tensor, found by running real crops
(Krishnamoorthi 2018, arXiv:1806.08342). Measured on the embedded classifier (MobileNetV2 1.0 at
128 px, 546 faces of a validation set, accuracy 0.951 in 32 bits):

- One scale for all of a layer's weights ruins depthwise networks: 0.564.
- With a scale a channel it was 0.941 to 0.947, whatever the ranges were found by (smallest and
  largest value, percentiles, entropy). Nearly all of that loss comes from the weights of the very
  first depthwise layer, so the network is kept in 32 bits up to the end of its first separable
  block: 0.952, at the same speed and size.
- Weights of 7 bits then lose nothing more. They are what is used, since processors without VNNI
  add two products of unsigned and signed bytes in 16 bits, which overflows with 8.
- Signed activations, symmetric or not, were as right, but no faster than 32 bits.

Preprocessing stays in 32 bits, too, and so does the end of the network: its last dense layer and
the softmax, or the last convolutions of a detector and all that turns their maps into boxes.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from maskwatch.errors import DatasetError, MissingExtraError, ModelError, UnknownNameError
from maskwatch.metrics.intervals import wilson
from maskwatch.types import Floats, Image

MIN_CALIBRATION_CROPS = 32
"""With fewer, the ranges of activations are anybody's guess."""

MIN_AGREEMENT = 0.97
"""Share of the decisions that must be the same in 8 bits as before."""

METHODS = ("minmax", "percentile", "entropy")
"""How the range of an activation follows from the values seen."""

_PERCENTILE = 99.99
_BATCH = 8
_QUANTIZED = (
    *("Conv", "Gemm", "MatMul", "Add", "Mul", "Concat", "Relu", "Clip", "Pad"),
    *("GlobalAveragePool", "AveragePool", "MaxPool", "Reshape", "Flatten", "Squeeze", "Transpose"),
)


class _Judge(Protocol):
    def __call__(self, crops: Image) -> Floats: ...


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two models judge the same crops alike.

    Attributes:
        crops: Number of crops.
        share: Of the crops that get the same class from both.
        difference: Largest difference of a probability.
    """

    crops: int
    share: float
    difference: float


def agreement(one: _Judge, other: _Judge, crops: Image, *, batch: int = 64) -> Agreement:
    """Compare two classifiers on `(N, S, S, 3)` crops, N at least 1."""
    same, difference = 0, 0.0
    for start in range(0, len(crops), batch):
        part = crops[start : start + batch]
        first, second = one(part), other(part)
        same += int((first.argmax(axis=1) == second.argmax(axis=1)).sum())
        difference = max(difference, float(np.abs(first - second).max()))
    return Agreement(len(crops), same / len(crops), difference)


def check_agreement(found: Agreement, path: Path) -> None:
    """Refuse a file that decides too often otherwise than before it was quantised.

    With few crops a share under `MIN_AGREEMENT` may be chance; it is refused where even the upper
    end of its 95% interval is under.

    Raises:
        ModelError: It does.
    """
    if wilson(round(found.share * found.crops), found.crops)[1] < MIN_AGREEMENT:
        raise ModelError(
            f"{path} in 8 bits would decide as before on only {found.share:.1%} of {found.crops}"
            f" held-out crops, clearly under {MIN_AGREEMENT:.0%}. It was not written. Give more "
            "calibration pictures or another --method, or export without --int8."
        )


def quantize_classifier(
    source: Path, target: Path, calibration: Image, *, method: str = "minmax"
) -> None:
    """Write a classifier of 32 or 16 bits with 8-bit weights and activations.

    Args:
        source: An ONNX file, input `(N, S, S, 3)` uint8.
        target: Where to write; an earlier file is replaced.
        calibration: `(n, S, S, 3)` real crops as the classifier sees them, several hundred.
        method: One of `METHODS`.

    Raises:
        UnknownNameError: No such method.
        DatasetError: Too few crops.
        MissingExtraError: The package onnx is not installed.
        ModelError: The network cannot be quantised.
    """
    if len(calibration) < MIN_CALIBRATION_CROPS:
        raise DatasetError(
            f"8 bits need at least {MIN_CALIBRATION_CROPS} crops to calibrate, better several "
            f"hundred; got {len(calibration)}. Give --calibration DATA with more faces."
        )
    batches = [calibration[i : i + _BATCH] for i in range(0, len(calibration), _BATCH)]
    quantize(source, target, batches, method=method)


def quantize(
    source: Path, target: Path, batches: Sequence[Image], *, method: str = "minmax"
) -> None:
    """Write a network of 32 or 16 bits with 8-bit weights and activations.

    Args:
        source: An ONNX file that takes uint8 pictures.
        target: Where to write; an earlier file is replaced.
        batches: `(n, H, W, 3)` real inputs to calibrate on.
        method: One of `METHODS`.

    Raises:
        UnknownNameError: No such method.
        MissingExtraError: The package onnx is not installed.
        ModelError: The network cannot be quantised.
    """
    if method not in METHODS:
        raise UnknownNameError("method", method, METHODS)
    # As `maskwatch.runtime`: its packages otherwise collect usage data to send.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    with _quiet(), tempfile.TemporaryDirectory(prefix="maskwatch-") as folder:
        try:
            with _bounded_memory():
                _quantize(source, target, batches, method, Path(folder))
        except ImportError as exc:
            raise MissingExtraError("quantisation", "train") from exc
        except Exception as exc:  # the quantiser's errors share no base but Exception
            reason = (str(exc).splitlines() or [type(exc).__name__])[0][:160]
            raise ModelError(
                f"cannot quantise {source}: {reason}. Export it without --int8."
            ) from exc


def _quantize(
    source: Path, target: Path, batches: Sequence[Image], method: str, folder: Path
) -> None:
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    fused = folder / "fused.onnx"
    # Widens weights of 16 bits, and folds batch normalisation into the layer before it.
    quant_pre_process(str(source), str(fused), skip_symbolic_shape=True)
    graph = onnx.load(fused).graph
    methods = {
        "minmax": CalibrationMethod.MinMax,
        "percentile": CalibrationMethod.Percentile,
        "entropy": CalibrationMethod.Entropy,
    }
    quantize_static(
        str(fused),
        str(target),
        _Batches(graph.input[0].name, batches),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=list(_QUANTIZED),
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=kept_in_float(graph),
        calibrate_method=methods[method],
        # Batch by batch, or all activations of all crops would be in memory at once.
        extra_options={"CalibPercentile": _PERCENTILE, "CalibStridedMinMax": 1},
    )


class _Batches:
    """Hands calibration inputs to the quantiser, in its words a `CalibrationDataReader`."""

    def __init__(self, name: str, batches: Sequence[Image]) -> None:
        self._name = name
        self._batches = batches
        self._next, self._end = 0, len(self._batches)

    def __len__(self) -> int:
        return len(self._batches)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Hand out these batches next."""
        self._next, self._end = start_index, end_index

    def get_next(self) -> dict[str, Image] | None:
        """A batch by the name of the input; None after the last one."""
        if self._next >= self._end:
            return None
        self._next += 1
        return {self._name: self._batches[self._next - 1]}


def kept_in_float(graph: Any) -> list[str]:
    """Names of the nodes of an ONNX graph that are not quantised, see the head of this file.

    These are all before the first convolution; that one; where the next is a depthwise one, all up
    to the convolution behind it; and every layer that no layer follows, with all behind it. An
    activation goes with the layer that it follows.
    """
    nodes = list(graph.node)
    layers = [i for i, node in enumerate(nodes) if node.op_type in ("Conv", "Gemm", "MatMul")]
    convolutions = [i for i in layers if nodes[i].op_type == "Conv"]
    if not convolutions:
        return [node.name for node in nodes]
    separable = len(convolutions) > 2 and _is_depthwise(nodes[convolutions[1]])
    first = convolutions[: 3 if separable else 1]
    # Nodes stand in the order in which they are computed.
    end = next((i for i in layers if i > first[-1]), len(nodes))
    kept = nodes[: first[-1] + 1]
    kept += [node for node in nodes[first[-1] + 1 : end] if node.op_type in ("Clip", "Relu")]
    kept += _end_of(nodes, {i for i in layers if i > first[-1]})
    return [node.name for node in kept]


def _end_of(nodes: list[Any], layers: set[int]) -> list[Any]:
    """The layers that no layer follows, and all nodes that use what these give."""
    users: dict[str, list[int]] = {}
    for index, node in enumerate(nodes):
        for name in node.input:
            users.setdefault(name, []).append(index)
    behind: list[set[int]] = [set() for _ in nodes]
    for index in reversed(range(len(nodes))):
        for user in (user for name in nodes[index].output for user in users.get(name, [])):
            behind[index] |= {user} | behind[user]
    last = {index for index in layers if not behind[index] & layers}
    kept = last.union(*(behind[index] for index in last))
    return [nodes[index] for index in sorted(kept)]


def _is_depthwise(node: Any) -> bool:
    return any(each.name == "group" and each.i > 1 for each in node.attribute)


@contextlib.contextmanager
def _bounded_memory() -> Iterator[None]:
    """Let the quantiser's own session give memory back after each batch.

    With the arena of its default session, all activations of all batches stay: 15 GB for 160 crops
    of 150 px in ResNet101V2. It has no setting for that.
    """
    import onnxruntime as ort
    from onnxruntime.quantization.calibrate import CalibraterBase

    def session(calibrater: Any) -> None:
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.enable_cpu_mem_arena = False
        calibrater.infer_session = ort.InferenceSession(
            calibrater.augmented_model_path,
            sess_options=options,
            providers=calibrater.execution_providers,
        )

    before = CalibraterBase.create_inference_session
    CalibraterBase.create_inference_session = session
    try:
        yield
    finally:
        CalibraterBase.create_inference_session = before


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser's own words off the terminal; what matters comes as an exception."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
