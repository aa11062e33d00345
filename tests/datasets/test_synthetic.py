"""Rules of the masks drawn on bare faces."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from maskwatch.datasets.synthetic import (
    STYLES,
    MaskKind,
    MaskStyle,
    Pattern,
    Wear,
    draw_mask,
    draw_masks,
    landmarks_from_box,
    style_named,
)
from maskwatch.errors import UnknownNameError
from maskwatch.types import Faces, Floats, Image, MaskState

FRONTAL = np.array([[-0.5, 0], [0.5, 0], [0, 0.58], [-0.43, 0.99], [0.43, 0.99]])
# The nose tip has moved to the picture's right and the eyes have drawn together.
THREE_QUARTER = np.array([[-0.42, 0], [0.42, 0], [0.24, 0.58], [-0.28, 0.99], [0.42, 0.99]])
SKIN = (120, 150, 200)
KINDS = {
    "surgical": style_named("surgical-blue"),
    "cloth": style_named("cloth-navy"),
    "respirator": style_named("ffp2-black"),
}


def skin(height_px: int = 400, width_px: int = 400) -> Image:
    """A picture of nothing but skin, so that every change is the mask's."""
    return np.full((height_px, width_px, 3), SKIN, np.uint8)


def placed(
    shape: NDArray[np.float64] = FRONTAL,
    unit_px: float = 80,
    centre: tuple[float, float] = (200, 160),
    degrees: float = 0,
) -> Floats:
    """Landmarks with that eye distance, turned clockwise around the point between the eyes."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.asarray(shape @ turn * unit_px + centre, np.float32)


def drawn_on_skin(
    landmarks: Floats, style: MaskStyle, wear: Wear = Wear.CORRECT, seed: int = 0
) -> NDArray[np.bool_]:
    """Where a mask drawn on plain skin lies; the soft shadow around it does not count."""
    image, _ = draw_mask(skin(), landmarks, style, wear=wear, rng=np.random.default_rng(seed))
    change = np.abs(image.astype(int) - SKIN).max(axis=2)
    return np.asarray(change > 55)


def at(region: NDArray[np.bool_], point: NDArray[np.floating]) -> bool:
    """Whether the region holds the pixel of a point."""
    x, y = np.rint(point).astype(int)
    return bool(region[y, x])


kinds = pytest.mark.parametrize("style", KINDS.values(), ids=KINDS.keys())
wears = pytest.mark.parametrize("wear", list(Wear), ids=str)
seeds = pytest.mark.parametrize("seed", range(2), ids=lambda seed: f"seed{seed}")
heads = pytest.mark.parametrize(
    "landmarks",
    [
        placed(),
        placed(degrees=35),
        placed(degrees=-35),
        placed(THREE_QUARTER),
        placed(THREE_QUARTER * [-1, 1])[[1, 0, 2, 4, 3]],
    ],
    ids=["frontal", "tilted-right", "tilted-left", "turned-right", "turned-left"],
)


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES.keys())
def test_every_style_shows_its_colour(style: MaskStyle) -> None:
    """A plain mask shows its own colour, dimmed at most by half; a print lies between its two."""
    image, _ = draw_mask(skin(), placed(unit_px=40), style, rng=np.random.default_rng(0))
    drawn = image[165:215, 175:225].reshape(-1, 3).mean(axis=0)
    low = np.minimum(style.colour, style.accent if style.pattern != "plain" else style.colour)
    high = np.maximum(style.colour, style.accent if style.pattern != "plain" else style.colour)
    assert (drawn > 0.5 * low - 10).all()
    assert (drawn < 1.1 * high + 10).all()


@wears
@kinds
def test_same_seed_same_picture(style: MaskStyle, wear: Wear) -> None:
    """Chance comes only from the generator: same seed same picture, other seed another."""
    first, again, other = (
        draw_mask(skin(), placed(unit_px=40), style, wear=wear, rng=np.random.default_rng(seed))[0]
        for seed in (7, 7, 8)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@wears
@kinds
def test_only_the_neighbourhood_of_the_face_changes(style: MaskStyle, wear: Wear) -> None:
    """Pixels farther than 3.5 eye distances from the face's centre are untouched."""
    landmarks = placed(unit_px=40)
    image, _ = draw_mask(skin(), landmarks, style, wear=wear, rng=np.random.default_rng(1))
    y, x = np.indices(image.shape[:2])
    centre = landmarks.mean(axis=0)
    far = np.hypot(x - centre[0], y - centre[1]) > 3.5 * 40
    assert (image[far] == SKIN).all()
    assert (image[~far] != SKIN).any()


