"""Rules of fine-tuning: what each step sees, and going on after a kill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras: Any = pytest.importorskip("keras", reason="keras is not installed (extra train)")
tf: Any = pytest.importorskip("tensorflow", reason="tensorflow is not installed (extra train)")

from maskwatch.training import checkpoints  # noqa: E402
from maskwatch.training.backbones import BgrToUnit, mobilenet_v2  # noqa: E402
from maskwatch.training.finetune import (  # noqa: E402
    FinetuneRecipe,
    StepLog,
    batches,
    draw_weights,
    finetune,
)
from maskwatch.training.loop import Batch, BatchAt  # noqa: E402
from maskwatch.training.samples import Samples  # noqa: E402

RECIPE = FinetuneRecipe(
    size_px=32, first_share=0.0, steps=4, batch=6, peak_rate=1e-2, warmup_steps=1, ema=0.5
)


NOT_DRAWN = np.zeros(99, np.bool_)


def samples(count: int = 12) -> Samples:
    """Crops of a shade by class, with some noise; every other one boxed."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 3
    noise = rng.integers(0, 60, (count, 40, 40, 3))
    crops = (labels[:, None, None, None] * 90 + noise).astype(np.uint8)
    return Samples(
        crops, labels, np.full(count, 40, np.float32), np.arange(count) % 2 == 0, NOT_DRAWN[:count]
    )


def mobilenet(seed: int = 3) -> Any:
    """A real classifier, narrow."""
    keras.utils.set_random_seed(seed)
    return mobilenet_v2(RECIPE.size_px, None, alpha=0.35, dropout=0.0)


