"""Rules of training by a recipe, from a folder of pictures to a finished run."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras: Any = pytest.importorskip("keras", reason="keras is not installed (extra train)")
pytest.importorskip("tensorflow", reason="tensorflow is not installed (extra train)")
pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra train)")

from tiny_training import RECIPE, SHADES, SIZE, made_crops, tiny_backbone  # noqa: E402

from maskwatch.errors import (  # noqa: E402
    DatasetError,
    DownloadError,
    ModelError,
    OutputExistsError,
    SourceNotFoundError,
    UsageError,
)
from maskwatch.images import read_image, write_image  # noqa: E402
from maskwatch.training import backbones, devices, fit  # noqa: E402
from maskwatch.training.faces import FaceSet, Picture  # noqa: E402
from maskwatch.training.fit import draw_weights, train  # noqa: E402
from maskwatch.training.observer import Row, Silent  # noqa: E402
from maskwatch.training.recipes import Recipe  # noqa: E402
from maskwatch.training.runs import Run, load_run  # noqa: E402

TUNED = replace(RECIPE, trainable="all", epochs=2)
STRONG = replace(
    TUNED, augmentation="strong", ema=0.9, boxed_weight=2.0, first_size_px=24, first_share=0.5
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(backbones.BACKBONES, "Tiny", tiny_backbone)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_crops(tmp_path_factory.mktemp("data"))


class Notes(Silent):
    """Notes everything; may stop, or die, at a step of the training."""

    def __init__(self, stop_at: int | None = None, die_at: int | None = None) -> None:
        self.lines: list[str] = []
        self.begun: list[str] = []
        self.epochs: list[Row] = []
        self.stop = threading.Event()
        self.stop_at, self.die_at = stop_at, die_at

    def note(self, line: str) -> None:
        self.lines.append(line)

    def begin(self, doing: str, total: int, done: int) -> None:
        self.begun.append(doing)

    def step(self, done: int, loss: float | None = None, accuracy: float | None = None) -> None:
        if loss is not None and done == self.stop_at:
            self.stop.set()
        if loss is not None and done == self.die_at:
            raise KeyboardInterrupt

    def epoch(self, row: Row, epochs: int) -> None:
        self.epochs.append(row)


def trained(
    data: Path, out: Path, recipe: Recipe = RECIPE, notes: Notes | None = None, **options: Any
) -> Run:
    notes = notes or Notes()
    own: dict[str, Any] = {"weights": "none", "cache": out.parent / "cache"}
    return train(data, recipe, out, stop=notes.stop, observer=notes, **own | options)


def crops_of(data: Path) -> tuple[Any, Any]:
    paths = sorted((data / "val").glob("*/*.png"))
    crops = np.stack([np.kron(read_image(p), np.ones((2, 2, 1), np.uint8)) for p in paths])
    return crops[:, 8:40, 8:40], [list(SHADES).index(path.parent.name) for path in paths]


@pytest.mark.parametrize("recipe", [RECIPE, TUNED, STRONG], ids=["frozen", "tuned", "strong"])
def test_run(data: Path, tmp_path: Path, recipe: Recipe) -> None:
    """A training leaves a run: a model of three columns, facts, a row an epoch, curves."""
    notes = Notes()
    run = trained(data, tmp_path / "run", replace(recipe, epochs=2), notes)
    assert run.finished
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "curves.png",
        "history.csv",
        "model.keras",
        "run.json",
    ]
    again = load_run(run.folder)
    assert again.facts == run.facts
    assert (again.name, again.size_px) == ("run", SIZE)
    model = again.load_model()
    assert model.input_shape == (None, SIZE, SIZE, 3)
    probs = model.predict_on_batch(crops_of(data)[0])
    assert probs.shape == (10, 3)
    assert (probs[:, 2] == 0).all()
    facts = run.facts
    assert facts["recipe"]["name"] == "tiny"
    assert facts["classes"] == ["with_mask", "without_mask"]
    assert facts["parameters"] == model.count_params()
    assert 0 < facts["trainable_parameters"] < facts["parameters"]
    assert facts["validation"] == "split val"
    assert facts["weights"] == "none"
    rows = list(csv.DictReader((run.folder / "history.csv").read_text().splitlines()))
    columns = "epoch,loss,accuracy,val_loss,val_accuracy,rate,seconds"
    assert list(rows[0]) == columns.split(",")
    assert [float(row["val_loss"]) for row in rows] == [row.val_loss for row in notes.epochs]
    assert facts["val_accuracy"] == float(rows[-1]["val_accuracy"])
    assert read_image(run.folder / "curves.png").shape[1] > 600


def test_it_learns(data: Path, tmp_path: Path) -> None:
    """Shades that differ are told apart, and the model gives what its validation said."""
    run = trained(data, tmp_path / "run", replace(RECIPE, epochs=12, augmentation=None))
    assert run.facts["val_accuracy"] >= 0.9
    probs = run.load_model().predict_on_batch(crops_of(data)[0])
    assert (probs.argmax(axis=1) == crops_of(data)[1]).mean() >= 0.9


@pytest.mark.parametrize("recipe", [RECIPE, TUNED, STRONG], ids=["frozen", "tuned", "strong"])
@pytest.mark.parametrize("how", ["stop_at", "die_at"])
def test_resumed(
    data: Path, tmp_path: Path, recipe: Recipe, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped or killed and begun again, a training ends where it would have."""
    monkeypatch.setattr(fit, "_SAVE_EVERY_STEPS", 2)
    recipe = replace(recipe, epochs=2)
    whole = trained(data, tmp_path / "whole", recipe)
    notes = Notes(**{how: 5})
    if how == "stop_at":
        assert not trained(data, tmp_path / "cut", recipe, notes).finished
    else:
        with pytest.raises(KeyboardInterrupt):
            trained(data, tmp_path / "cut", recipe, notes)
    with pytest.raises(ModelError, match="has not finished"):
        load_run(tmp_path / "cut")
    resumed = trained(data, tmp_path / "cut", recipe)
    assert resumed.finished
    ours, theirs = (run.load_model().get_weights() for run in (resumed, whole))
    assert max(np.abs(a - b).max() for a, b in zip(ours, theirs, strict=True)) < 1e-4


