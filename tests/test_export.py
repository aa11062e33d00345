"""Rules of exported classifiers: small files that compute what the model does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskwatch.classifier import load_classifier
from maskwatch.errors import ModelError, OutputError, UsageError
from maskwatch.types import Image

keras: Any = pytest.importorskip("keras", reason="keras is not installed (extra train)")
pytest.importorskip("tensorflow", reason="tensorflow is not installed (extra train)")
pytest.importorskip("tf2onnx", reason="tf2onnx is not installed (extra train)")
onnx: Any = pytest.importorskip("onnx", reason="onnx is not installed (extra train)")
reference: Any = pytest.importorskip("onnx.reference")

from maskwatch import export  # noqa: E402
from maskwatch.export import (  # noqa: E402
    MAX_DIFFERENCE,
    export_classifier,
    export_model,
    halve_weights,
)
from maskwatch.export_crops import ExportCrops  # noqa: E402
from maskwatch.training.backbones import mobilenet_v2  # noqa: E402

SIZE = 32


def crops(count: int = 8) -> Image:
    return np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model() -> Any:
    keras.utils.set_random_seed(0)
    return mobilenet_v2(SIZE, None, alpha=0.35)


@pytest.fixture(scope="module")
def exported(model: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A tiny classifier as a file, in a folder that was not there."""
    path = tmp_path_factory.mktemp("export") / "new" / "tiny.onnx"
    return path, export_classifier(model, path, crops())


def test_agrees(model: Any, exported: tuple[Path, float]) -> None:
    """File and model give the same probabilities for the same uint8 crops, in any number."""
    path, difference = exported
    classifier = load_classifier(str(path))
    assert classifier.size_px == SIZE
    for count in (1, 3):
        expected = model.predict(crops(count), verbose=0)
        assert np.abs(classifier(crops(count)) - expected).max() <= MAX_DIFFERENCE
    assert 0 <= difference <= MAX_DIFFERENCE


def test_difference_is_measured(model: Any, exported: tuple[Path, float]) -> None:
    """The difference that is returned is the largest on the crops given."""
    path, difference = exported
    got = load_classifier(str(path))(crops())
    assert difference == pytest.approx(
        float(np.abs(got - model.predict(crops(), verbose=0)).max()), abs=1e-6
    )


def test_weights_are_halved(model: Any, exported: tuple[Path, float]) -> None:
    """Weights take two bytes each: the file is little more than half of what they take in four."""
    path, _ = exported
    in_file = onnx.load(path)
    full = [w for w in in_file.graph.initializer if w.data_type == onnx.TensorProto.FLOAT]
    assert max((int(np.prod(w.dims)) for w in full), default=0) < 64
    assert path.stat().st_size < model.count_params() * 4 * 0.65


def test_input_is_the_crop_itself(exported: tuple[Path, float]) -> None:
    """The file takes uint8 (N, S, S, 3), N free: scaling and channel order are inside."""
    (given,) = onnx.load(exported[0]).graph.input
    kind = given.type.tensor_type
    assert kind.elem_type == onnx.TensorProto.UINT8
    assert [side.dim_value for side in kind.shape.dim][1:] == [SIZE, SIZE, 3]
    assert not kind.shape.dim[0].dim_value


def test_difference_too_large(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that computes something else than the model is an error, and is not written."""
    other = mobilenet_v2(SIZE, None, alpha=0.35)
    head = other.get_layer("state_probs")
    head.set_weights([head.get_weights()[0], np.array([9, 0, 0], np.float32)])
    convert = export.convert
    monkeypatch.setattr(export, "convert", lambda _: convert(other))
    with pytest.raises(ModelError, match=r"a\.onnx would differ from the Keras model by 0\.\d+"):
        export_classifier(model, tmp_path / "a.onnx", crops())
    assert list(tmp_path.iterdir()) == []


def test_failed_export_keeps_the_old_file(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an export fails, the file that was there stays."""
    (tmp_path / "a.onnx").write_bytes(b"old")
    monkeypatch.setattr(export, "MAX_DIFFERENCE", -1.0)
    with pytest.raises(ModelError, match="It was not written"):
        export_classifier(model, tmp_path / "a.onnx", crops())
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]
    assert (tmp_path / "a.onnx").read_bytes() == b"old"


