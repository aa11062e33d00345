"""The surface that a mask takes on a head, and the path of its ear loops.

A mask is a sheet with coordinates u from -1 to 1 (picture's left to right) and v from 0 to 1
(upper edge to lower edge). A shape takes them to points of the head's frame (see `geometry`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from maskwatch.datasets.synthetic.geometry import Doubles, HeadPose
from maskwatch.datasets.synthetic.style import MaskKind, Wear

Surface = Callable[[Doubles, Doubles], Doubles]
"""u and v, both `(...)`, to points `(..., 3)`."""

# How far a sheet goes round the head, in radians: its sides are seen nearly edge-on.
_REACH = 1.3

# The head seen from above is an ellipse of these half axes around a centre behind the eyes; the
# ears stand at its sides. Breadth 140 mm and depth 190 mm of the skull at 63 mm per unit.
_HEAD_HALF_WIDTH = 1.12
_HEAD_HALF_DEPTH = 1.3
_HEAD_CENTRE_Z = -1.1
_EAR_TOP = np.array([1.15, 0.02, -1.0])
_EAR_BOTTOM = np.array([1.11, 0.62, -1.0])


@dataclass(frozen=True, slots=True)
class Cut:
    """The knots that a worn sheet passes through, in the head's frame.

    Attributes:
        middle: `(4, 2)` y z down the middle line at v = 0, 1/3, 2/3, 1.
        side: `(3, 3)` x y z down the right side at v = 0, 1/2, 1; the left is its mirror image.
        peak: How sharply the upper edge rises to the nose; 1 is round.
        fold: 1 for a round cross-section, towards 0 for a tent with a ridge in the middle.
    """

    middle: tuple[tuple[float, float], ...]
    side: tuple[tuple[float, float, float], ...]
    peak: float
    fold: float


_CORRECT = {
    MaskKind.SURGICAL: Cut(
        middle=((0.20, 0.28), (0.64, 0.58), (1.16, 0.52), (1.76, 0.18)),
        side=((1.00, 0.44, -0.55), (1.03, 0.78, -0.58), (0.93, 1.14, -0.55)),
        peak=1.7,
        fold=1.0,
    ),
    MaskKind.CLOTH: Cut(
        middle=((0.16, 0.28), (0.62, 0.60), (1.14, 0.56), (1.76, 0.16)),
        side=((1.00, 0.52, -0.60), (1.02, 0.78, -0.62), (0.96, 1.05, -0.60)),
        peak=2.4,
        fold=0.8,
    ),
    MaskKind.RESPIRATOR: Cut(
        middle=((0.12, 0.26), (0.60, 0.72), (1.12, 0.78), (1.75, 0.22)),
        side=((0.94, 0.56, -0.50), (0.97, 0.76, -0.54), (0.93, 0.98, -0.50)),
        peak=1.5,
        fold=0.3,
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class Garment:
    """A mask in place.

    Attributes:
        surface: Its sheet.
        loops: Ear loops, each `(n, 3)` points.
        on_head: Whether the loops lie on the head; then the far side of the head hides them.
    """

    surface: Surface
    loops: tuple[Doubles, ...]
    on_head: bool = True


def make_garments(
    kind: MaskKind, wear: Wear, pose: HeadPose, rng: np.random.Generator
) -> tuple[Garment, ...]:
    """A mask of that kind, worn that way, with a little chance in its fit.

    One garment, or two where it could hang from either ear, the preferred one first.
    """
    cut = _CORRECT[kind]
    if wear is Wear.HANGING:
        # From the ear that faces the camera; on a nearly frontal face either one.
        near = float(-np.sign(pose.yaw)) if abs(pose.yaw) > 0.15 else float(rng.choice([-1, 1]))
        sides = (near, -near) if abs(pose.yaw) < 0.35 else (near,)
        return tuple(_hanging(kind, side, pose, rng) for side in sides)
    middle, side = _knots(cut, wear, rng)
    # A sheet pulled down bunches up: it loses the peak at the nose.
    peak, fold = (cut.peak, cut.fold) if wear is Wear.CORRECT else (1.0, 0.5 + cut.fold / 2)
    return (Garment(_worn_surface(middle, side, peak, fold), tuple(_worn_loops(side, rng))),)


def _knots(cut: Cut, wear: Wear, rng: np.random.Generator) -> tuple[Doubles, Doubles]:
    """Middle `(4, 2)` and side `(3, 3)` knots after the wear and the chance of fit."""
    middle, side = np.array(cut.middle), np.array(cut.side)
    if wear is Wear.NOSE_OUT:
        # Mouth corners lie at y 0.99 and the nose ends at 0.75: the edge lies on the upper lip.
        top, slip = rng.uniform(0.74, 0.82), rng.uniform(0.1, 0.2)
        middle = np.array([[top, 0.32], [top + 0.36, 0.42], [top + 0.7, 0.38], [1.78, 0.08]])
        side += np.array([-0.03, slip + 0.08, 0])
    elif wear is Wear.CHIN:
        top = rng.uniform(1.26, 1.4)
        middle = np.array([[top, 0.34], [top + 0.2, 0.36], [top + 0.42, 0.2], [top + 0.6, -0.12]])
        side = np.array([[0.91, 0.92, -0.6], [0.87, 1.12, -0.62], [0.8, 1.36, -0.62]])
    middle[:, 0] += rng.normal(0, 0.015) + rng.normal(0, 0.01, 4)
    side[:, 1] += rng.normal(0, 0.025)
    side[:, 0] *= rng.uniform(0.97, 1.02)
    return middle, side


def _worn_surface(middle: Doubles, side: Doubles, peak: float, fold: float) -> Surface:
    """A sheet stretched from one side over the middle line to the other side."""
    middle_curve = np.polyfit(np.linspace(0, 1, 4), middle, 3)
    side_curve = np.polyfit(np.linspace(0, 1, 3), side, 2)
    edge = np.cos(_REACH)

    def surface(u: Doubles, v: Doubles) -> Doubles:
        centre, flank = _polynomial(middle_curve, v), _polynomial(side_curve, v)
        angle = u * _REACH
        x = flank[..., 0] * np.sin(angle) / np.sin(_REACH)
        rise = (np.cos(angle) - edge) / (1 - edge)
        lift = np.sign(rise) * np.abs(rise) ** (1 + (peak - 1) * np.clip(1 - v, 0, 1))
        tent = fold * rise + (1 - fold) * (1 - np.sqrt(u**2 + 1e-3))
        y = flank[..., 1] + (centre[..., 0] - flank[..., 1]) * lift
        z = flank[..., 2] + (centre[..., 1] - flank[..., 2]) * tent
        return np.stack([x, y, z], axis=-1)

    return surface


def _polynomial(coefficients: Doubles, v: Doubles) -> Doubles:
    """Horner's rule for several polynomials at once, `(..., k)` for `(...)`."""
    value = np.zeros((*v.shape, coefficients.shape[1]))
    for row in coefficients:
        value = value * v[..., None] + row
    return value


