"""The commands and the Python of the README work as pasted."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from maskwatch.classifier import MIN_FACE_PX
from maskwatch.datasets.synthetic import STYLES, Wear, draw_mask
from maskwatch.images import read_image, write_image
from maskwatch.models import embedded
from maskwatch.preprocess import face_crops
from maskwatch.sinks.video import VideoWriter
from maskwatch.types import MaskState
from portraits import PORTRAITS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

# These need a camera or the internet; their options are still checked.
NEEDS_MORE = (
    *("detect 0 ", "detect rtsp://", "models get"),
    *("--recipe mobilenetv2 ", "compare ", "export runs/first"),
)


def _blocks(language: str) -> Iterator[str]:
    for match in re.finditer(rf"```{language}\n(.*?)```", README, re.DOTALL):
        yield match.group(1)


COMMANDS = [
    line for block in _blocks("sh") for line in block.splitlines() if line.startswith("maskwatch ")
]
RUNNABLE = [line for line in COMMANDS if not any(part in line for part in NEEDS_MORE)]
OTHERS = [line for line in COMMANDS if line not in RUNNABLE]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the README's commands name: `demo-out`, `clip.mp4`, `faces`, `photos`."""
    folder = tmp_path_factory.mktemp("readme")
    demo = [sys.executable, str(ROOT / "examples/demo.py"), str(folder / "demo-out")]
    subprocess.run(demo, check=True, capture_output=True)
    photo = read_image(folder / "demo-out/photos/bare.jpg")
    writer = VideoWriter(folder / "clip.mp4", Fraction(10))
    for index in range(10):
        writer.write(photo, index / 10)
    writer.close()
    _write_faces(folder / "faces")
    _write_photos(folder / "photos")
    return folder


def _write_faces(folder: Path) -> None:
    """Class folders of two splits: two people bare, with drawn masks and with wrongly worn ones."""
    rng = np.random.default_rng(0)
    styles = list(STYLES.values())
    for number, (make, split) in enumerate(product(PORTRAITS.values(), ["train"] * 3 + ["val"])):
        person = make()
        drawings = {MaskState.WITHOUT_MASK: person.image}
        for wear in (Wear.CORRECT, Wear.NOSE_OUT):
            style = styles[int(rng.integers(len(styles)))]
            drawn, state = draw_mask(person.image, person.landmarks, style, wear=wear, rng=rng)
            drawings[state] = drawn
        for state, image in drawings.items():
            crop = face_crops(image, person.box, 128)[0]
            (folder / split / state).mkdir(parents=True, exist_ok=True)
            write_image(folder / split / state / f"{number}.png", crop)


def _write_photos(folder: Path) -> None:
    """Photos of bare faces with their boxes, as Pascal VOC writes them."""
    for name, make in PORTRAITS.items():
        person = make()
        write_image(folder / "images" / f"{name}.png", person.image)
        corners = zip(("xmin", "ymin", "xmax", "ymax"), person.box[0], strict=True)
        box = "".join(f"<{corner}>{value:.0f}</{corner}>" for corner, value in corners)
        face = f"<object><name>without_mask</name><bndbox>{box}</bndbox></object>"
        (folder / "annotations").mkdir(exist_ok=True)
        (folder / "annotations" / f"{name}.xml").write_text(f"<annotation>{face}</annotation>")


