"""MTCNN's three networks as ONNX files, built from arrays in the order of Keras.

Zhang et al. 2016, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks" (arXiv:1604.02878), with the layers of the package `mtcnn` 1.0.

Every file takes pictures as OpenCV has them, `(N, H, W, 3)` float32 in BGR order from 0 to 255, and
answers with `scores`, `offsets` and, where the O-Net has them, `landmarks`: of the P-Net a map
`(N, h, w, ...)` with a cell every 2 px, of the others a row a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maskwatch.errors import MissingExtraError, ModelFileError
from maskwatch.types import Floats

_OPSET = 17
_IR_VERSION = 8  # The oldest that knows this opset: every supported ONNX Runtime reads it.

# ONNX Runtime computes so many channels at once; with fewer over it falls back to slower ways.
_BLOCK = 16

# Pictures are brought to about -1 to 1 by these, as in the paper's code.
_MEAN = 127.5
_SCALE = 128.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a network is made of.

    Attributes:
        side_px: Side of its input; the P-Net takes any side from this on.
        pools: For each convolution the side of the max-pooling behind it and how that is padded,
            in ONNX's words; None for no pooling.
        map_side: Side of the feature map before the dense layer; 0 where there is none, and the
            outputs are convolutions too.
        landmarks: Whether there may be an output of landmarks.
    """

    side_px: int
    pools: tuple[tuple[int, str] | None, ...]
    map_side: int
    landmarks: bool = False


PLANS = {
    "pnet": Plan(12, ((2, "SAME_UPPER"), None, None), 0),
    "rnet": Plan(24, ((3, "SAME_UPPER"), (3, "VALID"), None), 3),
    "onet": Plan(48, ((3, "SAME_UPPER"), (3, "VALID"), (2, "SAME_UPPER"), None), 3, True),
}
"""The networks by name, in the order in which they look at a picture."""


