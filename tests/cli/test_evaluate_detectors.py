"""Rules of `maskwatch evaluate` for detectors, end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from detect_helpers import call

from judged_sets import three_classes
from maskwatch.images import read_image, write_image
from painted import add_detectors, painted_set, some_photos
from tiny_onnx import write_constant

Capsys = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _painted(monkeypatch: pytest.MonkeyPatch) -> None:
    add_detectors(monkeypatch)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three photos with four faces, one of which is missed, and a false alarm."""
    return painted_set(tmp_path / "set", some_photos())


def test_figures(tmp_path: Path, capsys: Capsys, data: Path) -> None:
    """The table goes to standard output, a line a detector, all figures into the JSON file."""
    out = tmp_path / "new" / "figures.json"
    model = write_constant(tmp_path / "model.onnx")
    done = call(capsys, "evaluate", f"paint,plain,plain+{model}", data, "--json", out)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "set: 3 photos, 4 faces of 24 px and more"
    assert [line.split()[:2] for line in lines[2:5]] == [
        ["paint", "0.950"],
        ["plain", "0.950"],
        [f"plain+{model}", "0.950"],
    ]
    assert f"written: {out}" in done.out
    found = json.loads(out.read_text())
    assert [one["detector"] for one in found["detectors"]] == ["paint", "plain", f"plain+{model}"]
    assert found["detectors"][0]["any"]["ap50"] == 0.95
    assert found["detectors"][0]["any"]["shipped"]["recall"] == 0.75
    assert found["detectors"][0]["errors"]["misses"][0]["path"].endswith("2.png")


def test_everything_written(tmp_path: Path, capsys: Capsys, data: Path) -> None:
    """--html writes a page, --plots and --sheets folders of PNG files."""
    pytest.importorskip("matplotlib", reason="matplotlib is in extra train")
    done = call(
        capsys,
        *("evaluate", "paint", data, "--html", tmp_path / "page.html"),
        *("--plots", tmp_path / "plots", "--sheets", tmp_path / "sheets"),
    )
    assert done.code == 0, done.err
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")
    assert (tmp_path / "plots" / "precision_recall.png").is_file()
    assert {path.name for path in (tmp_path / "sheets").iterdir()} == {
        f"paint-{kind}-1.png" for kind in ("misses", "false-alarms", "states")
    }


def test_least_size(capsys: Capsys, data: Path) -> None:
    """--min-size says which faces count."""
    done = call(capsys, "evaluate", "plain", data, "--min-size", "55")
    assert "set: 3 photos, 3 faces of 55 px and more" in done.out


def test_photos_without_labels(tmp_path: Path, capsys: Capsys) -> None:
    """Photos without labels tell false alarms alone."""
    for number, photo in enumerate(some_photos()):
        folder = painted_set(tmp_path / "labelled", [photo])
        write_image(tmp_path / "none" / f"{number}.png", read_image(folder / "images" / "0.png"))
    done = call(capsys, "evaluate", "plain", tmp_path / "none")
    assert done.code == 0, done.err
    assert "none: 3 photos, 0 faces" in done.out
    row = next(line for line in done.out.splitlines() if line.startswith("plain"))
    assert row.split()[1:8] == ["-"] * 7
    assert row.split()[-2] == "4"
    assert "by size" not in done.out


def test_unreadable_photo(capsys: Capsys, data: Path) -> None:
    """A broken photo is named, the rest is looked at, and the exit code is 1."""
    (data / "images" / "1.png").write_bytes(b"no picture")
    done = call(capsys, "evaluate", "paint", data)
    assert done.code == 1
    assert "1.png" in done.err
    assert "set: 2 photos, 3 faces" in done.out


@pytest.mark.parametrize("option", ["--json", "--html", "--plots", "--sheets"])
def test_never_overwrites(tmp_path: Path, capsys: Capsys, data: Path, option: str) -> None:
    """Without --overwrite an output that is there is refused before the work, and kept."""
    if option in ("--html", "--plots"):
        pytest.importorskip("matplotlib", reason="matplotlib is in extra train")
    names = {"--plots": "out/recall_by_size.png", "--sheets": "out/paint-misses-1.png"}
    there = tmp_path / names.get(option, "out")
    there.parent.mkdir(exist_ok=True)
    there.write_text("mine")
    arguments = ("evaluate", "paint", data, option, tmp_path / "out")
    refused = call(capsys, *arguments)
    assert refused.code == 2
    assert "--overwrite" in refused.err
    assert refused.out == ""
    assert there.read_text() == "mine"
    assert call(capsys, *arguments, "--overwrite").code == 0
    assert there.read_bytes() != b"mine"


