"""Distances between faces against a slow and obvious version."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maskwatch.distance import DistanceStage, Unit, pair_distances, parse_distance
from maskwatch.errors import SettingsError
from maskwatch.types import ClosePair, Faces, Floats, Frame, FrameResult, MaskState

units = pytest.mark.parametrize("unit", ["pixels", "faces"])


def random_boxes(seed: int, count: int) -> Floats:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 500, (count, 2))
    return np.hstack([corners, corners + rng.uniform(5, 80, (count, 2))]).astype(np.float32)


def slow_distance(a: list[float], b: list[float], unit: Unit) -> float:
    """Top left corners in pixels, or centres in mean face heights."""
    if unit == "pixels":
        return math.dist(a[:2], b[:2])
    centres = [((x0 + x1) / 2, (y0 + y1) / 2) for x0, y0, x1, y1 in (a, b)]
    return math.dist(*centres) / (((a[3] - a[1]) + (b[3] - b[1])) / 2)


def result_of(boxes: Floats) -> FrameResult:
    faces = Faces(boxes, np.ones(len(boxes), np.float32))
    frame = Frame(np.zeros((9, 9, 3), np.uint8))
    return FrameResult(frame, faces, (MaskState.UNKNOWN,) * len(boxes))


@units
@pytest.mark.parametrize("seed", range(4), ids=lambda seed: f"seed{seed}")
def test_pair_distances(unit: Unit, seed: int) -> None:
    """Every pair has the distance of the obvious computation; a face is at 0 from itself."""
    boxes = random_boxes(seed, 12)
    rows = boxes.astype(float).tolist()
    expected = np.array([[slow_distance(a, b, unit) for b in rows] for a in rows])
    assert pair_distances(boxes, unit) == pytest.approx(expected)


@pytest.mark.parametrize("factor", [0.25, 4])
def test_faces_do_not_depend_on_resolution(factor: float) -> None:
    """In face heights, a scaled picture gives the same distances; in pixels it does not."""
    boxes = random_boxes(5, 6)
    scaled = boxes * np.float32(factor)
    expected = pair_distances(boxes, "faces")
    assert pair_distances(scaled, "faces") == pytest.approx(expected, rel=1e-4, abs=1e-4)
    pixels = pair_distances(boxes, "pixels")
    assert pair_distances(scaled, "pixels") == pytest.approx(pixels * factor, rel=1e-4, abs=1e-4)


def test_faces_without_height() -> None:
    """Boxes without a height are far apart and not an error."""
    boxes = np.array([[0, 5, 9, 5], [30, 5, 39, 5]], np.float32)
    assert pair_distances(boxes, "faces")[0, 1] > 1e6


@units
@pytest.mark.parametrize("seed", range(4), ids=lambda seed: f"seed{seed}")
def test_stage(unit: Unit, seed: int) -> None:
    """The stage names each pair under the limit once, in order, with its distance."""
    boxes = random_boxes(seed, 12)
    rows = boxes.astype(float).tolist()
    limit = {"pixels": 150.0, "faces": 4.0}[unit]
    expected = []
    for i, a in enumerate(rows):
        for j, b in enumerate(rows):
            if i < j and slow_distance(a, b, unit) < limit:
                expected.append((i, j, slow_distance(a, b, unit)))
    pairs = DistanceStage(unit, limit)(result_of(boxes)).too_close
    assert pairs is not None
    assert len(pairs) > 3
    assert [(pair.first, pair.second) for pair in pairs] == [(i, j) for i, j, _ in expected]
    assert [pair.distance for pair in pairs] == pytest.approx([d for *_, d in expected], abs=1e-3)


@pytest.mark.parametrize(("limit", "close"), [(50, 0), (50.001, 1)], ids=["at", "over"])
def test_limit(limit: float, close: int) -> None:
    """A pair just at the limit keeps it; only nearer ones are too close."""
    boxes = np.array([[0, 0, 10, 10], [30, 40, 40, 50]], np.float32)
    pairs = DistanceStage("pixels", limit)(result_of(boxes)).too_close
    assert pairs == (ClosePair(0, 1, 50.0),) * close


@units
@pytest.mark.parametrize("count", [0, 1])
def test_nobody_to_be_near(unit: Unit, count: int) -> None:
    """One face or none gives no pairs: an empty list, for distance was asked for."""
    assert DistanceStage(unit, 1e6)(result_of(random_boxes(0, count))).too_close == ()


def test_stage_changes_a_copy() -> None:
    """The result given is left as it was; the copy keeps everything else."""
    before = result_of(random_boxes(0, 3))
    after = DistanceStage("faces", 6)(before)
    assert before.too_close is None
    assert after.faces is before.faces
    assert after.frame is before.frame
    assert after.states is before.states


@pytest.mark.parametrize(
    ("text", "unit", "limit"),
    [
        ("pixels:130", "pixels", 130.0),
        ("faces:6", "faces", 6.0),
        ("faces:1.5", "faces", 1.5),
        ("pixels:1e3", "pixels", 1000.0),
    ],
)
def test_parse(text: str, unit: Unit, limit: float) -> None:
    """Unit and limit are written with a colon between them."""
    assert parse_distance(text) == DistanceStage(unit, limit)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "6",
        "faces",
        "faces:",
        "faces:six",
        "faces:0",
        "faces:-1",
        "faces:nan",
        "faces:inf",
        "metres:2",
        "faces:1:2",
        ":3",
        "Faces:3",
    ],
)
def test_parse_nonsense(text: str) -> None:
    """Anything else is refused with what was given and how to write it."""
    with pytest.raises(SettingsError, match=r"write pixels:N or faces:N") as caught:
        parse_distance(text)
    assert repr(text) in str(caught.value)
