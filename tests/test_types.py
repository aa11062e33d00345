"""Rules of frames, faces and results."""

from __future__ import annotations

import sys
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest

from maskwatch.errors import MissingExtraError
from maskwatch.types import CLASSES, ClosePair, Faces, Frame, FrameResult, MaskState

IMAGE = np.zeros((60, 80, 3), np.uint8)


def three() -> Faces:
    """Three faces with everything that faces can have."""
    return Faces(
        boxes=np.array([[0, 0, 10, 10], [20, 0, 30, 12], [40, 5, 60, 30]], np.float32),
        scores=np.array([0.9, 0.8, 0.7], np.float32),
        state_probs=np.array([[0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.1, 0.3, 0.6]], np.float32),
        landmarks=np.arange(30, dtype=np.float32).reshape(3, 5, 2),
        track_ids=np.array([4, 5, 6], np.int64),
    )


def test_classes() -> None:
    """The classes are the three a model knows; `unknown` is none of them."""
    assert [state.value for state in CLASSES] == ["with_mask", "without_mask", "incorrect_mask"]
    assert set(MaskState) - set(CLASSES) == {MaskState.UNKNOWN}


@pytest.mark.parametrize(
    ("image", "text"),
    [
        pytest.param(np.zeros((4, 5), np.uint8), r"\(4, 5\) uint8", id="grey"),
        pytest.param(np.zeros((4, 5, 4), np.uint8), r"\(4, 5, 4\) uint8", id="rgba"),
        pytest.param(np.zeros((3, 4, 5), np.uint8), r"\(3, 4, 5\) uint8", id="channels-first"),
        pytest.param(np.zeros((1, 4, 5, 3), np.uint8), r"\(1, 4, 5, 3\) uint8", id="batch"),
        pytest.param(np.zeros((4, 5, 3), np.float32), r"\(4, 5, 3\) float32", id="float"),
    ],
)
def test_frame_of_another_form(image: Any, text: str) -> None:
    """A frame that is not (H, W, 3) uint8 is refused with what it is and what gives the form."""
    with pytest.raises(ValueError, match=text) as caught:
        Frame(image)
    assert "read_image" in str(caught.value)


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 0, 3)], ids=["no-rows", "no-columns"])
def test_frame_without_pixels(shape: tuple[int, int, int]) -> None:
    """A frame has pixels."""
    with pytest.raises(ValueError, match="has pixels"):
        Frame(np.zeros(shape, np.uint8))


def test_frame_size() -> None:
    """Height is the first side of the array, width the second."""
    frame = Frame(IMAGE)
    assert (frame.height_px, frame.width_px) == (60, 80)
    assert (frame.source, frame.index, frame.time_s) == ("", 0, 0.0)


def test_empty() -> None:
    """No faces are a (0, 4) array of boxes, never None."""
    faces = Faces.empty()
    assert len(faces) == 0
    assert faces.boxes.shape == (0, 4)
    assert faces.scores.shape == (0,)


def test_lists_become_arrays() -> None:
    """Whatever NumPy reads is taken and becomes float32 (int64 for track numbers)."""
    values: Any = [[1, 2, 3, 4]], [1], [[1, 0, 0]], [[[1, 2]] * 5], [7]
    faces = Faces(*values)
    assert faces.boxes.dtype == faces.scores.dtype == np.float32
    assert faces.state_probs is not None
    assert faces.landmarks is not None
    assert faces.track_ids is not None
    assert faces.state_probs.dtype == faces.landmarks.dtype == np.float32
    assert faces.track_ids.dtype == np.int64


def test_empty_list_of_boxes() -> None:
    """An empty list is no faces, in the full shapes."""
    values: Any = [], [], [], [], []
    faces = Faces(*values)
    assert faces.boxes.shape == (0, 4)
    assert faces.state_probs is not None
    assert faces.state_probs.shape == (0, 3)
    assert faces.landmarks is not None
    assert faces.landmarks.shape == (0, 5, 2)


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        pytest.param("boxes", (3, 5), r"\(3, 4\)", id="boxes-of-five"),
        pytest.param("boxes", (3,), r"\(3, 4\)", id="flat-boxes"),
        pytest.param("scores", (2,), r"\(3,\)", id="too-few-scores"),
        pytest.param("scores", (3, 1), r"\(3,\)", id="scores-in-a-column"),
        pytest.param("state_probs", (3, 4), r"\(3, 3\)", id="four-states"),
        pytest.param("state_probs", (4, 3), r"\(3, 3\)", id="too-many-states"),
        pytest.param("landmarks", (3, 10), r"\(3, 5, 2\)", id="flat-landmarks"),
        pytest.param("track_ids", (1,), r"\(3,\)", id="too-few-tracks"),
    ],
)
def test_shapes(name: str, shape: tuple[int, ...], expected: str) -> None:
    """An array of another shape is refused where the faces are built; both shapes are named."""
    changed: dict[str, Any] = {name: np.zeros(shape)}
    with pytest.raises(ValueError, match=f"{name} has shape .* expected {expected}"):
        replace(three(), **changed)


