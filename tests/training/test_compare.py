"""Rules of comparing recipes; trainings are played by a stand-in."""

from __future__ import annotations

import csv
import json
import math
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras", reason="keras is not installed (extra train)")
pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra train)")
pytest.importorskip("onnx", reason="onnx is not installed (extra train)")

from judged_sets import two_classes
from maskwatch.errors import (
    DatasetError,
    OutputError,
    OutputExistsError,
    SourceNotFoundError,
    UsageError,
)
from maskwatch.metrics.intervals import wilson
from maskwatch.training import compare as module
from maskwatch.training.compare import compare
from maskwatch.training.compare_page import comparison_page, place_labels
from maskwatch.training.comparison import Comparison, Group, Result, grouped
from maskwatch.training.runs import Run
from maskwatch.training.trials import Trial, plan_trials
from tiny_onnx import write_constant

ANSWERS = {0: (0.9, 0.1, 0.0), 1: (0.1, 0.9, 0.0)}
"""What the stand-in's model of each seed says of every face."""


class Trainer:
    """Stands in for `train` and `export_classifier`; what happens can be set by trial."""

    def __init__(self) -> None:
        self.trained: list[str] = []
        self.raises: dict[str, Exception] = {}
        self.then: dict[str, Callable[[], None]] = {}
        self.unfinished: set[str] = set()

    def train(self, data: Path, recipe: Any, out: Path, **options: Any) -> Run:
        self.trained.append(out.name)
        if out.name in self.raises:
            raise self.raises[out.name]
        self.then.get(out.name, lambda: None)()
        out.mkdir(parents=True, exist_ok=True)
        facts = {
            "recipe": {"size_px": 8},
            "seed": options["seed"],
            "val_accuracy": 0.75,
            "parameters": 1234,
            "trainable_parameters": 12,
            "epochs_done": recipe.epochs,
            "train_seconds": 10.0 + options["seed"],
            "features_seconds": 4.0,
            "features_reused": options["seed"] > 0,
            "ms_per_step": 3.0,
            "finished": out.name not in self.unfinished,
        }
        (out / "run.json").write_text(json.dumps(facts))
        return Run(out, facts)

    def export(self, model: Any, path: Path, check: Any) -> float:
        write_constant(path, ANSWERS[int(path.parent.name[-1])])
        return 0.0


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    made = Trainer()
    monkeypatch.setattr(module, "train", made.train)
    monkeypatch.setattr(module, "export_classifier", made.export)
    monkeypatch.setattr(Run, "load_model", lambda run: None)
    return made


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Faces of two classes in splits train and test."""
    folder = tmp_path / "faces"
    for split in ("train", "test"):
        two_classes(folder / split)
    return folder


def trials(seeds: int = 2) -> list[Trial]:
    return plan_trials(["mobilenetv2", "vgg19"], seeds=seeds, weights={"": "none"})


def test_results(tmp_path: Path, data: Path, trainer: Trainer) -> None:
    """Every trial is trained and tested on the test split, and all results are written."""
    out = tmp_path / "out"
    done = compare(data, trials(), out)
    assert trainer.trained == [trial.name for trial in trials()]
    assert [group.first.group for group in done.groups] == ["mobilenetv2", "vgg19"]
    faces = done.groups[0].first.faces
    assert done.tested_on == f"faces (test), {faces} faces"
    # One seed calls all with_mask, the other all without_mask.
    assert sum(done.groups[0].accuracies) == pytest.approx(1)
    assert set(done.groups[0].latency_ms) == {1, 16}
    assert sorted(path.name for path in out.iterdir()) == [
        "accuracy-latency.png",
        "compare.csv",
        "index.html",
        "results.json",
        "runs",
    ]
    rows = list(csv.DictReader((out / "compare.csv").read_text().splitlines()))
    assert [row["group"] for row in rows] == ["mobilenetv2", "vgg19"]
    kept = json.loads((out / "results.json").read_text())["comparison"]
    assert kept["groups"][0]["accuracy"] == 0.5
    assert [run["seed"] for run in kept["runs"]] == [0, 1, 0, 1]
    assert (out / "accuracy-latency.png").read_bytes()[1:4] == b"PNG"


def test_nothing_twice(tmp_path: Path, data: Path, trainer: Trainer) -> None:
    """A second call trains and times nothing, and says the same."""
    first = compare(data, trials(), tmp_path / "out")
    trainer.trained.clear()
    assert compare(data, trials(), tmp_path / "out").json() == first.json()
    assert trainer.trained == []


def test_more(tmp_path: Path, data: Path, trainer: Trainer) -> None:
    """Seeds and recipes can be added; only these are trained, and all are timed anew together."""
    compare(data, trials(1), tmp_path / "out")
    trainer.trained.clear()
    more = [*trials(2), *plan_trials(["resnet101"], seeds=1, weights={"": "none"})]
    done = compare(data, more, tmp_path / "out")
    assert trainer.trained == ["mobilenetv2-seed1", "vgg19-seed1", "resnet101-seed0"]
    assert [len(group.results) for group in done.groups] == [2, 2, 1]
    assert all(group.latency_ms for group in done.groups)


@pytest.mark.parametrize(
    ("exc", "line"),
    [
        pytest.param(UsageError("no weights."), "no weights.", id="ours"),
        pytest.param(ValueError("shapes\ndiffer"), "ValueError: shapes differ", id="other"),
    ],
)
def test_failure(tmp_path: Path, data: Path, trainer: Trainer, exc: Exception, line: str) -> None:
    """A trial that fails is named, the others go on, and the next call tries it again."""
    trainer.raises["vgg19-seed0"] = exc
    done = compare(data, trials(), tmp_path / "out")
    assert done.failures == {"vgg19-seed0": line}
    assert [len(group.results) for group in done.groups] == [2, 1]
    assert line in (tmp_path / "out" / "index.html").read_text()
    trainer.raises.clear()
    trainer.trained.clear()
    done = compare(data, trials(), tmp_path / "out")
    assert trainer.trained == ["vgg19-seed0"]
    assert not done.failures
    assert [len(group.results) for group in done.groups] == [2, 2]


def test_all_fail(tmp_path: Path, data: Path, trainer: Trainer) -> None:
    """Where all fail there is no page, but a result that says why."""
    for trial in trials(1):
        trainer.raises[trial.name] = UsageError("no.")
    done = compare(data, trials(1), tmp_path / "out")
    assert (len(done.failures), done.groups) == (2, ())
    assert not (tmp_path / "out" / "index.html").exists()


def test_disk_full(tmp_path: Path, data: Path, trainer: Trainer) -> None:
    """Where nothing can be written, the others are not tried."""
    trainer.raises["mobilenetv2-seed0"] = OutputError("cannot write: No space left on device.")
    with pytest.raises(OutputError, match="No space"):
        compare(data, trials(), tmp_path / "out")
    assert trainer.trained == ["mobilenetv2-seed0"]


def test_stop(tmp_path: Path, data: Path, trainer: Trainer) -> None:
    """A stop saves what is done and begins nothing more; the next call goes on with the same."""
    stop = threading.Event()
    trainer.then["vgg19-seed0"] = stop.set
    trainer.unfinished.add("vgg19-seed0")
    done = compare(data, trials(), tmp_path / "out", stop=stop)
    assert done.left == ("vgg19-seed0", "mobilenetv2-seed1", "vgg19-seed1")
    assert not done.failures
    assert [group.latency_ms for group in done.groups] == [{}]
    assert "Not done yet" in (tmp_path / "out" / "index.html").read_text()
    trainer.unfinished.clear()
    trainer.trained.clear()
    done = compare(data, trials(), tmp_path / "out")
    assert trainer.trained == ["vgg19-seed0", "mobilenetv2-seed1", "vgg19-seed1"]
    assert done.left == ()


def test_kept_after_every_trial(tmp_path: Path, data: Path, trainer: Trainer) -> None:
    """What was done before a kill is not done again."""

    def kill() -> None:
        raise KeyboardInterrupt

    trainer.then["vgg19-seed0"] = kill
    with pytest.raises(KeyboardInterrupt):
        compare(data, trials(), tmp_path / "out")
    trainer.then.clear()
    trainer.trained.clear()
    compare(data, trials(), tmp_path / "out")
    assert "mobilenetv2-seed0" not in trainer.trained


def test_other_settings(tmp_path: Path, data: Path, trainer: Trainer) -> None:
    """Results of other settings or data are not mixed in, until overwriting is asked for."""
    out = tmp_path / "out"
    compare(data, trials(1), out)
    other = [replace(trial, weights="imagenet") for trial in trials(1)]
    with pytest.raises(UsageError, match="mobilenetv2-seed0 with other settings: weights 'none'"):
        compare(data, other, out)
    epochs = plan_trials(["vgg19"], seeds=1, epochs=1, weights={"": "none"})
    with pytest.raises(UsageError, match="other settings: epochs 20, not 1"):
        compare(data, epochs, out)
    moved = data.rename(tmp_path / "moved")
    with pytest.raises(UsageError, match=r"compares on .*faces, not on .*moved"):
        compare(moved, trials(1), out)
    trainer.trained.clear()
    compare(moved, other, out, overwrite=True)
    assert trainer.trained == [trial.name for trial in other]


def test_folder_with_something_else(tmp_path: Path, data: Path, trainer: Trainer) -> None:
    """A folder that holds something else is refused; overwriting leaves that where it is."""
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        compare(data, trials(1), tmp_path)
    compare(data, trials(1), tmp_path, overwrite=True)
    assert (tmp_path / "note.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["results.json", "runs/vgg19-seed0/notes/mine.txt"])
def test_overwrites_its_own_only(tmp_path: Path, data: Path, trainer: Trainer, name: str) -> None:
    """What has the name of a result and is somebody else's stays, and all else with it."""
    out = tmp_path / "out"
    compare(data, trials(1), out)
    (out / "runs" / "vgg19-seed0" / "run.json").unlink()
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text('{"mine": true}')
    with pytest.raises(UsageError, match="is not from maskwatch"):
        compare(data, trials(1), out, overwrite=True)
    assert (out / name).read_text() == '{"mine": true}'
    assert (out / "index.html").exists()
    assert (out / "runs" / "mobilenetv2-seed0" / "run.json").exists()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"data": 3}'], ids=["empty", "list", "other"])