def build(name: str, arrays: Sequence[Floats]) -> bytes:
    """One network as the bytes of an ONNX file; the same arrays give the same bytes.

    Args:
        name: One of `PLANS`.
        arrays: For each convolution, and then for the dense layer, its kernel, bias and PReLU
            slopes; then kernel and bias of each output: offsets, landmarks where the network has
            them, and the two classes (no face, face). Kernels are `(height, width, in, out)`, or
            `(in, out)` behind a map that was flattened column by column.

    Raises:
        MissingExtraError: onnx is not installed.
        ModelFileError: The arrays are not those of this network.
    """
    try:
        import onnx
    except ImportError as exc:
        raise MissingExtraError("building the networks of MTCNN", "mtcnn") from exc
    try:
        graph = _layers(PLANS[name], _Graph(onnx), list(arrays))
        model = graph.model(name, PLANS[name])
        onnx.checker.check_model(model, full_check=True)
    except (ValueError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as exc:
        shapes = ", ".join(str(np.shape(array)) for array in arrays) or "nothing"
        raise ModelFileError(
            f"these are not the weights of a {name}: {shapes}. Give those of Keras, in its order."
        ) from exc
    return bytes(model.SerializeToString(deterministic=True))


def _layers(plan: Plan, graph: _Graph, arrays: list[Floats]) -> _Graph:
    """Add all layers to a graph; `arrays` is used up."""
    outputs, signs = _outputs(plan, len(arrays)), np.ones(3, np.float32)
    last = graph.add("Transpose", ["pictures"], perm=[0, 3, 1, 2])
    for index, pool in enumerate(plan.pools):
        kernel, bias, slopes = _fitting(arrays.pop(0), 4, signs), arrays.pop(0), arrays.pop(0)
        slopes, signs = slopes.reshape(-1), _signs(slopes)
        if index == 0:
            kernel, bias = _for_pictures(kernel, bias)
        # Also where a slope is above 1: what was turned round must not be pooled.
        if pool is not None and (index == 0 or slopes.max() > 1):
            last = _pooled_and_bent(graph, last, kernel, bias, slopes, pool)
            signs = np.pad(signs, (0, -len(signs) % _BLOCK))
            continue
        last = _bent(graph, graph.add("Conv", [last, _out_in_hw(kernel), bias]), slopes, (1, 1))
        last = last if pool is None else _max_pool(graph, last, pool)
    if plan.map_side:
        kernel, bias, slopes = arrays.pop(0), arrays.pop(0), arrays.pop(0)
        kernel = _channels_first(_fitting(kernel, 2, signs, plan.map_side**2), plan.map_side)
        last = graph.add("Gemm", [graph.add("Flatten", [last]), kernel, bias])
        last, signs = _bent(graph, last, slopes, ()), _signs(slopes)
    for output in outputs:
        kernel = _fitting(arrays.pop(0), 2 if plan.map_side else 4, signs)
        _add_output(graph, last, output, kernel, arrays.pop(0))
    return graph


def _fitting(kernel: Floats, axes: int, signs: Floats, places: int = 1) -> Floats:
    """A kernel for a layer whose channels come with these signs; 0 is one that says nothing.

    Raises:
        ValueError: It is for a layer of another width, which ONNX's own check does not see.
    """
    width = np.count_nonzero(signs)
    if kernel.ndim != axes or kernel.shape[-2] != places * width:
        raise ValueError(f"a kernel {kernel.shape} cannot follow a layer of {width}")
    parted = kernel.reshape(*kernel.shape[:-2], places, width, kernel.shape[-1])
    filled = np.zeros((*parted.shape[:-2], len(signs), kernel.shape[-1]), np.float32)
    filled[..., :width, :] = parted * signs[:width, None]
    return filled.reshape(*kernel.shape[:-2], -1, kernel.shape[-1])


# A PReLU of slope s is s x + (1 - s) max(x, 0). ONNX Runtime's own takes as long as all the rest,
# but a scale, a max(x, 0) and a sum it computes along with a convolution, in this order: hence
# s x + max((1 - s) x, 0). That holds up to a slope of 1. Above, the negative of it is taken, and
# the kernel of the next layer turns it round.


def _signs(slopes: Floats) -> Floats:
    return np.where(slopes.reshape(-1) > 1, -1, 1).astype(np.float32)


def _bent(graph: _Graph, last: str, slopes: Floats, trail: tuple[int, ...]) -> str:
    """Add a PReLU.

    Args:
        graph: Where to.
        last: What goes in.
        slopes: `(C,)`.
        trail: Axes of size 1 behind that of the channels.

    Returns:
        What comes out, with the signs of `_signs`.
    """
    straight, above = _signs(slopes) * slopes, np.abs(1 - slopes)
    bent = graph.add("Relu", [graph.add("Mul", [last, above.reshape(-1, *trail)])])
    return graph.add("Add", [graph.add("Mul", [last, straight.reshape(-1, *trail)]), bent])


def _max_pool(graph: _Graph, last: str, pool: tuple[int, str]) -> str:
    side, padding = pool
    return graph.add("MaxPool", [last], kernel_shape=[side, side], strides=[2, 2], auto_pad=padding)


def _pooled_and_bent(
    graph: _Graph, last: str, kernel: Floats, bias: Floats, slopes: Floats, pool: tuple[int, str]
) -> str:
    """Add a convolution, a PReLU and a max-pooling, the pooling first: fewer numbers to bend.

    It makes the P-Net a third faster. Where a slope falls, the largest value of a window comes
    from its largest or its smallest number: it is max(largest x, largest s x), and s x is pooled
    as one more channel.

    Returns:
        What comes out, with the signs of `_signs`, filled up with zeros to whole blocks.
    """
    falls = np.nonzero(slopes < 0)[0]
    kernel = np.concatenate([kernel, kernel[..., falls] * slopes[falls]], axis=-1)
    bias = np.concatenate([bias, bias[falls] * slopes[falls]])
    fill = -len(bias) % _BLOCK
    kernel = np.pad(kernel, [(0, 0), (0, 0), (0, 0), (0, fill)])
    last = graph.add("Conv", [last, _out_in_hw(kernel), np.pad(bias, (0, fill))])
    last = _max_pool(graph, last, pool)
    straight, above = np.diag(_signs(slopes) * slopes), np.diag(np.abs(1 - slopes))
    straight[falls, falls], above[falls, falls] = 1, -1  # max(a, b) is a + max(b - a, 0)
    more = np.eye(len(slopes), dtype=np.float32)[:, falls]
    fills = [(0, -len(slopes) % _BLOCK), (0, fill)]
    straight, above = (
        np.pad(np.hstack(parts), fills)[:, :, None, None]
        for parts in ([straight, 0 * more], [above, more])
    )
    bent = graph.add("Relu", [graph.add("Conv", [last, above])])
    return graph.add("Add", [graph.add("Conv", [last, straight]), bent])


def _outputs(plan: Plan, count: int) -> list[str]:
    """Names of the outputs, told by the number of arrays."""
    left = count - 3 * (len(plan.pools) + bool(plan.map_side))
    names = {4: ["offsets", "scores"]}
    if plan.landmarks:
        names[6] = ["offsets", "landmarks", "scores"]
    if left not in names:
        raise ValueError("too many or too few arrays")
    return names[left]


def _add_output(graph: _Graph, last: str, name: str, kernel: Floats, bias: Floats) -> None:
    if name == "scores":
        # Of a softmax over two classes the second is 1 / (1 + exp(first - second)).
        kernel, bias = kernel[..., :1] - kernel[..., 1:], bias[:1] - bias[1:]
    if kernel.ndim == 2:
        last = graph.add("Gemm", [last, kernel, bias])
    else:
        last = graph.add("Conv", [last, _out_in_hw(kernel), bias])
        last = graph.add("Transpose", [last], perm=[0, 2, 3, 1])
    if name == "scores":
        # Not ONNX's Sigmoid: ONNX Runtime's is less exact near 1, where many scores are.
        last = graph.add("Add", [graph.add("Exp", [last]), np.ones(1, np.float32)])
        last = graph.add("Reciprocal", [last])
        graph.add("Squeeze", [last, np.array([-1])])
    graph.name_output(name)


def _for_pictures(kernel: Floats, bias: Floats) -> tuple[Floats, Floats]:
    """The first convolution, made for BGR from 0 to 255 in place of RGB from about -1 to 1."""
    scaled = kernel[:, :, ::-1].astype(np.float64) / _SCALE
    return scaled.astype(np.float32), (bias - _MEAN * scaled.sum(axis=(0, 1, 2))).astype(np.float32)


def _out_in_hw(kernel: Floats) -> Floats:
    return kernel.transpose(3, 2, 0, 1)


def _channels_first(kernel: Floats, side: int) -> Floats:
    """Rows of a dense kernel from the order (column, row, channel) to (channel, row, column)."""
    parted = kernel.reshape(side, side, -1, kernel.shape[1])
    return parted.transpose(2, 1, 0, 3).reshape(kernel.shape)


class _Graph:
    """Collects the nodes and constants of an ONNX graph, each named by its number."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._outputs: list[str] = []

    def add(self, kind: str, inputs: Sequence[str | Any], **attributes: Any) -> str:
        """Add a node; arrays among the inputs become constants.

        Returns:
            The name of its output.
        """
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        name = f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(kind, names, [name], **attributes))
        return name

    def _constant(self, array: Any) -> str:
        name = f"constant_{len(self._constants)}"
        values = np.ascontiguousarray(array)
        self._constants.append(self._onnx.numpy_helper.from_array(values, name))
        return name

    def name_output(self, name: str) -> None:
        """Let the output of the latest node be an output of the graph, of this name."""
        self._nodes[-1].output[0] = name
        self._outputs.append(name)

    def model(self, name: str, plan: Plan) -> Any:
        """The model, its outputs in one order for all networks."""
        helper, floats = self._onnx.helper, self._onnx.TensorProto.FLOAT
        free = plan.map_side == 0
        shape = ["n", "height", "width", 3] if free else ["n", plan.side_px, plan.side_px, 3]
        cells = ["n", "rows", "columns"] if free else ["n"]
        sizes: dict[str, list[int]] = {"scores": [], "offsets": [4], "landmarks": [10]}
        outputs = [
            helper.make_tensor_value_info(output, floats, cells + size)
            for output, size in sizes.items()
            if output in self._outputs
        ]
        pictures = helper.make_tensor_value_info("pictures", floats, shape)
        graph = helper.make_graph(self._nodes, name, [pictures], outputs, self._constants)
        opset = helper.make_opsetid("", _OPSET)
        model = helper.make_model(graph, opset_imports=[opset], producer_name="maskwatch")
        model.ir_version = _IR_VERSION
        return model
