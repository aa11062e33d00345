"""ONNX files of a few bytes, built by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SHAPE = ("n", 8, 8, 3)


def write_constant(
    path: Path,
    values: Sequence[float] = (0.2, 0.7, 0.1),
    *,
    shape: Sequence[int | str | None] = SHAPE,
    dtype: str = "UINT8",
    outputs: int = 1,
) -> Path:
    """A network that answers every picture with the same values.

    Args:
        path: Where to write.
        values: The answer.
        shape: Of the input; the first side is the number of pictures.
        dtype: Type of the input, in ONNX's words.
        outputs: How often the answer is given.
    """
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra dev)")
    helper, types = onnx.helper, onnx.TensorProto
    axes = list(range(1, len(shape)))
    zero = [
        helper.make_node("Cast", ["crops"], ["floats"], to=types.FLOAT),
        helper.make_node("Constant", [], ["axes"], value=ints(onnx, axes)),
        helper.make_node("ReduceSum", ["floats", "axes"], ["sums"], keepdims=0),
        helper.make_node("Constant", [], ["one"], value=ints(onnx, [1])),
        helper.make_node("Unsqueeze", ["sums", "one"], ["column"]),
        helper.make_node("Sub", ["column", "column"], ["zeros"]),
    ]
    answer = helper.make_tensor("answer", types.FLOAT, [len(values)], list(values))
    names = [f"out{i}" for i in range(outputs)]
    adds = [helper.make_node("Add", ["zeros", "answer"], [name]) for name in names]
    graph = helper.make_graph(
        zero + adds,
        "constant",
        [helper.make_tensor_value_info("crops", getattr(types, dtype), list(shape))],
        [
            helper.make_tensor_value_info(name, types.FLOAT, [shape[0], len(values)])
            for name in names
        ],
        [answer],
    )
    save(onnx, graph, path)
    return path


def write_without_input(path: Path) -> Path:
    """A network that takes nothing and gives a number."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra dev)")
    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node("Constant", [], ["out"], value=ints(onnx, [1]))],
        "nothing",
        [],
        [helper.make_tensor_value_info("out", onnx.TensorProto.INT64, [1])],
    )
    save(onnx, graph, path)
    return path


def ints(onnx: Any, values: Sequence[int]) -> Any:
    """A constant."""
    return onnx.numpy_helper.from_array(np.asarray(values, np.int64))


def save(onnx: Any, graph: Any, path: Path) -> None:
    """Write a graph in a version that every supported ONNX Runtime reads."""
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, path)
