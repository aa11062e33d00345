"""Rules of training MTCNN, end to end on drawn faces."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("keras", reason="Keras is not installed (extra train)")
pytest.importorskip("onnx", reason="onnx is not installed (extra train)")

from maskwatch.detectors.mtcnn import MtcnnDetector, of_run
from maskwatch.detectors.mtcnn.networks import onnx_file
from maskwatch.errors import OutputExistsError, UsageError
from maskwatch.images import read_image, write_image
from maskwatch.training.mtcnn import runs
from maskwatch.training.mtcnn.fit import fit
from maskwatch.training.mtcnn.networks import STAGES, arrays_of
from maskwatch.training.mtcnn.photos import training_photos, validation_photos
from maskwatch.training.mtcnn.recipe import MtcnnRecipe, StageRecipe
from maskwatch.training.mtcnn.samples import load_samples
from maskwatch.training.mtcnn.train import train
from maskwatch.training.observer import Silent
from maskwatch.training.onepass.pack import IGNORED
from maskwatch.types import Faces, Image
from maskwatch.weights import mtcnn_stock
from tiny_mtcnn import lot

TINY = StageRecipe(3, 16)
RECIPE = MtcnnRecipe(
    stages=dict.fromkeys(STAGES, TINY), near=6, faces=8, others=10, smallest_px=24, warmup=0.1
)
FACE = (60, 40, 108, 100)


def drawn_photo(seed: int, box: tuple[int, int, int, int] = FACE) -> Image:
    """A dark picture with a bright oval with two dark dots."""
    rng = np.random.default_rng(seed)
    image = rng.integers(20, 70, (150, 180, 3), np.uint8)
    x0, y0, x1, y1 = box
    middle, half = ((x0 + x1) // 2, (y0 + y1) // 2), ((x1 - x0) // 2, (y1 - y0) // 2)
    cv2.ellipse(image, (middle, (2 * half[0], 2 * half[1]), 0), (190, 210, 230), -1)
    for side in (-1, 1):
        eye = (middle[0] + side * half[0] // 2, middle[1] - half[1] // 3)
        cv2.circle(image, eye, max(half[0] // 6, 2), (10, 10, 10), -1)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 1), np.uint8)


def drawn_set(folder: Path, count: int = 6) -> Path:
    """A VOC data set of such photos, the last two of them in `val`."""
    rng = np.random.default_rng(5)
    for number in range(count):
        side = int(rng.integers(36, 64))
        x0, y0 = (int(rng.integers(4, end - 80)) for end in (180, 150))
        box = (x0, y0, x0 + side, y0 + round(side * 1.15))
        write_image(folder / "images" / f"{number}.png", drawn_photo(number, box))
        corners = dict(zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
        inner = "".join(f"<{key}>{value}</{key}>" for key, value in corners.items())
        name = "with_mask" if number % 2 else "without_mask"
        (folder / "annotations").mkdir(exist_ok=True)
        (folder / "annotations" / f"{number}.xml").write_text(
            f"<annotation><object><name>{name}</name><bndbox>{inner}</bndbox></object></annotation>"
        )
        split = "val" if number >= count - 2 else "train"
        with (folder / f"{split}.txt").open("a") as listing:
            listing.write(f"{number}\n")
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return drawn_set(tmp_path / "drawn")


@pytest.fixture
def some_start(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Networks that take much for a face, in place of the stock ones."""
    arrays = {stage: lot(stage, 1, face=0.5) for stage in STAGES}
    monkeypatch.setattr(mtcnn_stock, "read", arrays.__getitem__)
    return arrays


