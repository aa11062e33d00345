"""Rules of the one-pass detector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskwatch.boxes import iou
from maskwatch.detectors.onepass import OnePassDetector
from maskwatch.errors import ModelFileError, ModelNotFoundError
from maskwatch.types import Floats
from tiny_onnx import save, write_constant

BOXES = [
    [10, 10, 50, 60],
    [12, 11, 52, 61],
    [100, 40, 140, 90],
    [-20, -20, 30, 30],
    [500, 500, 510, 510],
    [60, 20, 61, 20],
]
SCORES = [0.8, 0.9, 0.6, 0.3, 0.95, 0.99]
PROBS = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], *[[0.4, 0.3, 0.3]] * 3]


def write_found(
    path: Path,
    boxes: Any = BOXES,
    scores: Any = SCORES,
    probs: Any = PROBS,
    *,
    dtype: str = "UINT8",
) -> Path:
    """A network that finds the same in every picture."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra dev)")
    helper, types, arrays = onnx.helper, onnx.TensorProto, onnx.numpy_helper
    values = {"b": boxes, "s": scores, "p": probs}
    constants = [
        arrays.from_array(np.array([value], np.float32), f"{name}0")
        for name, value in values.items()
    ]
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=types.FLOAT),
        helper.make_node("ReduceSum", ["floats"], ["sum"], keepdims=0),
        helper.make_node("Sub", ["sum", "sum"], ["zero"]),
        *(
            helper.make_node("Add", [f"{key}0", "zero"], [name])
            for key, name in (("b", "boxes"), ("s", "scores"), ("p", "state_probs"))
        ),
    ]
    shapes = {"boxes": ["n", "a", 4], "scores": ["n", "a"], "state_probs": ["n", "a", 3]}
    graph = helper.make_graph(
        nodes,
        "found",
        [helper.make_tensor_value_info("images", getattr(types, dtype), ["n", "h", "w", 3])],
        [helper.make_tensor_value_info(n, types.FLOAT, shape) for n, shape in shapes.items()],
        constants,
    )
    save(onnx, graph, path)
    return path


def picture(height: int = 100, width: int = 160) -> Any:
    """A grey picture."""
    return np.full((height, width, 3), 90, np.uint8)


@pytest.fixture
def found(tmp_path: Path) -> Path:
    return write_found(tmp_path / "found.onnx")


def test_faces(found: Path) -> None:
    """Faces come best first, once each, with their states.

    Boxes beyond the picture or without extent are none.
    """
    (faces,) = OnePassDetector(found, 0.4, long_side_px=160)([picture()])
    np.testing.assert_allclose(faces.boxes, [[12, 11, 52, 61], [100, 40, 140, 90]])
    np.testing.assert_allclose(faces.scores, [0.9, 0.6])
    assert faces.state_probs is not None
    np.testing.assert_allclose(faces.state_probs, [PROBS[1], PROBS[2]])


def test_threshold(found: Path) -> None:
    """With a lower threshold more faces come, cut to the picture."""
    (faces,) = OnePassDetector(found, 0.2, long_side_px=160)([picture()])
    np.testing.assert_allclose(faces.boxes[-1], [0, 0, 30, 30])
    assert len(faces) == 3


@pytest.mark.parametrize("size", [(100, 160), (160, 100), (33, 400), (1, 1)])
def test_boxes_are_in_pixels_of_the_picture(found: Path, size: tuple[int, int]) -> None:
    """Boxes are scaled back from what the network saw."""
    height, width = size
    detector = OnePassDetector(found, 0.85, long_side_px=320)
    (faces,) = detector([picture(height, width)])
    scale = np.array(
        [round(width * 320 / max(size)) / width, round(height * 320 / max(size)) / height]
    )
    expected = np.clip(np.array(BOXES[1]) / np.tile(scale, 2), 0, [width, height] * 2)
    if len(faces):
        best = float(iou(faces.boxes, expected[None].astype(np.float32)).max())
        assert best == pytest.approx(1, abs=1e-4)


def test_no_faces(tmp_path: Path) -> None:
    """Where nothing is likely there are no faces, but their arrays have their shapes."""
    path = write_found(tmp_path / "none.onnx", scores=[0.1] * 6)
    (faces,) = OnePassDetector(path)([picture()])
    assert faces.boxes.shape == (0, 4)
    assert faces.state_probs is not None
    assert faces.state_probs.shape == (0, 3)


def test_many_candidates(tmp_path: Path) -> None:
    """Of far too many candidates the best are looked at."""
    count = 3000
    rng = np.random.default_rng(0)
    corner = np.stack([np.arange(count) % 60 * 10, np.arange(count) // 60 * 10], 1)
    boxes: Floats = np.hstack([corner, corner + 8]).astype(np.float32)
    scores = rng.uniform(0.5, 1, count).astype(np.float32)
    path = write_found(tmp_path / "many.onnx", boxes, scores, [[0.5, 0.3, 0.2]] * count)
    (faces,) = OnePassDetector(path, long_side_px=640)([picture(640, 640)])
    np.testing.assert_allclose(faces.scores, np.sort(scores)[::-1][:1000])


def test_missing(tmp_path: Path) -> None:
    """A file that is not there is said to be missing."""
    with pytest.raises(ModelNotFoundError, match="nowhere"):
        OnePassDetector(tmp_path / "nowhere.onnx")


def test_other_networks(tmp_path: Path) -> None:
    """A classifier, or a network of other pictures, is no one-pass detector."""
    with pytest.raises(ModelFileError, match="is not a one-pass detector"):
        OnePassDetector(write_constant(tmp_path / "classifier.onnx"))
    floats = write_found(tmp_path / "floats.onnx", dtype="FLOAT")
    with pytest.raises(ModelFileError, match="takes float32"):
        OnePassDetector(floats)
