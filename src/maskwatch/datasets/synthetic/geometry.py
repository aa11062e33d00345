"""Where a head is and how it is turned, from five landmarks.

Points of the head are written in a frame of its own: unit is the distance between the eyes of a
frontal face, the origin lies midway between them, x goes to the picture's right, y down to the
chin and z towards the viewer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskwatch.types import Floats

Doubles = NDArray[np.float64]

# x and y: medians over 180 nearly frontal bare faces (YuNet landmarks on press photos). z: the
# nose tip lies about 28 mm before the eyes and the mouth 8 mm, at 63 mm between the pupils.
_LANDMARKS_3D = np.array(
    [[-0.5, 0, 0], [0.5, 0, 0], [0, 0.58, 0.45], [-0.43, 0.99, 0.12], [0.43, 0.99, 0.12]]
)

_SQUARE_BOX_RATIOS = np.array(
    [[0.317, 0.388], [0.683, 0.388], [0.5, 0.6], [0.349, 0.756], [0.651, 0.756]], np.float32
)
_TALL_BOX_RATIOS = np.array(
    [[0.267, 0.363], [0.733, 0.363], [0.5, 0.58], [0.3, 0.735], [0.7, 0.735]], np.float32
)

# Spread expected of the fit: landmarks in eye distances, angles in radians, the rest as
# logarithms. The nose alone tells pitch from a long face, so both are held near zero.
_LANDMARK_SPREAD = 0.04
_PRIOR_SPREAD = {"yaw": 0.8, "pitch": 0.25, "aspect": 0.1}
_FIT_STEPS = 15

# What the pose leaves over is spread around each landmark this far, in eye distances.
_RESIDUAL_REACH = 0.5
_RESIDUAL_LIMIT = 0.2


def landmarks_from_box(box: ArrayLike) -> Floats:
    """Landmarks of an average upright frontal face in a box, `(5, 2)`, for want of better ones.

    A Haar cascade gives square boxes and a neural detector taller ones that hug the face; each
    has its own ratios, and the shape of the box tells which. The square ones are medians over
    491 pairs of a Haar box (OpenCV's `frontalface_default` and `frontalface_alt2`) and the
    frontal landmarks that YuNet found in it, on press and stock photos; half of the eyes lie
    within 2% and half of the mouths within 3% of the side from there. The tall ones are medians
    over 180 frontal faces boxed by YuNet and by hand.

    Args:
        box: x0 y0 x1 y1 in pixels.
    """
    values = np.asarray(box, dtype=np.float32)
    if values.shape != (4,):
        raise ValueError(f"a box is 4 numbers x0 y0 x1 y1, got shape {values.shape}.")
    sides = values[2:] - values[:2]
    if not np.all(np.isfinite(values)) or np.any(sides <= 0):
        raise ValueError(f"a box has x0 < x1 and y0 < y1, got {values.tolist()}.")
    ratios = _TALL_BOX_RATIOS if sides[1] > 1.05 * sides[0] else _SQUARE_BOX_RATIOS
    return np.asarray(values[:2] + ratios * sides, dtype=np.float32)


def checked_landmarks(landmarks: ArrayLike) -> Doubles:
    """The landmarks as float64, `(5, 2)`.

    Raises:
        ValueError: Wrong shape, not finite, or all in one place.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.shape != (5, 2):
        raise ValueError(
            "landmarks are (5, 2): eye, eye, nose tip, mouth corner, mouth corner; "
            f"got shape {points.shape}."
        )
    if not np.all(np.isfinite(points)):
        raise ValueError(f"landmarks are finite pixels, got {points.tolist()}.")
    if _eye_unit_px(points) < 1:
        raise ValueError(f"landmarks lie within one pixel of each other: {points.tolist()}.")
    return points


def _eye_unit_px(points: Doubles) -> float:
    """Rough pixels per eye distance; the larger of two cues, since turning shortens each."""
    across = float(np.linalg.norm(points[1] - points[0]))
    down = float(np.linalg.norm(points[3:].mean(axis=0) - points[:2].mean(axis=0)))
    return max(across, down / float(_LANDMARKS_3D[3, 1]))


@dataclass(frozen=True, slots=True, eq=False)
class HeadPose:
    """How a head lies in the picture, under weak perspective.

    Attributes:
        yaw: Radians; positive turns the nose to the picture's right.
        pitch: Radians; positive looks down.
        roll: Radians; positive turns the head clockwise as seen.
        unit_px: Pixels of one eye distance.
        aspect: Height of this face relative to the average one.
        origin: Pixel between the eyes, `(2,)`.
        residuals: `(5, 2)` weights of the shifts that take the landmarks to where they were seen.
    """

    yaw: float
    pitch: float
    roll: float
    unit_px: float
    aspect: float
    origin: Doubles
    residuals: Doubles

    def turned(self, points: Doubles) -> Doubles:
        """Points of the head as seen from the camera, `(..., 3)`, in eye distances."""
        return _turn(points, self.yaw, self.pitch, self.roll, self.aspect)

    def project(self, points: Doubles) -> Doubles:
        """Pixels of points of the head, `(..., 2)` for `(..., 3)`."""
        flat = self.turned(points)[..., :2] * self.unit_px + self.origin
        return np.asarray(flat + _bumps(points) @ self.residuals)


def _turn(points: Doubles, yaw: float, pitch: float, roll: float, aspect: float) -> Doubles:
    """Stretch by `aspect`, then nod, shake and tilt."""
    x, y, z = points[..., 0], points[..., 1] * aspect, points[..., 2]
    y, z = y * np.cos(pitch) + z * np.sin(pitch), z * np.cos(pitch) - y * np.sin(pitch)
    x, z = x * np.cos(yaw) + z * np.sin(yaw), z * np.cos(yaw) - x * np.sin(yaw)
    x, y = x * np.cos(roll) - y * np.sin(roll), x * np.sin(roll) + y * np.cos(roll)
    return np.stack([x, y, z], axis=-1)


def _bumps(points: Doubles) -> Doubles:
    """How strongly each landmark pulls at each point, `(..., 5)`, seen from the front."""
    gaps = points[..., None, :2] - _LANDMARKS_3D[:, :2]
    return np.asarray(np.exp(-(gaps**2).sum(axis=-1) / _RESIDUAL_REACH**2))


def _gauss_newton_step(misfit: Callable[[Doubles], Doubles], params: Doubles) -> Doubles:
    """One step towards the least squares of `misfit`, never longer than half a radian."""
    here = misfit(params)
    nudge = 1e-5
    slopes = np.stack(
        [(misfit(params + nudge * axis) - here) / nudge for axis in np.eye(len(params))], axis=1
    )
    normal = slopes.T @ slopes
    normal += 1e-6 * np.trace(normal) / len(params) * np.eye(len(params))
    step = np.linalg.solve(normal, slopes.T @ here)
    return np.asarray(params - step * min(1.0, 0.5 / max(float(np.abs(step).max()), 1e-9)))


def fit_pose(points: Doubles) -> HeadPose:
    """The pose that best explains five landmarks `(5, 2)`.

    Gauss-Newton with a numerical derivative on yaw, pitch, roll, log size, log aspect and origin.
    """
    unit = _eye_unit_px(points)
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    # Right along the eyes and down to the mouth, as one vector: either may be foreshortened.
    down = mouth - eyes
    right = points[1] - points[0] + np.array([down[1], -down[0]])
    origin = (eyes + mouth) / 2 - np.array([-right[1], right[0]]) / np.linalg.norm(right) * unit / 2

    def misfit(params: Doubles) -> Doubles:
        yaw, pitch, roll, log_size, log_aspect = params[:5]
        size = np.exp(log_size)
        seen = _turn(_LANDMARKS_3D, yaw, pitch, roll, np.exp(log_aspect))[:, :2] * size
        gaps = (seen + params[5:] - (points - origin) / unit) / _LANDMARK_SPREAD
        spreads = _PRIOR_SPREAD
        prior = [yaw / spreads["yaw"], pitch / spreads["pitch"], log_aspect / spreads["aspect"]]
        return np.concatenate([gaps.ravel(), prior])

    params = np.zeros(7)
    params[2] = np.arctan2(right[1], right[0])
    for _ in range(_FIT_STEPS):
        params = _gauss_newton_step(misfit, params)
    yaw, pitch, roll, log_size, log_aspect = (float(value) for value in params[:5])
    size_px = float(np.exp(log_size)) * unit
    place = origin + params[5:] * unit
    pose = HeadPose(yaw, pitch, roll, size_px, float(np.exp(log_aspect)), place, np.zeros((5, 2)))
    limit = _RESIDUAL_LIMIT * size_px
    gaps = np.clip(points - pose.project(_LANDMARKS_3D), -limit, limit)
    weights = np.asarray(np.linalg.solve(_bumps(_LANDMARKS_3D), gaps), np.float64)
    return HeadPose(yaw, pitch, roll, size_px, pose.aspect, place, weights)