@wears
def test_inputs_are_not_modified(wear: Wear) -> None:
    """The picture and the landmarks passed in stay as they were; the result is a new array."""
    image, landmarks = skin(), placed()
    result, _ = draw_mask(
        image, landmarks, STYLES["cloth-dots"], wear=wear, rng=np.random.default_rng(0)
    )
    assert not np.shares_memory(result, image)
    assert result.dtype == np.uint8
    assert result.shape == image.shape
    assert (image == SKIN).all()
    assert np.array_equal(landmarks, placed())


@seeds
@heads
@kinds
def test_correct_covers_nose_and_mouth_not_eyes(
    style: MaskStyle, landmarks: Floats, seed: int
) -> None:
    """Worn correctly, the nose tip and both mouth corners are under the mask, the eyes free."""
    region = drawn_on_skin(landmarks, style, Wear.CORRECT, seed)
    assert [at(region, point) for point in landmarks] == [False, False, True, True, True]


@seeds
@heads
@kinds
def test_nose_out_covers_the_mouth_only(style: MaskStyle, landmarks: Floats, seed: int) -> None:
    """With the nose out the mouth is under the mask, and the nose tip and the eyes are free."""
    region = drawn_on_skin(landmarks, style, Wear.NOSE_OUT, seed)
    assert at(region, landmarks[3:].mean(axis=0))
    assert [at(region, point) for point in landmarks[:3]] == [False, False, False]


@seeds
@heads
@kinds
@pytest.mark.parametrize("wear", [Wear.CHIN, Wear.HANGING], ids=str)
def test_chin_and_hanging_cover_no_landmark(
    style: MaskStyle, landmarks: Floats, seed: int, wear: Wear
) -> None:
    """At the chin or hanging from an ear, eyes, nose and mouth are free, yet a mask is there."""
    region = drawn_on_skin(landmarks, style, wear, seed)
    assert not any(at(region, point) for point in landmarks)
    assert region.sum() > 0.1 * 80**2


@pytest.mark.parametrize(
    ("wear", "state"),
    [
        (Wear.CORRECT, MaskState.WITH_MASK),
        (Wear.NOSE_OUT, MaskState.INCORRECT_MASK),
        (Wear.CHIN, MaskState.INCORRECT_MASK),
        (Wear.HANGING, MaskState.INCORRECT_MASK),
    ],
    ids=str,
)
def test_state_of_each_wear(wear: Wear, state: MaskState) -> None:
    """The state returned is what the wear means."""
    style = STYLES["surgical-blue"]
    assert draw_mask(skin(), placed(), style, wear=wear, rng=np.random.default_rng(0))[1] is state
    assert wear.state is state


def test_outside_the_picture_is_without_mask() -> None:
    """A mask that would lie outside the picture is not drawn, and the state says so."""
    style, landmarks = STYLES["surgical-blue"], placed(centre=(200, -600))
    image, state = draw_mask(skin(), landmarks, style, rng=np.random.default_rng(0))
    assert state is MaskState.WITHOUT_MASK
    assert (image == SKIN).all()


@pytest.mark.parametrize(
    ("face_x", "hangs_right"), [(20, True), (380, False)], ids=["left-ear-cut", "right-ear-cut"]
)
@seeds
def test_hanging_takes_the_ear_in_the_picture(face_x: int, hangs_right: bool, seed: int) -> None:
    """Where the border cuts one ear off, the mask hangs from the other."""
    landmarks = placed(centre=(face_x, 160))
    region = drawn_on_skin(landmarks, STYLES["surgical-black"], Wear.HANGING, seed)
    assert (np.nonzero(region)[1].mean() > face_x) == hangs_right


@pytest.mark.parametrize("wear", [Wear.CORRECT, Wear.NOSE_OUT, Wear.CHIN], ids=str)
@pytest.mark.parametrize("shape", [FRONTAL, THREE_QUARTER], ids=["frontal", "turned"])
@kinds
def test_mirrored_landmarks_give_a_mirrored_region(
    style: MaskStyle, shape: NDArray[np.float64], wear: Wear
) -> None:
    """The mask of the mirrored face is about the mirror image: IoU over 0.93."""
    landmarks = placed(shape, centre=(199.5, 160))
    mirrored = (np.array([399, 0]) + landmarks * [-1, 1])[[1, 0, 2, 4, 3]].astype(np.float32)
    first = drawn_on_skin(landmarks, style, wear)
    second = drawn_on_skin(mirrored, style, wear)[:, ::-1]
    assert (first & second).sum() / (first | second).sum() > 0.93


