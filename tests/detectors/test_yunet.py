"""Rules of YuNet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from maskwatch.boxes import iou
from maskwatch.detectors.yunet import YuNetDetector
from maskwatch.errors import ModelFileError, ModelOutputError
from maskwatch.types import Image
from portraits import Portrait
from tiny_onnx import write_constant


@pytest.fixture(scope="module", params=["yunet_s_640.onnx", "yunet_n_640.onnx"])
def detector(request: pytest.FixtureRequest, shared: Path) -> YuNetDetector:
    return YuNetDetector(shared / "weights" / request.param)


def test_faces(detector: YuNetDetector, portrait: Portrait) -> None:
    """A face is found where it is, with its landmarks in their order."""
    (faces,) = detector([portrait.image])
    assert len(faces) == 1
    assert iou(faces.boxes, portrait.box)[0, 0] >= 0.7
    assert faces.landmarks is not None
    eye_distance = float(np.linalg.norm(portrait.landmarks[1] - portrait.landmarks[0]))
    assert np.abs(faces.landmarks[0] - portrait.landmarks).max() < 0.2 * eye_distance


def test_nothing_there(detector: YuNetDetector) -> None:
    """A blank picture has no faces, and landmarks of the right shape."""
    (faces,) = detector([np.full((200, 300, 3), 127, np.uint8)])
    assert faces.boxes.shape == (0, 4)
    assert faces.landmarks is not None
    assert faces.landmarks.shape == (0, 5, 2)


def test_batch(detector: YuNetDetector, hopper: Portrait, astronaut: Portrait) -> None:
    """Pictures of several sizes in one call give what each gives alone, in any order."""
    blank = np.zeros((40, 300, 3), np.uint8)
    images = [hopper.image, blank, astronaut.image, astronaut.image[:300, 50:450]]
    together = detector(images)
    assert [len(faces) for faces in together] == [1, 0, 1, 1]
    for image, faces in zip(images[::-1], together[::-1], strict=True):
        (alone,) = detector([image])
        assert faces.boxes == pytest.approx(alone.boxes)


@pytest.mark.parametrize("factor", [0.4, 3.0])
def test_scaled(detector: YuNetDetector, astronaut: Portrait, factor: float) -> None:
    """Boxes and landmarks are in pixels of the picture given."""
    image = np.asarray(cv2.resize(astronaut.image, None, fx=factor, fy=factor), np.uint8)
    (faces,) = detector([image])
    assert iou(faces.boxes[:1], astronaut.box * np.float32(factor))[0, 0] >= 0.6
    assert faces.landmarks is not None
    assert np.abs(faces.landmarks[0] / factor - astronaut.landmarks).max() < 12


def test_close_up(detector: YuNetDetector, hopper: Portrait) -> None:
    """A face that fills the picture is found once, inside the picture."""
    x0, y0, x1, y1 = hopper.box[0].astype(int)
    image = np.ascontiguousarray(hopper.image[y0:y1, x0:x1])
    large = np.asarray(cv2.resize(image, None, fx=5, fy=5), np.uint8)
    (faces,) = detector([large])
    height, width = large.shape[:2]
    assert len(faces) == 1
    assert iou(faces.boxes, np.array([[0, 0, width, height]], np.float32))[0, 0] > 0.7
    assert (faces.boxes >= 0).all()
    assert (faces.boxes <= [width, height, width, height]).all()


@pytest.mark.parametrize(
    "size_hw",
    [(1, 1), (1, 640), (640, 1), (2, 4000), (20, 640), (640, 32), (40, 640)],
    ids=lambda s: f"{s[0]}x{s[1]}",
)
def test_odd_sizes(detector: YuNetDetector, size_hw: tuple[int, int]) -> None:
    """A picture too narrow for any face has none, however often it is asked."""
    image = np.full((*size_hw, 3), 99, np.uint8)
    assert [len(faces) for faces in detector([image] * 5)] == [0] * 5


@pytest.mark.parametrize("data", [None, b"", b"words"], ids=["missing", "empty", "words"])
def test_damaged_file(tmp_path: Path, data: bytes | None) -> None:
    """A file that is missing or damaged is refused by name, in one line."""
    path = tmp_path / "net.onnx"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ModelFileError, match=r"cannot load .*net\.onnx as YuNet") as caught:
        YuNetDetector(path)
    assert "\n" not in str(caught.value)


def embedded_classifier(_: Path) -> Path:
    path = Path(str(resources.files("maskwatch.models") / "classifier.onnx"))
    if not path.is_file():
        pytest.skip("the embedded classifier is not built yet")
    return path


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(embedded_classifier, id="classifier"),
        pytest.param(lambda folder: write_constant(folder / "tiny.onnx"), id="tiny"),
    ],
)
def test_another_network(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    """A good ONNX file of another network is refused where it is loaded, by name."""
    path = make(tmp_path)
    with pytest.raises(ModelFileError, match=rf"{path.name} as YuNet") as caught:
        YuNetDetector(path)
    assert "\n" not in str(caught.value)


def row(
    x: float, y: float, width: float, height: float, score: float = 0.9, mark: float = 0
) -> list[float]:
    """Box x y w h, ten landmark coordinates, score."""
    return [x, y, width, height, *[mark] * 10, score]


class FakeYuNet:
    """Gives rows by the longer side of the picture, and keeps the sizes it was asked for."""

    def __init__(self, rows: dict[int, Sequence[Sequence[float]]]) -> None:
        self.rows, self.size = rows, (0, 0)
        self.looks: list[tuple[int, int]] = []
        self.error: Exception | None = None

    def setInputSize(self, size: tuple[int, int]) -> None:  # noqa: N802
        self.size = size

    def detect(self, image: Image) -> tuple[int, Any]:
        if self.error:
            raise self.error
        if self.size != (0, 0):
            assert image.shape[1::-1] == self.size
            self.looks.append(self.size)
        rows = self.rows.get(max(self.size), [])
        return 1, np.array(rows, np.float32) if rows else None


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> tuple[FakeYuNet, YuNetDetector]:
    """A detector on a network that finds nothing, unless told."""
    net = FakeYuNet({})

    class Factory:
        @staticmethod
        def create(*_: Any) -> FakeYuNet:
            return net

    monkeypatch.setattr(cv2, "FaceDetectorYN", Factory)
    return net, YuNetDetector(Path("net.onnx"))


IMAGE = np.zeros((480, 1280, 3), np.uint8)


def test_rows(fake: tuple[FakeYuNet, YuNetDetector]) -> None:
    """Rows become boxes and landmarks in pixels of the picture, best first, cut to it."""
    net, detector = fake
    net.rows = {640: [row(10, 20, 30, 40, 0.7, 5), row(600, 200, 60, 80, 0.9, 7)]}
    (faces,) = detector([IMAGE])
    assert faces.boxes.tolist() == [[1200, 400, 1280, 480], [20, 40, 80, 120]]
    assert faces.scores == pytest.approx([0.9, 0.7])
    assert faces.landmarks is not None
    assert faces.landmarks.tolist() == [[[14, 14]] * 5, [[10, 10]] * 5]


def test_one_look_is_enough(fake: tuple[FakeYuNet, YuNetDetector]) -> None:
    """Where only small faces are found, the picture is looked at once, at 640 px."""
    net, detector = fake
    net.rows = {640: [row(10, 20, 30, 40)]}
    detector([IMAGE])
    assert net.looks == [(640, 240)]


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([], id="nothing-found"),
        pytest.param([row(10, 20, 30, 100)], id="high-face"),
        pytest.param([row(10, 20, 300, 40)], id="wide-face"),
    ],
)
def test_second_look(fake: tuple[FakeYuNet, YuNetDetector], rows: list[list[float]]) -> None:
    """Where nothing or a large face is found, the picture is looked at again at 320 px."""
    net, detector = fake
    net.rows = {640: rows, 320: [row(150, 60, 50, 50, 0.8)]}
    (faces,) = detector([IMAGE])
    assert net.looks == [(640, 240), (320, 120)]
    assert len(faces) == len(rows) + 1
    assert [600, 240, 800, 440] in faces.boxes.tolist()


def test_looks_agree(fake: tuple[FakeYuNet, YuNetDetector]) -> None:
    """A face found in both looks is one face, the better of the two."""
    net, detector = fake
    net.rows = {640: [row(100, 50, 150, 150, 0.7)], 320: [row(50, 25, 75, 74, 0.8)]}
    (faces,) = detector([IMAGE])
    assert faces.boxes.tolist() == [[200, 100, 500, 396]]


def test_face_outside(fake: tuple[FakeYuNet, YuNetDetector]) -> None:
    """A find that lies outside the picture is no face."""
    net, detector = fake
    net.rows = {640: [row(-60, 20, 40, 40), row(10, 20, 30, 40)]}
    (faces,) = detector([IMAGE])
    assert faces.boxes.tolist() == [[20, 40, 80, 120]]


def test_nan(fake: tuple[FakeYuNet, YuNetDetector]) -> None:
    """NaN is an error and not a result."""
    net, detector = fake
    net.rows = {640: [row(10, float("nan"), 30, 40)]}
    with pytest.raises(ModelOutputError, match="YuNet network returned NaN"):
        detector([IMAGE])


def test_failing_network(fake: tuple[FakeYuNet, YuNetDetector]) -> None:
    """What OpenCV raises in a run is translated."""
    net, detector = fake
    net.error = cv2.error()
    net.error.err = "out of luck"
    with pytest.raises(ModelOutputError, match="YuNet network failed: out of luck"):
        detector([IMAGE])


def test_no_pictures(fake: tuple[FakeYuNet, YuNetDetector]) -> None:
    """No pictures give nothing."""
    assert fake[1]([]) == []
