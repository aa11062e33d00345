"""Rules of the res10 SSD."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from maskwatch.boxes import iou
from maskwatch.detectors import ssd
from maskwatch.detectors.ssd import SsdDetector
from maskwatch.errors import ModelFileError, ModelOutputError
from portraits import Portrait

WEIGHTS, TEXT = "opencv_face_detector_uint8.pb", "opencv_face_detector.pbtxt"


@pytest.fixture(scope="module")
def files(shared: Path) -> list[Path]:
    return [shared / "weights" / WEIGHTS, shared / "weights" / TEXT]


@pytest.fixture(scope="module")
def detector(files: list[Path]) -> SsdDetector:
    return SsdDetector(files)


def test_faces(detector: SsdDetector, portrait: Portrait) -> None:
    """A face is found where it is."""
    (faces,) = detector([portrait.image])
    assert len(faces) == 1
    assert iou(faces.boxes, portrait.box)[0, 0] >= 0.5


def test_nothing_there(detector: SsdDetector) -> None:
    """A blank picture has no faces."""
    (faces,) = detector([np.full((200, 300, 3), 127, np.uint8)])
    assert faces.boxes.shape == (0, 4)


def test_batch(detector: SsdDetector, hopper: Portrait, astronaut: Portrait) -> None:
    """Pictures of several sizes in one call give what each gives alone."""
    blank = np.zeros((40, 300, 3), np.uint8)
    images = [hopper.image, blank, astronaut.image, astronaut.image[:300, 50:450]]
    together = detector(images)
    assert [len(faces) for faces in together] == [1, 0, 1, 1]
    for image, faces in zip(images, together, strict=True):
        (alone,) = detector([image])
        assert faces.boxes == pytest.approx(alone.boxes, abs=0.5)
        assert faces.scores == pytest.approx(alone.scores, abs=1e-3)


@pytest.mark.parametrize("order", list(permutations(range(2))), ids=str)
def test_files_in_any_order(files: list[Path], astronaut: Portrait, order: tuple[int, ...]) -> None:
    """Which file is which is told by the endings."""
    (faces,) = SsdDetector([files[index] for index in order])([astronaut.image])
    assert len(faces) == 1


def test_another_caffe_network(shared: Path) -> None:
    """A pair that loads but is another network is refused by name, and not run."""
    pair = [shared / "weights" / "aizoo.caffemodel", shared / "weights" / "aizoo.prototxt"]
    with pytest.raises(ModelFileError, match=r"aizoo\.caffemodel, .*another network"):
        SsdDetector(pair)


def test_text_without_weights(shared: Path, tmp_path: Path) -> None:
    """The right text with damaged weights is refused by name."""
    (tmp_path / "net.pb").write_bytes(b"damaged")
    with pytest.raises(ModelFileError, match=r"cannot load the SSD network from .*net\.pb"):
        SsdDetector([tmp_path / "net.pb", shared / "weights" / TEXT])


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([], id="none"),
        pytest.param(["a.pb"], id="weights-alone"),
        pytest.param(["a.prototxt"], id="text-alone"),
        pytest.param(["a.pb", "a.prototxt"], id="mixed"),
        pytest.param(["a.caffemodel", "a.pbtxt"], id="mixed-the-other-way"),
        pytest.param(["a.pb", "b.pb"], id="twice-the-same"),
        pytest.param(["a.onnx", "a.pbtxt"], id="foreign"),
        pytest.param(["a.pb", "a.pbtxt", "a.prototxt"], id="three"),
    ],
)
def test_no_pair(names: list[str]) -> None:
    """Files that are no pair are refused with what is needed and what was given."""
    with pytest.raises(
        ModelFileError, match=r"needs a \.prototxt and a \.caffemodel, or"
    ) as caught:
        SsdDetector([Path(name) for name in names])
    assert "got" in str(caught.value)


@pytest.mark.parametrize(
    "names", [("a.pb", "a.pbtxt"), ("a.prototxt", "a.caffemodel")], ids=["tensorflow", "caffe"]
)
@pytest.mark.parametrize("data", [None, b"", b"these are words"], ids=["missing", "empty", "words"])
def test_damaged_pair(tmp_path: Path, names: tuple[str, str], data: bytes | None) -> None:
    """A pair that is missing or damaged is refused by name."""
    paths = [tmp_path / name for name in names]
    for path in paths:
        if data is not None:
            path.write_bytes(data)
    with pytest.raises(ModelFileError, match="SSD") as caught:
        SsdDetector(paths)
    assert all(str(path) in str(caught.value) for path in paths)


class FakeNet:
    """Gives the rows it was made with: image number, class, score, box from 0 to 1."""

    def __init__(self, rows: Sequence[Sequence[float]], error: Exception | None = None) -> None:
        self.rows, self.error = rows, error

    def getUnconnectedOutLayersNames(self) -> tuple[str, ...]:  # noqa: N802
        return ("detection_out",)

    def getLayer(self, _: str) -> Any:  # noqa: N802
        return SimpleNamespace(type="DetectionOutput")

    def setInput(self, blob: Any) -> None:  # noqa: N802
        self.count = len(blob)

    def forward(self) -> Any:
        if self.error:
            raise self.error
        rows = [row for row in self.rows if row[0] < self.count]
        return np.array(rows, np.float32).reshape(1, 1, -1, 7)


def with_net(monkeypatch: pytest.MonkeyPatch, net: FakeNet, min_score: float = 0.5) -> SsdDetector:
    monkeypatch.setattr(ssd, "_load", lambda _: net)
    return SsdDetector([], min_score)


IMAGE = np.zeros((100, 200, 3), np.uint8)


def test_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows become boxes in pixels, best first, cut to the picture; weak and empty ones go."""
    rows = [
        (0, 1, 0.6, 0.1, 0.1, 0.2, 0.3),
        (0, 1, 0.9, 0.5, 0.5, 1.2, 1.1),
        (0, 1, 0.49, 0.1, 0.1, 0.2, 0.3),
        (0, 1, 0.5, -0.1, -0.2, 0.05, 0.5),
        (0, 1, 0.8, 0.4, 0.4, 0.4, 0.6),
        (0, 1, 0.8, 1.1, 0.4, 1.3, 0.6),
    ]
    (faces,) = with_net(monkeypatch, FakeNet(rows))([IMAGE])
    expected = [[100, 50, 200, 100], [20, 10, 40, 30], [0, 0, 10, 50]]
    assert faces.boxes == pytest.approx(np.array(expected), abs=1e-3)
    assert faces.scores == pytest.approx([0.9, 0.6, 0.5])