def test_features_time_of_a_stopped_training(data: Path, tmp_path: Path) -> None:
    """What the features took stays known, so that it can be told from the training itself."""
    notes = Notes(stop_at=5)
    cut = trained(data, tmp_path / "run", RECIPE, notes)
    assert not cut.finished
    first = json.loads((tmp_path / "run" / "run.json").read_text())
    resumed = trained(data, tmp_path / "run", RECIPE)
    assert not resumed.facts["features_reused"]
    assert resumed.facts["features_seconds"] >= first["features_seconds"] > 0
    assert resumed.facts["train_seconds"] >= resumed.facts["features_seconds"]


def test_finished_run(data: Path, tmp_path: Path) -> None:
    """A finished run is returned as it is, even where its data are gone by then."""
    copy = made_crops(tmp_path / "data", 4)
    first = trained(copy, tmp_path / "run", replace(RECIPE, epochs=1))
    copy.rename(tmp_path / "gone")
    notes = Notes()
    again = trained(copy, tmp_path / "run", replace(RECIPE, epochs=1), notes)
    assert again.facts == first.facts
    assert notes.begun == []


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        pytest.param({"optimizer": "adamw"}, {}, "optimizer is 'adam', not 'adamw'", id="recipe"),
        pytest.param({}, {"seed": 1}, "seed is 0, not 1", id="seed"),
        pytest.param({}, {"weights": "x.h5"}, "weights is 'none', not 'x.h5'", id="weights"),
    ],
)
def test_another_training(
    data: Path, tmp_path: Path, changes: Any, options: Any, words: str
) -> None:
    """A folder with another training is refused with what differs, and left as it was."""
    trained(data, tmp_path / "run", replace(RECIPE, epochs=1))
    before = (tmp_path / "run" / "run.json").read_text()
    with pytest.raises(UsageError, match=words):
        trained(data, tmp_path / "run", replace(RECIPE, epochs=1, **changes), **options)
    assert (tmp_path / "run" / "run.json").read_text() == before


