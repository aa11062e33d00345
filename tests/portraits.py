"""Two real faces that come with development dependencies, boxed and marked by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from maskwatch.images import read_image
from maskwatch.types import Faces, Floats, Image


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A picture of one bare face.

    Attributes:
        image: `(H, W, 3)` BGR, not to be written to.
        box: `(1, 4)`.
        landmarks: `(5, 2)` in the order of `Faces.landmarks`.
    """

    image: Image
    box: Floats
    landmarks: Floats

    @property
    def faces(self) -> Faces:
        """The face."""
        return Faces(self.box, np.ones(1, np.float32))


def _portrait(image: Image, box: list[float], landmarks: list[list[float]]) -> Portrait:
    image.flags.writeable = False
    return Portrait(image, np.array([box], np.float32), np.array(landmarks, np.float32))


@lru_cache
def hopper() -> Portrait:
    """Grace Hopper, 512 x 600, frontal."""
    pytest.importorskip("matplotlib", reason="the picture comes with matplotlib (extra dev)")
    from matplotlib.cbook import get_sample_data

    path = Path(str(get_sample_data("grace_hopper.jpg", asfileobj=False)))
    return _portrait(
        read_image(path),
        [177, 127, 358, 337],
        [[225, 194], [305, 195], [263, 239], [229, 275], [300, 275]],
    )


@lru_cache
def astronaut() -> Portrait:
    """Eileen Collins, 512 x 512, head a little tilted."""
    pytest.importorskip("skimage", reason="the picture comes with scikit-image (extra dev)")
    from skimage import data

    rgb: Image = data.astronaut()  # type: ignore[no-untyped-call, unused-ignore]
    return _portrait(
        np.ascontiguousarray(rgb[:, :, ::-1]),
        [181, 54, 274, 178],
        [[205, 97], [248, 103], [222, 127], [201, 141], [239, 146]],
    )


PORTRAITS: dict[str, Callable[[], Portrait]] = {"hopper": hopper, "astronaut": astronaut}
"""By name; each is loaded when it is called."""