def test_rows_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows go to the picture that they name, scaled by its own size."""
    rows = [(1, 1, 0.9, 0.5, 0.5, 1, 1), (0, 1, 0.8, 0, 0, 0.5, 0.5)]
    detector = with_net(monkeypatch, FakeNet(rows))
    found = detector([IMAGE, np.zeros((10, 20, 3), np.uint8), IMAGE])
    assert found[0].boxes.tolist() == [[0, 0, 100, 50]]
    assert found[1].boxes.tolist() == [[10, 5, 20, 10]]
    assert len(found[2]) == 0


def test_no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pictures give nothing, without a run of the network."""
    net = FakeNet([], RuntimeError("the network was run"))
    assert with_net(monkeypatch, net)([]) == []


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_impossible_output(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """NaN and infinity are an error and not a result."""
    net = FakeNet([(0, 1, 0.9, 0.1, 0.1, float(value), 0.3)])
    with pytest.raises(ModelOutputError, match="SSD network returned NaN"):
        with_net(monkeypatch, net)([IMAGE])


def test_failing_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """What OpenCV raises in a run is translated."""
    error = cv2.error()
    error.err = "out of luck"
    with pytest.raises(ModelOutputError, match="SSD network failed: out of luck"):
        with_net(monkeypatch, FakeNet([], error))([IMAGE])