def test_folder_of_something_else(data: Path, tmp_path: Path) -> None:
    """A folder that holds something else is refused."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("")
    with pytest.raises(OutputExistsError, match="run"):
        trained(data, tmp_path / "run")


def test_overwritten(tmp_path: Path) -> None:
    """A run is replaced once the data are read, and what lies beside its files stays."""
    data, out = made_crops(tmp_path / "data", 4), tmp_path / "run"
    trained(data, out, replace(RECIPE, epochs=1))
    (out / "model.onnx").write_text("exported")
    before = (out / "run.json").read_text()
    with pytest.raises(SourceNotFoundError):
        trained(tmp_path / "typo", out, overwrite=True)
    assert (out / "run.json").read_text() == before
    assert (out / "model.keras").exists()
    run = trained(data, out, replace(RECIPE, epochs=1), seed=1, overwrite=True)
    assert (run.finished, run.facts["seed"]) == (True, 1)
    assert (out / "model.onnx").read_text() == "exported"


def test_overwrites_runs_only(data: Path, tmp_path: Path) -> None:
    """A folder that is no run loses nothing, whatever its files are called."""
    out = tmp_path / "project"
    (out / "checkpoint").mkdir(parents=True)
    for name in ("model.keras", "history.csv", "checkpoint/epoch-9.pt"):
        (out / name).write_text("mine")
    with pytest.raises(UsageError, match="is not from maskwatch train"):
        trained(data, out, overwrite=True)
    for name in ("model.keras", "history.csv", "checkpoint/epoch-9.pt"):
        assert (out / name).read_text() == "mine"


def test_failed_before_training(data: Path, tmp_path: Path) -> None:
    """What failed before anything was trained may be given anew with other choices."""
    with pytest.raises(DownloadError, match=r"http://x\.invalid/w\.h5"):
        trained(data, tmp_path / "run", weights="imagenet")
    assert trained(data, tmp_path / "run", replace(RECIPE, epochs=1)).finished


def test_features_are_shared(data: Path, tmp_path: Path) -> None:
    """Other optimizers and seeds find the features made; another size or view makes its own."""
    base = replace(RECIPE, epochs=1)
    done: dict[str, bool] = {}
    for name, recipe, seed in (
        ("first", base, 0),
        ("optimizer", replace(base, optimizer="adamw"), 0),
        ("seed", base, 5),
        ("size", replace(base, size_px=48), 0),
        ("views", replace(base, views=3), 0),
    ):
        done[name] = trained(data, tmp_path / name, recipe, seed=seed).facts["features_reused"]
    assert done == {
        "first": False,
        "optimizer": True,
        "seed": True,
        "size": False,
        "views": False,
    }


def test_features_of_another_precision(data: Path, tmp_path: Path) -> None:
    """Features made in half precision are not taken for those of 32 bits."""
    base = replace(RECIPE, epochs=1)
    half = trained(data, tmp_path / "half", base, policy="mixed_bfloat16")
    full = trained(data, tmp_path / "full", base)
    assert not half.facts["features_reused"]
    assert not full.facts["features_reused"]


def test_head_on_one_device(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With several GPUs a head, which is built before, is trained on one of them."""
    import tensorflow as tf

    def mirrored() -> None:
        raise AssertionError("a head is not shared")

    monkeypatch.setattr(devices, "gpus", lambda: 2)
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", mirrored)
    run = trained(data, tmp_path / "run", replace(RECIPE, epochs=1), policy="float32")
    assert run.finished


def test_seeds(data: Path, tmp_path: Path) -> None:
    """The same seed gives the same model, another seed another."""
    runs = [
        trained(data, tmp_path / f"{i}", replace(RECIPE, epochs=1), seed=seed)
        for i, seed in enumerate((0, 0, 1))
    ]
    first, same, other = (run.facts["val_loss"] for run in runs)
    assert first == pytest.approx(same, abs=1e-6)
    assert first != pytest.approx(other, abs=1e-6)


def test_three_classes_and_one_logit(tmp_path: Path) -> None:
    """Three classes give three columns; a recipe of one logit says that it takes a softmax."""
    data = made_crops(tmp_path / "data", 4, tuple(SHADES))
    notes = Notes()
    run = trained(data, tmp_path / "run", replace(RECIPE, output="logit", epochs=1), notes)
    assert run.facts["output"] == "softmax"
    assert any("softmax" in line for line in notes.lines)
    assert (run.load_model().predict_on_batch(crops_of(data)[0]) > 0).all()


def test_unreadable_pictures(tmp_path: Path) -> None:
    """Unreadable pictures are named and skipped, also where features are found again."""
    data = made_crops(tmp_path / "data", 6)
    for split in ("train", "val"):
        (data / split / "with_mask" / "bad.png").write_bytes(b"no picture")
    for name in ("one", "two"):
        notes = Notes()
        run = trained(data, tmp_path / name, replace(RECIPE, epochs=1), notes)
        skipped = [line for line in notes.lines if line.startswith("skipped")]
        assert len(skipped) == 2
        assert all("bad.png" in line for line in skipped)
        assert run.facts["faces"] == [12, 6]


