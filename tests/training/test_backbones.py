"""Rules of the classifiers that are trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskwatch.errors import DownloadError, ModelFileError, UnknownNameError, UsageError

keras: Any = pytest.importorskip("keras", reason="keras is not installed (extra train)")
pytest.importorskip("tensorflow", reason="tensorflow is not installed (extra train)")

from maskwatch.training import backbones  # noqa: E402
from maskwatch.training.backbones import (  # noqa: E402
    BACKBONES,
    BgrInput,
    BgrToUnit,
    backbone_name,
    block_starts,
    build_backbone,
    input_form,
    mobilenet_v2,
    unfreeze,
    weights_hash,
)

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


def test_all_names() -> None:
    """Every network of keras.applications can be named."""
    assert {"MobileNetV2", "ResNet101", "ResNet101V2", "VGG19", "EfficientNetB0"} <= set(BACKBONES)
    assert len(BACKBONES) >= 38


@pytest.mark.parametrize(
    ("given", "name"),
    [("mobilenetv2", "MobileNetV2"), ("ResNet-101", "ResNet101"), ("vgg_19", "VGG19")],
)
def test_spelling(given: str, name: str) -> None:
    """Case and separators do not count in names."""
    assert backbone_name(given) == name


def test_unknown_backbone() -> None:
    """An unknown network is refused with the nearest one."""
    with pytest.raises(UnknownNameError, match="Did you mean 'MobileNet'"):
        build_backbone("mobilnet", SIZE, "none")


@pytest.mark.parametrize("name", sorted({v.__module__: k for k, v in BACKBONES.items()}.values()))
def test_input_as_keras_does(name: str) -> None:
    """Pixels become what each network's own preprocess_input makes of them."""
    own = getattr(keras.applications, BACKBONES[name].__module__.rsplit(".", 1)[-1])
    bgr = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    expected = own.preprocess_input(bgr[..., ::-1].astype(np.float32))
    assert np.asarray(BgrInput(input_form(name))(bgr)) == pytest.approx(expected, abs=2e-5)


def test_unit_input() -> None:
    """The form `unit` is RGB of 0 to 1."""
    pixels = np.array([[[[0, 127.5, 255]]]], np.float32)
    assert np.asarray(BgrInput("unit")(pixels)).ravel().tolist() == [1, 0.5, 0]


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("ResNet101", "weights.h5"),
        ("ResNet101V2", "weights.h5"),
        ("VGG19", "weights.h5"),
        ("VGG19", "h5"),
    ],
)
def test_files_of_large_networks(tmp_path: Path, name: str, ending: str) -> None:
    """Files of the true shape are loaded, in Keras' new form and in the one it publishes."""
    keras.utils.set_random_seed(1)
    given = BACKBONES[name](weights=None, include_top=False, input_shape=(64, 64, 3))
    given.weights[0].assign(given.weights[0] + 1.0)
    path = tmp_path / f"no_top.{ending}"
    if ending == "h5":
        from keras.src.legacy.saving import legacy_h5_format

        legacy_h5_format.save_model_to_hdf5(given, path, include_optimizer=False)
        h5py: Any = pytest.importorskip("h5py")
        # What Keras publishes holds the weights without the model around them.
        with h5py.File(path, "r+") as file, h5py.File(tmp_path / "bare.h5", "w") as bare:
            weights = file["model_weights"]
            for key in weights:
                weights.copy(key, bare)
            bare.attrs.update(dict(weights.attrs))
        path = tmp_path / "bare.h5"
    else:
        given.save_weights(path)
    keras.utils.set_random_seed(2)
    assert weights_hash(build_backbone(name, 64, path)) == weights_hash(given)


def test_keras_file(tmp_path: Path) -> None:
    """Weights are taken from a saved classifier with that network inside."""
    whole = mobilenet_v2(SIZE, None)
    whole.save(tmp_path / "run.keras")
    inner = next(layer for layer in whole.layers if isinstance(layer, keras.Model))
    loaded = build_backbone("MobileNetV2", SIZE, tmp_path / "run.keras")
    assert weights_hash(loaded) == weights_hash(inner)
    with pytest.raises(ModelFileError, match=r"no part of it has the \d+ weights of mobilenet_"):
        build_backbone("MobileNet", SIZE, tmp_path / "run.keras")


