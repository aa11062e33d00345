"""Rules of AIZOO's mask detector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from maskwatch import weights
from maskwatch.boxes import iou, nms
from maskwatch.detectors import load_detector
from maskwatch.detectors.aizoo import AizooDetector, anchors, decode, map_sides, state_probs
from maskwatch.errors import ModelFileError, ModelNotFoundError, ModelOutputError
from maskwatch.types import Image
from portraits import Portrait

SIDES = (0.04, 0.08, 0.16, 0.32, 0.64)
LARGER_SIDES = (0.056, 0.11, 0.22, 0.45, 0.72)


@pytest.fixture(scope="module")
def files(shared: Path) -> list[Path]:
    return [shared / "weights" / "aizoo.caffemodel", shared / "weights" / "aizoo.prototxt"]


@pytest.fixture(scope="module")
def detector(files: list[Path]) -> AizooDetector:
    return AizooDetector(files)


@pytest.mark.parametrize(
    ("side_px", "sides"), [(260, (33, 17, 9, 5, 3)), (360, (45, 23, 12, 6, 4))], ids=str
)
def test_map_sides(side_px: int, sides: tuple[int, ...]) -> None:
    """The maps are those of the publisher for both of its inputs."""
    assert map_sides(side_px) == sides


def slow_anchors(sides: Sequence[int]) -> list[tuple[float, float, float, float]]:
    """Map by map, row by row, place by place: two squares, then the smaller one stretched."""
    found = []
    for index, side in enumerate(sides):
        small, large = SIDES[index], LARGER_SIDES[index]
        for row in range(side):
            for column in range(side):
                place = ((column + 0.5) / side, (row + 0.5) / side)
                found.append((*place, small, small))
                found.append((*place, large, large))
                for ratio in (0.62, 0.42):
                    found.append((*place, small * math.sqrt(ratio), small / math.sqrt(ratio)))
    return found


@pytest.mark.parametrize("side_px", [260, 360])
def test_anchors(side_px: int) -> None:
    """Anchors are laid out as a plain loop over maps and places lays them."""
    sides = map_sides(side_px)
    found = anchors(sides)
    assert found.dtype == np.float32
    assert found == pytest.approx(np.array(slow_anchors(sides)), abs=1e-6)


def test_decode() -> None:
    """Offsets become boxes as the SSD's formula says, one by one."""
    rng = np.random.default_rng(0)
    boxes = np.concatenate([rng.random((20, 2)), rng.uniform(0.05, 0.8, (20, 2))], axis=1)
    offsets = rng.normal(0, 2, (20, 4))
    expected = []
    for (x, y, width, height), (dx, dy, dw, dh) in zip(boxes, offsets, strict=True):
        x, y = x + 0.1 * dx * width, y + 0.1 * dy * height
        width, height = width * math.exp(0.2 * dw), height * math.exp(0.2 * dh)
        expected.append([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    found = decode(offsets.astype(np.float32), boxes.astype(np.float32))
    assert found == pytest.approx(np.array(expected), abs=1e-5)


def test_state_probs() -> None:
    """The two confidences are scaled to a sum of 1; no face is ever worn wrongly."""
    found = state_probs(np.array([[0.9, 0.1], [0.3, 0.6], [0.8, 0.8]], np.float32))
    assert found == pytest.approx(np.array([[0.9, 0.1, 0], [1 / 3, 2 / 3, 0], [0.5, 0.5, 0]]))
    assert state_probs(np.zeros((0, 2), np.float32)).shape == (0, 3)


class FakeNet:
    """Gives the same confidences and offsets for every picture, and keeps what it was shown."""

    def __init__(self, side_px: int) -> None:
        count = 4 * sum(side * side for side in map_sides(side_px))
        self.offsets = np.zeros((1, count, 4), np.float32)
        self.confidences = np.zeros((1, count, 2), np.float32)
        self.blob: Any = None
        self.error: cv2.error | None = None

    def setInput(self, blob: Any) -> None:  # noqa: N802
        self.blob = blob

    def forward(self, names: Sequence[str]) -> list[Any]:
        if self.error:
            raise self.error
        by_name = {"loc_branch_concat": self.offsets, "cls_branch_concat": self.confidences}
        return [by_name[name] for name in names]


TEXT = 'input: "data"\ninput_dim: 1\ninput_dim: 3\ninput_dim: {0}\ninput_dim: {0}\nlayer {{}}\n'


def with_net(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, net: FakeNet, text: str, **options: Any
) -> AizooDetector:
    """A detector on a network of the test."""
    monkeypatch.setattr(cv2.dnn, "readNetFromCaffe", lambda *_: net)
    pair = [tmp_path / "net.prototxt", tmp_path / "net.caffemodel"]
    pair[0].write_text(text)
    return AizooDetector(pair, **options)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[FakeNet, AizooDetector]:
    """A detector on a network that finds nothing, unless told."""
    net = FakeNet(260)
    return net, with_net(monkeypatch, tmp_path, net, TEXT.format(260))


IMAGE = np.zeros((400, 800, 3), np.uint8)
LAST = len(slow_anchors(map_sides(260))) - 4 * 9
"""The first anchor of the last map: a square of 0.64 around (1/6, 1/6)."""
CENTRE = LAST + 4 * 4
"""The same at the centre of the picture."""


def test_faces_of_the_network(fake: tuple[FakeNet, AizooDetector]) -> None:
    """Boxes are in pixels of the picture and inside it, best score first, with their states."""
    net, detector = fake
    net.confidences[0, LAST] = 0.6, 0.2
    net.confidences[0, CENTRE + 1] = 0.1, 0.9
    (faces,) = detector([IMAGE])
    assert faces.boxes == pytest.approx(
        np.array([[112, 56, 688, 344], [0, 0, (1 / 6 + 0.32) * 800, (1 / 6 + 0.32) * 400]]),
        abs=0.01,
    )
    assert faces.scores == pytest.approx([0.9, 0.6])
    assert faces.state_probs == pytest.approx(np.array([[0.1, 0.9, 0], [0.75, 0.25, 0]]))


def test_one_face_is_found_once(fake: tuple[FakeNet, AizooDetector]) -> None:
    """Of anchors that overlap much, whatever their states, the best is the face."""
    net, detector = fake
    net.confidences[0, CENTRE] = 0.8, 0.1
    net.confidences[0, CENTRE + 1] = 0.1, 0.9
    (faces,) = detector([IMAGE])
    assert faces.scores == pytest.approx([0.9])


@pytest.mark.parametrize(("min_score", "count"), [(0.49, 1), (0.5, 1), (0.51, 0)])
def test_min_score(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, min_score: float, count: int
) -> None:
    """Faces scored under the limit are dropped; at the limit they stay."""
    net = FakeNet(260)
    net.confidences[0, CENTRE] = 0.2, 0.5
    detector = with_net(monkeypatch, tmp_path, net, TEXT.format(260), min_score=min_score)
    assert len(detector([IMAGE])[0]) == count


def test_face_outside(fake: tuple[FakeNet, AizooDetector]) -> None:
    """A find that lies outside the picture is no face."""
    net, detector = fake
    net.confidences[0, CENTRE] = 0.9, 0.1
    net.offsets[0, CENTRE, 0] = 100
    assert len(detector([IMAGE])[0]) == 0


def test_input(fake: tuple[FakeNet, AizooDetector]) -> None:
    """The network is shown the whole picture as a square, RGB from 0 to 1."""
    net, detector = fake
    image = np.zeros((90, 30, 3), np.uint8)
    image[:, :] = 0, 51, 255
    detector([image])
    assert net.blob.shape == (1, 3, 260, 260)
    assert [float(plane.max()) for plane in net.blob[0]] == pytest.approx([1, 0.2, 0])
    assert net.blob[0].std(axis=(1, 2)) == pytest.approx([0, 0, 0], abs=1e-6)


@pytest.mark.parametrize(
    ("declared", "given", "side_px"),
    [(260, None, 260), (360, None, 360), (260, 360, 360)],
    ids=["as-declared-260", "as-declared-360", "as-given"],
)
def test_side(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    declared: int,
    given: int | None,
    side_px: int,
) -> None:
    """The side of the input is what the text declares, unless another is given."""
    net = FakeNet(side_px)
    detector = with_net(monkeypatch, tmp_path, net, TEXT.format(declared), side_px=given)
    detector([IMAGE])
    assert net.blob.shape == (1, 3, side_px, side_px)


@pytest.mark.parametrize(
    "text", ["", "layer {}", "input_dim: 1\ninput_dim: 3\ninput_dim: 9\ninput_dim: 8\n"], ids=repr
)
def test_undeclared_side(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    """A text that declares no square input is refused."""
    with pytest.raises(ModelFileError, match=r"\.prototxt is not AIZOO's: its input is"):
        with_net(monkeypatch, tmp_path, FakeNet(260), text)


def test_another_number_of_anchors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A network that answers in another form is refused where it is loaded."""
    with pytest.raises(ModelFileError, match=r"net\.caffemodel are another network than AIZOO's"):
        with_net(monkeypatch, tmp_path, FakeNet(360), TEXT.format(260))


@pytest.mark.parametrize("what", ["offsets", "confidences"])
def test_nan(fake: tuple[FakeNet, AizooDetector], what: str) -> None:
    """NaN is an error and not a result."""
    net, detector = fake
    getattr(net, what)[0, 7, 1] = np.nan
    with pytest.raises(ModelOutputError, match="AIZOO network returned NaN"):
        detector([IMAGE])


def test_failing_network(fake: tuple[FakeNet, AizooDetector]) -> None:
    """What OpenCV raises in a run is translated, in one line."""
    net, detector = fake
    net.error = cv2.error()
    net.error.err = "out of\nluck"
    with pytest.raises(ModelOutputError, match="AIZOO network failed: out of luck"):
        detector([IMAGE])


@pytest.mark.parametrize("names", [[], ["a.prototxt"], ["a.pb", "a.pbtxt"]], ids=str)
def test_other_files(names: list[str]) -> None:
    """Without the pair it says what is needed and what came."""
    with pytest.raises(ModelFileError, match=r"needs a \.prototxt and a \.caffemodel; got ") as err:
        AizooDetector([Path(name) for name in names])
    assert str(err.value).endswith(f"got {', '.join(names) or 'no files'}.")


@pytest.mark.parametrize("data", [None, b"words"], ids=["missing", "words"])
def test_damaged_files(tmp_path: Path, data: bytes | None) -> None:
    """Files that are missing or damaged are refused by name, in one line."""
    pair = [tmp_path / "net.prototxt", tmp_path / "net.caffemodel"]
    if data is not None:
        for path in pair:
            path.write_bytes(data)
    with pytest.raises(ModelFileError, match=r"cannot load the AIZOO .*net\.prototxt") as caught:
        AizooDetector(pair)
    assert "\n" not in str(caught.value)


def test_no_pictures(fake: tuple[FakeNet, AizooDetector]) -> None:
    """No pictures give nothing."""
    assert fake[1]([]) == []


def test_by_name(files: list[Path]) -> None:
    """It is had by its name once its files are installed; before, it is said how to get them."""
    with pytest.raises(ModelNotFoundError, match="Run: maskwatch models get aizoo"):
        load_detector("aizoo")
    weights.install_from("aizoo", files)
    detector = load_detector("aizoo", 0.3)
    assert (detector.name, detector.min_score) == ("aizoo", 0.3)
    assert load_detector("aizoo").min_score == 0.5


def test_real_faces(detector: AizooDetector, portrait: Portrait) -> None:
    """The published network finds a face where it is, and that it is bare."""
    (faces,) = detector([portrait.image])
    assert len(faces) == 1
    assert iou(faces.boxes, portrait.box)[0, 0] >= 0.5
    assert faces.state_probs is not None
    assert faces.state_probs[0, 1] > 0.9


def masked(portrait: Portrait) -> Image:
    """The portrait with a pale blue mask painted from under the eyes to the chin."""
    image: Image = portrait.image.copy()
    eyes, nose, mouth = portrait.landmarks[:2], portrait.landmarks[2], portrait.landmarks[3:]
    top = int((eyes[:, 1].mean() + nose[1]) / 2)
    corners = np.array(
        [
            [portrait.box[0, 0] + 8, top],
            [portrait.box[0, 2] - 8, top],
            [mouth[1, 0] + 15, portrait.box[0, 3]],
            [mouth[0, 0] - 15, portrait.box[0, 3]],
        ]
    )
    cv2.fillConvexPoly(image, corners.astype(np.int32), (225, 205, 180), cv2.LINE_AA)
    return image


def test_real_mask(detector: AizooDetector, hopper: Portrait) -> None:
    """The published network tells a mask by the column of masks."""
    (faces,) = detector([masked(hopper)])
    assert len(faces) == 1
    assert faces.state_probs is not None
    assert faces.state_probs[0, 0] > 0.5


@pytest.mark.parametrize("order", list(permutations(range(2))), ids=str)
def test_files_in_any_order(files: list[Path], order: tuple[int, ...]) -> None:
    """Which file is which is told by the endings."""
    assert AizooDetector([files[index] for index in order]).side_px == 260


def test_real_layers_at_360(files: list[Path], hopper: Portrait) -> None:
    """The layers of the published network also take 360 px and answer for the anchors of that."""
    detector = AizooDetector(files, side_px=360)
    assert len(detector._anchors) == 11000
    detector([hopper.image])


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 640), (640, 1), (2, 4000)], ids=str)
def test_odd_sizes(detector: AizooDetector, size_hw: tuple[int, int]) -> None:
    """A picture too narrow for any face has none, and is no error."""
    (faces,) = detector([np.full((*size_hw, 3), 99, np.uint8)])
    assert len(faces) == 0


def test_pictures_one_by_one(
    detector: AizooDetector, hopper: Portrait, astronaut: Portrait
) -> None:
    """Pictures of several sizes in one call give what each gives alone."""
    images = [hopper.image, np.zeros((50, 70, 3), np.uint8), astronaut.image]
    together = detector(images)
    assert [len(faces) for faces in together] == [1, 0, 1]
    for image, faces in zip(images, together, strict=True):
        assert faces.boxes.tolist() == detector([image])[0].boxes.tolist()


def test_many_candidates(
    monkeypatch: pytest.MonkeyPatch, fake: tuple[FakeNet, AizooDetector]
) -> None:
    """Only so many of the best anchors are compared with each other."""
    net, detector = fake
    net.confidences[0, :, 0] = np.linspace(0.5, 0.9, net.confidences.shape[1])
    seen: list[int] = []

    def counting(boxes: Any, scores: Any, max_iou: float) -> Any:
        seen.append(len(boxes))
        assert scores.min() > 0.8
        return nms(boxes, scores, max_iou)

    monkeypatch.setattr("maskwatch.detectors.aizoo.nms", counting)
    detector([IMAGE])
    assert seen == [1000]
