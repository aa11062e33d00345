"""Rules of classifiers in 8 bits."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskwatch.classifier import OnnxClassifier
from maskwatch.errors import DatasetError, MissingExtraError, ModelError, UnknownNameError
from maskwatch.quantize import (
    METHODS,
    MIN_CALIBRATION_CROPS,
    Agreement,
    agreement,
    check_agreement,
    kept_in_float,
    quantize_classifier,
)
from maskwatch.types import Floats, Image
from tiny_onnx import save

onnx: Any = pytest.importorskip("onnx", reason="onnx is not installed (extra dev)")

SIZE = 16


def crops(count: int, seed: int = 0) -> Image:
    """Pictures of one colour each with some noise, so that they are told apart."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 256, (count, 1, 1, 3))
    noise = rng.integers(-20, 21, (count, SIZE, SIZE, 3))
    return np.asarray(np.clip(colours + noise, 0, 255), np.uint8)


def write_network(path: Path, *, depthwise: bool = True) -> Path:
    """Scaling, four convolutions (the second depthwise or not), pooling, dense, softmax."""
    helper, arrays, types = onnx.helper, onnx.numpy_helper, onnx.TensorProto
    rng = np.random.default_rng(7)
    widths = [(8, 3), (8, 1 if depthwise else 8), (12, 8), (12, 12)]
    weights = [
        (rng.normal(size=(out, in_, 3, 3)) / np.sqrt(9 * in_)).astype(np.float32)
        for out, in_ in widths
    ]
    constants = {f"w{i}": weight for i, weight in enumerate(weights)}
    constants["scale"] = np.array(1 / 255, np.float32)
    constants["dense"] = (4 * rng.normal(size=(12, 3))).astype(np.float32)
    constants["bias"] = np.zeros(3, np.float32)
    nodes = [
        helper.make_node("Cast", ["crops"], ["f"], "cast", to=types.FLOAT),
        helper.make_node("Mul", ["f", "scale"], ["unit"], "unit"),
        helper.make_node("Transpose", ["unit"], ["x0"], "nchw", perm=[0, 3, 1, 2]),
    ]
    for i in range(len(weights)):
        group = 8 if depthwise and i == 1 else 1
        given = [f"x{i}", f"w{i}"]
        nodes += [
            helper.make_node("Conv", given, [f"c{i}"], f"conv{i}", group=group, pads=[1, 1, 1, 1]),
            helper.make_node("Relu", [f"c{i}"], [f"x{i + 1}"], f"relu{i}"),
        ]
    nodes += [
        helper.make_node("GlobalAveragePool", [f"x{len(weights)}"], ["pool"], "pool"),
        helper.make_node("Flatten", ["pool"], ["flat"], "flat"),
        helper.make_node("Gemm", ["flat", "dense", "bias"], ["logits"], "dense"),
        helper.make_node("Softmax", ["logits"], ["probs"], "softmax"),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("crops", types.UINT8, ["n", SIZE, SIZE, 3])],
        [helper.make_tensor_value_info("probs", types.FLOAT, ["n", 3])],
        [arrays.from_array(array, name) for name, array in constants.items()],
    )
    save(onnx, graph, path)
    return path


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network(tmp_path_factory.mktemp("network") / "float.onnx")


@pytest.mark.parametrize("method", METHODS)
def test_decides_alike(network: Path, tmp_path: Path, method: str) -> None:
    """In 8 bits, crops not calibrated on get almost the same probabilities by every method."""
    quantize_classifier(network, tmp_path / "int8.onnx", crops(64), method=method)
    found = agreement(
        OnnxClassifier(network), OnnxClassifier(tmp_path / "int8.onnx"), crops(200, seed=1)
    )
    assert found.crops == 200
    assert found.share >= 0.97
    assert 0 < found.difference < 0.2


def test_weights(network: Path, tmp_path: Path) -> None:
    """Weights are of 7 bits with a scale a channel; only what is kept in float has none."""
    quantize_classifier(network, tmp_path / "int8.onnx", crops(64))
    graph = onnx.load(tmp_path / "int8.onnx").graph
    arrays = {w.name: onnx.numpy_helper.to_array(w) for w in graph.initializer}
    quantized = {n: a for n, a in arrays.items() if a.dtype == np.int8 and a.ndim == 4}
    assert [name.split("_")[0] for name in quantized] == ["w3"]
    for name, array in quantized.items():
        assert np.abs(array.astype(int)).max() == 64
        assert arrays[name.replace("_quantized", "_scale")].shape == (len(array),)
    assert {array.ndim for array in arrays.values() if array.dtype == np.float32} >= {2, 4}


