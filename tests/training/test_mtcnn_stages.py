"""Rules of the candidates that MTCNN learns from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from maskwatch.detectors.mtcnn import MtcnnDetector
from maskwatch.runtime import OnnxModel
from maskwatch.training.mtcnn.stages import proposals, refined
from portraits import Portrait
from tiny_mtcnn import write_mtcnn


@pytest.mark.parametrize("seed", [0, 1])
def test_as_the_detector(tmp_path: Path, astronaut: Portrait, seed: int) -> None:
    """At the usual thresholds candidates are those of the detector, and lower ones add some."""
    files = write_mtcnn(tmp_path, seed)
    image = np.ascontiguousarray(astronaut.image[40:200, 160:300])
    detector = MtcnnDetector(files, 0.5, min_face_px=24)
    pnet, rnet = (OnnxModel(path) for path in files[:2])
    found = proposals(pnet, image, 24)
    boxes, scores = detector.propose(image)
    assert len(boxes) > 5
    np.testing.assert_array_equal(found.boxes, boxes)
    np.testing.assert_array_equal(found.scores, scores)
    behind = refined(rnet, image, found)
    boxes, scores = detector.refine(image, boxes)
    np.testing.assert_array_equal(behind.boxes, boxes)
    np.testing.assert_array_equal(behind.scores, scores)
    low = proposals(pnet, image, 24, 0.2)
    assert low.scores.min() < 0.6
    assert len(refined(rnet, image, found, 0.0).boxes) >= len(boxes)


def test_nothing(tmp_path: Path) -> None:
    """A picture too small to hold a face has no candidates, also behind the R-Net."""
    pnet, rnet = (OnnxModel(path) for path in write_mtcnn(tmp_path)[:2])
    image = np.zeros((10, 10, 3), np.uint8)
    found = proposals(pnet, image, 20)
    assert found.boxes.shape == (0, 4)
    assert refined(rnet, image, found).boxes.shape == (0, 4)