def test_class_without_readable_pictures(tmp_path: Path) -> None:
    """A class none of whose pictures can be read is an error, not a class less."""
    data = made_crops(tmp_path / "data", 3)
    for path in (data / "train" / "with_mask").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="training of with_mask can be read"):
        trained(data, tmp_path / "run")


def test_photos_with_boxes(tmp_path: Path) -> None:
    """Faces in boxes are trained on; those too small or without a state are not."""
    data = tmp_path / "data"
    for index in range(6):
        rng = np.random.default_rng(index)
        write_image(data / "images" / f"{index}.png", rng.integers(0, 256, (80, 80, 3), np.uint8))
        items = "".join(
            f"<object><name>{name}</name><bndbox><xmin>{x}</xmin><ymin>5</ymin><xmax>{x + side}"
            f"</xmax><ymax>{5 + side}</ymax></bndbox></object>"
            for name, x, side in (
                ("with_mask", 2, 30),
                ("without_mask", 40, 30),
                ("face", 20, 30),
                ("with_mask", 30, 9),
            )
        )
        (data / "annotations").mkdir(exist_ok=True)
        (data / "annotations" / f"{index}.xml").write_text(f"<annotation>{items}</annotation>")
    run = trained(data, tmp_path / "run", replace(STRONG, epochs=1))
    assert sum(run.facts["faces"]) == 12
    assert run.facts["validation"] == "20% of the training pictures"


def test_draw_weights() -> None:
    """Faces of photos and the rare class are drawn more often, by the product of both."""
    boxes = np.zeros((2, 4), np.float32)
    faces = FaceSet(
        (
            Picture(Path("a"), None, np.array([0])),
            Picture(Path("b"), boxes, np.array([1, 2])),
            Picture(Path("c"), None, np.array([2])),
        )
    )
    recipe = replace(RECIPE, boxed_weight=2.0, rare_weight=3.0)
    assert draw_weights(faces, recipe).tolist() == [1, 2, 6, 3]


@pytest.mark.parametrize(
    ("policy", "words"),
    [("mixed_bfloat16", None), ("half", "unknown precision 'half'")],
)
def test_precision(data: Path, tmp_path: Path, policy: str, words: str | None) -> None:
    """Trained in mixed precision, the model kept computes in 32 bits; unknown ones are refused."""
    if words is not None:
        with pytest.raises(UsageError, match=words):
            trained(data, tmp_path / "run", policy=policy)
        return
    run = trained(data, tmp_path / "run", replace(TUNED, epochs=1), policy=policy)
    assert run.facts["precision"] == policy
    model = run.load_model()
    assert {layer.dtype_policy.name for layer in model._flatten_layers()} <= {"float32", "uint8"}
    assert keras.config.dtype_policy().name == "float32"


def test_random_frozen_base_is_told(data: Path, tmp_path: Path) -> None:
    """A frozen backbone of random weights is trained on, but not in silence."""
    notes = Notes()
    trained(data, tmp_path / "run", replace(RECIPE, epochs=1), notes)
    assert any("--unfreeze all" in line for line in notes.lines)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda folder: None, id="nothing"),
        pytest.param(lambda folder: (folder / "run.json").write_text("{"), id="torn"),
        pytest.param(lambda folder: (folder / "run.json").write_text("[]"), id="foreign"),
        pytest.param(
            lambda folder: (folder / "run.json").write_text(json.dumps({"recipe": {}})), id="begun"
        ),
    ],
)
def test_no_run(tmp_path: Path, make: Callable[[Path], object]) -> None:
    """A folder that holds no finished run is refused with its name."""
    make(tmp_path)
    with pytest.raises(ModelError, match=tmp_path.name):
        load_run(tmp_path)


def test_damaged_model(tmp_path: Path) -> None:
    """A run whose model is damaged says so when it is loaded."""
    (tmp_path / "run.json").write_text(json.dumps({"recipe": {}, "finished": True}))
    (tmp_path / "model.keras").write_bytes(b"zip?")
    with pytest.raises(ModelError, match=r"cannot load .*model\.keras"):
        load_run(tmp_path).load_model()