@pytest.mark.filterwarnings("ignore:Skipping nested container:UserWarning")
def test_weights_of_another_network(tmp_path: Path) -> None:
    """Weights of another network are refused on one line that names what does not fit."""
    other = BACKBONES["VGG16"](weights=None, include_top=False, input_shape=(SIZE, SIZE, 3))
    other.save_weights(tmp_path / "vgg16.weights.h5")
    with pytest.raises(ModelFileError, match=r"vgg16\.weights\.h5 into vgg19") as found:
        build_backbone("VGG19", SIZE, tmp_path / "vgg16.weights.h5")
    assert "\n" not in str(found.value)
    assert "shape" in str(found.value) or "expected" in str(found.value)
    assert len(str(found.value)) < 600


def test_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network the error names the address, --weights FILE and the way without."""
    from keras.src.applications import mobilenet_v2 as module

    get_file = module.file_utils.get_file

    def closed(name: str, url: str, **options: Any) -> Any:
        local = f"http://127.0.0.1:9/{name}"  # the discard port: nothing listens
        return get_file(name, local, **options | {"cache_dir": str(tmp_path)})

    monkeypatch.setattr(module.file_utils, "get_file", closed)
    with pytest.raises(DownloadError) as found:
        build_backbone("MobileNetV2", 224, "imagenet")
    text = str(found.value)
    for words in ("ImageNet weights of MobileNetV2", "http://127.0.0.1:9/mobilenet_v2_weights"):
        assert words in text
    assert "--weights FILE" in text
    assert "--weights none" in text
    assert "\n" not in text


def test_too_small() -> None:
    """Pictures smaller than a network can take are refused."""
    with pytest.raises(UsageError, match="VGG19 cannot take pictures of 16 px"):
        build_backbone("VGG19", 16, "none")


BLOCKS = {
    "MobileNetV2": 17,
    "ResNet50": 16,
    "VGG16": 5,
    "EfficientNetB0": 16,
    "MobileNet": 13,
    "MobileNetV3Small": 11,
    "DenseNet121": 58,
}


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks(name: str) -> None:
    """The blocks of a network are as many as its paper has."""
    backbone = BACKBONES[name](weights=None, include_top=False, input_shape=(64, 64, 3))
    assert len(block_starts(backbone)) == BLOCKS[name]


def test_unfreeze() -> None:
    """The last N blocks learn and what is behind them; statistics of the others stay."""
    backbone = build_backbone("MobileNetV2", SIZE, "none")

    def learning(trainable: str | int) -> list[str]:
        unfreeze(backbone, "MobileNetV2", trainable, 0.9)
        return [layer.name for layer in backbone.layers if layer.trainable_weights]

    assert learning("none") == []
    last = learning(1)
    assert last[0] == "block_16_expand"
    assert last[-1] == "Conv_1_bn"
    assert learning(2)[0] == "block_15_expand"
    assert len(learning("all")) == len([layer for layer in backbone.layers if layer.weights])
    norm = next(x for x in backbone.layers if isinstance(x, keras.layers.BatchNormalization))
    assert norm.momentum == 0.9
    with pytest.raises(UsageError, match="MobileNetV2 has 17 blocks, cannot unfreeze 18"):
        learning(18)


def test_unfreeze_without_block_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where names tell no blocks, a number of them is refused."""
    monkeypatch.setattr(backbones, "_BLOCKS", ())
    with pytest.raises(UsageError, match="not named by blocks"):
        unfreeze(build_backbone("MobileNetV2", SIZE, "none"), "MobileNetV2", 1, 0.9)


def test_weights_hash() -> None:
    """Equal weights have equal hashes, one changed number another."""
    model = mobilenet_v2(SIZE, None, alpha=0.35)
    before = weights_hash(model)
    assert weights_hash(keras.models.clone_model(model)) != before
    assert weights_hash(model) == before
    values = model.get_weights()
    values[3].flat[0] += 1e-3
    model.set_weights(values)
    assert weights_hash(model) != before
