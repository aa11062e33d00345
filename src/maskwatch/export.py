"""Keras classifier to ONNX file."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from maskwatch.classifier import OnnxClassifier
from maskwatch.errors import ModelError, UsageError
from maskwatch.export_crops import ExportCrops
from maskwatch.images import output_error, part_of
from maskwatch.quantize import Agreement, agreement, check_agreement, quantize_classifier
from maskwatch.runtime import OnnxModel
from maskwatch.types import Image

MAX_DIFFERENCE = 0.06
"""Largest difference of a probability that is allowed between Keras and the file.

Weights of 16 bits moved probabilities near one half by up to 0.033; a wrong conversion moves many
by far more.
"""

_BATCH = 32
_OPSET = 17
_SMALLEST_HALVED = 64  # elements; smaller constants cost nothing and may need their precision


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written.

    Attributes:
        path: The file.
        bytes: Its size.
        difference: Largest difference of a probability between Keras and the file in 16 bits.
        int8: How far the file decides as in 16 bits; None where it is that one.
        reference: The file in 16 bits, for a comparison; the same one where `int8` is None.
    """

    path: Path
    bytes: int
    difference: float
    int8: Agreement | None
    reference: Path


def export_model(
    model: keras.Model,
    path: Path,
    crops: ExportCrops,
    *,
    int8: bool = False,
    method: str = "minmax",
    reference: Path | None = None,
) -> Exported:
    """Write a classifier as an ONNX file that was checked on real crops.

    Args:
        model: Takes `(N, S, S, 3)` uint8 BGR, gives `(N, 3)`.
        path: Where to write; an earlier file is replaced once the new one is right.
        crops: To calibrate and to check on.
        int8: With 8-bit weights and activations (`maskwatch.quantize`), else as
            `export_classifier`.
        method: How 8 bits are calibrated.
        reference: With `int8`, where to keep the file in 16 bits; None does not keep it.

    Raises:
        ModelError: The file does not decide as the model does.
        OutputError: It cannot be written.
        UsageError: Keras does not run on TensorFlow, or there is no such method.
    """
    if not int8:
        difference = export_classifier(model, path, crops.check)
        return Exported(path, path.stat().st_size, difference, None, path)
    with tempfile.TemporaryDirectory(prefix="maskwatch-") as folder:
        half, small = Path(folder) / "half.onnx", Path(folder) / "int8.onnx"
        difference = export_classifier(model, half, crops.check)
        quantize_classifier(half, small, crops.calibration, method=method)
        found = agreement(OnnxClassifier(half), OnnxClassifier(small), crops.check)
        check_agreement(found, path)
        _move(small, path)
        if reference is not None:
            _move(half, reference)
    return Exported(path, path.stat().st_size, difference, found, reference or path)


def export_classifier(model: keras.Model, path: Path, check: Image) -> float:
    """Write a classifier as ONNX, with its preprocessing inside and weights of 16 bits.

    The file computes in 32 bits: each weight is widened once when the file is loaded.

    Args:
        model: Takes `(N, S, S, 3)` uint8 BGR, gives `(N, 3)`.
        path: Where to write.
        check: `(N, S, S, 3)` real crops, on which file and model are compared.

    Returns:
        The largest difference of a probability on `check`.

    Raises:
        ModelError: The file does not compute what the model does.
        OutputError: It cannot be written.
        UsageError: Keras does not run on TensorFlow.
    """
    import onnx

    exported = halve_weights(convert(model))
    onnx.checker.check_model(exported)
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(exported, part)
        difference = _difference(model, OnnxModel(part), check)
        if not difference <= MAX_DIFFERENCE:
            raise ModelError(
                f"{path} would differ from the Keras model by {difference:.4f}, "
                f"more than {MAX_DIFFERENCE}. It was not written."
            )
        part.replace(path)
    except OSError as exc:
        raise output_error(path, exc) from exc
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return difference


def _difference(model: keras.Model, file: OnnxModel, check: Image) -> float:
    """The largest difference of a probability, batch by batch."""
    largest = 0.0
    for start in range(0, len(check), _BATCH):
        part = check[start : start + _BATCH]
        # Not predict, which compiles a graph for each new model and complains of it.
        expected = keras.ops.convert_to_numpy(model(part, training=False))
        largest = max(largest, float(np.abs(file(part)[0] - expected).max()))
    return largest


def _move(file: Path, path: Path) -> None:
    """Bring a finished file to its place, from another disk too, whole or not at all."""
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, part)
        part.replace(path)
    except OSError as exc:
        raise output_error(path, exc) from exc
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def halve_weights(model: Any) -> Any:
    """Store every large float32 constant of an ONNX model as float16, followed by a cast."""
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    casts = []
    for weight in graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < _SMALLEST_HALVED:
            continue
        name = weight.name
        half = numpy_helper.to_array(weight).astype(np.float16)
        weight.CopyFrom(numpy_helper.from_array(half, f"{name}/half"))
        casts.append(helper.make_node("Cast", [f"{name}/half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def convert(model: keras.Model) -> Any:
    """The ONNX form, weights in 32 bits, of a model that takes `(N, S, S, 3)` uint8."""
    shape = (None, *model.input_shape[1:])
    return convert_function(
        lambda crops: {"state_probs": model(crops, training=False)}, shape, "crops"
    )


def convert_function(
    judge: Callable[[Any], dict[str, Any]], shape: tuple[int | None, ...], name: str
) -> Any:
    """The ONNX form of a function of uint8 pictures, weights in 32 bits.

    Args:
        judge: From the pictures to the outputs by their names.
        shape: Of the pictures; None where a side is free.
        name: Of the input.

    Raises:
        UsageError: Keras does not run on TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise UsageError(
            f"a model is exported by TensorFlow, but Keras runs on {keras.backend.backend()}. "
            "Set KERAS_BACKEND=tensorflow for this command; any run can be exported so."
        )
    import tensorflow as tf
    import tf2onnx

    signature = [tf.TensorSpec(shape, tf.uint8, name=name)]
    exported, _ = tf2onnx.convert.from_function(
        tf.function(judge, input_signature=signature), input_signature=signature, opset=_OPSET
    )
    exported.producer_name = "maskwatch"
    return exported