def test_frozen() -> None:
    """Frames, faces and results cannot be changed."""
    frame, faces = Frame(IMAGE), three()
    result = FrameResult(frame, faces, (MaskState.UNKNOWN,) * 3)
    for thing, name in ((frame, "index"), (faces, "boxes"), (result, "faces")):
        with pytest.raises(FrozenInstanceError):
            setattr(thing, name, None)


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        pytest.param(slice(1, 3), [1, 2], id="slice"),
        pytest.param(slice(0, 0), [], id="empty-slice"),
        pytest.param(np.array([True, False, True]), [0, 2], id="mask"),
        pytest.param(np.zeros(3, bool), [], id="mask-of-none"),
        pytest.param(np.array([2, 0]), [2, 0], id="indices"),
        pytest.param([2, 0], [2, 0], id="list"),
        pytest.param([], [], id="empty-list"),
        pytest.param(1, [1], id="int"),
        pytest.param(-1, [2], id="from-the-end"),
        pytest.param(np.int64(1), [1], id="numpy-int"),
    ],
)
def test_picking(index: Any, expected: list[int]) -> None:
    """An index picks the same faces from every array, also a single one."""
    all_faces = three()
    picked = all_faces[index]
    assert len(picked) == len(expected)
    for name in ("boxes", "scores", "state_probs", "landmarks", "track_ids"):
        whole = getattr(all_faces, name)
        part = getattr(picked, name)
        assert part.shape == (len(expected), *whole.shape[1:])
        assert part.dtype == whole.dtype
        assert [row.tolist() for row in part] == [whole[i].tolist() for i in expected]


def test_picking_keeps_what_is_absent() -> None:
    """What faces do not have, picked faces do not have either."""
    faces = Faces(np.zeros((2, 4), np.float32), np.zeros(2, np.float32))[:1]
    assert faces.state_probs is None
    assert faces.landmarks is None
    assert faces.track_ids is None


def test_picking_out_of_range() -> None:
    """There is no fourth of three faces."""
    with pytest.raises(IndexError):
        three()[3]


def test_with_state_probs() -> None:
    """Probabilities are put on a copy, checked as ever."""
    bare = replace(three(), state_probs=None)
    judged = bare.with_state_probs(np.eye(3, dtype=np.float32))
    assert bare.state_probs is None
    assert judged.state_probs is not None
    assert judged.state_probs.tolist() == np.eye(3).tolist()
    with pytest.raises(ValueError, match="state_probs"):
        bare.with_state_probs(np.zeros((2, 3), np.float32))


def test_result_counts_states() -> None:
    """A result has one state a face."""
    with pytest.raises(ValueError, match="3 faces but 1 states"):
        FrameResult(Frame(IMAGE), three(), (MaskState.UNKNOWN,))


def test_result_defaults() -> None:
    """Without a distance asked for, pairs are None and not an empty list."""
    result = FrameResult(Frame(IMAGE), Faces.empty())
    assert result.too_close is None
    assert dict(result.extras) == {}
    assert replace(result, too_close=(ClosePair(0, 1, 2.0),)).too_close == (ClosePair(0, 1, 2.0),)


@pytest.mark.parametrize(
    "faces",
    [
        pytest.param(three(), id="judged"),
        pytest.param(replace(three(), state_probs=None, track_ids=None), id="not-judged"),
        pytest.param(Faces.empty(), id="none"),
        pytest.param(three()[:0], id="none-judged"),
    ],
)
def test_supervision_draws(faces: Faces) -> None:
    """The annotators of supervision take the detections and draw just where there are faces."""
    sv = pytest.importorskip("supervision", reason="supervision is not installed (extra dev)")
    detections = faces.to_supervision()
    drawn = sv.BoxAnnotator(color_lookup=sv.ColorLookup.INDEX).annotate(IMAGE.copy(), detections)
    assert len(detections) == len(faces)
    assert bool((drawn != IMAGE).any()) == bool(len(faces))


def test_supervision_values() -> None:
    """Boxes, scores, the most probable class with its name, and tracks are handed over."""
    pytest.importorskip("supervision", reason="supervision is not installed (extra dev)")
    faces = three()
    detections = faces.to_supervision()
    assert detections.xyxy.tolist() == faces.boxes.tolist()
    assert detections.confidence is not None
    assert detections.confidence.tolist() == faces.scores.tolist()
    assert detections.class_id is not None
    assert detections.class_id.tolist() == [0, 1, 2]
    assert list(detections.data["class_name"]) == [state.value for state in CLASSES]
    assert detections.tracker_id is not None
    assert detections.tracker_id.tolist() == [4, 5, 6]


def test_supervision_is_a_copy() -> None:
    """Changing the detections leaves the faces alone."""
    pytest.importorskip("supervision", reason="supervision is not installed (extra dev)")
    faces = three()
    detections = faces.to_supervision()
    assert detections.tracker_id is not None
    assert detections.confidence is not None
    detections.xyxy[:] = 99
    detections.confidence[:] = 99
    detections.tracker_id[:] = 99
    assert faces.boxes.max() < 99
    assert faces.scores.max() < 99
    assert faces.track_ids is not None
    assert faces.track_ids.max() < 99


def test_supervision_before_classification() -> None:
    """Faces that nobody judged have no class."""
    pytest.importorskip("supervision", reason="supervision is not installed (extra dev)")
    detections = replace(three(), state_probs=None).to_supervision()
    assert detections.class_id is None
    assert "class_name" not in detections.data


def test_supervision_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without supervision the error names the command that installs it."""
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'maskwatch\[supervision\]'"):
        three().to_supervision()
