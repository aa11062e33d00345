"""Models may get better, not worse: floors under the figures of the embedded files."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskwatch.detectors import load_detector
from maskwatch.images import read_image
from maskwatch.training.evaluation import evaluate, load_judge


def test_classifier_on_photos(shared: Path) -> None:
    """On hand-drawn boxes of photos, all three classes are told apart."""
    done = evaluate(load_judge("default"), shared / "data/detection/ilc", split="val")
    assert done.accuracy >= 0.945
    assert done.balanced_accuracy >= 0.93
    assert done.with_without.accuracy >= 0.985
    assert done.report.recall["incorrect_mask"] >= 0.89


@pytest.mark.parametrize(
    ("folder", "floor"), [("crops12k", 0.997), ("prajnasb", 0.99)], ids=["crops", "pasted"]
)
def test_classifier_on_crops(shared: Path, folder: str, floor: float) -> None:
    """On ready-made crops, with and without are told apart."""
    data = shared / "data/classification" / folder
    assert evaluate(load_judge("default"), data, split="test").accuracy >= floor


def test_no_faces_among_animals(shared: Path) -> None:
    """Haar, the detector of a fresh machine, raises few false alarms where nobody is."""
    photos = sorted((shared / "data/detection/negatives").rglob("*.webp"))[::6]
    detector = load_detector("haar")
    alarms = sum(len(detector([read_image(path)])[0]) for path in photos)
    assert alarms <= 0.15 * len(photos)
