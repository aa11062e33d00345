"""Rules of `maskwatch compare`, end to end."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from detect_helpers import call

from maskwatch.images import write_image
from maskwatch.training.recipes import RECIPES

Capsys = pytest.CaptureFixture[str]

for package in ("keras", "tensorflow", "tf2onnx", "matplotlib"):
    pytest.importorskip(package, reason=f"{package} is not installed (extra train)")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Dark faces with a mask and bright ones without."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 10), ("val", 4), ("test", 6)):
        for number in range(count):
            for state, shade in (("with_mask", 30), ("without_mask", 170)):
                picture = rng.integers(shade, shade + 60, (40, 40, 3)).astype(np.uint8)
                write_image(tmp_path / "faces" / split / state / f"{number}.png", picture)
    return tmp_path / "faces"


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe of seconds."""
    made = replace(RECIPES["mobilenetv2"], name="tiny", size_px=32, epochs=1, batch=10)
    monkeypatch.setitem(RECIPES, "tiny", made)


def test_compare(tmp_path: Path, data: Path, capsys: Capsys) -> None:
    """Real trainings end in a table and a page; the same call then only prints them again."""
    out = tmp_path / "out"
    arguments = (
        *("compare", data, "--recipes", "tiny", "--optimizers", "adam,adamw", "--seeds", "1"),
        *("--weights", "none", "--out", out, "--cache", tmp_path / "cache"),
    )
    done = call(capsys, *arguments)
    assert done.code == 0, done.err
    assert "[2 of 2] tiny+adamw-seed0" in done.err
    assert [line.split()[:2] for line in done.out.splitlines()[1:3]] == [
        ["tiny", "adam"],
        ["tiny+adamw", "adamw"],
    ]
    assert "tested on faces (test), 12 faces" in done.out
    assert f"written: {out / 'index.html'}" in done.out
    kept = json.loads((out / "results.json").read_text())["comparison"]["groups"]
    assert all(group["latency_ms_1"] > 0 and group["parameters"] > 1000 for group in kept)
    assert (out / "runs" / "tiny-seed0" / "model.onnx").is_file()
    again = call(capsys, *arguments)
    assert again.out == done.out
    assert "epoch" not in again.err


def test_failure(tmp_path: Path, data: Path, capsys: Capsys) -> None:
    """A recipe whose weights do not fit is named, and the exit code is 1."""
    (tmp_path / "bad.h5").write_bytes(b"no weights")
    done = call(
        capsys,
        *("compare", data, "--recipes", "tiny", "--seeds", "1", "--out", tmp_path / "out"),
        *("--weights", f"tiny={tmp_path / 'bad.h5'}", "--cache", tmp_path / "cache"),
    )
    assert done.code == 1
    assert "error: tiny-seed0: " in done.err
    assert "bad.h5" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--recipes", "tinny"], "Did you mean 'tiny'", id="recipe"),
        pytest.param(["--optimizers", "sgd"], "unknown optimizer 'sgd'", id="optimizer"),
        pytest.param(["--weights", "gone.h5"], "no file gone.h5", id="weights"),
        pytest.param(["--seeds", "0"], "seeds", id="seeds"),
    ],
)
def test_wrong_arguments(
    tmp_path: Path, data: Path, capsys: Capsys, arguments: list[str], message: str
) -> None:
    """What cannot be meant is refused before anything is written."""
    out = tmp_path / "out"
    done = call(capsys, "compare", data, "--recipes", "tiny", "--out", out, *arguments)
    assert done.code == 2
    assert message in done.err
    assert not out.exists()


def test_without_extra(
    tmp_path: Path, data: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without matplotlib or Keras, the extra is named."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = call(capsys, "compare", data, "--recipes", "tiny", "--out", tmp_path / "out")
    assert done.code == 2
    assert "pip install 'maskwatch[train]'" in done.err
