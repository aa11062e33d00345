"""Who stands too close: the first stage of the chain, and the pattern for others.

A stage takes a `FrameResult` and returns a changed copy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from maskwatch.errors import SettingsError
from maskwatch.types import ClosePair, Floats, FrameResult

Unit = Literal["pixels", "faces"]


@dataclass(frozen=True, slots=True)
class DistanceStage:
    """Adds the pairs of faces nearer to each other than a limit.

    `pixels` compares the top left corners of the boxes, so its meaning changes with resolution
    and with the distance from the camera. `faces` compares the centres and divides by the mean
    height of the two faces: a face is some 0.23 m high, so 6 is about 1.4 m between people who
    stand equally far from the camera. Neither sees depth.

    Attributes:
        unit: `pixels` or `faces`.
        limit: Pairs nearer than this are too close.
    """

    unit: Unit
    limit: float

    def __call__(self, result: FrameResult) -> FrameResult:
        """A copy of the result with `too_close` filled in; one face or none gives no pairs."""
        distances = pair_distances(result.faces.boxes, self.unit)
        pairs = tuple(
            ClosePair(i, j, round(float(distances[i, j]), 3))
            for i, j in combinations(range(len(distances)), 2)
            if distances[i, j] < self.limit
        )
        return replace(result, too_close=pairs)


def pair_distances(boxes: Floats, unit: Unit) -> NDArray[np.float64]:
    """Distance of every pair, `(N, N)`, in pixels or in face heights, for `(N, 4)` boxes."""
    exact = boxes.astype(np.float64)
    points = exact[:, :2] if unit == "pixels" else (exact[:, :2] + exact[:, 2:]) / 2
    distances: NDArray[np.float64] = np.linalg.norm(points[:, None] - points[None], axis=2)
    if unit == "pixels":
        return distances
    heights = exact[:, 3] - exact[:, 1]
    mean_heights = (heights[:, None] + heights[None]) / 2
    return distances / np.maximum(mean_heights, 1e-9)


def parse_distance(text: str) -> DistanceStage:
    """Read `pixels:130` or `faces:6`.

    Raises:
        SettingsError: The text has another form.
    """
    unit, _, number = text.partition(":")
    try:
        limit = float(number)
    except ValueError:
        limit = 0.0
    if not 0 < limit < float("inf"):
        raise _unfit(text)
    match unit:
        case "pixels" | "faces":
            return DistanceStage(unit, limit)
        case _:
            raise _unfit(text)


def _unfit(text: str) -> SettingsError:
    return SettingsError(
        f"distance is {text!r}; write pixels:N or faces:N with N above 0, such as faces:6."
    )