def test_damaged_results(tmp_path: Path, data: Path, trainer: Trainer, content: bytes) -> None:
    """A results.json that is damaged or somebody else's is an error and stays."""
    (tmp_path / "results.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"results\.json"):
        compare(data, trials(1), tmp_path)
    assert (tmp_path / "results.json").read_bytes() == content


def test_data(tmp_path: Path, trainer: Trainer) -> None:
    """Data that are not there or keep nothing from training are refused before any training."""
    with pytest.raises(SourceNotFoundError, match="no such folder"):
        compare(tmp_path / "nowhere", trials(), tmp_path / "out")
    with pytest.raises(DatasetError, match="maskwatch data split"):
        compare(two_classes(tmp_path / "one"), trials(), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert trainer.trained == []


def result(group: str, seed: int, accuracy: float, **changes: Any) -> Result:
    made = Result(
        *(group, seed, group, "VGG19", 32, "adam", "none", accuracy, accuracy - 0.1, 200),
        *("faces (test)", 0.9, 1_234_567, 12, 3, 4.5, 2.0, None, 8.0),
    )
    return replace(made, **changes)


def test_figures_of_a_group() -> None:
    """Mean, standard deviation, range and interval are those of a slow and obvious version."""
    values = [0.90, 0.94, 0.95]
    results = [result("a", seed, v, train_s=1.0 + seed) for seed, v in enumerate(values)]
    results[1] = replace(results[1], features_s=7.0)
    (group,) = grouped(results, {"a": {1: 2.5, 16: 30.0}})
    mean = sum(values) / 3
    figures = group.figures()
    assert figures["accuracy"] == pytest.approx(mean, abs=1e-5)
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / 2)
    assert figures["accuracy_std"] == pytest.approx(deviation, abs=1e-5)
    assert (figures["accuracy_min"], figures["accuracy_max"]) == (0.90, 0.95)
    low, high = wilson(186, 200)
    assert figures["accuracy_low95"] == pytest.approx(low, abs=1e-5)
    assert figures["accuracy_high95"] == pytest.approx(high, abs=1e-5)
    assert figures["train_s"] == 2
    assert figures["features_s"] == 7
    assert (figures["latency_ms_1"], figures["latency_ms_16"]) == (2.5, 30.0)


def test_one_seed() -> None:
    """The spread of one seed is unknown, not 0."""
    (group,) = grouped([result("a", 0, 0.9)], {})
    assert math.isnan(group.deviation)
    assert group.figures()["accuracy_std"] is None
    table = Comparison("d", (group,), {}, (), 1).table()
    assert "±" not in table
    assert json.dumps(group.figures(), allow_nan=False)


def test_table() -> None:
    """A line a group in the order given, columns in line."""
    groups = grouped([result("long-name", 0, 0.9), result("b", 0, 0.8)], {"b": {1: 1.5, 16: 20}})
    lines = Comparison("d", groups, {}, (), 1).table().splitlines()
    assert [line.split()[0] for line in lines] == ["recipe", "long-name", "b"]
    assert len({len(line) for line in lines}) == 1
    assert lines[1].endswith("-          -")
    assert lines[2].endswith("1.5       20.0")


def made(names: list[str]) -> Comparison:
    groups = tuple(
        Group((result(name, 0, 0.9 + i / 1000), result(name, 1, 0.91)), {1: 5.0 + i, 16: 80.0})
        for i, name in enumerate(names)
    )
    return Comparison("d", groups, {"c-seed0": "x < y & z"}, (), 1)


def test_page() -> None:
    """The page stands alone, and texts in it are escaped."""
    page = comparison_page(made(["a<b>", "b"]))
    assert "a&lt;b&gt;" in page
    assert "x &lt; y &amp; z" in page
    assert "<b>, " not in page
    assert "data:image/png;base64," in page
    for outside in ("http:", "https:", "<script", "<link", 'src="a'):
        assert outside not in page
    assert "flattering" not in page


def test_page_says_where_it_flatters() -> None:
    """Where epochs were chosen on the faces that are tested on, the page says so."""
    group = Group((result("a", 0, 0.9, tested_on="faces (val)"),), {})
    assert "flattering" in comparison_page(Comparison("d", (group,), {}, (), 1))


@pytest.mark.parametrize("count", [1, 3, 8])
def test_labels_do_not_overlap(count: int) -> None:
    """Names of points that lie close together cover neither one another nor other points."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 4.8))
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    rng = np.random.default_rng(0)
    xs, ys = 10 + rng.random(count), 0.99 + rng.random(count) / 1000
    axes.plot(xs, ys, "o")
    axes.set(xlim=(1, 100), ylim=(0.98, 1), xscale="log")
    canvas.draw()  # type: ignore[no-untyped-call, unused-ignore]
    texts = place_labels(axes, [f"recipe-number-{i}" for i in range(count)], xs, ys)
    boxes = [text.get_window_extent() for text in texts]
    assert len(boxes) == count
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:index])
        assert not any(box.contains(*p) for p in axes.transData.transform(np.c_[xs, ys]))
