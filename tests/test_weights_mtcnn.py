"""Making the files of `mtcnn-stock`: the networks, and the weights that they are made from."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskwatch import weights
from maskwatch.errors import MissingExtraError, ModelFileError
from maskwatch.runtime import OnnxModel
from maskwatch.weights import mtcnn_stock
from maskwatch.weights.mtcnn_network import PLANS, build
from tiny_mtcnn import SIDES_PX, lot, slow_network


def pictures(count: int, height: int, width: int) -> Any:
    rng = np.random.default_rng(count)
    return rng.uniform(0, 255, (count, height, width, 3)).astype(np.float32)


def run(name: str, arrays: Any, folder: Path, batch: Any) -> list[Any]:
    pytest.importorskip("onnx", reason="onnx is not installed (extra dev)")
    path = folder / f"{name}.onnx"
    path.write_bytes(build(name, arrays))
    return OnnxModel(path, threads=1)(batch)


@pytest.mark.parametrize(
    ("name", "size_hw"),
    [
        ("pnet", (12, 12)),
        ("pnet", (13, 17)),  # the last cells pool over one row or column
        ("pnet", (31, 44)),
        ("rnet", (24, 24)),
        ("onet", (48, 48)),
    ],
    ids=str,
)
def test_networks(name: str, size_hw: tuple[int, int], tmp_path: Path) -> None:
    """Every network computes what its layers compute one by one, as Keras defines them."""
    arrays, batch = lot(name), pictures(3, *size_hw)
    found = run(name, arrays, tmp_path, batch)
    expected = slow_network(name, arrays, batch)
    assert [output.shape for output in found] == [output.shape for output in expected]
    for output, right in zip(found, expected, strict=True):
        assert output == pytest.approx(right, abs=1e-5)


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("slopes", [(-1.2, -0.1), (0, 0), (0, 1), (1, 1), (1.1, 2)], ids=str)
def test_slopes(name: str, slopes: tuple[float, float], tmp_path: Path) -> None:
    """That holds for slopes of any kind: falling, flat, rising, and steeper than 1."""
    arrays, batch = lot(name, slopes=slopes), pictures(2, SIDES_PX[name], SIDES_PX[name])
    found = run(name, arrays, tmp_path, batch)
    for output, right in zip(found, slow_network(name, arrays, batch), strict=True):
        assert output == pytest.approx(right, abs=1e-4, rel=1e-4)


def test_cells(tmp_path: Path) -> None:
    """The P-Net has a cell every 2 px for each window of 12 px, and one where the last is cut."""
    assert run("pnet", lot("pnet"), tmp_path, pictures(1, 12, 15))[0].shape == (1, 1, 3)


def test_without_landmarks(tmp_path: Path) -> None:
    """An O-Net trained without landmarks gives two outputs."""
    arrays = lot("onet", landmarks=False)
    found = run("onet", arrays, tmp_path, pictures(2, 48, 48))
    assert [output.shape for output in found] == [(2,), (2, 4)]


@pytest.mark.parametrize("name", PLANS)
def test_certain_scores(name: str, tmp_path: Path) -> None:
    """However sure a network is, its scores are numbers from 0 to 1."""
    side = SIDES_PX[name]
    for face, score in ((300.0, 1), (-300.0, 0)):
        scores = run(name, lot(name, face=face), tmp_path, pictures(2, side, side))[0]
        assert scores == pytest.approx(np.full(scores.shape, score))


@pytest.mark.parametrize("name", PLANS)
def test_same_bytes(name: str) -> None:
    """The same weights give the same file, other weights another."""
    pytest.importorskip("onnx", reason="onnx is not installed (extra dev)")
    assert build(name, lot(name)) == build(name, lot(name))
    assert build(name, lot(name)) != build(name, lot(name, 1))


@pytest.mark.parametrize(
    "arrays",
    [
        pytest.param([], id="none"),
        pytest.param(lot("pnet")[:-1], id="one-short"),
        pytest.param(lot("rnet"), id="another-network"),
        pytest.param([*lot("pnet")[:3], *lot("pnet", 1)[:3], *lot("pnet")[6:]], id="other-layer"),
        pytest.param(lot("onet", landmarks=False), id="onet"),
    ],
)
def test_other_arrays(arrays: Any) -> None:
    """Arrays that are not those of the network are refused, with what came."""
    pytest.importorskip("onnx", reason="onnx is not installed (extra dev)")
    with pytest.raises(ModelFileError, match="not the weights of a pnet: ") as caught:
        build("pnet", arrays)
    assert "\n" not in str(caught.value)


def packed(folder: Path, monkeypatch: pytest.MonkeyPatch, arrays: Any, name: str = "pnet") -> Path:
    """A made-up weights file, known by its hash, where the package would have it."""
    joblib = pytest.importorskip("joblib", reason="joblib is not installed (extra mtcnn)")
    pytest.importorskip("lz4", reason="lz4 is not installed (extra mtcnn)")
    path = folder / "mtcnn" / "assets" / "weights" / f"{name}.lz4"
    path.parent.mkdir(parents=True, exist_ok=True)
    joblib.dump(arrays, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(mtcnn_stock.SOURCES, name, digest)
    install(folder, monkeypatch)
    return path


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package `mtcnn` lie in `folder`."""

    class Package:
        def locate_file(self, path: str) -> Path:
            return folder / path

    monkeypatch.setattr(metadata, "distribution", lambda name: {"mtcnn": Package()}[name])


