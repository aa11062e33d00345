"""Rules of MTCNN's first two stages."""

from __future__ import annotations

import numpy as np
import pytest

from maskwatch.detectors.mtcnn.stages import Candidates, moved, proposals, refined
from maskwatch.runtime import OnnxModel
from tiny_mtcnn import write_mtcnn

IMAGE = np.random.default_rng(5).integers(0, 256, (52, 67, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> list[OnnxModel]:
    """P-Net and R-Net drawn by lot."""
    return [OnnxModel(path) for path in write_mtcnn(tmp_path_factory.mktemp("mtcnn"))[:2]]


def test_moved() -> None:
    """Each side moves by its share of the box's side, which counts the last pixel too."""
    box = np.array([[10, 20, 29, 59]], np.float32)
    offsets = np.array([[0.1, -0.1, 0.2, 0.05]], np.float32)
    assert moved(box, offsets)[0] == pytest.approx([12, 16, 33, 61])


def test_candidates(networks: list[OnnxModel]) -> None:
    """Candidates are squares, best first, and fewer from stage to stage."""
    first = proposals(networks[0], IMAGE, 20, 0.6)
    second = refined(networks[1], IMAGE, first, 0.7)
    assert len(first.boxes) > len(second.boxes) > 0
    for found in (first, second):
        widths, heights = (found.boxes[:, 2:] - found.boxes[:, :2]).T
        assert widths == pytest.approx(heights, abs=1e-3)
        assert (np.diff(found.scores) <= 0).all()


def test_lower_scores(networks: list[OnnxModel]) -> None:
    """Lower thresholds add candidates; none is at its threshold or below."""
    usual, low = (proposals(networks[0], IMAGE, 20, least) for least in (0.6, 0.2))
    assert 0.2 < low.scores.min() < 0.6 < usual.scores.min()
    usual, low = (refined(networks[1], IMAGE, low, least) for least in (0.7, 0.0))
    assert low.scores.min() < 0.7 < usual.scores.min()


def test_min_face(networks: list[OnnxModel]) -> None:
    """With a larger smallest face there are fewer sizes to look at, and fewer proposals."""
    near, far = (proposals(networks[0], IMAGE, side, 0.6).boxes for side in (12, 30))
    assert len(near) > len(far) > 0


def test_many_candidates(networks: list[OnnxModel], monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so many of the best go on."""
    found = proposals(networks[0], IMAGE, 20, 0.6)
    monkeypatch.setattr("maskwatch.detectors.mtcnn.stages._MAX_CANDIDATES", 3)
    fewer = proposals(networks[0], IMAGE, 20, 0.6)
    assert len(found.boxes) > 3
    assert fewer.boxes.tolist() == found.boxes[:3].tolist()
    assert fewer.scores.tolist() == found.scores[:3].tolist()


def test_nothing(networks: list[OnnxModel]) -> None:
    """A picture too small to hold a face has no candidates, also behind the R-Net."""
    found = proposals(networks[0], np.zeros((10, 10, 3), np.uint8), 20, 0.6)
    assert found.boxes.shape == (0, 4)
    none = Candidates(found.boxes, found.scores)
    assert refined(networks[1], IMAGE, none, 0.7).boxes.shape == (0, 4)
