"""The fabric of a mask laid flat: colour times relief, in even white light."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from maskwatch.datasets.synthetic.style import MaskKind, MaskStyle, Pattern
from maskwatch.types import Floats

Array = NDArray[np.floating]


def fabric(style: MaskStyle, height_px: int, width_px: int, rng: np.random.Generator) -> Floats:
    """The flat sheet, `(H, W, 3)` BGR from 0 to about 1; columns are u, rows are v."""
    u = np.linspace(-1, 1, width_px)[None, :]
    v = np.linspace(0, 1, height_px)[:, None]
    tone = np.array(style.colour) / 255 * rng.uniform(0.94, 1.04) * rng.normal(1, 0.015, 3)
    colour = np.broadcast_to(tone, (height_px, width_px, 3)).copy()
    if style.pattern is not Pattern.PLAIN:
        accent = np.array(style.accent) / 255
        share = _printed(style.pattern, u, v, rng)[..., None]
        colour = colour * (1 - share) + accent * share
    relief = {
        MaskKind.SURGICAL: _surgical_relief,
        MaskKind.CLOTH: _cloth_relief,
        MaskKind.RESPIRATOR: _respirator_relief,
    }[style.kind](u, v, rng)
    relief = relief * (1 + _creases(height_px, width_px, rng))
    if style.kind is not MaskKind.RESPIRATOR:
        relief = relief + _nose_relief(u, v)
    grain = 0.03 if style.kind is MaskKind.CLOTH else 0.015
    relief = relief * (1 + grain * rng.standard_normal((height_px, width_px)))
    # On dark fabric the same relief shows by its sheen, so some light is added, not multiplied.
    lit = colour * relief[..., None] + 0.05 * (relief[..., None] - 1)
    return np.asarray(np.clip(lit, 0, 1.2), dtype=np.float32)


def _ridge(x: Array, centre: float, width: float) -> Array:
    """A soft line of height 1."""
    return np.asarray(np.exp(-(((x - centre) / width) ** 2)))


def _smooth_step(x: Array, start: float, end: float) -> Array:
    """0 before `start`, 1 after `end`, smooth between."""
    t = np.clip((x - start) / (end - start), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def _creases(height_px: int, width_px: int, rng: np.random.Generator) -> Array:
    """Low, wide unevenness of a sheet that has been in a pocket."""
    total = np.zeros((height_px, width_px))
    for cells, strength in ((3, 0.035), (7, 0.025)):
        grid = rng.standard_normal((cells, cells + 2)).astype(np.float32)
        total += strength * cv2.resize(grid, (width_px, height_px), interpolation=cv2.INTER_CUBIC)
    return total


def _nose_relief(u: Array, v: Array) -> Array:
    """The nose shows through soft fabric: light along its back, shade on its flanks."""
    height = 1 - _smooth_step(v, 0.2, 0.55)
    return np.asarray((0.06 * _ridge(u, 0, 0.1) - 0.08 * _ridge(np.abs(u), 0.24, 0.1)) * height)


def _surgical_relief(u: Array, v: Array, rng: np.random.Generator) -> Array:
    """Three pleats that open downwards, welded seams all round, the wire at the nose."""
    relief = np.ones(np.broadcast_shapes(u.shape, v.shape))
    strength = rng.uniform(0.75, 1.1)
    for centre in (0.33, 0.52, 0.71):
        # Pleats are pressed flat at the sides and spread in the middle.
        place = centre + rng.normal(0, 0.012) + (0.05 * (centre - 0.5)) * (1 - u**2)
        gap = v - place
        fold = -0.26 * _ridge(gap, 0.012, 0.014)
        fold = fold - 0.13 * np.where(gap > 0, np.exp(-np.maximum(gap, 0) / 0.05), 0)
        fold = fold + 0.07 * _ridge(gap, -0.028, 0.024)
        relief = relief + strength * fold
    relief = relief + 0.05 * _ridge(v, 0.075, 0.012) - 0.09 * _ridge(v, 0.105, 0.01)
    relief = relief - 0.08 * _ridge(v, 0.93, 0.01)
    relief = relief - 0.1 * _ridge(np.abs(u), 0.925, 0.012) + 0.05 * _ridge(np.abs(u), 0.96, 0.02)
    return np.asarray(relief)


def _cloth_relief(u: Array, v: Array, rng: np.random.Generator) -> Array:
    """A dark turned edge, a dashed stitch inside it, and on some a seam down the middle."""
    # Distance to the nearest edge in units of the mask's height; the sheet is 1.5 times as wide.
    inset = np.minimum(np.minimum(v, 1 - v), (1 - np.abs(u)) * 0.75)
    relief = 1 - 0.2 * (1 - _smooth_step(inset, 0.045, 0.06))
    along = np.where(np.minimum(v, 1 - v) <= (1 - np.abs(u)) * 0.75, u * 0.75, v)
    dashes = 0.5 + 0.5 * np.tanh(3 * np.sin(along * 2 * np.pi * 26))
    relief = relief + _ridge(inset, 0.085, 0.009) * (0.3 * dashes - 0.14)
    if rng.random() < 0.5:
        relief = relief - 0.2 * _ridge(u, 0.0, 0.008) + 0.05 * _ridge(np.abs(u), 0.03, 0.02)
    for _ in range(3):
        # Soft pulls from a corner towards the nose.
        slope, start = rng.uniform(-0.25, 0.25), rng.uniform(0.25, 0.8)
        pull = _ridge(v - slope * np.abs(u), start, 0.05) * _smooth_step(np.abs(u), 0.25, 0.8)
        relief = relief - rng.uniform(0.03, 0.08) * pull
    return np.asarray(relief)


def _respirator_relief(u: Array, v: Array, rng: np.random.Generator) -> Array:
    """A welded ridge down the middle, dotted welds along the edge, a fold on each cheek."""
    relief = np.ones(np.broadcast_shapes(u.shape, v.shape))
    relief = relief + 0.1 * _ridge(u, -0.012, 0.012) - 0.16 * _ridge(u, 0.014, 0.014)
    relief = relief - 0.1 * _ridge(np.abs(u), 0.05, 0.012)
    inset = np.minimum(np.minimum(v, 1 - v), (1 - np.abs(u)) * 0.75)
    along = np.where(np.minimum(v, 1 - v) <= (1 - np.abs(u)) * 0.75, u * 0.75, v)
    dots = 0.5 + 0.5 * np.sin(along * 2 * np.pi * 34)
    for place in (0.05, 0.085):
        relief = relief - 0.17 * _ridge(inset, place, 0.011) * dots
    wing = 0.62 + rng.normal(0, 0.02)
    # The fold where the cup meets the cheek flap.
    relief = relief - 0.1 * _ridge(np.abs(u) + 0.25 * (v - 0.5) ** 2, wing, 0.02)
    return np.asarray(relief)


def _printed(pattern: Pattern, u: Array, v: Array, rng: np.random.Generator) -> Array:
    """How much of the accent colour shows, `(H, W)` from 0 to 1."""
    across, down = u * 1.5 + rng.uniform(-1, 1), v * 2.0 + rng.uniform(-1, 1)
    if pattern is Pattern.STRIPES:
        lean = rng.choice([0.0, 0.6, -0.6])
        wave = np.sin((across + lean * down) * np.pi * rng.uniform(4.5, 7))
        return _smooth_step(wave, 0.25, 0.45)
    if pattern is Pattern.DOTS:
        count = rng.uniform(4, 6)
        x, y = across * count, down * count
        shifted = x + 0.5 * (np.floor(y) % 2)
        reach = np.hypot(shifted % 1 - 0.5, y % 1 - 0.5)
        return 1 - _smooth_step(reach, 0.2, 0.26)
    if pattern is Pattern.CHECKS:
        count = rng.uniform(5, 8)
        columns = _smooth_step(np.sin(across * np.pi * count), -0.1, 0.1)
        rows = _smooth_step(np.sin(down * np.pi * count), -0.1, 0.1)
        return np.asarray((columns + rows) / 2)
    grid = rng.standard_normal((9, 12)).astype(np.float32)
    size = (u.shape[1], v.shape[0])
    blobs = np.asarray(cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC), np.float32)
    return _smooth_step(blobs, 0.1, 0.2)