def _worn_loops(side: Doubles, rng: np.random.Generator) -> list[Doubles]:
    """From each corner of the mask along the cheek to the ear."""
    loops = []
    slack = rng.uniform(0.02, 0.07)
    for sign in (-1.0, 1.0):
        for corner, ear in ((side[0], _EAR_TOP), (side[-1], _EAR_BOTTOM)):
            # The cheek bulges between the two, and the strand sags a little.
            between = (corner + ear) / 2 + [0.04, slack, 0.05]
            loops.append(_curve(corner, between, ear) * [sign, 1, 1])
    return loops


def _curve(start: Doubles, through: Doubles, end: Doubles) -> Doubles:
    """A parabola through three points, `(17, 3)`."""
    t = np.linspace(0, 1, 17)
    return _polynomial(np.polyfit([0, 0.5, 1], np.stack([start, through, end]), 2), t)


def _hanging(kind: MaskKind, sign: float, pose: HeadPose, rng: np.random.Generator) -> Garment:
    """A sheet on end below one ear, held by one loop, the other loop dangling."""
    length, width = rng.uniform(1.15, 1.4), rng.uniform(0.5, 0.66)
    # Halfway between the head's own down and the picture's: it hangs, but leans on the cheek.
    swing = -np.clip(pose.roll, -0.8, 0.8) / 2 + rng.normal(0, 0.06)
    down = np.array([-np.sin(swing), np.cos(swing), 0.0])
    across = np.array([np.cos(swing), np.sin(swing), 0.0]) * np.cos(0.6)
    across[2] = -sign * np.sin(0.6)
    hook = np.array([sign, 1, 1]) * (_EAR_BOTTOM + np.array([0.0, -0.12, 0.1]))
    top = hook + down * 0.36 + [sign * 0.02, 0, 0]
    belly = 0.12 if kind is MaskKind.SURGICAL else 0.2

    def surface(u: Doubles, v: Doubles) -> Doubles:
        along = (u + 1) / 2
        # Pinched at both ends where the loops gather it, curled around its long axis.
        spread = (v - 0.5) * width * (0.72 + 0.28 * np.sin(np.pi * np.clip(along, 0, 1)))
        point = top + along[..., None] * length * down - spread[..., None] * across
        curl = belly * np.cos((v - 0.5) * np.pi * 0.9)
        return np.asarray(point + curl[..., None] * np.array([sign * 0.5, 0, 0.8]))

    corners = [surface(np.array(end), np.array(v)) for end in (-1.0, 1.0) for v in (0.06, 0.94)]
    held = [_curve(corner, (corner + hook) / 2, hook) for corner in corners[:2]]
    lowest = (corners[2] + corners[3]) / 2 + down * rng.uniform(0.3, 0.45)
    return Garment(surface, (*held, _curve(corners[2], lowest, corners[3])), on_head=False)


def faces_camera(points: Doubles, pose: HeadPose) -> Doubles:
    """Cosine between the head's outside at `points` `(n, 3)` and the view, `(n,)`."""
    outward = np.zeros_like(points)
    outward[:, 0] = points[:, 0] / _HEAD_HALF_WIDTH**2
    outward[:, 2] = (points[:, 2] - _HEAD_CENTRE_Z) / _HEAD_HALF_DEPTH**2
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-9)
    return np.asarray(pose.turned(outward)[:, 2])
