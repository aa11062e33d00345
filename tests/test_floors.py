"""Models may get better, not worse: floors under the figures of the embedded files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from maskwatch.classifier import load_classifier
from maskwatch.datasets.folders import read_folders
from maskwatch.datasets.voc import read_voc
from maskwatch.detectors import load_detector
from maskwatch.images import read_image
from maskwatch.metrics.classification import ClassificationReport
from maskwatch.preprocess import as_box, face_crops
from maskwatch.types import CLASSES, Image

MIN_FACE_PX = 24.0


def _judged(crops: list[Image], labels: list[int]) -> ClassificationReport:
    classifier = load_classifier()
    joined = np.concatenate(crops)
    probs = np.concatenate([classifier(joined[i : i + 64]) for i in range(0, len(joined), 64)])
    return ClassificationReport.of(np.array(labels), probs.argmax(axis=1), CLASSES)


def test_classifier_on_photos(shared: Path) -> None:
    """On hand-drawn boxes of photos, all three classes are told apart."""
    size_px = load_classifier().size_px
    crops, labels = [], []
    for photo in read_voc(shared / "data/detection/ilc", "val"):
        sides = photo.boxes[:, 2:] - photo.boxes[:, :2]
        keep = np.sqrt(sides.prod(axis=1)) >= MIN_FACE_PX
        if keep.any():
            crops.append(face_crops(read_image(photo.path), photo.boxes[keep], size_px))
            names = [name for name, kept in zip(photo.names, keep, strict=True) if kept]
            labels += [CLASSES.index(name) for name in names]
    report = _judged(crops, labels)
    assert report.accuracy >= 0.945
    assert report.balanced_accuracy >= 0.93
    assert report.recall["incorrect_mask"] >= 0.88


@pytest.mark.parametrize(
    ("folder", "floor"), [("crops12k/test", 0.995), ("prajnasb/test", 0.98)], ids=["crops", "drawn"]
)
def test_classifier_on_crops(shared: Path, folder: str, floor: float) -> None:
    """On ready-made crops, with and without are told apart."""
    size_px = load_classifier().size_px
    crops, labels = [], []
    for path, state in read_folders(shared / "data/classification" / folder):
        image = read_image(path)
        crops.append(face_crops(image, as_box(image), size_px))
        labels.append(CLASSES.index(state))
    assert _judged(crops, labels).accuracy >= floor


def test_no_faces_among_animals(shared: Path) -> None:
    """Haar, the detector of a fresh machine, raises few false alarms where nobody is."""
    photos = sorted((shared / "data/detection/negatives").rglob("*.webp"))[::6]
    detector = load_detector("haar")
    alarms = sum(len(detector([read_image(path)])[0]) for path in photos)
    assert alarms <= 0.15 * len(photos)