def _maskwatch(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    arguments = shlex.split(line)[1:]
    return subprocess.run(
        [sys.executable, "-m", "maskwatch", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_readme_has_commands() -> None:
    """The patterns of this file find the README's commands."""
    assert len(RUNNABLE) >= 8
    assert len(OTHERS) >= 3


@pytest.mark.parametrize("line", RUNNABLE)
def test_command_of_the_readme_runs(line: str, folder: Path) -> None:
    """A command of the README ends with exit code 0 where `make demo` has been run."""
    done = _maskwatch(line, folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", OTHERS)
def test_other_command_of_the_readme_has_known_options(line: str, folder: Path) -> None:
    """A command that cannot run in a test names verbs and options that exist."""
    done = _maskwatch(f"{line} --help", folder)
    assert done.returncode == 0, done.stderr
    known = set(re.findall(r"--[a-z-]+", done.stdout))
    assert set(re.findall(r"--[a-z-]+", line)) <= known


def test_python_of_the_readme_runs(folder: Path) -> None:
    """The README's Python runs and prints the state of the face."""
    pytest.importorskip("supervision", reason="supervision is not installed (extra supervision)")
    code = "\n".join(_blocks("python"))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("without_mask")


def test_pictures_of_the_readme_are_there() -> None:
    """Every picture that the README shows is in the repository."""
    names = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README)
    assert names
    assert all((ROOT / name).exists() for name in names)


def test_make_commands_of_the_readme_exist() -> None:
    """Every `make` target that the README names is in the Makefile."""
    assert shutil.which("make"), "the README's two commands need make"
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"^make ([a-z-]+)", README, re.MULTILINE)) <= targets


def test_scores_of_the_readme_are_those_of_the_card() -> None:
    """Every row of the README's table of scores says what the model's card says."""
    scores = embedded()["classifier"].scores
    rows = re.findall(r"^\| (\S+/\S+) \| (\d+) \| ([\d.]+) \|", README, re.MULTILINE)
    assert {name for name, _, _ in rows} == set(scores)
    for name, count, accuracy in rows:
        assert int(count) == scores[name]["count"]
        assert float(accuracy) == pytest.approx(scores[name]["accuracy"], abs=5e-4)


def test_readme_is_finished() -> None:
    """No place is left to be filled in, and the smallest face that is judged is the real one."""
    assert not re.search(r"@[A-Z]+@", README)
    assert f"Faces under {MIN_FACE_PX:.0f} px" in README


def test_speeds_of_the_readme_are_those_of_the_benchmark() -> None:
    """Every row of the README's table of speeds stands in the committed benchmark."""
    rows = json.loads((ROOT / "benchmarks/results/detect.json").read_text())["rows"]
    measured = {
        (row["detector"], row["video"].removesuffix(".mp4")): row["frames_per_s"]["maskwatch"]
        for row in rows
    }
    found = re.findall(r"^\| (\w+) \| (\w+) \| [\d.]+ \| ([\d.]+) \|", README, re.MULTILINE)
    assert {(name, video): float(speed) for name, video, speed in found} == measured


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def test_detectors_compared() -> None:
    """The table of the detectors' accuracy and that of their times are those of the benchmark."""
    result = json.loads((ROOT / "benchmarks/results/detectors.json").read_text())
    rows = {(row["source"].split()[0], row["detector"]): row for row in result["accuracy"]}
    names = {name for _, name in rows}
    assert len(names) > 10
    columns = ("any", "with_mask", "without_mask", "incorrect_mask")
    for name in names:
        cells = [_cell(rows[s, name][f"ap50_{c}"]) for s in ("ilc", "kaggle") for c in columns]
        alarms = rows["negatives", name]["false_alarms"]
        assert f"| {name} | {' | '.join(cells)} | {alarms} |\n" in README
    for time in result["times"]:
        cells = [
            f"{time[f'{kind}_ms']:.1f} | {time[f'{kind}_to_yunet']:.2f} x"
            for kind in ("alone", "shipped")
        ]
        assert f"| {time['detector']} | {' | '.join(cells)} |\n" in README


def test_mtcnn_before_and_after() -> None:
    """The counts of masked faces are those of the evaluation."""
    result = json.loads((ROOT / "benchmarks/results/mtcnn_masked.json").read_text())
    for row, name in zip(result["detectors"], ("mtcnn-stock", "mtcnn"), strict=True):
        masked = row["masked_iou30"]
        counts = " | ".join(str(masked[key]) for key in ("hits", "false_alarms", "missed"))
        assert f"| `{name}` | {counts} | {masked['precision']:.3f} [" in README


@pytest.mark.parametrize(
    "path", sorted((ROOT / "benchmarks/results").glob("*.json")), ids=lambda path: path.stem
)
def test_results_name_no_folder(path: Path) -> None:
    """Figures name no folder of the machine that they were measured on."""
    assert not re.search(r'"(/|[A-Z]:)', path.read_text(encoding="utf-8"))
