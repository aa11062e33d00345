"""Rules of drawn results, read from the pixels."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from maskwatch.draw import GREEN, RED, STATE_COLOURS, STATE_WORDS, Colour, distance_words, draw
from maskwatch.types import CLASSES, ClosePair, Faces, Frame, FrameResult, Image, MaskState

BACK = 64
BOX = (60, 80, 120, 150)


def result_of(
    *boxes: tuple[float, float, float, float],
    state: MaskState = MaskState.WITH_MASK,
    size_hw: tuple[int, int] = (240, 320),
    too_close: tuple[ClosePair, ...] | None = None,
    probs: bool = False,
) -> FrameResult:
    """A flat picture with faces of one state."""
    count = len(boxes)
    faces = Faces(np.array(boxes, np.float32).reshape(-1, 4), np.ones(count, np.float32))
    if probs:
        faces = faces.with_state_probs(np.full((count, 3), (0.9, 0.05, 0.05), np.float32))
    frame = Frame(np.full((*size_hw, 3), BACK, np.uint8))
    return FrameResult(frame, faces, (state,) * count, too_close=too_close)


def where(image: Image, colour: Colour) -> NDArray[np.bool_]:
    return np.asarray((image == colour).all(axis=2))


def on_edge(image: Image, box: tuple[int, int, int, int], colour: Colour) -> bool:
    """Whether the middle of each edge of a box but the upper has the colour."""
    x0, y0, x1, y1 = box
    x, y = (x0 + x1) // 2, (y0 + y1) // 2
    return all(tuple(image[at]) == colour for at in ((y1, x), (y, x0), (y, x1)))


def test_copy() -> None:
    """Drawing leaves the frame as it was."""
    result = result_of(BOX)
    drawn = draw(result)
    assert (result.frame.image == BACK).all()
    assert (drawn != BACK).any()
    assert drawn.shape == result.frame.image.shape
    assert drawn.dtype == np.uint8


@pytest.mark.parametrize("pairs", [None, ()], ids=["no-distance", "with-distance"])
def test_nothing_to_draw(pairs: tuple[ClosePair, ...] | None) -> None:
    """Without faces the picture stays as it is."""
    assert (draw(result_of(too_close=pairs)) == BACK).all()


@pytest.mark.parametrize("state", list(MaskState), ids=lambda state: state.value)
def test_colour_of_the_state(state: MaskState) -> None:
    """Without distances the box has the colour of its state, and nothing is drawn inside it."""
    drawn = draw(result_of(BOX, state=state))
    assert on_edge(drawn, BOX, STATE_COLOURS[state])
    assert (drawn[90:140, 70:110] == BACK).all()


def test_states_differ() -> None:
    """Each state has its own colour and its own words."""
    assert set(STATE_COLOURS) == set(STATE_WORDS) == set(MaskState)
    assert len(set(STATE_COLOURS.values())) == len(set(STATE_WORDS.values())) == 4
    for first, second in combinations(STATE_COLOURS.values(), 2):
        assert np.abs(np.subtract(first, second)).max() > 60


def test_label_above_the_box() -> None:
    """The label lies on the box, in the colour of the state, as far left as the box."""
    drawn = draw(result_of(BOX))
    rows, columns = np.nonzero(where(drawn[: BOX[1] - 3], STATE_COLOURS[MaskState.WITH_MASK]))
    assert columns.min() == BOX[0]
    assert rows.max() == BOX[1] - 4
    assert rows.min() > BOX[1] - 40


def test_label_tells_the_states_apart() -> None:
    """Labels differ between states also without their colours."""
    lengths = set()
    for state in MaskState:
        drawn = draw(result_of(BOX, state=state))
        lengths.add(int((drawn[: BOX[1] - 3] != BACK).any(axis=(0, 2)).sum()))
    assert len(lengths) == 4


def test_label_with_probability() -> None:
    """The label of a judged face is longer: it says how sure; that of an unknown one is not."""

    def width(state: MaskState, probs: bool) -> int:
        drawn = draw(result_of(BOX, state=state, probs=probs))
        return int((drawn[: BOX[1] - 3] != BACK).any(axis=(0, 2)).sum())

    for state in CLASSES:
        assert width(state, probs=True) > width(state, probs=False)
    assert width(MaskState.UNKNOWN, probs=True) == width(MaskState.UNKNOWN, probs=False)


def label_of(height_px: int) -> Image:
    """The label of a face of that height, where there is room for it above the face."""
    box = (60, 200, 120, 200 + height_px)
    drawn = draw(result_of(box, size_hw=(600, 240)))
    above = (drawn[: box[1] - 3] != BACK).any(axis=2)
    top, wide = int(np.argmax(above.any(axis=1))), int(above.any(axis=0).sum())
    return drawn[top : box[1], box[0] : box[0] + wide]


@pytest.mark.parametrize(
    ("box", "corner"),
    [
        pytest.param((60, 80, 120, 150), "above", id="above"),
        pytest.param((60, 0, 120, 70), "below", id="top"),
        pytest.param((60, 169, 120, 239), "above", id="bottom"),
        pytest.param((290, 80, 350, 150), "above", id="right"),
        pytest.param((-30, 80, 30, 150), "above", id="left"),
        pytest.param((60, 0, 120, 239), "inside", id="whole-height"),
    ],
)
def test_place_of_the_label(box: tuple[int, int, int, int], corner: str) -> None:
    """The label is above the box, else below, else inside, and always whole."""
    label = label_of(box[3] - box[1])
    high, wide = label.shape[:2]
    top = {"above": box[1] - high, "below": box[3], "inside": box[1]}[corner]
    left = min(max(box[0], 0), 320 - wide)
    drawn = draw(result_of(box))
    assert (drawn[top : top + high, left : left + wide] == label).all()


@pytest.mark.parametrize("turned", [False, True], ids=["small-first", "large-first"])
def test_labels_do_not_cover_each_other(turned: bool) -> None:
    """Where two labels would be in each other's way, that of the smaller face moves below it."""
    small, large = (60.0, 80.0, 90.0, 120.0), (70.0, 80.0, 110.0, 135.0)
    drawn = draw(result_of(*((large, small) if turned else (small, large))))
    for box, up in ((small, False), (large, True)):
        label = label_of(int(box[3] - box[1]))
        high, wide = label.shape[:2]
        x0, top = int(box[0]), int(box[1]) - high if up else int(box[3])
        assert (drawn[top : top + high, x0 : x0 + wide] == label).all()


