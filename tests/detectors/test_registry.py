"""Detectors by name: which there are, and what is said where one is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from maskwatch import weights
from maskwatch.boxes import iou
from maskwatch.detectors import DETECTORS, load_detector
from maskwatch.errors import ModelNotFoundError, UnknownNameError
from maskwatch.models import embedded_path
from portraits import Portrait


@pytest.mark.parametrize(
    "name", ["retina", "harr", "", "Haar", "src", "a" * 300], ids=lambda name: name[:9]
)
def test_unknown(name: str) -> None:
    """An unknown name is refused with all known ones."""
    with pytest.raises(UnknownNameError) as caught:
        load_detector(name)
    assert str(caught.value).startswith(f"unknown detector {name!r}.")
    assert str(caught.value).endswith(f"Choose one of: {', '.join(sorted(DETECTORS))}.")


def test_names() -> None:
    """These names are promised."""
    assert {"auto", "haar", "mtcnn", "mtcnn-stock", "ssd", "yunet"} <= set(DETECTORS)


@pytest.mark.parametrize("name", ["mtcnn-stock", "ssd", "yunet"])
def test_not_installed(name: str) -> None:
    """A detector whose files are not installed says which command gets them."""
    with pytest.raises(ModelNotFoundError, match=f"Run: maskwatch models get {name}"):
        load_detector(name)


def test_auto() -> None:
    """`auto`, which is taken where none is named, is the embedded detector."""
    assert load_detector().name == load_detector("auto").name == "onepass"


def test_fast(portrait: Portrait) -> None:
    """The fast preset is the same network on a smaller picture: a face is found alike."""
    detectors = [load_detector(name) for name in ("onepass", "onepass-fast")]
    assert [detector.name for detector in detectors] == ["onepass", "onepass-fast"]
    boxes = [detector([portrait.image])[0].boxes for detector in detectors]
    assert [len(found) for found in boxes] == [1, 1]
    assert iou(boxes[0], boxes[1])[0, 0] > 0.75
    assert not np.array_equal(boxes[0], boxes[1])


def test_file() -> None:
    """The path of a one-pass detector's file is a detector, named as its path."""
    path = str(embedded_path("onepass"))
    assert load_detector(path).name == path
    with pytest.raises(ModelNotFoundError, match=r"none\.onnx"):
        load_detector("none.onnx")


@pytest.mark.parametrize("model", ["yunet", "yunet-n"])
def test_yunet(shared: Path, model: str) -> None:
    """Once either YuNet is installed it can be named; `auto` stays the embedded detector."""
    file = {"yunet": "yunet_s_640.onnx", "yunet-n": "yunet_n_640.onnx"}[model]
    weights.install_from(model, [shared / "weights" / file])
    detector = load_detector(model)
    assert detector.name == model
    assert len(detector([np.zeros((60, 80, 3), np.uint8)])[0]) == 0
    assert load_detector("auto").name == "onepass"


def test_ssd(shared: Path) -> None:
    """Once its files are installed, `ssd` is the SSD."""
    names = ("opencv_face_detector_uint8.pb", "opencv_face_detector.pbtxt")
    weights.install_from("ssd", [shared / "weights" / name for name in names])
    assert load_detector("ssd").name == "ssd"


def test_min_score() -> None:
    """A lowest score given is the detector's; without one it takes its own."""
    assert load_detector("haar", 0.25).min_score == 0.25
    assert load_detector("haar", 0.0).min_score == 0
    assert load_detector("haar").min_score > 0


def test_min_score_of_yunet(shared: Path) -> None:
    """The lowest score reaches networks too, which have defaults of their own."""
    weights.install_from("yunet", [shared / "weights" / "yunet_s_640.onnx"])
    assert load_detector("yunet", 0.9).min_score == 0.9
    assert load_detector("yunet").min_score == 0.6