def test_no_stale_sheets(tmp_path: Path, capsys: Capsys, data: Path) -> None:
    """With --overwrite sheets of another time go, and what is not a sheet stays."""
    out = tmp_path / "sheets"
    out.mkdir()
    for name in ("paint-misses-3.png", "notes.png", "plain-misses-3.png"):
        (out / name).write_text("old")
    assert call(capsys, "evaluate", "paint", data, "--sheets", out, "--overwrite").code == 0
    assert not (out / "paint-misses-3.png").exists()
    assert (out / "notes.png").read_text() == (out / "plain-misses-3.png").read_text() == "old"


@pytest.mark.parametrize(
    ("model", "code", "says"),
    [
        pytest.param("paynt", 2, "unknown classifier or detector 'paynt'", id="name"),
        pytest.param("paynt+default", 2, "unknown detector 'paynt'. Did you mean", id="detector"),
        pytest.param("paint+defualt", 2, "unknown classifier 'defualt'", id="classifier"),
        pytest.param("paint+", 2, "names no classifier after '+'", id="nothing behind"),
        pytest.param("paint,paint", 2, "named twice", id="twice"),
        pytest.param("default,paint", 2, "unknown detector 'default'", id="classifier in a list"),
        pytest.param("yunet", 1, "maskwatch models get yunet", id="not installed"),
    ],
)
def test_wrong_models(capsys: Capsys, data: Path, model: str, code: int, says: str) -> None:
    """What is no detector is one line."""
    done = call(capsys, "evaluate", model, data)
    assert done.code == code
    assert says in done.err
    assert len(done.err.splitlines()) == 1


def test_wrong_mixes(tmp_path: Path, capsys: Capsys, data: Path) -> None:
    """Crops for a detector and sheets for a classifier are refused with the way out."""
    crops = call(capsys, "evaluate", "paint", three_classes(tmp_path / "crops"))
    assert crops.code == 1
    assert "detectors need photos with boxes" in crops.err
    sheets = call(capsys, "evaluate", "default", data, "--sheets", tmp_path / "sheets")
    assert sheets.code == 2
    assert "'default' is a classifier" in sheets.err
    assert not (tmp_path / "sheets").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param(["--split", "tset"], "unknown split 'tset'", id="split"),
        pytest.param(["--split", "val"], "no photos in split 'val'", id="split that is not there"),
        pytest.param(["--format", "vco"], "unknown data set format 'vco'", id="format"),
        pytest.param(["--map", "0"], "--map has '0'", id="map"),
    ],
)
def test_wrong_options(capsys: Capsys, data: Path, options: list[str], says: str) -> None:
    """Options are checked as for classifiers."""
    done = call(capsys, "evaluate", "paint", data, *options)
    assert done.code in (1, 2)
    assert says in done.err
    assert len(done.err.splitlines()) == 1


def test_map(capsys: Capsys, data: Path) -> None:
    """--map gives class names a meaning, also that of labels to be left out."""
    for path in (data / "annotations").glob("*.xml"):
        path.write_text(path.read_text().replace(">without_mask<", ">person<"))
    unknown = call(capsys, "evaluate", "paint", data)
    assert unknown.code == 1
    assert "unknown class names in set: 'person'" in unknown.err
    kept = call(capsys, "evaluate", "paint", data, "--map", "person=without_mask")
    assert "set: 3 photos, 4 faces" in kept.out
    skipped = call(capsys, "evaluate", "paint", data, "--map", "person=skip")
    assert "set: 3 photos, 3 faces" in skipped.out


def test_base_install(tmp_path: Path) -> None:
    """Figures and sheets need nothing of the training extra; a page then says what to install."""
    folder = tmp_path / "set"
    write_image(folder / "a.png", np.full((64, 64, 3), 90, np.uint8))
    program = (
        "import sys\n"
        "for name in ('keras', 'tensorflow', 'sklearn', 'matplotlib'):\n"
        "    sys.modules[name] = None\n"
        "from maskwatch.cli import main\n"
        f"main(['evaluate', 'haar+default', {str(folder)!r}, *sys.argv[1:]])\n"
    )

    def run(*options: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, *map(str, options)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    done = run("--json", tmp_path / "figures.json", "--sheets", tmp_path / "sheets")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "figures.json").read_text())["photos"] == 1
    refused = run("--html", tmp_path / "report.html")
    assert refused.returncode == 2
    assert refused.stderr == ("error: --html needs more packages: pip install 'maskwatch[train]'\n")
