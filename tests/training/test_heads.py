"""Rules of the whole classifier and of how it is compiled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras: Any = pytest.importorskip("keras", reason="keras is not installed (extra train)")
pytest.importorskip("tensorflow", reason="tensorflow is not installed (extra train)")

from tiny_training import RECIPE, SIZE, tiny_backbone  # noqa: E402

from maskwatch.errors import UsageError  # noqa: E402
from maskwatch.training import backbones  # noqa: E402
from maskwatch.training.heads import (  # noqa: E402
    StateProbs,
    build_network,
    compiled,
    output_of,
    targets,
)
from maskwatch.training.optimizers import mean_momentum  # noqa: E402

CROPS = np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(backbones.BACKBONES, "Tiny", tiny_backbone)


@pytest.mark.parametrize("columns", [[0, 1], [0, 2], [1, 2], [0, 1, 2]])
@pytest.mark.parametrize("output", ["softmax", "logit"])
@pytest.mark.parametrize("pool", ["avg", "flatten"])
def test_probabilities(columns: list[int], output: str, pool: str) -> None:
    """Any head gives three columns that sum to 1, and 0 for a class that was not trained on."""
    recipe = replace(RECIPE, output=output, pool=pool)
    network = build_network(recipe, columns, "none")
    probs = network.model.predict_on_batch(CROPS)
    assert probs.shape == (5, 3)
    assert probs.dtype == np.float32
    assert probs.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-6)
    assert (probs[:, [i for i in range(3) if i not in columns]] == 0).all()
    assert (probs[:, columns] > 0).all()
    rows = network.features.predict_on_batch(CROPS)
    assert network.head.predict_on_batch(rows) == pytest.approx(
        network.logits.predict_on_batch(CROPS), abs=1e-5
    )


def test_one_logit() -> None:
    """One logit z of two classes is [sigmoid(z), 1 - sigmoid(z)], 0 for the third."""
    z = np.array([[0.0], [2.0], [-800.0], [800.0]], np.float32)
    p = [0.5, 1 / (1 + np.exp(-2.0)), 0.0, 1.0]
    expected = [[v, 1 - v, 0] for v in p]
    assert np.asarray(StateProbs([0, 1])(z)) == pytest.approx(np.array(expected), abs=1e-6)


def test_three_classes_need_a_softmax() -> None:
    """A recipe with one logit gets a softmax where there are three classes."""
    recipe = replace(RECIPE, output="logit")
    assert [output_of(recipe, columns) for columns in ([0, 1], [0, 1, 2])] == ["logit", "softmax"]
    assert build_network(recipe, [0, 1, 2], "none").head.output_shape == (None, 3)


def test_targets() -> None:
    """Labels become one-hot rows of the classes trained on, or 1 for the first of two."""
    assert targets([2, 0, 2], [0, 2], "softmax").tolist() == [[0, 1], [1, 0], [0, 1]]
    assert targets([2, 0, 2], [0, 2], "logit").tolist() == [[0], [1], [0]]


@pytest.mark.parametrize("output", ["softmax", "logit"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_loss(output: str, smoothing: float) -> None:
    """The loss is cross-entropy of the probabilities given out, on smoothed labels."""
    recipe = replace(
        RECIPE, output=output, label_smoothing=smoothing, rate=1e-12, dropout=0.0, dense=()
    )
    network = build_network(recipe, [0, 1], "none", seed=3)
    labels = np.array([0, 1, 1, 0, 1])
    probs = network.model.predict_on_batch(CROPS)[:, :2]
    wanted = np.eye(2)[labels] * (1 - smoothing) + smoothing / 2
    model = compiled(network.logits, recipe, 10)
    loss, accuracy = model.train_on_batch(CROPS, targets(labels, [0, 1], output))
    assert loss == pytest.approx(-(wanted * np.log(probs)).sum(axis=1).mean(), rel=1e-4)
    assert accuracy == pytest.approx((probs.argmax(axis=1) == labels).mean())


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", "Adam"), ("adamw", "AdamW"), ("rmsprop", "RMSprop")]
)
def test_optimizers(name: str, kind: str) -> None:
    """Each optimizer is the one named, at the recipe's rate."""
    network = build_network(replace(RECIPE, optimizer=name), [0, 1], "none")
    optimizer = compiled(network.head, replace(RECIPE, optimizer=name), 10).optimizer
    assert type(optimizer).__name__ == kind
    assert float(optimizer.learning_rate) == pytest.approx(RECIPE.rate)