def test_other_backend(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Keras does not run on TensorFlow, the error says how to make it."""
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UsageError, match=r"runs on jax\. Set KERAS_BACKEND=tensorflow"):
        export_classifier(model, tmp_path / "a.onnx", crops())


def test_no_place(model: Any, tmp_path: Path) -> None:
    """A place that cannot be written is an error of one line."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write .*a\.onnx: "):
        export_classifier(model, tmp_path / "file" / "a.onnx", crops())


def given(count: int = 40) -> ExportCrops:
    return ExportCrops(crops(count), crops(count)[::-1], "val")


def test_export_in_16_bits(model: Any, tmp_path: Path) -> None:
    """Without int8 the file is the one of `export_classifier`."""
    done = export_model(model, tmp_path / "a.onnx", given())
    assert (done.path, done.reference, done.int8) == (tmp_path / "a.onnx",) * 2 + (None,)
    assert done.bytes == (tmp_path / "a.onnx").stat().st_size
    assert 0 <= done.difference <= MAX_DIFFERENCE


def test_export_in_8_bits(model: Any, tmp_path: Path) -> None:
    """With int8 the file is smaller, judges much alike, and the other one is kept if asked for."""
    done = export_model(
        model, tmp_path / "new" / "a.onnx", given(), int8=True, reference=tmp_path / "b.onnx"
    )
    assert [path.name for path in sorted(tmp_path.rglob("*.onnx"))] == ["b.onnx", "a.onnx"]
    assert done.int8 is not None
    assert done.int8.crops == 40
    one, other = (load_classifier(str(path)) for path in (done.path, tmp_path / "b.onnx"))
    largest = float(np.abs(one(given().check) - other(given().check)).max())
    assert done.int8.difference == pytest.approx(largest, abs=1e-6)
    assert largest < 0.1
    assert done.bytes < (tmp_path / "b.onnx").stat().st_size * 0.8


def test_bad_8_bits(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that decides otherwise in 8 bits is refused, and an old file stays."""
    (tmp_path / "a.onnx").write_bytes(b"old")

    def ruin(source: Path, target: Path, *_: object, **__: object) -> None:
        wrong = keras.models.clone_model(model)
        head = wrong.get_layer("state_probs")
        best = int(model.predict_on_batch(crops(1)).argmax())
        bias = np.where(np.arange(3) == best, -9, 0)
        head.set_weights([head.get_weights()[0], bias.astype(np.float32)])
        export_classifier(wrong, target, crops())

    monkeypatch.setattr(export, "quantize_classifier", ruin)
    with pytest.raises(ModelError, match=r"a\.onnx in 8 bits would decide .* only \d+\.\d%"):
        export_model(model, tmp_path / "a.onnx", given(), int8=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]
    assert (tmp_path / "a.onnx").read_bytes() == b"old"


def test_halve_weights() -> None:
    """Only large float constants are stored in 16 bits; the graph computes as before."""
    helper, types, arrays = onnx.helper, onnx.TensorProto, onnx.numpy_helper
    rng = np.random.default_rng(0)
    large = rng.normal(size=(8, 8)).astype(np.float32)
    small = rng.normal(size=(8,)).astype(np.float32)
    whole = np.arange(100, dtype=np.int64)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "large"], ["product"]),
            helper.make_node("Add", ["product", "small"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", types.FLOAT, [1, 8])],
        [helper.make_tensor_value_info("y", types.FLOAT, [1, 8])],
        [arrays.from_array(a, n) for n, a in (("large", large), ("small", small), ("w", whole))],
    )
    opsets = [helper.make_opsetid("", 17)]
    halved = halve_weights(helper.make_model(graph, opset_imports=opsets, ir_version=8))
    onnx.checker.check_model(halved)
    kinds = {weight.name: weight.data_type for weight in halved.graph.initializer}
    assert kinds == {"large/half": types.FLOAT16, "small": types.FLOAT, "w": types.INT64}
    x = rng.normal(size=(1, 8)).astype(np.float32)
    (y,) = reference.ReferenceEvaluator(halved).run(None, {"x": x})
    assert y == pytest.approx(x @ large.astype(np.float16).astype(np.float32) + small, rel=1e-5)
