"""Rules of the Haar cascades."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from maskwatch.boxes import iou
from maskwatch.detectors.haar import _HALF_SURE_WINDOWS, HaarDetector
from maskwatch.types import Floats, Image
from portraits import Portrait


@pytest.fixture(scope="module")
def detector() -> HaarDetector:
    return HaarDetector()


def test_faces(detector: HaarDetector, portrait: Portrait) -> None:
    """A bare, upright face is found where it is, with a score for its being one."""
    (faces,) = detector([portrait.image])
    assert len(faces) >= 1
    assert iou(faces.boxes[:1], portrait.box)[0, 0] >= 0.4
    assert faces.scores[0] >= 0.5


def test_pictures_one_by_one(detector: HaarDetector, hopper: Portrait, astronaut: Portrait) -> None:
    """Pictures of several sizes in one call give what each gives alone."""
    blank = np.zeros((50, 70, 3), np.uint8)
    images = [hopper.image, blank, astronaut.image[:300, :400]]
    together = detector(images)
    assert [len(faces) for faces in together] == [1, 0, 1]
    for image, faces in zip(images, together, strict=True):
        assert faces.boxes.tolist() == detector([image])[0].boxes.tolist()


def test_no_pictures(detector: HaarDetector) -> None:
    """No pictures give nothing."""
    assert detector([]) == []


def test_nothing_there(detector: HaarDetector) -> None:
    """A blank picture and noise have no faces."""
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    for faces in detector([np.full((240, 320, 3), 128, np.uint8), noise]):
        assert faces.boxes.shape == (0, 4)


@pytest.mark.parametrize(
    "size_hw",
    [(1, 1), (10, 10), (1, 640), (640, 1), (2, 4000), (4000, 2)],
    ids=lambda size: f"{size[0]}x{size[1]}",
)
def test_odd_sizes(detector: HaarDetector, size_hw: tuple[int, int]) -> None:
    """A picture too small or too narrow for any face has none, and is no error."""
    (faces,) = detector([np.full((*size_hw, 3), 99, np.uint8)])
    assert len(faces) == 0


@pytest.mark.parametrize("factor", [0.5, 2.5])
def test_scaled(detector: HaarDetector, hopper: Portrait, factor: float) -> None:
    """Boxes are in pixels of the picture given, however it is scaled on the way."""
    image = np.asarray(cv2.resize(hopper.image, None, fx=factor, fy=factor), np.uint8)
    (faces,) = detector([image])
    assert iou(faces.boxes[:1], hopper.box * np.float32(factor))[0, 0] >= 0.4


def test_mirrored(detector: HaarDetector, portrait: Portrait) -> None:
    """In the mirrored picture the face is at the mirrored place."""
    (faces,) = detector([portrait.image])
    (mirrored,) = detector([np.ascontiguousarray(portrait.image[:, ::-1])])
    boxes = faces.boxes[:1].copy()
    boxes[:, [0, 2]] = portrait.image.shape[1] - boxes[:, [2, 0]]
    assert iou(mirrored.boxes[:1], boxes)[0, 0] >= 0.75


def test_face_cut_by_the_edge(detector: HaarDetector, hopper: Portrait) -> None:
    """Boxes lie inside the picture, also where a square around a face would leave it."""
    x0, y0, x1, y1 = hopper.box[0].astype(int)
    (faces,) = detector([np.ascontiguousarray(hopper.image[y0 : y1 + 10, x0 - 6 : x1 + 6])])
    height, width = y1 + 10 - y0, x1 - x0 + 12
    assert (faces.boxes >= 0).all()
    assert (faces.boxes <= [width, height, width, height]).all()


class FakeCascade:
    """Finds the bright rectangle in a number of windows, or nothing."""

    def __init__(self, windows: int = 0) -> None:
        self.windows = windows

    def detectMultiScale2(self, grey: Any, **_: Any) -> tuple[Any, Any]:  # noqa: N802
        if not self.windows:
            return (), ()
        rows, columns = np.nonzero(grey > 200)
        x, y = columns.min(), rows.min()
        box = [x, y, columns.max() + 1 - x, rows.max() + 1 - y]
        return [box], [self.windows]


def with_cascades(frontal: int, profile: int, min_score: float = 0.0) -> HaarDetector:
    """A detector whose cascades find the bright rectangle in so many windows."""
    detector = HaarDetector(min_score)
    fakes: Any = FakeCascade(frontal), FakeCascade(profile)
    detector._frontal, detector._profile = fakes
    return detector


def marked(box: tuple[int, int, int, int] = (20, 30, 60, 70)) -> tuple[Image, Floats]:
    """A dark picture with a bright rectangle."""
    image = np.zeros((100, 200, 3), np.uint8)
    x0, y0, x1, y1 = box
    image[y0:y1, x0:x1] = 255
    return image, np.array([box], np.float32)


def test_flipped_profile_is_mapped_back() -> None:
    """What the profile cascade finds in the flipped picture is put where it is unflipped."""
    image, box = marked()
    (faces,) = with_cascades(0, 8)([image])
    assert len(faces) == 1, "both looks see one and the same face"
    assert iou(faces.boxes, box)[0, 0] > 0.7


@pytest.mark.parametrize(
    ("frontal", "profile", "windows"),
    [
        pytest.param(5, 0, 5, id="frontal"),
        pytest.param(45, 0, 45, id="clearly-frontal"),
        pytest.param(0, 4, 4, id="profile-from-both-sides-at-half"),
        pytest.param(10, 6, 16, id="all-agree"),
    ],
)
def test_score(frontal: int, profile: int, windows: int) -> None:
    """The score is n / (n + c) for n windows that agree, those of the profile cascade at half."""
    (faces,) = with_cascades(frontal, profile)([marked()[0]])
    assert faces.scores == pytest.approx([windows / (windows + _HALF_SURE_WINDOWS)])


@pytest.mark.parametrize(("less", "count"), [(0.01, 1), (0.0, 1), (-0.01, 0)])
def test_min_score(less: float, count: int) -> None:
    """Faces scored under the limit are dropped; at the limit they stay."""
    score = float(np.float32(8) / np.float32(8 + _HALF_SURE_WINDOWS))
    (faces,) = with_cascades(8, 0, score - less)([marked()[0]])
    assert len(faces) == count


def test_narrower_than_the_cascades_square() -> None:
    """The face is boxed within the cascade's square: narrower than it is high."""
    image, box = marked()
    (faces,) = with_cascades(9, 0)([image])
    (x0, y0, x1, y1), (left, top, right, bottom) = faces.boxes[0], box[0]
    assert left < x0 < x1 < right
    assert top <= y0 < y1 <= bottom
    assert x1 - x0 < y1 - y0
