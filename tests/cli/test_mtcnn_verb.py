"""Rules of `maskwatch mtcnn`, end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from detect_helpers import call

pytest.importorskip("keras", reason="Keras is not installed (extra train)")
pytest.importorskip("onnx", reason="onnx is not installed (extra train)")

from maskwatch.images import write_image
from maskwatch.training.mtcnn import runs
from maskwatch.weights import mtcnn_stock
from painted import painted_set, some_photos
from tiny_mtcnn import lot, write_mtcnn

Capsys = pytest.CaptureFixture[str]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Photos of painted faces, two of them to train on."""
    return painted_set(tmp_path / "set", some_photos(), ["train", "train", "val"])


@pytest.fixture(autouse=True)
def _some_stock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks drawn by lot in place of the stock ones, whose package may not be installed."""
    monkeypatch.setattr(mtcnn_stock, "read", lambda stage: lot(stage, 1, face=0.5))


def made_run(folder: Path, seed: int = 0) -> Path:
    folder.mkdir()
    write_mtcnn(folder, seed)
    runs.write_facts(folder, {"stages": {}, "thresholds": {}})
    return folder


def test_trained_and_measured(tmp_path: Path, capsys: Capsys, data: Path) -> None:
    """A run is trained, told about, left alone the second time, and measured beside another."""
    out = tmp_path / "run"
    arguments = ("mtcnn", "train", data, "--out", out, "--stages", "p", "--steps", "2")
    done = call(capsys, *arguments, "--batch", "16", "--finder", "none")
    assert done.code == 0, done.err
    assert done.out == f"written: {out}\n"
    assert "pnet: trained" in done.err
    assert "no face" in done.err
    assert "IoU 0.5 of 50" in done.err
    assert "nan" not in done.err
    again = call(capsys, *arguments, "--batch", "16", "--finder", "none")
    assert again.code == 0, again.err
    assert "pnet" not in again.err
    other = call(capsys, *arguments[:-1], "3", "--finder", "none", "--from", "none")
    assert other.code == 2
    assert "holds another training: from" in other.err
    anew = call(capsys, *arguments[:-1], "3", "--finder", "none", "--from", "none", "--overwrite")
    assert anew.code == 0, anew.err
    assert "pnet: trained" in anew.err

    old, figures = made_run(tmp_path / "old"), tmp_path / "figures.json"
    both = f"{old},{out}"
    done = call(
        capsys,
        *("mtcnn", "evaluate", both, data, "--json", figures, "--no-networks"),
        *("--sheets", tmp_path / "sheets", "--min-score", "0.5"),
    )
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == "set (val): 1 photo"
    assert "precision" in done.out
    assert [one["detector"] for one in json.loads(figures.read_text())["detectors"]] == [
        "old",
        "run",
    ]
    refused = call(capsys, "mtcnn", "evaluate", both, data, "--json", figures)
    assert refused.code == 2
    assert "--overwrite" in refused.err


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        pytest.param(["--stages", "p,x"], 2, "unknown network 'x'", id="network"),
        pytest.param(["--stages", ","], 2, "names no network", id="no network"),
        pytest.param(["--steps", "1,2"], 2, "one for each of 3", id="steps"),
        pytest.param(["--steps", "0"], 2, "--steps 0", id="no steps"),
        pytest.param(["--landmarks", "maybe"], 2, "unknown --landmarks", id="landmarks"),
        pytest.param(["--finder", "yunett"], 2, "unknown detector 'yunett'", id="finder"),
        pytest.param(["--from", "nowhere"], 2, "--from nowhere: no such run", id="start"),
        pytest.param(
            ["--from", "none", "--landmarks", "yes"], 2, "Begin from stock", id="no landmarks"
        ),
        pytest.param(
            ["--from", "none", "--stages", "r"], 2, "there is no pnet", id="network before"
        ),
    ],
)
def test_wrong_training(
    tmp_path: Path, capsys: Capsys, data: Path, options: list[str], code: int, says: str
) -> None:
    """What cannot be trained is told in one line, before any work, and leaves nothing."""
    base = ["--finder", "none"] if "--finder" not in options else []
    done = call(capsys, "mtcnn", "train", data, "--out", tmp_path / "run", *base, *options)
    assert done.code == code
    assert says in done.err
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("model", "options", "code", "says"),
    [
        pytest.param("stock", [], 1, "maskwatch models get mtcnn-stock", id="not installed"),
        pytest.param("nowhere", [], 1, "nowhere is no run", id="no run"),
        pytest.param("stock", ["--sheets", "out"], 2, "is one model", id="sheets of one"),
    ],
)
def test_wrong_evaluation(
    capsys: Capsys, data: Path, model: str, options: list[str], code: int, says: str
) -> None:
    """What cannot be measured is told in one line."""
    done = call(capsys, "mtcnn", "evaluate", model, data, *options)
    assert done.code == code
    assert says in done.err
    assert len(done.err.splitlines()) == 1


def test_unreadable_photo(tmp_path: Path, capsys: Capsys, data: Path) -> None:
    """A broken photo is named, the rest is looked at, and the exit code is 1."""
    write_image(data / "images" / "3.png", np.zeros((40, 40, 3), np.uint8))
    (data / "annotations" / "3.xml").write_text("<annotation></annotation>")
    with (data / "val.txt").open("a") as listing:
        listing.write("3\n")
    (data / "images" / "2.png").write_bytes(b"no picture")
    done = call(capsys, "mtcnn", "evaluate", made_run(tmp_path / "run"), data, "--no-networks")
    assert done.code == 1
    assert "2.png" in done.err
    assert "set (val): 1 photo" in done.out
