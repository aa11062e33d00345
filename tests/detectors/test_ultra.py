"""Rules of the Ultra-Light face detector."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from maskwatch import weights
from maskwatch.boxes import iou
from maskwatch.detectors import load_detector
from maskwatch.detectors.ultra import UltraDetector, network_input
from maskwatch.errors import ModelFileError, ModelNotFoundError, ModelOutputError
from maskwatch.types import Faces
from portraits import Portrait
from tiny_onnx import save, write_constant

WIDTH_PX, HEIGHT_PX = 64, 48
IMAGE = np.zeros((400, 800, 3), np.uint8)


@pytest.fixture(scope="module")
def detector(shared: Path) -> UltraDetector:
    return UltraDetector(shared / "weights" / "ultra_rfb_640_masked_v2.onnx")


def write_network(
    path: Path,
    rows: Sequence[Sequence[float]],
    shape: Sequence[int | str] = (1, 3, HEIGHT_PX, WIDTH_PX),
) -> Path:
    """A network that answers every picture with rows of three probabilities and a box.

    The box of the first row is moved to the right by the mean of the input.
    """
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra dev)")
    helper, types = onnx.helper, onnx.TensorProto
    values = np.asarray(rows, np.float32).reshape(-1, 7)
    shift = np.zeros((1, len(values), 4), np.float32)
    shift[0, 0, [0, 2]] = 1
    constants = {"probs": values[None, :, :3], "still": values[None, :, 3:], "shift": shift}
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["shift", "mean"], ["moved"]),
        helper.make_node("Add", ["still", "moved"], ["boxes"]),
        helper.make_node("Identity", ["probs"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "ultra",
        [helper.make_tensor_value_info("input", types.FLOAT, list(shape))],
        [
            helper.make_tensor_value_info("scores", types.FLOAT, [1, len(values), 3]),
            helper.make_tensor_value_info("boxes", types.FLOAT, [1, len(values), 4]),
        ],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    save(onnx, graph, path)
    return path


def found(path: Path, rows: Sequence[Sequence[float]], **options: Any) -> Faces:
    """The faces of a picture whose input has the mean 0.

    That is a grey of 127.
    """
    detector = UltraDetector(write_network(path / "net.onnx", rows), **options)
    return detector([np.full_like(IMAGE, 127)])[0]


def row(
    bare: float, masked: float, box: tuple[float, float, float, float] = (0.1, 0.2, 0.3, 0.6)
) -> list[float]:
    """Probabilities of background, bare and masked face, box."""
    return [1 - bare - masked, bare, masked, *box]


def test_faces_of_the_network(tmp_path: Path) -> None:
    """Boxes are in pixels of the picture and inside it, best score first."""
    rows = [row(0.6, 0.0), row(0.0, 0.9, (0.5, 0.5, 1.2, 1.1))]
    faces = found(tmp_path, rows)
    assert faces.boxes == pytest.approx(np.array([[400, 200, 800, 400], [80, 80, 240, 240]]))
    assert faces.scores == pytest.approx([0.9, 0.6])
    assert faces.state_probs is None


def test_score_adds_both_kinds_of_faces(tmp_path: Path) -> None:
    """A face that may be masked or bare is as sure a face as both together."""
    assert found(tmp_path, [row(0.4, 0.35)]).scores == pytest.approx([0.75])


def test_one_face_is_found_once(tmp_path: Path) -> None:
    """Of finds that overlap much the best is the face, bare or masked."""
    rows = [row(0.8, 0.1), row(0.0, 0.95, (0.11, 0.2, 0.31, 0.6))]
    assert found(tmp_path, rows).scores == pytest.approx([0.95])


@pytest.mark.parametrize(("min_score", "count"), [(0.74, 1), (0.75, 1), (0.76, 0)])
def test_min_score(tmp_path: Path, min_score: float, count: int) -> None:
    """Faces scored under the limit are dropped; at the limit they stay."""
    assert len(found(tmp_path, [row(0.25, 0.5)], min_score=min_score)) == count


@pytest.mark.parametrize(
    "box",
    [(1.1, 0.2, 1.3, 0.6), (0.3, 0.2, 0.1, 0.6), (0.1, 0.4, 0.3, 0.4)],
    ids=["outside", "inside-out", "flat"],
)
def test_no_box(tmp_path: Path, box: tuple[float, float, float, float]) -> None:
    """A find without an area inside the picture is no face."""
    faces = found(tmp_path, [row(0, 0.9, box)])
    assert faces.boxes.shape == (0, 4)


@pytest.mark.parametrize("grey", [119, 127, 143])
def test_the_network_sees_the_picture(tmp_path: Path, grey: int) -> None:
    """What the network is shown is the picture less 127, over 128."""
    detector = UltraDetector(write_network(tmp_path / "net.onnx", [row(0, 0.9)]))
    (faces,) = detector([np.full_like(IMAGE, grey)])
    moved = (grey - 127) / 128
    expected = np.array([[(0.1 + moved) * 800, 80, (0.3 + moved) * 800, 240]])
    assert faces.boxes == pytest.approx(expected, abs=0.01)


def test_input() -> None:
    """The input is RGB planes of the picture stretched to the network's size."""
    image = np.zeros((90, 30, 3), np.uint8)
    image[:45] = 255, 0, 127
    planes = network_input(image, (WIDTH_PX, HEIGHT_PX))
    assert planes.shape == (1, 3, HEIGHT_PX, WIDTH_PX)
    assert planes.dtype == np.float32
    assert planes[0, :, 0, 0] == pytest.approx([0, -127 / 128, 1])
    assert planes[0, :, -1, -1] == pytest.approx([-127 / 128] * 3)


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param((1, 3, "h", 64), id="free-height"),
        pytest.param((1, 1, 48, 64), id="grey"),
    ],
)
def test_another_input(tmp_path: Path, shape: tuple[int | str, ...]) -> None:
    """A network with another input is refused by name."""
    path = write_network(tmp_path / "net.onnx", [row(0, 0.9)], shape)
    with pytest.raises(ModelFileError, match=r"net\.onnx is not the Ultra-Light detector"):
        UltraDetector(path)


