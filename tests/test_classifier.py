"""Rules of judging: crops in, states out, `unknown` where the picture does not allow one."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from maskwatch.classifier import (
    FUSED_FROM_PX,
    MIN_CONFIDENCE,
    MIN_FACE_PX,
    MIN_SHARPNESS,
    OnnxClassifier,
    classify,
    decide,
    load_classifier,
    sharpness,
)
from maskwatch.datasets.synthetic import draw_mask, style_named
from maskwatch.errors import (
    ModelFileError,
    ModelNotFoundError,
    ModelOutputError,
    UnknownNameError,
    UsageError,
)
from maskwatch.preprocess import face_crops
from maskwatch.types import CLASSES, Faces, Floats, Image, MaskState
from portraits import Portrait
from tiny_onnx import write_constant

SURE = (0.9, 0.05, 0.05)
SHARP = MIN_SHARPNESS * 10


def decided(
    size_hw: tuple[float, float] = (40, 40),
    probs: tuple[float, float, float] = SURE,
    sharp: float = SHARP,
) -> MaskState:
    """The decision on one face that is judged surely, unless told otherwise."""
    box = np.array([[5, 5, 5 + size_hw[1], 5 + size_hw[0]]], np.float32)
    (state,) = decide(box, np.array([probs], np.float32), np.array([sharp], np.float32))
    return state


@pytest.mark.parametrize("index", range(3), ids=[state.value for state in CLASSES])
def test_best_class(index: int) -> None:
    """A large, sharp face judged surely gets its most probable class."""
    probs = np.full((1, 3), 0.1, np.float32)
    probs[0, index] = 0.8
    box = np.array([[0, 0, 50, 50]], np.float32)
    assert decide(box, probs, np.array([SHARP], np.float32)) == (CLASSES[index],)


@pytest.mark.parametrize(
    ("size_hw", "known"),
    [
        pytest.param((MIN_FACE_PX, MIN_FACE_PX), True, id="at-the-limit"),
        pytest.param((MIN_FACE_PX - 0.1, MIN_FACE_PX), False, id="under"),
        pytest.param((MIN_FACE_PX + 0.1, MIN_FACE_PX), True, id="over"),
        pytest.param((MIN_FACE_PX / 2, MIN_FACE_PX * 2), True, id="long-but-of-the-area"),
        pytest.param((2, 4 * MIN_FACE_PX), False, id="long-but-thin"),
        pytest.param((0, 40), False, id="no-area"),
        pytest.param((-40, -40), False, id="inside-out"),
    ],
)
def test_small_faces(size_hw: tuple[float, float], known: bool) -> None:
    """A face is unknown when the square root of its area is under the limit."""
    assert (decided(size_hw=size_hw) is not MaskState.UNKNOWN) == known


@pytest.mark.parametrize(
    ("sharp", "known"),
    [
        pytest.param(MIN_SHARPNESS, True, id="at-the-limit"),
        pytest.param(MIN_SHARPNESS - 0.01, False, id="under"),
        pytest.param(0.0, False, id="flat"),
    ],
)
def test_blurred_faces(sharp: float, known: bool) -> None:
    """A face is unknown when it is less sharp than the limit."""
    assert (decided(sharp=sharp) is not MaskState.UNKNOWN) == known


@pytest.mark.parametrize(
    ("probs", "expected"),
    [
        pytest.param((0.25, MIN_CONFIDENCE, 0.25), MaskState.WITHOUT_MASK, id="at-the-limit"),
        pytest.param((0.26, MIN_CONFIDENCE - 0.01, 0.2), MaskState.UNKNOWN, id="under"),
        pytest.param((0.34, 0.33, 0.33), MaskState.UNKNOWN, id="no-idea"),
        pytest.param((MIN_CONFIDENCE + 0.01, 0.4, 0.0), MaskState.WITH_MASK, id="just-over"),
        pytest.param((0.0, 0.0, 1.0), MaskState.INCORRECT_MASK, id="certain"),
    ],
)
def test_doubtful_faces(probs: tuple[float, float, float], expected: MaskState) -> None:
    """A face is unknown when no class reaches the limit."""
    assert decided(probs=probs) is expected


def test_no_faces_to_decide() -> None:
    """No faces give no decisions."""
    zero = Faces.empty()
    assert decide(zero.boxes, np.zeros((0, 3), np.float32), zero.scores) == ()


def test_each_face_by_itself() -> None:
    """Each face is decided by its own size, sharpness and probabilities."""
    boxes = np.array([[0, 0, 40, 40], [0, 0, 5, 5], [0, 0, 40, 40], [0, 0, 40, 40]], np.float32)
    probs = np.array([SURE, SURE, SURE, (0.4, 0.3, 0.3)], np.float32)
    states = decide(boxes, probs, np.array([SHARP, SHARP, 0, SHARP], np.float32))
    assert states == (MaskState.WITH_MASK, *[MaskState.UNKNOWN] * 3)


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    """At 64 px, sharpness is the plain variance of the four-neighbour Laplacian."""
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (64, 64), dtype=np.uint8)
    padded = np.pad(grey.astype(float), 1, mode="reflect")
    laplacian = (
        padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] - 4.0 * grey
    )
    (value,) = sharpness(np.repeat(grey[None, :, :, None], 3, axis=3))
    assert value == pytest.approx(laplacian.var(), rel=1e-4)


def test_sharpness_falls_with_blur(portrait: Portrait) -> None:
    """The more a face is blurred, the less sharp it is, until it is under the limit."""
    crop = face_crops(portrait.image, portrait.box, 128)[0]
    blurred = [cv2.GaussianBlur(crop, (0, 0), sigma) for sigma in (1, 2, 4, 8, 16)]
    values = sharpness(np.stack([crop, *blurred]).astype(np.uint8)).tolist()
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 6
    assert values[0] > 5 * MIN_SHARPNESS
    assert values[-1] < MIN_SHARPNESS


def test_sharpness_of_none() -> None:
    """No crops give no values."""
    assert sharpness(np.zeros((0, 8, 8, 3), np.uint8)).shape == (0,)


class FakeClassifier:
    """Answers each crop with its mean shade, and counts its calls."""

    size_px = 16

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, crops: Image) -> Floats:
        self.batches.append(len(crops))
        shade = crops.reshape(len(crops), -1).mean(axis=1) if len(crops) else np.zeros(0)
        return np.stack([shade / 255, 1 - shade / 255, 0 * shade], axis=1).astype(np.float32)


def shades(*values: int) -> tuple[Image, Faces]:
    """A picture with a face of each shade side by side."""
    image = np.concatenate([np.full((100, 100, 3), value, np.uint8) for value in values], axis=1)
    boxes = [[100 * i + 30, 30, 100 * i + 70, 70] for i in range(len(values))]
    return image, Faces(np.array(boxes, np.float32), np.ones(len(values), np.float32))


def test_one_call_for_all() -> None:
    """The faces of all pictures go through the network together; each gets its own answer."""
    pictures = [shades(51, 102), (np.zeros((9, 9, 3), np.uint8), Faces.empty()), shades(204)]
    fake = FakeClassifier()
    judged = classify(fake, [image for image, _ in pictures], [faces for _, faces in pictures])
    assert fake.batches == [3]
    answers = [faces.state_probs[:, 0].tolist() for faces, _ in judged]  # type: ignore[index]
    assert answers[0] == pytest.approx([0.2, 0.4])
    assert answers[1] == []
    assert answers[2] == pytest.approx([0.8])
    assert [len(states) for _, states in judged] == [2, 0, 1]


def test_faces_keep_what_they_have() -> None:
    """Judging adds probabilities and leaves the rest of the faces as it was."""
    image, faces = shades(51, 102)
    faces = replace(
        faces,
        landmarks=np.ones((2, 5, 2), np.float32),
        track_ids=np.array([7, 8], np.int64),
    )
    ((judged, _),) = classify(FakeClassifier(), [image], [faces])
    for name in ("boxes", "scores", "landmarks", "track_ids"):
        assert getattr(judged, name) is getattr(faces, name)
    assert faces.state_probs is None


def test_flat_faces_are_unknown() -> None:
    """However sure the network is, a face without any detail is unknown."""
    image, faces = shades(0)
    ((judged, states),) = classify(FakeClassifier(), [image], [faces])
    assert judged.state_probs is not None
    assert judged.state_probs.max() == 1
    assert states == (MaskState.UNKNOWN,)


@pytest.mark.parametrize("pictures", [0, 1, 3])
def test_no_faces_at_all(pictures: int) -> None:
    """Pictures without faces give (0, 3) probabilities each, and no pictures nothing."""
    image = np.zeros((20, 20, 3), np.uint8)
    judged = classify(FakeClassifier(), [image] * pictures, [Faces.empty()] * pictures)
    assert len(judged) == pictures
    for faces, states in judged:
        assert faces.state_probs is not None
        assert faces.state_probs.shape == (0, 3)
        assert states == ()


def test_pictures_and_faces_go_together() -> None:
    """One set of faces belongs to each picture."""
    with pytest.raises(ValueError, match="shorter"):
        classify(FakeClassifier(), [np.zeros((9, 9, 3), np.uint8)] * 2, [Faces.empty()])


def test_onnx_classifier(tmp_path: Path) -> None:
    """An ONNX file that takes uint8 squares and gives three values is a classifier."""
    classifier = OnnxClassifier(write_constant(tmp_path / "a.onnx"), threads=1)
    assert classifier.size_px == 8
    probs = classifier(np.zeros((5, 8, 8, 3), np.uint8)[:, :, ::-1])
    assert probs == pytest.approx(np.array([[0.2, 0.7, 0.1]] * 5))


def test_onnx_classifier_without_crops(tmp_path: Path) -> None:
    """No crops give (0, 3)."""
    classifier = OnnxClassifier(write_constant(tmp_path / "a.onnx"))
    assert classifier(np.zeros((0, 8, 8, 3), np.uint8)).shape == (0, 3)


def test_nan(tmp_path: Path) -> None:
    """A classifier that returns NaN is an error, not a judgement."""
    nan = float("nan")
    image, faces = shades(9)
    classifier = load_classifier(str(write_constant(tmp_path / "a.onnx", (0.2, nan, 0.1))))
    with pytest.raises(ModelOutputError, match=r"a\.onnx returned NaN"):
        classify(classifier, [image], [faces])


FOREIGN: dict[str, dict[str, Any]] = {
    "four-classes": {"values": (0.1, 0.2, 0.3, 0.4)},
    "two-outputs": {"outputs": 2},
    "floats": {"dtype": "FLOAT"},
    "oblong": {"shape": ("n", 8, 6, 3)},
    "any-size": {"shape": ("n", "h", "w", 3)},
    "channels-first": {"shape": ("n", 3, 8, 8)},
    "grey": {"shape": ("n", 8, 8, 1)},
    "flat": {"shape": ("n", 64)},
}


@pytest.mark.parametrize("what", FOREIGN.values(), ids=FOREIGN.keys())
def test_foreign_onnx(tmp_path: Path, what: dict[str, Any]) -> None:
    """An ONNX file of another kind is refused: what it takes and gives, and what is expected."""
    path = write_constant(tmp_path / "foreign.onnx", **what)
    with pytest.raises(ModelFileError, match=r"foreign\.onnx is not a mask classifier") as caught:
        load_classifier(str(path))
    assert "expected uint8 (N, S, S, 3) and (N, 3)" in str(caught.value)


def test_corrupt_file(tmp_path: Path) -> None:
    """A damaged file is named."""
    (tmp_path / "a.onnx").write_bytes(b"\x08\x01 damaged")
    with pytest.raises(ModelFileError, match=r"cannot load .*a\.onnx as an ONNX model"):
        load_classifier(str(tmp_path / "a.onnx"))


def test_missing_file(tmp_path: Path) -> None:
    """The path of an ONNX file that is not there is named."""
    with pytest.raises(ModelNotFoundError, match=r"none\.onnx"):
        load_classifier(str(tmp_path / "none.onnx"))


def test_file_of_another_ending(tmp_path: Path) -> None:
    """A file that exists is taken for a classifier whatever its ending."""
    path = write_constant(tmp_path / "mine.model")
    assert load_classifier(str(path)).size_px == 8


@pytest.mark.parametrize("name", ["defualt", "resnet"])
def test_unknown_name(name: str) -> None:
    """A name that is neither `default` nor a file is refused with what would do."""
    with pytest.raises(UnknownNameError, match=rf"classifier '{name}'.*FILE\.onnx, .*default"):
        load_classifier(name)


@pytest.fixture(scope="module")
def embedded() -> OnnxClassifier:
    if not (resources.files("maskwatch.models") / "classifier.onnx").is_file():
        pytest.skip("the embedded classifier is not built yet")
    return load_classifier(threads=1)


def test_embedded_on_bare_faces(embedded: OnnxClassifier, portrait: Portrait) -> None:
    """The embedded classifier sees that a bare face is bare."""
    ((faces, states),) = classify(embedded, [portrait.image], [portrait.faces])
    assert states == (MaskState.WITHOUT_MASK,)
    assert faces.state_probs is not None
    assert faces.state_probs.sum() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("style", ["surgical-blue", "surgical-white"])
def test_embedded_on_masked_faces(embedded: OnnxClassifier, portrait: Portrait, style: str) -> None:
    """The embedded classifier sees a surgical mask drawn on the same face."""
    masked, truth = draw_mask(
        portrait.image, portrait.landmarks, style_named(style), rng=np.random.default_rng(0)
    )
    ((_, states),) = classify(embedded, [masked], [portrait.faces])
    assert states == (truth,) == (MaskState.WITH_MASK,)


def test_embedded_on_a_blurred_face(embedded: OnnxClassifier, portrait: Portrait) -> None:
    """A face blurred beyond recognition is unknown."""
    sigma = float(portrait.box[0, 2] - portrait.box[0, 0]) / 3
    blurred = np.asarray(cv2.GaussianBlur(portrait.image, (0, 0), sigma), np.uint8)
    ((_, states),) = classify(embedded, [blurred], [portrait.faces])
    assert states == (MaskState.UNKNOWN,)


def test_embedded_in_batches(embedded: OnnxClassifier, portrait: Portrait) -> None:
    """A face is judged the same alone and among others."""
    size = embedded.size_px
    shift = np.array([3, -2, 3, -2], np.float32)
    boxes = np.concatenate([portrait.box, portrait.box + shift, portrait.box * 0.5])
    crops = face_crops(portrait.image, boxes, size)
    alone = np.concatenate([embedded(crops[i : i + 1]) for i in range(len(crops))])
    assert embedded(crops) == pytest.approx(alone, abs=1e-4)


def told_faces(*sides: float) -> Faces:
    """Faces of which the detector says `with_mask`, all in one corner."""
    boxes = np.array([[0, 0, side, side] for side in sides], np.float32)
    probs = np.tile(np.array([0.8, 0.1, 0.1], np.float32), (len(sides), 1))
    return Faces(boxes, np.ones(len(sides), np.float32), state_probs=probs)


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_states_told_twice(share: float) -> None:
    """Detector and classifier are mixed on large faces; the classifier alone judges all."""
    faces = told_faces(FUSED_FROM_PX - 8, FUSED_FROM_PX + 8)
    image = np.random.default_rng(0).integers(0, 256, (90, 90, 3)).astype(np.uint8)
    fake = FakeClassifier()
    alone = fake(face_crops(image, faces.boxes, fake.size_px))
    ((judged, _),) = classify(fake, [image], [faces], share=share)
    assert judged.state_probs is not None
    assert faces.state_probs is not None
    small = faces.state_probs[0] if share < 1 else alone[0]
    large = share * alone[1] + (1 - share) * faces.state_probs[1]
    np.testing.assert_allclose(judged.state_probs, [small, large], atol=1e-6)


def test_states_by_the_detector_alone() -> None:
    """Without a classifier the detector's states stand, and `unknown` is decided as ever."""
    image = np.random.default_rng(0).integers(0, 256, (90, 90, 3)).astype(np.uint8)
    ((judged, states), (empty, none)) = classify(
        None, [image, image], [told_faces(40, MIN_FACE_PX - 2), Faces.empty()]
    )
    assert judged.state_probs is not None
    np.testing.assert_allclose(judged.state_probs, np.tile([0.8, 0.1, 0.1], (2, 1)), rtol=1e-6)
    assert states == (MaskState.WITH_MASK, MaskState.UNKNOWN)
    assert len(empty) == 0
    assert none == ()


def test_nobody_tells_states() -> None:
    """Without a classifier and without states of the detector nothing can be said."""
    faces = Faces(np.array([[0, 0, 40, 40]], np.float32), np.ones(1, np.float32))
    with pytest.raises(UsageError, match="tells no mask states"):
        classify(None, [np.zeros((50, 50, 3), np.uint8)], [faces])