@pytest.mark.parametrize("degrees", [-120, -40, -15, 15, 40, 90, 180])
@kinds
def test_the_axis_follows_the_roll(style: MaskStyle, degrees: float) -> None:
    """Turning the face turns the mask: its long axis is off by less than 3 degrees."""
    region = drawn_on_skin(placed(centre=(200, 200), degrees=degrees), style)
    y, x = np.nonzero(region)
    _, axes = np.linalg.eigh(np.cov(x, y))
    angle = np.degrees(np.arctan2(axes[1, -1], axes[0, -1]))
    gap = (angle - degrees + 90) % 180 - 90
    assert abs(gap) < 3


@kinds
def test_a_turned_face_shifts_the_mask_to_its_near_cheek(style: MaskStyle) -> None:
    """With the nose to the right, more of the mask lies left of the nose tip than right of it."""
    landmarks = placed(THREE_QUARTER)
    columns = np.nonzero(drawn_on_skin(landmarks, style))[1]
    assert (columns < landmarks[2, 0]).mean() > 0.6


@wears
@pytest.mark.parametrize(
    "centre",
    [(0, 100), (400, 100), (200, -40), (200, 390), (0, 0), (400, 400)],
    ids=["left", "right", "top", "bottom", "corner", "far-corner"],
)
def test_faces_cut_by_the_border(centre: tuple[float, float], wear: Wear) -> None:
    """A face over the border is drawn as far as it goes, and the picture keeps its size."""
    landmarks = placed(centre=centre)
    style = STYLES["surgical-blue"]
    image, _ = draw_mask(skin(), landmarks, style, wear=wear, rng=np.random.default_rng(0))
    assert image.shape == (400, 400, 3)


def test_the_border_does_not_move_the_mask() -> None:
    """Cutting the picture through the face leaves the mask's outline in the rest."""
    whole = drawn_on_skin(placed(), STYLES["surgical-black"])
    cut, _ = draw_mask(
        skin(400, 220), placed(), STYLES["surgical-black"], rng=np.random.default_rng(0)
    )
    region = np.abs(cut.astype(int) - SKIN).max(axis=2) > 55
    assert (region != whole[:, :220]).mean() < 0.005


@wears
@pytest.mark.parametrize("unit_px", [2, 5, 11, 400])
def test_tiny_and_huge_faces(unit_px: float, wear: Wear) -> None:
    """From a face of 4 px to one of 900 px a mask appears, of about the expected area."""
    side = int(unit_px * 5) + 8
    landmarks = placed(unit_px=unit_px, centre=(side / 2, side / 2 - 0.8 * unit_px))
    image, _ = draw_mask(
        skin(side, side), landmarks, STYLES["ffp2-black"], wear=wear, rng=np.random.default_rng(0)
    )
    share = (np.abs(image.astype(int) - SKIN).max(axis=2) > 55).sum() / unit_px**2
    assert 0.2 < share < 4


@pytest.mark.parametrize(
    ("landmarks", "said"),
    [
        (np.zeros((4, 2)), r"\(4, 2\)"),
        (np.zeros((1, 5, 2)), r"\(1, 5, 2\)"),
        (np.zeros(10), r"\(10,\)"),
        (np.full((5, 2), np.nan), "nan"),
        (np.full((5, 2), 30.0), "30.0"),
    ],
    ids=["four", "batched", "flat", "nan", "one-point"],
)
def test_bad_landmarks_are_refused(landmarks: NDArray[np.float64], said: str) -> None:
    """Landmarks that are no face raise a ValueError that says what was received."""
    with pytest.raises(ValueError, match=said):
        draw_mask(skin(), landmarks, STYLES["surgical-blue"], rng=np.random.default_rng(0))


def test_a_grey_photo_gets_a_grey_mask() -> None:
    """In a black-and-white photo the mask has no colour."""
    grey = np.full((400, 400, 3), 150, np.uint8)
    image, _ = draw_mask(grey, placed(), STYLES["cloth-red"], rng=np.random.default_rng(0))
    assert np.ptp(image.astype(int), axis=2).max() <= 1


