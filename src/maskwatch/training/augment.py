"""Damage that cameras do to faces, done on purpose to training crops.

Every function takes and returns uint8 BGR pictures; all chance comes from the generator given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from maskwatch.types import Image

Damage = Callable[[Image, np.random.Generator], Image]

STORED_MARGIN = 1.25
"""Stored training crops are wider than what the network sees by this, for shifts and turns."""


def random_view(stored: Image, size_px: int, rng: np.random.Generator) -> Image:
    """A shifted, scaled, turned, sheared, perhaps mirrored view of a stored crop.

    Args:
        stored: `(S, S, 3)`; its centre `1 / STORED_MARGIN` is what serving sees.
        size_px: Side of the result.
        rng: Source of chance.
    """
    canvas = stored.shape[0]
    shown = canvas / STORED_MARGIN * np.exp(rng.uniform(np.log(0.78), np.log(1.28)))
    angle = np.deg2rad(np.clip(rng.normal(0, 10), -28, 28))
    shear = rng.uniform(-0.1, 0.1)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.array([[1, shear], [0, 1]]) * (size_px / shown)
    if rng.random() < 0.5:
        linear[:, 0] *= -1
    centre = np.full(2, canvas / 2) + rng.uniform(-0.08, 0.08, 2) * shown
    matrix = np.hstack([linear, (np.full(2, size_px / 2) - linear @ centre)[:, None]])
    view = cv2.warpAffine(
        stored, matrix, (size_px, size_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return _uint8(view)


def plain_view(stored: Image, size_px: int) -> Image:
    """What serving sees: the centre of a stored crop, undamaged."""
    canvas = stored.shape[0]
    edge = round(canvas * (1 - 1 / STORED_MARGIN) / 2)
    centre = stored[edge : canvas - edge, edge : canvas - edge]
    if centre.shape[0] == size_px:
        return centre
    return _uint8(cv2.resize(centre, (size_px, size_px), interpolation=cv2.INTER_AREA))


def low_resolution(image: Image, rng: np.random.Generator) -> Image:
    """A face that was far away: fewer pixels, stretched again."""
    side = image.shape[0]
    small = int(np.exp(rng.uniform(np.log(14), np.log(side * 0.8))))
    shrink = rng.choice([cv2.INTER_AREA, cv2.INTER_LINEAR])
    grow = rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC])
    tiny = cv2.resize(image, (small, small), interpolation=int(shrink))
    return _uint8(cv2.resize(tiny, (side, side), interpolation=int(grow)))


def blur(image: Image, rng: np.random.Generator) -> Image:
    """Out of focus, or moved while the shutter was open."""
    if rng.random() < 0.5:
        return _uint8(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.6, 2.2)))
    length = int(rng.integers(3, 10))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    start, end = length / 2 - reach, length / 2 + reach
    cv2.line(kernel, _point(start), _point(end), 1.0)
    return _uint8(cv2.filter2D(image, -1, kernel / max(float(kernel.sum()), 1.0)))


def jpeg(image: Image, rng: np.random.Generator) -> Image:
    """Saved as a JPEG of poor quality."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(18, 85))])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return image if decoded is None else _uint8(decoded)


def light(image: Image, rng: np.random.Generator) -> Image:
    """Brighter or darker, harder or softer, another gamma."""
    gain, lift = rng.uniform(0.6, 1.4), rng.uniform(-28, 28)
    gamma = np.exp(rng.uniform(np.log(0.65), np.log(1.5)))
    ramp = np.arange(256, dtype=np.float32) / 255
    table = np.clip((ramp**gamma * 255 - 128) * gain + 128 + lift, 0, 255).astype(np.uint8)
    return _uint8(cv2.LUT(image, table))


def colour(image: Image, rng: np.random.Generator) -> Image:
    """A colour cast, more or less saturation, or none at all."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if rng.random() < 0.2:
        return _uint8(grey)
    amount = rng.uniform(0.3, 1.5)
    mixed = cv2.addWeighted(image, amount, grey, 1 - amount, 0).astype(np.float32)
    return np.clip(mixed * rng.uniform(0.82, 1.18, 3), 0, 255).astype(np.uint8)


def erase(image: Image, rng: np.random.Generator) -> Image:
    """Something stands before the face: a rectangle of one colour or of noise."""
    side = image.shape[0]
    high, wide = (int(side * rng.uniform(0.1, 0.35)) for _ in range(2))
    top, left = int(rng.integers(0, side - high)), int(rng.integers(0, side - wide))
    damaged = image.copy()
    patch = damaged[top : top + high, left : left + wide]
    if rng.random() < 0.5:
        patch[:] = rng.integers(0, 256, 3)
    else:
        patch[:] = rng.integers(0, 256, patch.shape, dtype=np.uint8)
    return damaged


def noise(image: Image, rng: np.random.Generator) -> Image:
    """Sensor noise of a dark room."""
    grain = rng.normal(0, rng.uniform(3, 14), image.shape).astype(np.float32)
    return _uint8(np.clip(image + grain, 0, 255))


STRONG: tuple[tuple[float, Damage], ...] = (
    (0.7, light),
    (0.5, colour),
    (0.15, blur),
    (0.45, low_resolution),
    (0.1, noise),
    (0.25, erase),
    (0.35, jpeg),
)
"""Probability and kind of each damage, in the order in which they happen to a picture."""


def augment(
    stored: Image,
    size_px: int,
    rng: np.random.Generator,
    damages: tuple[tuple[float, Damage], ...] = STRONG,
) -> Image:
    """A random view of a stored crop with random damage, `(size_px, size_px, 3)`."""
    image = random_view(stored, size_px, rng)
    for probability, damage in damages:
        if rng.random() < probability:
            image = damage(image, rng)
    return image


def _point(xy: np.ndarray[Any, Any]) -> tuple[int, int]:
    return int(xy[0]), int(xy[1])


def _uint8(image: Any) -> Image:
    return np.asarray(image, dtype=np.uint8)
