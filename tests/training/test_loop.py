"""Rules of the training loop: resuming, stopping, keeping the best, refusing NaN."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras: Any = pytest.importorskip("keras", reason="keras is not installed (extra train)")
pytest.importorskip("tensorflow", reason="tensorflow is not installed (extra train)")

from maskwatch.errors import ModelFileError, ModelOutputError, OutputError  # noqa: E402
from maskwatch.training import checkpoints as module  # noqa: E402
from maskwatch.training.checkpoints import Checkpoints, State  # noqa: E402
from maskwatch.training.heads import compiled  # noqa: E402
from maskwatch.training.loop import (  # noqa: E402
    Batch,
    Outcome,
    Plan,
    averaged,
    loss_and_accuracy,
    run,
)
from maskwatch.training.observer import Row, Silent  # noqa: E402
from maskwatch.training.recipes import Recipe  # noqa: E402

RECIPE = Recipe("r", "", "", optimizer="adamw", rate=0.05, ema=0.9)
PLAN = Plan(epochs=3, steps=4, save_every=2)
HELD = np.random.default_rng(9).normal(size=(40, 5)).astype(np.float32)
WANTED = np.eye(2, dtype=np.float32)[(HELD.sum(axis=1) > 0).astype(int)]


def make_model() -> Any:
    """A head with dropout, whose chance has to be resumed too."""
    keras.utils.set_random_seed(4)
    layers = keras.layers
    model = keras.Sequential([keras.Input((5,)), layers.Dense(6), layers.Dropout(0.3)])
    model.add(layers.Dense(2))
    return compiled(model, RECIPE, 12)


def batch_at(step: int) -> Batch:
    rows = np.random.default_rng(step).normal(size=(8, 5)).astype(np.float32)
    return rows, np.eye(2, dtype=np.float32)[(rows.sum(axis=1) > 0).astype(int)]


def validate(model: Any) -> tuple[float, float]:
    return loss_and_accuracy(model.predict_on_batch(HELD), WANTED)


def trained(folder: Path, plan: Plan = PLAN, **options: Any) -> Outcome:
    options = {"clock": lambda: 0.0, "batch_at": batch_at, "validate": validate} | options
    batches, judge = options.pop("batch_at"), options.pop("validate")
    return run(make_model, batches, judge, plan, Checkpoints(folder), **options)


def weights_of(outcome: Outcome) -> Any:
    return np.concatenate([np.ravel(value) for value in outcome.model.get_weights()])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return trained(tmp_path_factory.mktemp("whole"))


class KilledError(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("kill_at", [1, 2, 5])
@pytest.mark.parametrize("where", ["_put", "_save", "unlink"])
def test_killed_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Outcome, where: str, kill_at: int
) -> None:
    """Killed before, between or after the writes of a checkpoint, it ends as if never killed."""
    count = 0
    home: Any = Path if where == "unlink" else module
    original = getattr(home, where)

    def dying(*arguments: Any) -> None:
        nonlocal count
        count += 1
        if count == kill_at:
            raise KilledError
        original(*arguments)

    monkeypatch.setattr(home, where, dying)
    plan = replace(PLAN, keep_best=True) if kill_at % 2 else PLAN
    try:
        trained(tmp_path, plan)
    except KilledError:
        assert count == kill_at
    monkeypatch.setattr(home, where, original)
    if plan.keep_best:
        whole = trained(tmp_path / "whole", plan)
    resumed = trained(tmp_path, plan)
    assert resumed.finished
    assert np.abs(weights_of(resumed) - weights_of(whole)).max() < 1e-5
    assert [row.epoch for row in resumed.rows] == [1, 2, 3]
    for one, other in zip(resumed.rows, whole.rows, strict=True):
        assert one.loss == pytest.approx(other.loss, abs=1e-5)
        assert one.accuracy == pytest.approx(other.accuracy)
        assert one.val_loss == pytest.approx(other.val_loss, abs=1e-5)


def test_rows(whole: Outcome) -> None:
    """An epoch's row holds means over its batches and the validation of its weights."""
    assert whole.finished
    assert whole.rows[-1].loss < whole.rows[0].loss
    assert (whole.rows[-1].val_loss, whole.rows[-1].val_accuracy) == pytest.approx(
        validate(whole.model)
    )
    assert whole.rows[0].rate == pytest.approx(0.05)


