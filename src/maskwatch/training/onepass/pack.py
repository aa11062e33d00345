"""Labelled photos for detection, scaled down and compressed once, in one file that travels well."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from maskwatch.errors import ModelFileError
from maskwatch.preprocess import DETECTOR_LONG_SIDE_PX
from maskwatch.types import Floats, Image

NO_STATE = -1
"""State of a face of which is not known whether it wears a mask."""

IGNORED = -2
"""State of a region that may hold a face or not: nothing is learnt there."""

_QUALITY = 77  # three fifths of the bytes of JPEGs of quality 82


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One photo.

    Attributes:
        data: The picture as WebP.
        boxes: `(N, 4)` float32, x0 y0 x1 y1 in its pixels.
        states: `(N,)` index into `CLASSES`, `NO_STATE` or `IGNORED`.
        source: Name of the set that it comes from.
    """

    data: bytes
    boxes: Floats
    states: NDArray[np.int64]
    source: str

    def image(self) -> Image:
        """The picture."""
        decoded = cv2.imdecode(np.frombuffer(self.data, np.uint8), cv2.IMREAD_COLOR)
        if decoded is None:
            raise ModelFileError(
                f"a picture of {self.source} in the pack is damaged. Make it anew."
            )
        return np.asarray(decoded, np.uint8)


def scene(
    image: Image,
    boxes: Floats,
    states: Sequence[int] | NDArray[np.int64],
    source: str,
    *,
    long_side_px: int = DETECTOR_LONG_SIDE_PX,
) -> Scene:
    """Scale a photo down, where it is larger, and compress it.

    Args:
        image: `(H, W, 3)` uint8 BGR.
        boxes: `(N, 4)` in its pixels.
        states: `(N,)`, as of a `Scene`.
        source: Name of its set.
        long_side_px: Longer side kept.
    """
    height, width = image.shape[:2]
    scale = min(1.0, long_side_px / max(height, width))
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    _, data = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
    scaled = np.asarray(boxes, np.float32).reshape(-1, 4) * np.float32(scale)
    return Scene(data.tobytes(), scaled, np.asarray(states, np.int64), source)


@dataclass(frozen=True, slots=True, eq=False)
class Pack:
    """Photos to train on.

    Attributes:
        scenes: In a fixed order.
        facts: Anything that tells how it was made, ready for JSON.
    """

    scenes: tuple[Scene, ...]
    facts: dict[str, object] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.scenes)

    @property
    def sources(self) -> NDArray[np.str_]:
        """Name of the set of each photo, `(N,)`."""
        return np.array([scene.source for scene in self.scenes])

    def save(self, path: Path) -> None:
        """Write it into one file; an earlier one is replaced."""
        lengths = [len(scene.boxes) for scene in self.scenes]
        part = path.with_name(f"part-{path.name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez(
                file,
                pictures=np.frombuffer(b"".join(s.data for s in self.scenes), np.uint8),
                sizes=np.array([len(s.data) for s in self.scenes], np.int64),
                boxes=np.concatenate(
                    [np.zeros((0, 4), np.float32), *(s.boxes for s in self.scenes)]
                ),
                states=np.concatenate([np.zeros(0, np.int64), *(s.states for s in self.scenes)]),
                lengths=np.array(lengths, np.int64),
                sources=self.sources,
                facts=np.array(json.dumps(self.facts)),
            )
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Pack:
        """Read a file that `save` wrote.

        Raises:
            ModelFileError: It is missing or something else.
        """
        try:
            with np.load(path) as file:
                values = {name: file[name] for name in file.files}
            ends = np.cumsum(values["sizes"])
            faces = np.cumsum(values["lengths"])
            raw = values["pictures"].tobytes()
            scenes = tuple(
                Scene(
                    raw[ends[i] - values["sizes"][i] : ends[i]],
                    values["boxes"][faces[i] - values["lengths"][i] : faces[i]],
                    values["states"][faces[i] - values["lengths"][i] : faces[i]],
                    str(values["sources"][i]),
                )
                for i in range(len(ends))
            )
            return cls(scenes, json.loads(str(values["facts"])))
        except (OSError, EOFError, KeyError, ValueError, IndexError) as exc:
            raise ModelFileError(f"cannot read {path} as a pack of photos: {exc}.") from exc