def test_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The arrays of the package's file come as they are, in 32 bits."""
    arrays = [np.arange(6.0).reshape(2, 3), np.ones(4, np.float32)]
    packed(tmp_path, monkeypatch, arrays)
    found = mtcnn_stock.read("pnet")
    assert [array.dtype for array in found] == [np.float32, np.float32]
    assert [array.tolist() for array in found] == [array.tolist() for array in arrays]


class Trap:
    """A pickle that leaves a file where it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_unknown_pickle_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A weights file with another hash is refused before anything in it can run."""
    trap = tmp_path / "opened"
    packed(tmp_path, monkeypatch, Trap(trap))
    monkeypatch.setitem(mtcnn_stock.SOURCES, "pnet", "0" * 64)
    with pytest.raises(ModelFileError, match=r"pnet\.lz4 has sha256 .* expected 0{64}"):
        mtcnn_stock.read("pnet")
    assert not trap.exists()


def test_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package without such a file is another version; it is said how to get the right one."""
    pytest.importorskip("lz4", reason="lz4 is not installed (extra mtcnn)")
    install(tmp_path, monkeypatch)
    with pytest.raises(ModelFileError, match=r"not version 1\.0\.0: .*mtcnn==1\.0\.0"):
        mtcnn_stock.read("rnet")


def absent(name: str) -> Any:
    raise metadata.PackageNotFoundError(name)


@pytest.mark.parametrize("what", ["package", "joblib", "lz4.frame", "onnx"])
def test_missing_extra(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package, or without what reads and writes the files, the extra is named."""
    packed(tmp_path, monkeypatch, lot("pnet"))
    if what == "package":
        monkeypatch.setattr(metadata, "distribution", absent)
    else:
        monkeypatch.setitem(sys.modules, what, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'maskwatch\[mtcnn\]'"):
        weights.get("mtcnn-stock")
    assert weights.find("mtcnn-stock") is None


def test_made_of_another_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that come out other than they should are not installed."""
    monkeypatch.setattr(mtcnn_stock, "make", lambda: {f"{name}.onnx": b"short" for name in PLANS})
    with pytest.raises(ModelFileError, match=r"pnet\.onnx was made with 5 bytes, expected 34394"):
        weights.get("mtcnn-stock")
    assert weights.find("mtcnn-stock") is None


needs_package = pytest.mark.skipif(
    not any(d.metadata["Name"] == "mtcnn" for d in metadata.distributions()),
    reason="mtcnn is not installed (extra mtcnn)",
)


@needs_package
def test_stock() -> None:
    """The package's weights give the registered files, which can be carried to other computers."""
    paths = weights.get("mtcnn-stock")
    expected = [file.content.sha256 for file in weights.model("mtcnn-stock").files]
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths] == expected
    assert not list(paths[0].parent.glob("*.tmp"))
    paths[1].rename(paths[1].with_name("carried"))
    assert weights.find("mtcnn-stock") is None
    assert weights.install_from("mtcnn-stock", [paths[1].with_name("carried")]) == paths


@needs_package
def test_stock_without_tensorflow() -> None:
    """Making the files imports neither TensorFlow nor the package."""
    code = (
        "import sys\nfrom maskwatch import weights\nweights.get('mtcnn-stock')\n"
        "assert not {'tensorflow', 'keras', 'mtcnn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
