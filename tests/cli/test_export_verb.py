"""Rules of `maskwatch export`, end to end."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detect_helpers import call

from maskwatch.classifier import load_classifier
from maskwatch.images import write_image

keras: Any = pytest.importorskip("keras", reason="keras is not installed (extra train)")
pytest.importorskip("tensorflow", reason="tensorflow is not installed (extra train)")
pytest.importorskip("tf2onnx", reason="tf2onnx is not installed (extra train)")

from maskwatch.training.backbones import mobilenet_v2  # noqa: E402

Capsys = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Crops of noise in two splits."""
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    for split, count in (("train", 40), ("val", 12)):
        for number in range(count):
            state = ("with_mask", "without_mask")[number % 2]
            picture = rng.integers(0, 256, (40, 40, 3), np.uint8)
            write_image(folder / split / state / f"{number}.png", picture)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """A run as `maskwatch train` leaves it, of a model that learnt nothing."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    folder.mkdir()
    keras.utils.set_random_seed(0)
    mobilenet_v2(32, None, alpha=0.35).save(folder / "model.keras")
    facts = {"recipe": {"name": "tiny", "size_px": 32}, "data": str(data), "finished": True}
    (folder / "run.json").write_text(json.dumps(facts))
    return folder


@pytest.fixture
def run(tmp_path: Path, made: Path) -> Path:
    """A copy, to write into."""
    return Path(shutil.copytree(made, tmp_path / "run"))


def test_export(run: Path, capsys: Capsys) -> None:
    """The file goes into the run and is a classifier; checks, accuracy and times are printed."""
    done = call(capsys, "export", run)
    assert done.code == 0, done.err
    assert load_classifier(str(run / "model.onnx")).size_px == 32
    assert re.search(r"differ by at most 0\.\d{4} in a probability on 12 faces \(val\)", done.out)
    assert re.search(r"16 bits +0\.\d\d +0\.\d{4} +0\.\d{4} +[\d.]+ \(1\.00x\)", done.out)
    assert "12 faces of faces0 (val); median time" in done.out
    assert f"written: {run / 'model.onnx'}" in done.out
    again = call(capsys, "export", run)
    assert again.code == 2
    assert "--overwrite" in again.err


def test_export_int8(run: Path, capsys: Capsys) -> None:
    """--int8 writes a smaller file of its own name, compared with the one in 16 bits."""
    done = call(capsys, "export", run, "--int8")
    assert done.code == 0, done.err
    files = [path.name for path in run.iterdir() if path.suffix == ".onnx"]
    assert files == ["model-int8.onnx"]
    assert re.search(r"decide alike on \d+\.\d\d% of 12 faces not calibrated on", done.out)
    assert re.search(r"8 bits .* \(\d+\.\d\dx\) .* \(\d+\.\d\dx\)", done.out)
    in_16 = float(re.findall(r"16 bits +([\d.]+)", done.out)[-1])
    assert (run / "model-int8.onnx").stat().st_size / 1e6 < 0.8 * in_16


def test_out_and_overwrite(run: Path, tmp_path: Path, capsys: Capsys) -> None:
    """--out names the file; one that is there is replaced only with --overwrite."""
    out = tmp_path / "new" / "mine.onnx"
    out.parent.mkdir()
    out.write_bytes(b"old")
    arguments = ("export", run, "--out", out, "--no-benchmark")
    assert call(capsys, *arguments).code == 2
    assert out.read_bytes() == b"old"
    done = call(capsys, *arguments, "--overwrite")
    assert done.code == 0, done.err
    assert "MB" not in done.out
    assert load_classifier(str(out)).size_px == 32


def test_data_have_gone(run: Path, data: Path, capsys: Capsys) -> None:
    """Where the run's data are no longer there, --calibration takes their place."""
    facts = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(facts | {"data": "/nowhere"}))
    done = call(capsys, "export", run, "--no-benchmark")
    assert done.code == 2
    assert "no longer at /nowhere. Give --calibration DATA" in done.err
    done = call(capsys, "export", run, "--no-benchmark", "--calibration", data)
    assert done.code == 0, done.err


def test_too_few_faces(run: Path, tmp_path: Path, capsys: Capsys) -> None:
    """8 bits from a handful of faces are refused, and nothing is written."""
    for number in range(6):
        picture = np.full((40, 40, 3), 40 * number, np.uint8)
        write_image(tmp_path / "few" / "with_mask" / f"{number}.png", picture)
    done = call(capsys, "export", run, "--int8", "--calibration", tmp_path / "few")
    assert done.code == 1
    assert "at least 32 crops" in done.err
    assert not list(run.glob("*.onnx"))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        pytest.param(["."], 1, "is no run", id="no run"),
        pytest.param(["nowhere"], 1, "is no run", id="nowhere"),
        pytest.param([".", "--method", "minmx"], 2, "Did you mean 'minmax'", id="method"),
    ],
)
def test_wrong_arguments(
    tmp_path: Path,
    capsys: Capsys,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    """What cannot be exported is named in one line."""
    monkeypatch.chdir(tmp_path)
    done = call(capsys, "export", *arguments)
    assert done.code == code
    assert message in done.err
    assert len(done.err.splitlines()) == 1


def test_without_extra(run: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Keras, the extra is named."""
    monkeypatch.setitem(sys.modules, "keras", None)
    for name in [name for name in sys.modules if name.startswith("maskwatch.training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "maskwatch.export")
    done = call(capsys, "export", run)
    assert done.code == 2
    assert "pip install 'maskwatch[train]'" in done.err