@pytest.mark.parametrize("warmup", [0, 10])
def test_cosine(warmup: int) -> None:
    """The cosine rises over the warm-up to its peak and falls to 0."""
    recipe = replace(RECIPE, schedule="cosine", warmup_steps=warmup)
    model = compiled(build_network(recipe, [0, 1], "none").head, recipe, 200)
    rates = []
    for step in (0, warmup, 105, 200):
        model.optimizer.iterations.assign(step)
        rates.append(float(model.optimizer.learning_rate))
    assert rates[0] == (pytest.approx(0.0) if warmup else pytest.approx(RECIPE.rate))
    assert rates[1] == pytest.approx(RECIPE.rate)
    assert rates[2] == pytest.approx(RECIPE.rate / 2, rel=0.1)
    assert rates[3] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("steps", "momentum"), [(10, 0.7), (3000, 0.999), (9000, 0.999)])
def test_mean_fits_the_training(steps: int, momentum: float) -> None:
    """The running mean reaches over no more than a third of a short training."""
    recipe = replace(RECIPE, ema=0.999)
    model = compiled(build_network(recipe, [0, 1], "none").head, recipe, steps)
    assert model.optimizer.ema_momentum == pytest.approx(momentum)


def test_seeds() -> None:
    """A frozen base has the same random weights for all seeds, its head others; a free one too."""

    def sums(seed: int, trainable: str) -> tuple[float, float]:
        recipe = replace(RECIPE, trainable=trainable)
        network = build_network(recipe, [0, 1], "none", seed=seed)
        parts = (network.backbone.get_weights(), network.head.get_weights())
        return tuple(float(sum(np.abs(w).sum() for w in weights)) for weights in parts)  # type: ignore[return-value]

    assert sums(1, "none")[0] == sums(2, "none")[0]
    assert sums(1, "none")[1] != sums(2, "none")[1]
    assert sums(1, "all")[0] != sums(2, "all")[0]
    assert sums(1, "all") == sums(1, "all")


def test_any_size() -> None:
    """A head on pooled features takes pictures of any size; on flat ones it cannot."""
    network = build_network(RECIPE, [0, 1], "none", any_size=True)
    for side in (32, 48):
        crops = np.zeros((2, side, side, 3), np.uint8)
        assert network.model.predict_on_batch(crops).shape == (2, 3)
    with pytest.raises(UsageError, match="one size"):
        build_network(replace(RECIPE, pool="flatten"), [0, 1], "none", any_size=True)


@pytest.mark.parametrize("output", ["softmax", "logit"])
def test_saved_loaded_and_exported(tmp_path: Path, output: str) -> None:
    """A classifier is loaded without naming its layers, and its ONNX file computes the same."""
    from maskwatch.export import export_classifier

    network = build_network(replace(RECIPE, output=output), [0, 1], "none")
    network.model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    probs = network.model.predict_on_batch(CROPS)
    assert again.predict_on_batch(CROPS) == pytest.approx(probs, abs=1e-6)
    assert export_classifier(network.model, tmp_path / "m.onnx", CROPS) < 0.01


@pytest.mark.parametrize(
    ("steps", "expected"), [(100_000, 0.999), (300, 0.99), (2, 0.0)], ids=["long", "short", "two"]
)
def test_mean_momentum(steps: int, expected: float) -> None:
    """The running mean keeps at most a twentieth of the weights it began with."""
    momentum = mean_momentum(0.999, steps)
    assert momentum == pytest.approx(expected)
    assert momentum**steps <= 0.05
