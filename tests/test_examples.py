"""Every file in `examples/` runs as its docstring says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def _run(name: str, *arguments: object, home: Path) -> str:
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / name, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MASKWATCH_HOME": str(home)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    _run("demo.py", out, home=out / "home")
    return out


def test_demo_tells_the_bare_face_from_the_masked_one(demo: Path) -> None:
    """The demo finds one face on each of its pictures and judges all rightly."""
    lines = [json.loads(line) for line in (demo / "faces.jsonl").read_text().splitlines()]
    states = {
        Path(line["source"]).stem: [face["state"] for face in line["faces"]] for line in lines
    }
    assert states == {
        "bare": ["without_mask"],
        "masked": ["with_mask"],
        "nose-out": ["incorrect_mask"],
    }
    assert {path.name for path in (demo / "annotated").iterdir()} == {f"{n}.jpg" for n in states}


def test_photo_prints_a_line_a_face(demo: Path, tmp_path: Path) -> None:
    """The shortest use of the library prints the state and writes the copy."""
    printed = _run("photo.py", demo / "photos/bare.jpg", tmp_path / "copy.png", home=demo / "home")
    assert printed.startswith("without_mask [")
    assert (tmp_path / "copy.png").exists()


def test_own_stage_adds_its_key(demo: Path) -> None:
    """What a stage puts into `extras` stands in the JSON line."""
    printed = _run("own_stage.py", demo / "photos", home=demo / "home")
    assert [json.loads(line)["bare_share"] for line in printed.splitlines()] == [1.0, 0.0, 0.0]


def test_supervision_draws_the_faces(demo: Path, tmp_path: Path) -> None:
    """The faces work with another library's annotators."""
    pytest.importorskip("supervision", reason="supervision is not installed (extra supervision)")
    _run("with_supervision.py", demo / "photos/bare.jpg", tmp_path / "copy.jpg", home=demo / "home")
    assert (tmp_path / "copy.jpg").exists()
