"""How MTCNN drops boxes that overlap better ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from maskwatch.detectors.mtcnn import overlap
from maskwatch.detectors.mtcnn.overlap import Mode, overlaps, suppressed

MODES: tuple[Mode, ...] = ("union", "min")


def slow_overlap(first: Any, second: Any, mode: Mode) -> float:
    width = max(0.0, min(first[2], second[2]) - max(first[0], second[0]))
    height = max(0.0, min(first[3], second[3]) - max(first[1], second[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    whole = min(areas) if mode == "min" else sum(areas) - width * height
    return float(width * height / whole)


def slow_suppressed(boxes: Any, scores: Any, limit: float, mode: Mode) -> list[int]:
    """Every box against every better one."""
    kept = []
    for index, box in enumerate(boxes):
        better = [other for other in range(len(boxes)) if scores[other] > scores[index]]
        if all(slow_overlap(box, boxes[other], mode) <= limit for other in better):
            kept.append(index)
    return sorted(kept, key=lambda index: -scores[index])


def some_boxes(count: int, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 30, (count, 2))
    boxes = np.hstack([corners, corners + rng.uniform(10, 40, (count, 2))]).astype(np.float32)
    return boxes, rng.permutation(np.linspace(0.1, 0.9, count)).astype(np.float32)


@pytest.mark.parametrize("mode", MODES)
def test_overlaps(mode: Mode) -> None:
    """The overlap of each pair is what plain arithmetic says, by union or by the smaller box."""
    first, second = some_boxes(12)[0], some_boxes(9, 1)[0]
    expected = [[slow_overlap(one, other, mode) for other in second] for one in first]
    assert overlaps(first, second, mode) == pytest.approx(np.array(expected), abs=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_empty_boxes_do_not_overlap(mode: Mode) -> None:
    """A box without area, or inside out, overlaps nothing, not even itself."""
    boxes = np.array([[5, 5, 5, 9], [8, 8, 2, 2], [0, 0, 20, 20]], np.float32)
    assert overlaps(boxes, boxes, mode).tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("limit", [0.3, 0.7])
@pytest.mark.parametrize("chunk", [4, 512])
def test_suppressed(mode: Mode, limit: float, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept are the boxes that no better one overlaps too much, best first, in chunks or at once."""
    monkeypatch.setattr(overlap, "_CHUNK", chunk)
    boxes, scores = some_boxes(61)
    kept = suppressed(boxes, scores, limit, mode)
    assert kept.tolist() == slow_suppressed(boxes, scores, limit, mode)
    assert 0 < len(kept) < 61


def test_chain() -> None:
    """A box that overlaps a better one goes, also where that one goes itself."""
    boxes = np.array([[0, 0, 10, 10], [3, 0, 13, 10], [6, 0, 16, 10]], np.float32)
    assert suppressed(boxes, np.array([0.9, 0.8, 0.7], np.float32), 0.5).tolist() == [0]


def test_box_inside_another() -> None:
    """Measured by the smaller box, one inside a better one goes; measured by the union it stays."""
    boxes = np.array([[0, 0, 40, 40], [10, 10, 20, 20]], np.float32)
    scores = np.array([0.9, 0.8], np.float32)
    assert suppressed(boxes, scores, 0.7, "min").tolist() == [0]
    assert suppressed(boxes, scores, 0.7, "union").tolist() == [0, 1]


def test_ties() -> None:
    """Of equal boxes of equal score one is left."""
    boxes = np.tile(np.array([[0, 0, 10, 10]], np.float32), (5, 1))
    assert len(suppressed(boxes, np.ones(5, np.float32), 0.5)) == 1


def test_no_boxes() -> None:
    """Of no boxes none are kept."""
    assert suppressed(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), 0.5).shape == (0,)