@pytest.mark.parametrize("workers", [1, 2])
def test_threads_change_nothing(tmp_path: Path, whole: Outcome, workers: int) -> None:
    """Batches made ahead in threads train as those made one by one."""
    threaded = trained(tmp_path, replace(PLAN, workers=workers))
    assert np.abs(weights_of(threaded) - weights_of(whole)).max() < 1e-6


class StopAt(Silent):
    def __init__(self, step: int) -> None:
        self.at, self.stop = step, threading.Event()
        self.steps: list[int] = []

    def step(self, done: int, loss: float | None = None, accuracy: float | None = None) -> None:
        self.steps.append(done)
        if done == self.at:
            self.stop.set()


def test_stopped(tmp_path: Path, whole: Outcome) -> None:
    """Stopped, it saves after that very step and is not finished; the next start goes on there."""
    observer = StopAt(7)
    outcome = trained(tmp_path, stop=observer.stop, observer=observer)
    assert not outcome.finished
    assert observer.steps[-1] == 7
    later = StopAt(99)
    resumed = trained(tmp_path, observer=later)
    assert later.steps == [8, 9, 10, 11, 12]
    assert np.abs(weights_of(resumed) - weights_of(whole)).max() < 1e-5


def scripted(*accuracies: float) -> Callable[[Any], tuple[float, float]]:
    """Validations that come out as told, and note the weights they saw."""
    left = list(accuracies)

    def judge(model: Any) -> tuple[float, float]:
        seen.append(np.concatenate([np.ravel(value) for value in model.get_weights()]))
        return 1.0, left.pop(0)

    seen: list[Any] = []
    judge.seen = seen  # type: ignore[attr-defined]
    return judge


def test_best_is_kept(tmp_path: Path) -> None:
    """The weights of the best epoch are what it ends with, the first of equal ones."""
    judge: Any = scripted(0.5, 0.8, 0.8)
    outcome = trained(tmp_path, replace(PLAN, keep_best=True), validate=judge)
    assert outcome.kept is not None
    assert outcome.kept.epoch == 2
    assert (weights_of(outcome) == judge.seen[1]).all()


def test_last_is_kept(tmp_path: Path) -> None:
    """Without it, the last epoch's are."""
    judge: Any = scripted(0.9, 0.8, 0.5)
    outcome = trained(tmp_path, validate=judge)
    assert outcome.kept is outcome.rows[-1]
    assert weights_of(outcome) == pytest.approx(judge.seen[2], abs=1e-6)


def test_early_stopping(tmp_path: Path) -> None:
    """It ends after so many epochs without a better one, with the best; also when resumed."""
    plan = replace(PLAN, epochs=9, patience=2)
    judge: Any = scripted(0.5, 0.9, 0.8, 0.9)
    outcome = trained(tmp_path, plan, validate=judge)
    assert [row.val_accuracy for row in outcome.rows] == [0.5, 0.9, 0.8, 0.9]
    assert outcome.kept is outcome.rows[1]
    again = trained(tmp_path, plan, validate=scripted())
    assert len(again.rows) == 4
    assert (weights_of(again) == weights_of(outcome)).all()


def test_of_equal_accuracy_the_least_loss() -> None:
    """Of epochs of the same accuracy the best has the least loss."""
    rows = [Row(i, 0, 0, loss, 0.9, 0, 0) for i, loss in ((1, 0.5), (2, 0.2), (3, 0.4))]
    best = State(rows=rows).best()
    assert best is rows[1]