@pytest.mark.parametrize(
    "size_hw", [(1, 1), (1, 50), (50, 1), (8, 8), (30, 20)], ids=lambda s: f"{s[0]}x{s[1]}"
)
def test_tiny_pictures(size_hw: tuple[int, int]) -> None:
    """A picture smaller than any label is drawn on without an error, at its own size."""
    height, width = size_hw
    result = result_of((0, 0, width, height), size_hw=size_hw)
    drawn = draw(result)
    assert drawn.shape == (*size_hw, 3)
    assert (drawn != BACK).any()


@pytest.mark.parametrize(
    "box", [(-500, -500, -400, -400), (5000, 5000, 5100, 5100)], ids=["before", "behind"]
)
def test_box_outside(box: tuple[int, int, int, int]) -> None:
    """A box that lies outside the picture is no error."""
    assert draw(result_of(box)).shape == (240, 320, 3)


THREE = ((20, 60, 60, 120), (160, 60, 200, 120), (250, 150, 300, 210))


def test_too_close() -> None:
    """With distances, boxes of a pair are red and joined by a line; the others are green."""
    drawn = draw(result_of(*THREE, too_close=(ClosePair(0, 1, 1.0),)))
    assert on_edge(drawn, THREE[0], RED)
    assert on_edge(drawn, THREE[1], RED)
    assert on_edge(drawn, THREE[2], GREEN)
    between = drawn[90, 65:85].astype(int)
    assert np.abs(between - RED).max() < 60, "the line is smoothed, but red"


def test_distance_on_the_line() -> None:
    """The distance of a pair is written at the middle of its line, white on red."""
    near = draw(result_of(*THREE, too_close=(ClosePair(0, 1, 1.0),)))
    nearer = draw(result_of(*THREE, too_close=(ClosePair(0, 1, 0.5),)))
    middle = near[84:97, 104:117].astype(int)
    assert (np.abs(middle - RED).max(axis=2) < 60).sum() > 80
    assert (middle.min(axis=2) > 200).sum() > 3
    rows, columns = np.nonzero((near != nearer).any(axis=2))
    assert len(rows) > 3
    assert (abs(rows - 90) < 10).all()
    assert (abs(columns - 110) < 15).all()


@pytest.mark.parametrize(
    ("distance", "words"),
    [(0.0, "0.0"), (2.34, "2.3"), (9.94, "9.9"), (9.96, "10"), (97.4, "97"), (1234.5, "1234")],
)
def test_distance_words(distance: float, words: str) -> None:
    """A distance has one decimal under 10 and none from there on."""
    assert distance_words(distance) == words


def test_nobody_too_close() -> None:
    """With distances and no pair all boxes are green and nothing is red."""
    drawn = draw(result_of(*THREE, too_close=()))
    assert all(on_edge(drawn, box, GREEN) for box in THREE)
    assert not where(drawn, RED).any()


def test_too_close_is_drawn_wider() -> None:
    """The boxes of a pair have wider lines, for those who do not see the colour."""
    near = draw(result_of(*THREE, too_close=(ClosePair(0, 1, 1.0),)))
    far = draw(result_of(*THREE, too_close=()))
    x0, y0, _, y1 = THREE[0]
    row = (y0 + y1) // 2 + 15
    widths = [
        int((drawn[row, x0 - 10 : x0 + 10] != BACK).any(axis=1).sum()) for drawn in (near, far)
    ]
    assert widths[0] > widths[1]


def test_lines_grow_with_the_picture() -> None:
    """In a larger picture the lines are wider, so that they are seen when it is scaled down."""
    small, large = draw(result_of(BOX)), draw(result_of(BOX, size_hw=(1600, 1600)))
    widths = [int((drawn[130, 40:80] != BACK).any(axis=1).sum()) for drawn in (small, large)]
    assert widths[1] > 2 * widths[0]
