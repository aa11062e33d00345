"""Rules of the classifiers that are trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskwatch.errors import ModelFileError

keras: Any = pytest.importorskip("keras", reason="keras is not installed (extra train)")
pytest.importorskip("tensorflow", reason="tensorflow is not installed (extra train)")

from maskwatch.training.backbones import BgrToUnit, mobilenet_v2  # noqa: E402

SIZE = 32


@pytest.fixture(scope="module")
def model() -> Any:
    keras.utils.set_random_seed(0)
    return mobilenet_v2(SIZE, None, alpha=0.35)


def test_probabilities(model: Any) -> None:
    """Any uint8 crops give three probabilities each, which sum to 1."""
    crops = np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE, 3), dtype=np.uint8)
    probs = model.predict(crops, verbose=0)
    assert probs.shape == (5, 3)
    assert probs.dtype == np.float32
    assert probs.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    assert (probs >= 0).all()


def test_scale() -> None:
    """The first layer turns BGR of 0 to 255 into RGB of -1 to 1."""
    pixels = np.array([[[[0, 127.5, 255]]]], np.float32)
    assert np.asarray(BgrToUnit()(pixels)).ravel().tolist() == [1, 0, -1]


def test_scale_is_in_the_model(model: Any) -> None:
    """The first layer of the model is that scale."""
    assert isinstance(model.layers[1], BgrToUnit)
    assert model.input_shape == (None, SIZE, SIZE, 3)


def test_saved_and_loaded(model: Any, tmp_path: Path) -> None:
    """A saved model is loaded without naming its layers, and computes the same."""
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    crops = np.random.default_rng(1).integers(0, 256, (2, SIZE, SIZE, 3), dtype=np.uint8)
    assert again.predict(crops, verbose=0) == pytest.approx(model.predict(crops, verbose=0))


def test_weights(tmp_path: Path) -> None:
    """Weights of a backbone are taken from a file; the head is new."""
    backbone = keras.applications.MobileNetV2(
        input_shape=(SIZE, SIZE, 3), alpha=0.35, include_top=False, weights=None, pooling="avg"
    )
    backbone.save_weights(tmp_path / "b.weights.h5")
    model = mobilenet_v2(SIZE, tmp_path / "b.weights.h5", alpha=0.35)
    inner = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    for mine, given in zip(inner.get_weights(), backbone.get_weights(), strict=True):
        assert (mine == given).all()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param("none.weights.h5", None, id="missing"),
        pytest.param("bad.weights.h5", b"words", id="damaged"),
        pytest.param("model.bin", b"words", id="foreign"),
    ],
)
def test_bad_weights(tmp_path: Path, name: str, data: bytes | None) -> None:
    """Weights that are missing or damaged are named."""
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ModelFileError, match=f"cannot load backbone weights from .*{name}"):
        mobilenet_v2(SIZE, tmp_path / name, alpha=0.35)


@pytest.mark.filterwarnings("ignore:Skipping nested container:UserWarning")
def test_weights_of_another_width(tmp_path: Path) -> None:
    """Weights that do not fit are named."""
    backbone = keras.applications.MobileNetV2(
        input_shape=(SIZE, SIZE, 3), alpha=0.5, include_top=False, weights=None, pooling="avg"
    )
    backbone.save_weights(tmp_path / "b.weights.h5")
    with pytest.raises(ModelFileError, match=r"b\.weights\.h5"):
        mobilenet_v2(SIZE, tmp_path / "b.weights.h5", alpha=0.35)