def test_another_network(tmp_path: Path) -> None:
    """A good ONNX file of another network is refused by name, with what it takes and gives."""
    path = write_constant(tmp_path / "tiny.onnx")
    with pytest.raises(ModelFileError, match=r"tiny\.onnx is not .*gives \[\(None, 3\)\]"):
        UltraDetector(path)


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is said so."""
    with pytest.raises(ModelNotFoundError, match=r"no model file .*net\.onnx"):
        UltraDetector(tmp_path / "net.onnx")


def test_nan(tmp_path: Path) -> None:
    """NaN is an error and not a result."""
    with pytest.raises(ModelOutputError, match="returned NaN"):
        found(tmp_path, [row(0, 0.9, (float("nan"), 0, 1, 1))])


def test_no_pictures(tmp_path: Path) -> None:
    """No pictures give nothing."""
    assert UltraDetector(write_network(tmp_path / "net.onnx", [row(0, 0.9)]))([]) == []


def test_by_name(shared: Path) -> None:
    """It is had by its name once its file is installed; before, it is said how to get it."""
    with pytest.raises(ModelNotFoundError, match="Run: maskwatch models get ultra"):
        load_detector("ultra")
    weights.install_from("ultra", [shared / "weights" / "ultra_rfb_640_masked_v2.onnx"])
    detector = load_detector("ultra", 0.3)
    assert (detector.name, detector.min_score) == ("ultra", 0.3)
    assert load_detector("ultra").min_score == 0.5


def test_real_faces(detector: UltraDetector, portrait: Portrait) -> None:
    """The published network finds a face where it is."""
    (faces,) = detector([portrait.image])
    assert len(faces) == 1
    assert iou(faces.boxes, portrait.box)[0, 0] >= 0.5


@pytest.mark.parametrize("factor", [0.4, 2.0])
def test_scaled(detector: UltraDetector, astronaut: Portrait, factor: float) -> None:
    """Boxes are in pixels of the picture given, however it is scaled on the way."""
    image = np.asarray(cv2.resize(astronaut.image, None, fx=factor, fy=factor), np.uint8)
    (faces,) = detector([image])
    assert iou(faces.boxes[:1], astronaut.box * np.float32(factor))[0, 0] >= 0.5


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 640), (640, 1), (2, 4000)], ids=str)
def test_odd_sizes(detector: UltraDetector, size_hw: tuple[int, int]) -> None:
    """A picture too narrow for any face has none, and is no error."""
    (faces,) = detector([np.full((*size_hw, 3), 99, np.uint8)])
    assert len(faces) == 0
