"""Detectors by name: which there are, and what is said where one is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from maskwatch import weights
from maskwatch.detectors import DETECTORS, load_detector
from maskwatch.errors import ModelNotFoundError, UnknownNameError


@pytest.mark.parametrize("name", ["retina", "harr", "", "Haar"])
def test_unknown(name: str) -> None:
    """An unknown name is refused with all known ones."""
    with pytest.raises(UnknownNameError) as caught:
        load_detector(name)
    assert str(caught.value).startswith(f"unknown detector {name!r}.")
    assert str(caught.value).endswith(f"Choose one of: {', '.join(sorted(DETECTORS))}.")


def test_names() -> None:
    """These names are promised."""
    assert {"auto", "haar", "mtcnn", "ssd", "yunet"} <= set(DETECTORS)


@pytest.mark.parametrize("name", ["mtcnn", "ssd", "yunet"])
def test_not_installed(name: str) -> None:
    """A detector whose files are not installed says which command gets them."""
    with pytest.raises(ModelNotFoundError, match=f"Run: maskwatch models get {name}"):
        load_detector(name)


def test_missing_file() -> None:
    """The path of a one-pass detector's file that is not there is named."""
    with pytest.raises(ModelNotFoundError, match=r"none\.onnx"):
        load_detector("none.onnx")


def test_auto_without_models() -> None:
    """Where nothing is installed, `auto` is Haar, which every OpenCV has."""
    assert load_detector().name == load_detector("auto").name == "haar"


@pytest.mark.parametrize("model", ["yunet", "yunet-n"])
def test_auto_with_yunet(shared: Path, model: str) -> None:
    """Once either YuNet is installed, `auto` is that one, and it says which."""
    file = {"yunet": "yunet_s_640.onnx", "yunet-n": "yunet_n_640.onnx"}[model]
    weights.install_from(model, [shared / "weights" / file])
    for name in ("auto", model):
        detector = load_detector(name)
        assert detector.name == model
        assert len(detector([np.zeros((60, 80, 3), np.uint8)])[0]) == 0


def test_ssd(shared: Path) -> None:
    """Once its files are installed, `ssd` is the SSD; `auto` stays Haar."""
    names = ("opencv_face_detector_uint8.pb", "opencv_face_detector.pbtxt")
    weights.install_from("ssd", [shared / "weights" / name for name in names])
    assert load_detector("ssd").name == "ssd"
    assert load_detector("auto").name == "haar"


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