class Notes(Silent):
    """Keeps the lines, and stops a training after a step."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.lines: list[str] = []
        self.stop = threading.Event()
        self._stop_at = stop_at

    def note(self, line: str) -> None:
        self.lines.append(line)

    def step(self, done: int, loss: float | None = None, accuracy: float | None = None) -> None:
        if done == self._stop_at:
            self.stop.set()


def test_all_three(tmp_path: Path, data: Path, some_start: dict[str, Any]) -> None:
    """A run leaves three networks that a detector loads, crops, previews, counts and recalls."""
    notes, out = Notes(), tmp_path / "run"
    assert train([data], out, RECIPE, observer=notes)
    found = MtcnnDetector(of_run(out), 0.0)([read_image(data / "images" / "0.png")])
    assert found[0].landmarks is None
    for stage in STAGES:
        assert (out / stage / "samples.png").is_file()
        facts = json.loads((out / "mtcnn.json").read_text())["stages"][stage]
        assert facts["finished"]
        assert "no face" in facts["crops"]
        assert list(facts["recall"]) == ["stock", "run"]
        assert any(line.startswith(f"{stage}: ") and "faces (" in line for line in notes.lines)
        head = next(i for i, line in enumerate(notes.lines) if line.startswith(f"{stage}, 2 faces"))
        assert [line.split()[0] for line in notes.lines[head + 1 : head + 3]] == ["stock", "run"]
        changed = runs.load_weights(out, stage)[0] - some_start[stage][0]
        assert np.abs(changed).max() > 0


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("stage", ["pnet", "rnet"])
def test_stopped_and_resumed(
    tmp_path: Path, data: Path, some_start: dict[str, Any], stage: str
) -> None:
    """A training that was stopped in a network goes on exactly as if it had not been."""
    recipe = replace(RECIPE, stages={**RECIPE.stages, stage: StageRecipe(5, 16)})
    train([data], tmp_path / "whole", recipe, stages=[stage])
    stopped = Notes(stop_at=3)
    parts = tmp_path / "parts"
    arguments: dict[str, Any] = {"stages": [stage]}
    assert not train([data], parts, recipe, observer=stopped, stop=stopped.stop, **arguments)
    assert not runs.has_weights(parts, stage)
    assert train([data], parts, recipe, **arguments)
    for one in STAGES:
        whole, resumed = (runs.load_weights(tmp_path / name, one) for name in ("whole", "parts"))
        for first, second in zip(whole, resumed, strict=True):
            np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)


def test_stopped_while_cutting(tmp_path: Path, data: Path, some_start: dict[str, Any]) -> None:
    """Stopped while crops are cut, no crops are kept, and the same command begins with them."""
    stop = threading.Event()
    stop.set()
    assert not train([data], tmp_path / "run", RECIPE, stages=["pnet"], stop=stop)
    assert not (tmp_path / "run" / "pnet" / "samples.npy").exists()
    assert train([data], tmp_path / "run", RECIPE, stages=["pnet"])


@pytest.mark.usefixtures("eager")
def test_one_network(tmp_path: Path, data: Path, some_start: dict[str, Any]) -> None:
    """Networks that are not trained stay those of the start, or of the run, where it has them."""
    out = tmp_path / "run"
    train([data], out, RECIPE, stages=["rnet"])
    trained = runs.load_weights(out, "rnet")
    for stage in ("pnet", "onet"):
        for one, other in zip(runs.load_weights(out, stage), some_start[stage], strict=True):
            np.testing.assert_array_equal(one, other)
    train([data], out, RECIPE, stages=["pnet"], overwrite=True)
    for one, other in zip(runs.load_weights(out, "rnet"), trained, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.abs(runs.load_weights(out, "pnet")[0] - some_start["pnet"][0]).max() > 0
    again = tmp_path / "again"
    train([data], again, RECIPE, stages=["pnet"], start=str(out))
    for one, other in zip(runs.load_weights(again, "rnet"), trained, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.usefixtures("eager")
def test_landmarks_are_kept(tmp_path: Path, data: Path, some_start: dict[str, Any]) -> None:
    """With landmarks the O-Net learns those that the start gives for bare faces alone."""
    out = tmp_path / "run"
    train([data], out, RECIPE, stages=["onet"], landmarks=True)
    rows = load_samples(out / "onet" / "samples.npy", "onet")
    known = np.isfinite(rows["landmarks"]).all(axis=1)
    bare = (rows["kind"] == 1) & (rows["state"] == 1)
    assert 0 < known.sum() == bare.sum() < len(rows)
    found = MtcnnDetector(of_run(out), 0.0)([read_image(data / "images" / "0.png")])
    assert found[0].landmarks is not None


def test_learns(tmp_path: Path) -> None:
    """A P-Net that begins with nothing tells drawn faces from their surroundings."""
    data = drawn_set(tmp_path / "drawn", 12)
    recipe = replace(RECIPE, stages={"pnet": StageRecipe(250, 64, 3e-3)}, near=15, faces=40)
    with pytest.raises(UsageError, match="there is no rnet"):
        train([data], tmp_path / "run", recipe, stages=["pnet"], start="none")
    from maskwatch.training.mtcnn.cutting import cut_samples

    photos = training_photos([data], None, min_face_px=16).photos
    rows = cut_samples("pnet", photos, [], tmp_path / "samples.npy", recipe)
    assert rows is not None
    network = fit("pnet", rows, None, recipe, tmp_path / "checkpoint")
    assert network is not None
    answers = network.predict(rows["crop"].astype(np.float32), verbose=0)
    judged = rows["kind"] != 2
    told = (answers[:, -1] > answers[:, -2]) == (rows["kind"] == 1)
    assert told[judged].mean() > 0.9
    own = rows["kind"] == 1
    errors = np.abs(answers[own, :4] - rows["offsets"][own]).mean()
    assert errors < 0.7 * np.abs(rows["offsets"][own]).mean()
    assert len(arrays_of(network)) == 13


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param({"recipe": replace(RECIPE, seed=8)}, "another training: recipe", id="recipe"),
        pytest.param({"landmarks": True}, "another training: landmarks", id="landmarks"),
        pytest.param({"start": "none"}, "another training: from", id="start"),
    ],
)
def test_another_training(
    tmp_path: Path, data: Path, some_start: dict[str, Any], change: dict[str, Any], says: str
) -> None:
    """A folder with another training is not gone on with, and is replaced only when told so."""
    out = tmp_path / "run"
    train([data], out, RECIPE, stages=["pnet"])
    with pytest.raises(UsageError, match=says):
        train([data], out, **{"recipe": RECIPE, **change})


@pytest.mark.usefixtures("eager")
def test_finished(tmp_path: Path, data: Path, some_start: dict[str, Any]) -> None:
    """A finished training is left as it is by the same command."""
    out = tmp_path / "run"
    train([data], out, RECIPE, stages=["pnet"])
    before = onnx_file(out, "pnet").stat().st_mtime_ns
    assert train([data], out, RECIPE, stages=["pnet"])
    assert onnx_file(out, "pnet").stat().st_mtime_ns == before


@pytest.mark.parametrize("overwrite", [False, True], ids=["", "overwrite"])
def test_other_folders(
    tmp_path: Path, data: Path, some_start: dict[str, Any], overwrite: bool
) -> None:
    """A folder with other files is left alone, also with --overwrite."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises((OutputExistsError, UsageError), match="mine"):
        train([data], tmp_path / "mine", RECIPE, overwrite=overwrite)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_photos(data: Path) -> None:
    """Training ignores small faces and those that only a detector sees; validation keeps boxes."""

    class Finder:
        name, min_score, tells_states = "finder", 0.5, False

        def __call__(self, images: Any) -> list[Faces]:
            box = np.array([[150, 120, 176, 148]], np.float32)
            return [Faces(box, np.ones(1, np.float32)) for _ in images]

    photos = training_photos([data], Finder(), min_face_px=16).photos
    assert len(photos) == 4
    assert [photo.states.tolist() for photo in photos[:2]] == [[1, IGNORED], [0, IGNORED]]
    small = training_photos([data], None, min_face_px=500).photos
    assert {state for photo in small for state in photo.states.tolist()} == {IGNORED}
    held = validation_photos([data], min_face_px=16).photos
    assert [photo.path.stem for photo in held] == ["4", "5"]


def test_conventions_are_learnt(tmp_path: Path) -> None:
    """Boxes of a known source are learnt in the one convention, and measured as they are."""
    data = drawn_set(tmp_path / "kaggle")
    plain = drawn_set(tmp_path / "mine")
    learnt, as_is = (training_photos([d], None, min_face_px=16).photos for d in (data, plain))
    for one, other in zip(learnt, as_is, strict=True):
        assert one.boxes[0, 1] < other.boxes[0, 1] - 2
    held, own = (validation_photos([d], min_face_px=16).photos for d in (data, plain))
    for one, other in zip(held, own, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
