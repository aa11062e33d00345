"""Rules of MTCNN's networks in Keras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed (extra train)")
pytest.importorskip("onnx", reason="onnx is not installed (extra train)")

from maskwatch.errors import ModelError, ModelFileError  # noqa: E402
from maskwatch.training.mtcnn import networks  # noqa: E402
from maskwatch.training.mtcnn.networks import (  # noqa: E402
    STAGES,
    answers_of,
    arrays_of,
    build_network,
    export,
    has_landmarks,
    load_arrays,
    side_px,
)
from tiny_mtcnn import lot, slow_network  # noqa: E402

CASES = [(stage, False) for stage in STAGES] + [("onet", True)]


@pytest.mark.parametrize(("stage", "landmarks"), CASES)
def test_answers(stage: str, landmarks: bool) -> None:
    """A network with given weights answers as the layers told slowly; its weights come back."""
    arrays = lot(stage, 3, landmarks=landmarks)
    network = build_network(stage, landmarks=landmarks)
    load_arrays(network, arrays)
    for one, other in zip(arrays_of(network), arrays, strict=True):
        np.testing.assert_array_equal(one, other)
    side = side_px(stage)
    crops = np.random.default_rng(1).integers(0, 256, (3, side, side, 3), np.uint8)
    scores, *others = slow_network(stage, arrays, crops)
    expected = np.hstack([part.reshape(3, -1) for part in (*others, scores)])
    np.testing.assert_allclose(answers_of(network, crops), expected, atol=1e-4)


@pytest.mark.parametrize(("stage", "landmarks"), CASES)
def test_exported(tmp_path: Path, stage: str, landmarks: bool) -> None:
    """The file answers as the network does, also where slopes are negative or above 1."""
    path = tmp_path / "new" / f"{stage}.onnx"
    assert export(stage, lot(stage, 4, landmarks=landmarks), path) < 1e-4
    assert [child.name for child in path.parent.iterdir()] == [path.name]


def test_wrong_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that answers differently is not written."""
    monkeypatch.setattr(networks, "MAX_DIFFERENCE", -1.0)
    with pytest.raises(ModelError, match="would differ"):
        export("pnet", lot("pnet"), tmp_path / "pnet.onnx")
    assert not list(tmp_path.iterdir())


def test_landmarks_left_out() -> None:
    """Weights with landmarks fit a network without: all else is taken over."""
    arrays = lot("onet", 2)
    assert has_landmarks("onet", arrays)
    network = build_network("onet")
    load_arrays(network, arrays)
    kept = arrays_of(network)
    assert not has_landmarks("onet", kept)
    for one, other in zip(kept, arrays[:-4] + arrays[-2:], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("stage", ["pnet", "onet"])
def test_other_weights(stage: str) -> None:
    """Weights of another network are refused by name."""
    with pytest.raises(ModelFileError, match=f"not the weights of a {stage}"):
        load_arrays(build_network(stage), lot("rnet"))