def test_light_on_the_skin_carries_over() -> None:
    """Where the face is lit from the left, so is the mask."""
    lit = (skin() * np.linspace(1.0, 0.4, 400)[None, :, None]).astype(np.uint8)
    ratios = []
    for image in (lit, skin()):
        drawn, _ = draw_mask(
            image, placed(), STYLES["surgical-white"], rng=np.random.default_rng(0)
        )
        ratios.append(drawn[205:255, 140:160].mean() / drawn[205:255, 240:260].mean())
    assert ratios[0] > 1.1 * ratios[1]


def test_draw_masks_gives_one_state_a_face() -> None:
    """Every face gets a mask, its state stands at its own index, and none is no change."""
    centres = ((100.0, 100.0), (300.0, 250.0))
    landmarks = np.stack([placed(unit_px=30, centre=centre) for centre in centres])
    boxes = np.array([[50, 50, 150, 170], [260, 200, 340, 300]], np.float32)
    faces = Faces(boxes, np.ones(2, np.float32), landmarks=landmarks)
    image, states = draw_masks(
        skin(), faces, [STYLES["ffp2-black"]], wears=[Wear.NOSE_OUT], rng=np.random.default_rng(0)
    )
    assert states == (MaskState.INCORRECT_MASK, MaskState.INCORRECT_MASK)
    for mouth in landmarks[:, 3:].mean(axis=1).astype(int):
        assert image[mouth[1], mouth[0]].max() < 90
    same, none = draw_masks(skin(), Faces.empty(), rng=np.random.default_rng(0))
    assert none == ()
    assert (same == SKIN).all()


def test_draw_masks_without_landmarks_uses_the_box() -> None:
    """Where a detector gives only boxes, the mask lies in the lower half of the box."""
    faces = Faces(np.array([[100, 100, 300, 300]], np.float32), np.ones(1, np.float32))
    image, _ = draw_masks(skin(), faces, [STYLES["cloth-black"]], rng=np.random.default_rng(0))
    rows = np.nonzero(np.abs(image.astype(int) - SKIN).max(axis=2) > 55)[0]
    assert 200 < rows.mean() < 300


@pytest.mark.parametrize("side", ["styles", "wears"])
def test_draw_masks_needs_something_to_draw_from(side: str) -> None:
    """An empty list of styles or wears is refused."""
    styles = [] if side == "styles" else list(STYLES.values())
    some = [] if side == "wears" else [Wear.CORRECT]
    with pytest.raises(ValueError, match="need a style and a wear"):
        draw_masks(skin(), Faces.empty(), styles, wears=some, rng=np.random.default_rng(0))


@pytest.mark.parametrize("box", [(10, 20, 110, 120), (10, 20, 110, 150)], ids=["square", "tall"])
def test_landmarks_from_box_are_a_face_in_the_box(box: tuple[int, int, int, int]) -> None:
    """They lie in the box, mirror-symmetric, eyes over nose over mouth, picture's left first."""
    points = landmarks_from_box(box)
    assert points.shape == (5, 2)
    assert points.dtype == np.float32
    assert ((points > box[:2]) & (points < box[2:])).all()
    assert points[0, 0] < points[2, 0] < points[1, 0]
    assert points[0, 1] < points[2, 1] < points[3, 1]
    assert points[:, 0].mean() == pytest.approx(60, abs=0.5)


@pytest.mark.parametrize(
    ("box", "said"),
    [((1, 2, 3), r"\(3,\)"), ((5, 5, 5, 9), "5.0"), ((0, 0, np.nan, 9), "nan")],
    ids=["three-numbers", "no-width", "nan"],
)
def test_bad_boxes_are_refused(box: tuple[float, ...], said: str) -> None:
    """A box that is none raises a ValueError that says what was received."""
    with pytest.raises(ValueError, match=said):
        landmarks_from_box(box)


def test_an_unknown_style_names_the_nearest() -> None:
    """A misspelt style is refused with the known ones and the nearest."""
    with pytest.raises(UnknownNameError, match="surgical-blue"):
        style_named("surgicalblue")


@pytest.mark.parametrize(
    ("kind", "colour", "pattern"),
    [
        (MaskKind.SURGICAL, (0, 0, 0), Pattern.DOTS),
        (MaskKind.CLOTH, (0, 0, 300), Pattern.PLAIN),
        (MaskKind.CLOTH, (0, 0), Pattern.PLAIN),
    ],
    ids=["printed-surgical", "too-bright", "two-channels"],
)
def test_impossible_styles_are_refused(
    kind: MaskKind, colour: tuple[int, int, int], pattern: Pattern
) -> None:
    """A style that cannot be drawn is refused where it is made."""
    with pytest.raises(ValueError, match="got"):
        MaskStyle(kind, colour, pattern)
