"""The light, sharpness and grain of a photo, read from the patch where a mask will lie.

A patch is `(H, W, 3)` float32 BGR from 0 to 1.
"""

from __future__ import annotations

import cv2
import numpy as np

from maskwatch.datasets.synthetic.geometry import Doubles
from maskwatch.types import Floats

# How far the light on the skin is averaged, in eye distances.
_LIGHT_BLUR = 0.3


def blur(array: Floats, sigma: float) -> Floats:
    """Gaussian blur of the standard deviation `sigma` in pixels."""
    height, width = array.shape[:2]
    # A wide blur leaves nothing fine: computed on a smaller copy it looks the same, far sooner.
    shrink = max(1, int(sigma / 4))
    small_wh = (max(1, width // shrink), max(1, height // shrink))
    small = cv2.resize(array, small_wh, interpolation=cv2.INTER_AREA) if shrink > 1 else array
    soft = cv2.GaussianBlur(
        small, (0, 0), max(sigma / shrink, 1e-2), borderType=cv2.BORDER_REPLICATE
    )
    if shrink > 1:
        soft = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(soft, dtype=np.float32)


def in_scene_light(
    colour: Floats, skin: Floats, cover: Floats, unit_px: float, *, from_skin: bool
) -> Floats:
    """The fabric's colours in the light of the photo.

    Args:
        colour: `(H, W, 3)` in white light.
        skin: `(H, W, 3)`, the photo below.
        cover: `(H, W)`, where the mask lies.
        unit_px: Pixels of one eye distance.
        from_skin: Whether the skin below tells where the light comes from; below a hanging mask
            lies anything.
    """
    grey = skin.mean(axis=2)
    weight = cover + 1e-4
    # Where the skin below is lighter, more light falls; averaged under the mask only, so that
    # the background does not shine through.
    soft = blur(grey * weight, _LIGHT_BLUR * unit_px) / blur(weight, _LIGHT_BLUR * unit_px)
    mean = float((grey * weight).sum() / weight.sum())
    light = np.clip(soft / max(mean, 1e-3), 0.45, 1.6) ** 0.7
    if not from_skin:
        light = np.ones_like(light)
    # Skin may be dark or the room may be: the brightest parts nearby tell how white white is.
    exposure = np.clip(0.3 + 0.75 * float(np.percentile(skin.max(axis=2), 97)), 0.4, 1.0)
    spread = skin.max(axis=2) - skin.min(axis=2)
    saturation = float(np.percentile(spread / np.maximum(skin.max(axis=2), 0.05), 80))
    lit = colour * light[..., None] * exposure
    # A black-and-white photo gets a grey mask.
    flat = lit.mean(axis=2, keepdims=True)
    lit = flat + (lit - flat) * np.clip(saturation / 0.15, 0, 1)
    # A soft shoulder instead of clipping keeps the folds of a white mask in bright light.
    return np.asarray(np.where(lit > 0.8, 0.8 + 0.2 * np.tanh((lit - 0.8) / 0.2), lit), np.float32)


def skin_likeness(skin: Floats, cheeks_px: Doubles, unit_px: float) -> Floats:
    """1 where the patch looks like this face's skin, 0 on hair: hair falls over the loops."""
    lab = np.asarray(cv2.cvtColor(blur(skin, 0.03 * unit_px), cv2.COLOR_BGR2LAB))
    at = np.rint(cheeks_px).astype(int)
    at = np.clip(at, 0, [skin.shape[1] - 1, skin.shape[0] - 1])
    tone = np.median(lab[at[:, 1], at[:, 0]], axis=0)
    # Lightness counts half: shade on the cheek is still cheek.
    gap = np.linalg.norm((lab - tone) * [0.5, 1, 1], axis=2)
    return np.asarray(np.exp(-((np.maximum(gap - 14, 0) / 10) ** 2)), np.float32)


def photo_grain(skin: Floats) -> float:
    """Standard deviation of the photo's noise, 0 to 1.

    After J. Immerkaer, "Fast Noise Variance Estimation" (1996): a kernel that is blind to flat
    and sloping parts. A low quantile stands in for the mean, so that edges and, in small faces,
    the features themselves do not count as noise.
    """
    grey = skin.mean(axis=2).astype(np.float32)
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    answer = np.abs(cv2.filter2D(grey, -1, kernel))
    # The kernel multiplies white noise by 6; a quarter of it lies within 0.3186 deviations.
    return float(min(np.percentile(answer, 25) / (6 * 0.3186), 0.03))


def photo_blur(skin: Floats, unit_px: float) -> float:
    """Standard deviation in pixels of the photo's blur, from its steepest edge.

    A step of height c under a blur of s has the slope c / (s * sqrt(2 pi)).
    """
    grey: Floats = skin.mean(axis=2).astype(np.float32)
    slope = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)) / 8
    steep = float(np.percentile(slope, 99.5))
    height = float(np.percentile(grey, 99) - np.percentile(grey, 1))
    # The steepest edge in view is seldom the full step, so half of the height is counted.
    sigma = 0.5 * height / max(steep * np.sqrt(2 * np.pi), 1e-3)
    return float(np.clip(sigma, 0.4, max(0.4, 0.03 * unit_px)))
