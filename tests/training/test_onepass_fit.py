"""Rules of training the one-pass detector, and of its file."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed (extra train)")
onnx: Any = pytest.importorskip("onnx", reason="onnx is not installed (extra train)")

from maskwatch.detectors.onepass import OnePassDetector, is_onepass  # noqa: E402
from maskwatch.errors import ModelError  # noqa: E402
from maskwatch.quantize import kept_in_float  # noqa: E402
from maskwatch.training.onepass import export, fit  # noqa: E402
from maskwatch.training.onepass.export import export_onepass, quantize_onepass  # noqa: E402
from maskwatch.training.onepass.network import build_network  # noqa: E402
from maskwatch.training.onepass.pack import Pack, scene  # noqa: E402
from maskwatch.training.onepass.recipe import OnePassRecipe  # noqa: E402
from maskwatch.training.onepass.views import batches  # noqa: E402

RECIPE = OnePassRecipe(
    size_px=64, large_every=0, steps=4, batch=2, warmup_steps=1, channels=8, depth=1
)


def narrow(name: str, size_px: int | None, weights: str | Path) -> Any:
    """A few layers with the names that the network takes from MobileNetV2."""
    layers = keras.layers
    inputs = keras.Input((None, None, 3))
    values = layers.Conv2D(4, 3, 4, padding="same", name="Conv1")(inputs)
    values = layers.BatchNormalization(name="bn_Conv1")(values)
    values = layers.Conv2D(8, 3, 2, padding="same", name="block_3_expand")(values)
    values = layers.ReLU(name="block_6_expand_relu")(values)
    values = layers.Conv2D(8, 3, 2, padding="same")(values)
    values = layers.ReLU(name="block_13_expand_relu")(values)
    values = layers.Conv2D(8, 3, 2, padding="same")(values)
    return keras.Model(inputs, layers.BatchNormalization(name="block_16_project_BN")(values))


@pytest.fixture
def pack() -> Pack:
    """Photos with a bright face each."""
    scenes = []
    for shade in (120, 180, 240):
        image = np.full((96, 128, 3), 30, np.uint8)
        image[30:70, 40:80] = shade
        scenes.append(scene(image, np.array([[40, 30, 80, 70]], np.float32), [1], "a"))
    return Pack(tuple(scenes))


@pytest.mark.usefixtures("eager")
def test_stopped_and_resumed(tmp_path: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that was stopped goes on exactly as if it had not been."""
    monkeypatch.setattr(fit, "build_backbone", narrow)
    monkeypatch.setitem(vars(fit)["StepLog"].step.__globals__, "_LOG_EVERY", 2)
    whole = fit.fit(pack, "none", RECIPE, tmp_path / "whole", log=lambda line: None)
    stop = threading.Event()
    halfway = fit.fit(
        pack, "none", RECIPE, tmp_path / "parts", log=lambda line: stop.set(), stop=stop
    )
    assert halfway is None
    lines: list[str] = []
    resumed = fit.fit(pack, "none", RECIPE, tmp_path / "parts", log=lines.append)
    assert [line.split()[1] for line in lines] == ["4/4"]
    assert whole is not None
    assert resumed is not None
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_what_is_trained(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first blocks of the backbone keep their weights, all else changes."""
    monkeypatch.setattr(fit, "build_backbone", narrow)
    network = fit.prepared("none", replace(RECIPE, frozen_until="block_3_expand"))
    features = network.get_layer("features")
    before = [layer.get_weights() for layer in features.layers]
    images, targets = batches(pack, RECIPE)(0)
    for _ in range(2):  # the rate of the very first step is 0
        network.train_on_batch(images, targets)
    names = [layer.name for layer in features.layers]
    for index, layer in enumerate(features.layers):
        same = all(
            np.array_equal(one, other)
            for one, other in zip(before[index], layer.get_weights(), strict=True)
        )
        if layer.weights:
            assert same == (index < names.index("block_3_expand")), layer.name


def test_from_an_earlier_outcome(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that goes on from an outcome begins with its weights and with fresh rates."""
    monkeypatch.setattr(fit, "build_backbone", narrow)
    earlier = fit.prepared("none", replace(RECIPE, seed=1))
    network = fit.prepared("none", RECIPE, earlier)
    for one, other in zip(earlier.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert int(network.optimizer.iterations) == 0


@pytest.fixture(scope="module")
def network() -> Any:
    return build_network(channels=8, depth=1, alpha=0.35)


def test_exported(tmp_path: Path, network: Any) -> None:
    """The file finds what the network finds, in pictures of any size, and is a detector."""
    rng = np.random.default_rng(0)
    check = [rng.integers(0, 256, size, np.uint8) for size in ((64, 96, 3), (32, 64, 3))]
    path = tmp_path / "new" / "onepass.onnx"
    assert export_onepass(network, path, check) < 1e-4
    assert is_onepass(path)
    assert len(OnePassDetector(path, 0.0, long_side_px=64)([check[0]])[0]) > 0
    assert [child.name for child in path.parent.iterdir()] == ["onepass.onnx"]


def test_wrong_file(tmp_path: Path, network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that computes something else than the network is not written."""
    monkeypatch.setattr(export, "MAX_DIFFERENCE", -1.0)
    path = tmp_path / "onepass.onnx"
    with pytest.raises(ModelError, match="would differ"):
        export_onepass(network, path, [np.zeros((32, 32, 3), np.uint8)])
    assert not list(tmp_path.iterdir())


def test_quantised(tmp_path: Path, network: Any) -> None:
    """In 8 bits boxes stay as exact as before: what turns maps into boxes is not quantised."""
    rng = np.random.default_rng(1)
    photos = [
        np.clip(rng.normal(rng.integers(50, 200), 30, (64, 96, 3)), 0, 255).astype(np.uint8)
        for _ in range(8)
    ]
    whole, small = tmp_path / "whole.onnx", tmp_path / "small.onnx"
    export_onepass(network, whole, photos[:1])
    quantize_onepass(whole, small, photos, 96)
    assert small.stat().st_size < 0.5 * whole.stat().st_size
    kept = set(kept_in_float(onnx.load(whole).graph))
    for node in onnx.load(small).graph.node:
        if node.op_type in ("Exp", "Softmax", "Sigmoid"):
            assert node.name in kept
    one, other = (
        OnePassDetector(path, 0.0, long_side_px=96)(photos[:1])[0] for path in (whole, small)
    )
    sides = (
        (one.boxes[:, 2:] - one.boxes[:, :2]).mean(),
        (other.boxes[:, 2:] - other.boxes[:, :2]).mean(),
    )
    assert sides[1] == pytest.approx(sides[0], rel=0.2)
