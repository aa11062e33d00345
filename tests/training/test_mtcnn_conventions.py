"""Rules of bringing boxes of several sources to one convention."""

from __future__ import annotations

import numpy as np
import pytest

from maskwatch.training.mtcnn.conventions import SIDES, measured_sides, normalised, pairs
from maskwatch.types import Floats


def reference() -> Floats:
    """Boxes as the reference draws them."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 200, (7, 2))
    return np.hstack([corners, corners + rng.uniform(30, 90, (7, 2))]).astype(np.float32)


def drawn_by(source: str) -> Floats:
    """The same faces as a source boxes them, side by side."""
    boxes = reference()
    out = boxes.copy()
    for row in range(len(boxes)):
        width, height = boxes[row, 2] - boxes[row, 0], boxes[row, 3] - boxes[row, 1]
        for side, size in enumerate((width, height, width, height)):
            out[row, side] = boxes[row, side] + SIDES[source][side] * size
    return out


@pytest.mark.parametrize("source", list(SIDES))
def test_one_convention(source: str) -> None:
    """The same faces boxed by any source have the same boxes afterwards: those of ILC."""
    np.testing.assert_allclose(normalised(drawn_by(source), source), drawn_by("ilc"), atol=1e-3)


def test_unknown_source() -> None:
    """Boxes of a source that was not measured stay as they are."""
    np.testing.assert_array_equal(normalised(reference(), "mine"), reference())


@pytest.mark.parametrize("source", list(SIDES))
def test_measured(source: str) -> None:
    """What is measured from pairs of boxes is what was drawn, whatever single boxes do."""
    labelled = drawn_by(source)
    labelled[0] += 25
    np.testing.assert_allclose(measured_sides(labelled, reference()), SIDES[source], atol=1e-5)


def test_pairs() -> None:
    """Boxes go together that prefer each other, overlap enough and are large enough."""
    labelled = np.array(
        [[0, 0, 40, 40], [2, 0, 42, 40], [100, 0, 110, 10], [200, 0, 240, 40]], np.float32
    )
    found = np.array([[1, 0, 42, 40], [100, 0, 110, 10], [230, 0, 270, 40]], np.float32)
    np.testing.assert_array_equal(pairs(labelled, found), [[1, 0]])
    assert pairs(labelled, found[:0]).shape == (0, 2)
