"""Draw results on pictures: boxes, states in words, pairs too close.

Colours are those of Okabe and Ito (2008, "Color Universal Design"), told apart by colour-blind
people too; words and line widths say the same once more.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from maskwatch.types import Floats, FrameResult, Image, MaskState

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

Colour = tuple[int, int, int]
Place = tuple[int, int, int, int]

GREEN: Colour = (115, 158, 0)
RED: Colour = (0, 94, 213)
ORANGE: Colour = (0, 159, 230)
GREY: Colour = (150, 150, 150)
_BLACK: Colour = (0, 0, 0)
_WHITE: Colour = (255, 255, 255)

STATE_COLOURS: dict[MaskState, Colour] = {
    MaskState.WITH_MASK: (178, 114, 0),
    MaskState.WITHOUT_MASK: RED,
    MaskState.INCORRECT_MASK: ORANGE,
    MaskState.UNKNOWN: GREY,
}
"""BGR colour of each state: blue, vermilion, orange, grey."""

STATE_WORDS: dict[MaskState, str] = {
    MaskState.WITH_MASK: "mask",
    MaskState.WITHOUT_MASK: "no mask",
    MaskState.INCORRECT_MASK: "mask worn wrongly",
    MaskState.UNKNOWN: "cannot tell",
}


def draw(result: FrameResult) -> Image:
    """A copy of the frame with everything on it that the result knows.

    Without distances a box has the colour of its state. With them a box is red where the face is
    too close to another and green elsewhere, a line with the distance on it joins each such pair,
    and the label alone shows the state.
    """
    image = result.frame.image.copy()
    boxes = np.rint(result.faces.boxes).astype(int)
    close = {i for pair in result.too_close or () for i in (pair.first, pair.second)}
    unit_px = max(1, round(min(image.shape[:2]) / 400))
    _join_pairs(image, result, unit_px)
    for index, (box, state) in enumerate(zip(boxes, result.states, strict=True)):
        colour = STATE_COLOURS[state]
        if result.too_close is not None:
            colour = RED if index in close else GREEN
        start, end = (int(box[0]), int(box[1])), (int(box[2]), int(box[3]))
        cv2.rectangle(image, start, end, colour, unit_px * (3 if index in close else 2))
    taken = _put_distances(image, result)
    # Large faces first: where labels are in each other's way, the small face's one moves.
    for index in np.argsort(boxes[:, 1] - boxes[:, 3], kind="stable"):
        _put_label(image, boxes[index], _words(result, int(index)), result.states[index], taken)
    return image


def _words(result: FrameResult, index: int) -> str:
    state = result.states[index]
    words = STATE_WORDS[state]
    if result.faces.state_probs is None or state is MaskState.UNKNOWN:
        return words
    return f"{words} {result.faces.state_probs[index].max():.0%}"


def _join_pairs(image: Image, result: FrameResult, unit_px: int) -> None:
    centres = _centres(result.faces.boxes)
    for pair in result.too_close or ():
        first, second = centres[pair.first], centres[pair.second]
        cv2.line(image, _point(first), _point(second), RED, unit_px, cv2.LINE_AA)


def _put_distances(image: Image, result: FrameResult) -> list[Place]:
    """Write each distance at the middle of its line; returns where."""
    height, width = image.shape[:2]
    taken = []
    centres = _centres(result.faces.boxes)
    for pair in result.too_close or ():
        label = _label(distance_words(pair.distance), _text_px(0, height, width), RED, _WHITE)
        x, y = _point((centres[pair.first] + centres[pair.second]) / 2)
        taken.append(_paste(image, label, x - label.shape[1] // 2, y - label.shape[0] // 2))
    return taken


def distance_words(distance: float) -> str:
    """A distance in the unit of its rule: `2.3`, and from 10 on without decimals, `97`."""
    text = f"{distance:.1f}"
    return text if len(text) < 4 else f"{distance:.0f}"


def _paste(image: Image, label: Image, left: int, top: int) -> Place:
    """Put a label where it is wanted or as near as the picture's edges allow; returns where."""
    height, width = image.shape[:2]
    high, wide = min(label.shape[0], height), min(label.shape[1], width)
    left, top = min(max(left, 0), width - wide), min(max(top, 0), height - high)
    image[top : top + high, left : left + wide] = label[:high, :wide]
    return left, top, left + wide, top + high


def _centres(boxes: Floats) -> Floats:
    return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2, dtype=np.float32)


def _point(xy: Floats) -> tuple[int, int]:
    return round(float(xy[0])), round(float(xy[1]))


def _put_label(
    image: Image,
    box: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    words: str,
    state: MaskState,
    taken: list[Place],
) -> None:
    """Paste the label above the box, or below or inside it where there is no room."""
    height, width = image.shape[:2]
    text_px = _text_px(int(box[3] - box[1]), height, width)
    colour = STATE_COLOURS[state]
    dark = state in (MaskState.WITH_MASK, MaskState.WITHOUT_MASK)
    label = _label(words, text_px, colour, _WHITE if dark else _BLACK)
    high, wide = min(label.shape[0], height), min(label.shape[1], width)
    left = int(np.clip(box[0], 0, width - wide))
    for top in (int(box[1]) - high, int(box[3]), int(box[1])):
        place = (left, top, left + wide, top + high)
        if 0 <= top <= height - high and not any(_overlap(place, other) for other in taken):
            break
    else:
        top = int(box[1]) - high
    taken.append(_paste(image, label, left, top))


def _text_px(face_px: int, height: int, width: int) -> int:
    """Height of letters: follows the face between limits set by the picture, never under 10."""
    shorter = min(height, width)
    low, high = max(10.0, shorter / 60), max(12.0, shorter / 24)
    return round(float(np.clip(face_px * 0.16, low, high)))


def _overlap(a: Place, b: Place) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@lru_cache(maxsize=256)
def _label(words: str, text_px: int, back: Colour, ink: Colour) -> Image:
    """Words on a coloured strip. Cached: a video needs the same few again and again."""
    from PIL import Image as Pil
    from PIL import ImageDraw

    font = _font(text_px)
    left, _, right, _ = font.getbbox(words)
    ascent, descent = (round(text_px * share) for share in (1.0, 0.3))
    pad = max(2, text_px // 4)
    size = (round(right - left) + 2 * pad, ascent + descent)
    strip = Pil.new("RGB", size, back[::-1])
    ImageDraw.Draw(strip).text((pad - left, ascent), words, fill=ink[::-1], font=font, anchor="ls")
    return np.ascontiguousarray(np.asarray(strip)[:, :, ::-1])


@lru_cache(maxsize=64)
def _font(text_px: int) -> FreeTypeFont | ImageFont:
    """Pillow's own font. Cached: opening it takes longer than writing the words."""
    from PIL import ImageFont

    return ImageFont.load_default(text_px)
