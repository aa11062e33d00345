"""Rules of MTCNN's first two stages."""

from __future__ import annotations

import numpy as np
import pytest

from maskwatch.detectors.mtcnn.stages import moved, proposals, refined
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
    """Candidates are squares, and fewer from stage to stage."""
    first = proposals(networks[0], IMAGE, 20, 0.6)
    second = refined(networks[1], IMAGE, first, 0.7)
    assert len(first) > len(second) > 0
    for found in (first, second):
        widths, heights = (found[:, 2:] - found[:, :2]).T
        assert widths == pytest.approx(heights, abs=1e-3)


def test_thresholds(networks: list[OnnxModel]) -> None:
    """A higher threshold keeps the best of the first candidates, in their order."""
    low, high = (proposals(networks[0], IMAGE, 20, least) for least in (0.2, 0.6))
    assert 0 < len(high) < len(low)
    assert low[: len(high)].tolist() == high.tolist()
    looser, stricter = (refined(networks[1], IMAGE, low, least) for least in (0.0, 0.7))
    assert 0 < len(stricter) < len(looser)
    assert looser[: len(stricter)].tolist() == stricter.tolist()


def test_min_face(networks: list[OnnxModel]) -> None:
    """With a larger smallest face there are fewer sizes to look at, and fewer proposals."""
    near, far = (proposals(networks[0], IMAGE, side, 0.6) for side in (12, 30))
    assert len(near) > len(far) > 0


def test_many_candidates(networks: list[OnnxModel], monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so many of the best go on."""
    found = proposals(networks[0], IMAGE, 20, 0.6)
    monkeypatch.setattr("maskwatch.detectors.mtcnn.stages._MAX_CANDIDATES", 3)
    assert len(found) > 3
    assert proposals(networks[0], IMAGE, 20, 0.6).tolist() == found[:3].tolist()


def test_nothing(networks: list[OnnxModel]) -> None:
    """A picture too small to hold a face has no candidates, also behind the R-Net."""
    found = proposals(networks[0], np.zeros((10, 10, 3), np.uint8), 20, 0.6)
    assert found.shape == (0, 4)
    assert refined(networks[1], IMAGE, found, 0.7).shape == (0, 4)
