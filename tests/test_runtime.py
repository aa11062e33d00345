"""Rules of ONNX files: what a session tells about itself, and what goes wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from maskwatch.errors import ModelFileError, ModelNotFoundError, ModelOutputError
from maskwatch.runtime import OnnxModel
from tiny_onnx import SHAPE, write_constant, write_without_input


def crops(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.full((count, 8, 8, 3), 200, np.uint8)


def test_shapes(tmp_path: Path) -> None:
    """A model tells the shapes and the type of what it takes and gives; free sides are None."""
    model = OnnxModel(write_constant(tmp_path / "a.onnx", outputs=2))
    assert model.input_shape == (None, 8, 8, 3)
    assert model.input_dtype == "uint8"
    assert model.output_shapes == [(None, 3), (None, 3)]
    assert model.path == tmp_path / "a.onnx"


@pytest.mark.parametrize(
    ("dtype", "expected"), [("FLOAT", "float32"), ("DOUBLE", "float64"), ("INT64", "int64")]
)
def test_dtype(tmp_path: Path, dtype: str, expected: str) -> None:
    """Types are told by NumPy's names."""
    assert OnnxModel(write_constant(tmp_path / "a.onnx", dtype=dtype)).input_dtype == expected


@pytest.mark.parametrize("threads", [None, 1])
def test_run(tmp_path: Path, threads: int | None) -> None:
    """Arrays go in, a list of arrays comes out, a row a picture."""
    model = OnnxModel(write_constant(tmp_path / "a.onnx", (0.5, 0.25), outputs=2), threads=threads)
    first, second = model(crops(3))
    assert first.tolist() == second.tolist() == [[0.5, 0.25]] * 3


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_impossible_output(tmp_path: Path, value: str) -> None:
    """NaN and infinity are an error that names the file, not a result."""
    model = OnnxModel(write_constant(tmp_path / "a.onnx", (0.5, float(value))))
    with pytest.raises(ModelOutputError, match=r"a\.onnx returned NaN or infinity"):
        model(crops(1))


def test_input_of_another_shape(tmp_path: Path) -> None:
    """An input that does not fit is an error that names file and shape, in one line."""
    model = OnnxModel(write_constant(tmp_path / "a.onnx"))
    with pytest.raises(ModelOutputError, match=r"a\.onnx failed on .* \(2, 9, 8, 3\)") as caught:
        model(np.zeros((2, 9, 8, 3), np.uint8))
    assert "\n" not in str(caught.value)


def test_missing(tmp_path: Path) -> None:
    """A missing file is named."""
    with pytest.raises(ModelNotFoundError, match=r"no model file .*none\.onnx"):
        OnnxModel(tmp_path / "none.onnx")


def test_folder(tmp_path: Path) -> None:
    """A folder is no model file."""
    with pytest.raises(ModelNotFoundError, match="no model file"):
        OnnxModel(tmp_path)


@pytest.mark.parametrize("data", [b"", b"words\n" * 99], ids=["empty", "words"])
def test_no_onnx(tmp_path: Path, data: bytes) -> None:
    """A file that is not ONNX is named in one line that says what to do."""
    path = tmp_path / "a.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match=r"cannot load .*a\.onnx as an ONNX model") as caught:
        OnnxModel(path)
    assert "\n" not in str(caught.value)
    assert "Fetch or export it again." in str(caught.value)


def test_cut_off(tmp_path: Path) -> None:
    """A file cut off in the middle is refused."""
    path = write_constant(tmp_path / "a.onnx")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ModelFileError, match=r"a\.onnx"):
        OnnxModel(path)


def test_without_input(tmp_path: Path) -> None:
    """A network that takes no input is none of ours."""
    with pytest.raises(ModelFileError, match=r"a\.onnx .*input"):
        OnnxModel(write_without_input(tmp_path / "a.onnx"))


def test_shape_of_helper(tmp_path: Path) -> None:
    """A side that has a name in the file is free."""
    assert SHAPE[0] == "n"
    model = OnnxModel(write_constant(tmp_path / "a.onnx", shape=("n", "h", "w", 3)))
    assert model.input_shape == (None, None, None, 3)
    assert model(np.zeros((1, 5, 9, 3), np.uint8))[0].shape == (1, 3)


def test_no_usage_data(tmp_path: Path) -> None:
    """Loading a model leaves nothing in the user's home: the engine's telemetry is off."""
    code = "from maskwatch.classifier import load_classifier; load_classifier()"
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ORT", "XDG"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**env, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*")) == []