def test_nan(tmp_path: Path) -> None:
    """A loss of NaN ends it with what to do; the last good checkpoint stays and can be used."""

    def poisoned(step: int) -> Batch:
        rows, wanted = batch_at(step)
        return (rows * np.nan if step == 5 else rows), wanted

    with pytest.raises(ModelOutputError, match=r"loss of step 6 became NaN.* smaller --rate"):
        trained(tmp_path, batch_at=poisoned)
    observer = StopAt(5)
    trained(tmp_path, observer=observer, stop=observer.stop)
    assert observer.steps == [5]


def test_nan_weights_are_not_saved(tmp_path: Path) -> None:
    """Weights that became NaN do not replace a good checkpoint."""
    model = make_model()
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(model, State())
    before = (tmp_path / "checkpoint.keras").read_bytes()
    model.set_weights([np.full(w.shape, np.inf) for w in model.get_weights()])
    with pytest.raises(ModelOutputError, match="a weight became NaN or infinite"):
        checkpoints.save(model, State())
    assert (tmp_path / "checkpoint.keras").read_bytes() == before


@pytest.mark.parametrize(
    "exc",
    [OSError(errno.ENOSPC, "No space left on device"), OSError("Can't write: No space left on")],
    ids=["system", "hdf5"],
)
def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exc: OSError) -> None:
    """A full disk is an error that says how to go on."""

    def full(model: Any, path: Path) -> None:
        raise exc

    monkeypatch.setattr(module, "_save", full)
    with pytest.raises(OutputError, match=r"No space left on device.*same command again"):
        trained(tmp_path)


def test_damaged_checkpoint(tmp_path: Path) -> None:
    """A damaged checkpoint is named, with what to do."""
    (tmp_path / "checkpoint.keras").write_bytes(b"zip?")
    with pytest.raises(ModelFileError, match=r"checkpoint\.keras.* Delete its folder"):
        trained(tmp_path)


def test_averaged() -> None:
    """Within, weights are their running mean; after, the last ones again."""
    model = make_model()
    for step in range(3):
        model.train_on_batch(*batch_at(step))
    last = [np.array(value) for value in model.get_weights()]
    with averaged(model):
        mean = [np.array(value) for value in model.get_weights()]
    assert max(np.abs(a - b).max() for a, b in zip(last, mean, strict=True)) > 1e-3
    for value, again in zip(last, model.get_weights(), strict=True):
        assert (value == again).all()


def test_averaged_with_scaled_loss() -> None:
    """In mixed_float16, whose scaling wraps the optimizer, the running mean is found, too."""
    model = make_model()
    for step in range(3):
        model.train_on_batch(*batch_at(step))
    last = [np.array(value) for value in model.get_weights()]
    model.optimizer = keras.optimizers.LossScaleOptimizer(model.optimizer)
    with averaged(model):
        mean = [np.array(value) for value in model.get_weights()]
    assert max(np.abs(a - b).max() for a, b in zip(last, mean, strict=True)) > 1e-3
    for value, again in zip(last, model.get_weights(), strict=True):
        assert (value == again).all()


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_loss_and_accuracy(columns: int) -> None:
    """Loss and accuracy agree with the plain definition, one logit standing for two classes."""
    rng = np.random.default_rng(columns)
    logits = rng.normal(0, 3, (50, columns))
    labels = rng.integers(0, max(columns, 2), 50)
    if columns == 1:
        first = 1 / (1 + np.exp(-logits[:, 0]))
        probs, wanted = np.stack([first, 1 - first], 1), (labels == 0)[:, None].astype(float)
    else:
        probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        wanted = np.eye(columns)[labels]
    loss, accuracy = loss_and_accuracy(logits, wanted)
    assert loss == pytest.approx(-np.log(probs[np.arange(50), labels]).mean())
    assert accuracy == np.mean(probs.argmax(axis=1) == labels)


def test_huge_logits() -> None:
    """Logits far apart make a large loss, not NaN."""
    loss, accuracy = loss_and_accuracy([[1e4, -1e4]], [[0.0, 1.0]])
    assert loss == pytest.approx(2e4)
    assert accuracy == 0