@pytest.mark.parametrize(
    ("depthwise", "expected"),
    [
        pytest.param(True, ["conv0", "conv1", "conv2", "relu0", "relu1", "relu2"], id="separable"),
        pytest.param(False, ["conv0", "relu0"], id="plain"),
    ],
)
def test_kept_in_float(tmp_path: Path, depthwise: bool, expected: list[str]) -> None:
    """Kept are the preprocessing, the first (separable) layers, the last dense one and softmax."""
    graph = onnx.load(write_network(tmp_path / "a.onnx", depthwise=depthwise)).graph
    # What lies between two layers that are kept is kept, and its activation with the last.
    assert sorted(kept_in_float(graph)) == sorted(
        ["cast", "unit", "nchw", *expected, "dense", "softmax"]
    )


def test_nothing_to_quantize() -> None:
    """A network without convolutions stays as it is."""
    node = onnx.helper.make_node("Softmax", ["x"], ["y"], "softmax")
    assert kept_in_float(onnx.helper.make_graph([node], "g", [], [])) == ["softmax"]


def test_too_few_crops(network: Path, tmp_path: Path) -> None:
    """A handful of crops is refused, and nothing is written."""
    with pytest.raises(DatasetError, match=f"at least {MIN_CALIBRATION_CROPS} crops.*got 31"):
        quantize_classifier(network, tmp_path / "a.onnx", crops(31))
    assert list(tmp_path.iterdir()) == []


def test_unknown_method(network: Path, tmp_path: Path) -> None:
    """A method that is none is named with those that are."""
    with pytest.raises(UnknownNameError, match=r"'minmx'\. Did you mean 'minmax'"):
        quantize_classifier(network, tmp_path / "a.onnx", crops(40), method="minmx")


def test_no_network(tmp_path: Path) -> None:
    """A file that is no network is an error of one line."""
    (tmp_path / "a.onnx").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match=r"cannot quantise .*a\.onnx") as caught:
        quantize_classifier(tmp_path / "a.onnx", tmp_path / "b.onnx", crops(40))
    assert "\n" not in str(caught.value)


def test_without_onnx(network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package onnx is missing, its extra is named."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"maskwatch\[train\]"):
        quantize_classifier(network, tmp_path / "a.onnx", crops(40))


def test_says_nothing(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: Any
) -> None:
    """The quantiser's own words stay off the terminal."""
    quantize_classifier(network, tmp_path / "a.onnx", crops(40), method="percentile")
    assert capsys.readouterr() == ("", "")
    assert caplog.text == ""


class Table:
    """Answers with the rows of a table, one after the other."""

    def __init__(self, rows: list[list[float]]) -> None:
        self._rows = np.array(rows, np.float32)
        self._next = 0

    def __call__(self, crops: Image) -> Floats:
        self._next += len(crops)
        return np.asarray(self._rows[self._next - len(crops) : self._next], np.float32)


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_agreement(batch: int) -> None:
    """The share with the same largest class and the largest difference, whatever the batches."""
    one = Table([[0.8, 0.1, 0.1], [0.1, 0.6, 0.3], [0.4, 0.3, 0.3]])
    other = Table([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.5, 0.2, 0.3]])
    found = agreement(one, other, crops(3), batch=batch)
    assert found.crops == 3
    assert found.share == pytest.approx(2 / 3)
    assert found.difference == pytest.approx(0.3, abs=1e-6)


@pytest.mark.parametrize(
    ("same", "of", "refused"),
    [
        pytest.param(970, 1000, False, id="at the floor"),
        pytest.param(965, 1000, False, id="perhaps chance"),
        pytest.param(950, 1000, True, id="clearly under"),
        pytest.param(38, 40, False, id="few, perhaps chance"),
        pytest.param(30, 40, True, id="few, clearly under"),
        pytest.param(0, 40, True, id="none"),
    ],
)
def test_floor(same: int, of: int, refused: bool) -> None:
    """A file is refused that decides otherwise too often to be chance."""
    found = Agreement(of, same / of, 0.5)
    if not refused:
        return check_agreement(found, Path("a.onnx"))
    with pytest.raises(ModelError, match=rf"{same / of:.1%} of {of} held-out crops, clearly under"):
        check_agreement(found, Path("a.onnx"))
    return None


def test_memory(network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The quantiser's session keeps no arena, and the package is afterwards as it was."""
    import onnxruntime as ort
    from onnxruntime.quantization.calibrate import CalibraterBase

    arenas: list[bool] = []
    session, method = ort.InferenceSession, CalibraterBase.create_inference_session

    def watched(path: Any, sess_options: Any = None, **options: Any) -> Any:
        if "augmented" in str(path):
            arenas.append(sess_options.enable_cpu_mem_arena)
        return session(path, sess_options=sess_options, **options)

    monkeypatch.setattr(ort, "InferenceSession", watched)
    quantize_classifier(network, tmp_path / "a.onnx", crops(40))
    assert arenas
    assert not any(arenas)
    assert CalibraterBase.create_inference_session is method
