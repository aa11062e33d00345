"""Rules of `maskwatch evaluate`, end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from detect_helpers import call

from judged_sets import WITH, colour, crop, three_classes, two_classes
from tiny_onnx import write_constant

Capsys = pytest.CaptureFixture[str]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A classifier that takes every face for one without a mask, with 0.7."""
    return write_constant(tmp_path / "model.onnx")


def test_figures(tmp_path: Path, capsys: Capsys, model: Path) -> None:
    """The table goes to standard output, all figures into the JSON file."""
    out = tmp_path / "new" / "figures.json"
    done = call(capsys, "evaluate", model, three_classes(tmp_path / "set"), "--json", out)
    assert done.code == 0, done.err
    assert "on set: 9 faces" in done.out
    assert "accuracy 0.333" in done.out
    assert f"written: {out}" in done.out
    found = json.loads(out.read_text())
    assert found["accuracy"] == 0.3333
    assert found["model"] == str(model)
    assert found["confusion"] == [[0, 3, 0], [0, 3, 0], [0, 3, 0]]


def test_several_sets(tmp_path: Path, capsys: Capsys, model: Path) -> None:
    """Several DATA are sources side by side."""
    sets = three_classes(tmp_path / "three"), two_classes(tmp_path / "two")
    done = call(capsys, "evaluate", model, *sets)
    assert done.code == 0, done.err
    assert "on three, two: 13 faces" in done.out
    assert "two: no incorrect_mask among the labels" in done.out


def test_report_and_plots(tmp_path: Path, capsys: Capsys, model: Path) -> None:
    """--html writes a page, --plots a folder of PNG files."""
    pytest.importorskip("matplotlib", reason="matplotlib is in extra train")
    done = call(
        capsys,
        *("evaluate", model, three_classes(tmp_path / "set")),
        *("--html", tmp_path / "report.html", "--plots", tmp_path / "plots"),
    )
    assert done.code == 0, done.err
    assert (tmp_path / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert (tmp_path / "plots" / "confusion.png").is_file()


def test_embedded_model(tmp_path: Path, capsys: Capsys) -> None:
    """`default` is a model."""
    done = call(capsys, "evaluate", "default", three_classes(tmp_path / "set"))
    assert done.code == 0, done.err
    assert "default on set: 9 faces" in done.out


def test_unreadable_pictures(tmp_path: Path, capsys: Capsys, model: Path) -> None:
    """A broken picture is named, results are written all the same, and the exit code is 1."""
    folder = three_classes(tmp_path / "set")
    (folder / "with_mask" / "broken.png").write_bytes(b"no picture")
    done = call(capsys, "evaluate", model, folder, "--json", tmp_path / "figures.json")
    assert done.code == 1
    assert "broken.png" in done.err
    found = json.loads((tmp_path / "figures.json").read_text())
    assert found["count"] == 9
    assert len(found["unread"]) == 1


@pytest.mark.parametrize("option", ["--json", "--html", "--plots"])
def test_never_overwrites(tmp_path: Path, capsys: Capsys, model: Path, option: str) -> None:
    """Without --overwrite an output that is there is refused before the work, and kept."""
    if option != "--json":
        pytest.importorskip("matplotlib", reason="matplotlib is in extra train")
    there = tmp_path / "out" / "roc.png" if option == "--plots" else tmp_path / "out"
    there.parent.mkdir(exist_ok=True)
    there.write_text("mine")
    arguments = ("evaluate", model, three_classes(tmp_path / "set"), option, tmp_path / "out")
    refused = call(capsys, *arguments)
    assert refused.code == 2
    assert "--overwrite" in refused.err
    assert refused.out == ""
    assert there.read_text() == "mine"
    assert call(capsys, *arguments, "--overwrite").code == 0
    assert there.read_bytes() != b"mine"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param(["--split", "tset"], "unknown split 'tset'", id="split"),
        pytest.param(["--format", "vco"], "unknown data set format 'vco'", id="format"),
        pytest.param(["--map", "0"], "--map has '0'", id="map"),
        pytest.param(["--min-size", "-1"], "--min-size", id="size"),
        pytest.param(["--json", "x", "--html", "x"], "Give each a file of its own", id="same file"),
    ],
)
def test_wrong_usage(
    tmp_path: Path, capsys: Capsys, model: Path, options: list[str], says: str
) -> None:
    """What cannot be meant is refused with exit code 2."""
    pytest.importorskip("matplotlib", reason="matplotlib is in extra train")
    done = call(capsys, "evaluate", model, three_classes(tmp_path / "set"), *options)
    assert done.code == 2
    assert says in done.err


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        pytest.param("defualt", 2, "unknown classifier or detector 'defualt'", id="name"),
        pytest.param("gone.onnx", 1, "gone.onnx", id="file"),
    ],
)
def test_unknown_model(tmp_path: Path, capsys: Capsys, name: str, code: int, says: str) -> None:
    """A model that is not there is one line."""
    done = call(capsys, "evaluate", name, three_classes(tmp_path / "set"))
    assert done.code == code
    assert says in done.err
    assert len(done.err.splitlines()) == 1


def test_no_data(tmp_path: Path, capsys: Capsys, model: Path) -> None:
    """Data that are not there are one line and exit code 1."""
    done = call(capsys, "evaluate", model, tmp_path / "gone")
    assert done.code == 1
    assert "no such folder" in done.err
    assert len(done.err.splitlines()) == 1


def test_map(tmp_path: Path, capsys: Capsys, model: Path) -> None:
    """--map gives class names a meaning."""
    crop(tmp_path / "set", "0", "a", colour(WITH))
    done = call(capsys, "evaluate", model, tmp_path / "set", "--map", "0=without_mask")
    assert done.code == 0, done.err
    assert "accuracy 1.000" in done.out


def test_base_install(tmp_path: Path) -> None:
    """Figures need nothing of the training extra; a report then says what to install."""
    folder = three_classes(tmp_path / "set")
    program = (
        "import sys\n"
        "for name in ('keras', 'tensorflow', 'sklearn', 'matplotlib'):\n"
        "    sys.modules[name] = None\n"
        "from maskwatch.cli import main\n"
        f"main(['evaluate', 'default', {str(folder)!r}, *sys.argv[1:]])\n"
    )

    def run(*options: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, *map(str, options)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    done = run("--json", tmp_path / "figures.json")
    assert done.returncode == 0, done.stderr
    assert "accuracy" in json.loads((tmp_path / "figures.json").read_text())
    refused = run("--html", tmp_path / "report.html")
    assert refused.returncode == 2
    assert refused.stderr == ("error: --html needs more packages: pip install 'maskwatch[train]'\n")
