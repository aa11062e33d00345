"""Keras classifier to ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from maskwatch.errors import ModelError
from maskwatch.runtime import OnnxModel
from maskwatch.types import Image

MAX_DIFFERENCE = 0.03
"""Largest difference of a probability that is allowed between Keras and the file.

Weights of 16 bits move probabilities near one half by up to 0.02; a wrong conversion moves many by
far more.
"""

_OPSET = 17
_SMALLEST_HALVED = 64  # elements; smaller constants cost nothing and may need their precision


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
    """
    import onnx

    exported = halve_weights(_convert(model))
    onnx.checker.check_model(exported)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"part-{path.name}")
    try:
        onnx.save(exported, part)
        expected = np.asarray(model.predict(check, verbose=0))
        difference = float(np.abs(OnnxModel(part)(check)[0] - expected).max())
        if difference > MAX_DIFFERENCE:
            raise ModelError(
                f"{path} would differ from the Keras model by {difference:.4f}, "
                f"more than {MAX_DIFFERENCE}. It was not written."
            )
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return difference


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


def _convert(model: keras.Model) -> Any:
    import tensorflow as tf
    import tf2onnx

    shape = (None, *model.input_shape[1:])

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.uint8, name="crops")])  # type: ignore[untyped-decorator]
    def judge(crops: Any) -> Any:
        return {"state_probs": model(crops, training=False)}

    exported, _ = tf2onnx.convert.from_function(
        judge, input_signature=judge.input_signature, opset=_OPSET
    )
    exported.producer_name = "maskwatch"
    return exported