def tiny_model(seed: int = 3) -> Any:
    """One layer of each kind that a real classifier has."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((RECIPE.size_px, RECIPE.size_px, 3)),
            BgrToUnit(),
            layers.Conv2D(8, 3, strides=4),
            layers.BatchNormalization(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def first(count: int, batch_at: BatchAt) -> list[Batch]:
    return [batch_at(step) for step in range(count)]


def same(one: Batch, other: Batch) -> bool:
    return bool((one[0] == other[0]).all() and (one[1] == other[1]).all())


def test_draw_weights() -> None:
    """Faces from photos come oftener than crops, the rare state oftener unless it is made up."""
    recipe = replace(RECIPE, boxed_weight=2.0, rare_weight=3.0)
    set_of_five = Samples(
        np.zeros((5, 40, 40, 3), np.uint8),
        np.array([0, 1, 2, 2, 2]),
        np.ones(5, np.float32),
        np.array([False, True, False, True, False]),
        np.array([False, False, False, False, True]),
    )
    assert draw_weights(set_of_five, recipe) == pytest.approx(np.array([1, 2, 3, 6, 1]) / 13)


def test_sizes() -> None:
    """The first part of the training sees small pictures, the rest the size that is served."""
    recipe = replace(RECIPE, first_size_px=24, first_share=0.5)
    sizes = [crops.shape[1] for crops, _ in first(4, batches(samples(), recipe))]
    assert sizes == [24, 24, 32, 32]


def test_a_model_of_any_size_goes_through_all_sizes(tmp_path: Path) -> None:
    """A model without a fixed size is trained on pictures of both sizes."""
    keras.utils.set_random_seed(3)
    model = mobilenet_v2(None, None, alpha=0.35, dropout=0.0)
    before = model.get_weights()
    recipe = replace(RECIPE, steps=2, first_size_px=40, first_share=0.5)
    trained = finetune(model, samples(), recipe, tmp_path, log=lambda line: None)
    assert any((a != b).any() for a, b in zip(before, trained.get_weights(), strict=True))


def test_weights_are_drawn_by() -> None:
    """A batch holds each sample as often as its weight says."""
    few = samples(2)
    few = replace(few, labels=np.array([0, 1]))
    recipe = replace(RECIPE, batch=300, boxed_weight=3.0, label_smoothing=0.0)
    ((_, labels),) = first(1, batches(few, recipe))
    assert labels[:, 0].mean() == pytest.approx(0.75, abs=0.08)


def test_batches() -> None:
    """A batch is uint8 crops and smoothed labels, which sum to 1."""
    recipe = replace(RECIPE, label_smoothing=0.3)
    for crops, labels in first(3, batches(samples(), recipe)):
        assert crops.shape == (6, 32, 32, 3)
        assert crops.dtype == np.uint8
        assert labels.shape == (6, 3)
        assert labels.dtype == np.float32
        assert labels.sum(axis=1) == pytest.approx(np.ones(6))
        assert np.unique(labels.round(4)).tolist() == pytest.approx([0.1, 0.8])


def test_labels_go_with_their_crops() -> None:
    """Each crop has the label of the sample it was made from."""
    flat = samples()
    flat.crops[:] = (flat.labels * 100)[:, None, None, None]
    ((crops, labels),) = first(1, batches(flat, replace(RECIPE, batch=60)))
    shade = np.median(crops.reshape(60, -1), axis=1)
    by_class = [np.median(shade[labels.argmax(axis=1) == i]) for i in range(3)]
    assert by_class == sorted(by_class)
    assert by_class[2] - by_class[0] > 100


def test_batch_depends_on_seed_and_step_alone() -> None:
    """Batch k is the same whether one begins at 0 or at k; other steps and seeds differ."""
    from_start = first(4, batches(samples(), RECIPE))
    again = batches(samples(), RECIPE)
    assert same(from_start[3], again(3))
    assert same(from_start[2], again(2))
    assert not same(from_start[0], from_start[1])
    (other,) = first(1, batches(samples(), replace(RECIPE, seed=8)))
    assert not same(from_start[0], other)


class KilledError(Exception):
    """Stands for a kill."""


def weights_of(model: Any) -> list[Any]:
    return [np.asarray(value) for value in model.get_weights()]


def farthest(one: Any, other: Any) -> float:
    """The largest difference of a weight."""
    pairs = zip(weights_of(one), weights_of(other), strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


@pytest.mark.parametrize("make", [tiny_model, mobilenet])
def test_resume(
    make: Callable[[int], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """Killed after half of its steps and begun again, a training ends where it would have."""
    quiet: dict[str, Any]
    recipe, quiet = RECIPE, {"log": lambda _: None, "checkpoint_every": 2}
    if make is mobilenet:  # two steps are not worth half a minute of compiling
        recipe, quiet = replace(RECIPE, steps=2), quiet | {"checkpoint_every": 1}
        request.addfinalizer(lambda: tf.config.run_functions_eagerly(False))
        tf.config.run_functions_eagerly(True)
    whole = finetune(make(3), samples(), recipe, tmp_path / "whole", **quiet)

    save = checkpoints._save

    def save_and_die(model: Any, path: Path) -> None:
        save(model, path)
        raise KilledError

    monkeypatch.setattr(checkpoints, "_save", save_and_die)
    with pytest.raises(KilledError):
        finetune(make(3), samples(), recipe, tmp_path / "cut", **quiet)
    kept = sorted(path.name for path in (tmp_path / "cut").iterdir())
    half = recipe.steps // 2
    assert kept == ["checkpoint.keras", f"state-{half}.json"]
    monkeypatch.setattr(checkpoints, "_save", save)
    resumed = finetune(make(4), samples(), recipe, tmp_path / "cut", **quiet)
    assert int(resumed.optimizer.iterations.numpy()) == recipe.steps
    assert farthest(whole, make(3)) > 1e-3, "nothing was learnt"
    assert farthest(resumed, whole) < 1e-4


def test_finished_training(tmp_path: Path) -> None:
    """A training that had ended is not trained further, and gives the same model again."""
    recipe = replace(RECIPE, steps=2)
    lines: list[str] = []
    done = finetune(tiny_model(), samples(), recipe, tmp_path, log=lines.append, checkpoint_every=2)
    again = finetune(tiny_model(9), samples(), recipe, tmp_path, log=lines.append)
    assert int(again.optimizer.iterations.numpy()) == 2
    assert farthest(done, again) < 1e-6


def test_mean_of_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is returned has the running mean of the weights, not the last ones."""
    last: list[Any] = []
    original = checkpoints._save

    def keep(model: Any, path: Path) -> None:
        last.append([np.asarray(v) for v in model.trainable_variables])
        original(model, path)

    monkeypatch.setattr(checkpoints, "_save", keep)
    recipe = replace(RECIPE, steps=6)  # as few as a momentum of 0.5 is kept for
    model = finetune(
        tiny_model(), samples(), recipe, tmp_path, log=lambda _: None, checkpoint_every=1
    )
    final = [np.asarray(value) for value in model.trainable_variables]
    assert max(float(np.abs(a - b).max()) for a, b in zip(final, last[-1], strict=True)) > 1e-4
    mean = last[0]  # it begins at the weights after the first step (Keras' OptimizerEMA)
    for weights in last[1:]:
        mean = [(a + b) / 2 for a, b in zip(mean, weights, strict=True)]
    assert max(float(np.abs(a - b).max()) for a, b in zip(final, mean, strict=True)) < 1e-4


def test_failed_save_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    """A checkpoint that cannot be written whole does not replace the one before."""

    class FullDisk:
        def save(self, path: Path) -> None:
            path.write_bytes(b"half")
            raise OSError("No space left on device")

    target = tmp_path / "checkpoint.keras"
    target.write_bytes(b"old")
    with pytest.raises(OSError, match="No space"):
        checkpoints._save(FullDisk(), target)
    assert target.read_bytes() == b"old"


def test_progress() -> None:
    """Every 20 steps a line tells step, loss and speed; what was done before is no speed."""
    lines: list[str] = []
    times = iter([0.0, 10.0, 12.0, 15.0])
    log = StepLog(lines.append, 45, 3, lambda: next(times))
    log.begin("training", 45, 10)
    for step in range(11, 46):
        log.step(step, 0.5, 0.9)
    assert lines == [
        "step 20/45 loss 0.5000 15 images/s",
        "step 40/45 loss 0.5000 18 images/s",
    ]
