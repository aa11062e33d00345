"""Photos on which faces are painted rectangles, and detectors that find exactly these.

A face is red; its green tells the state, its blue the score of the detector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from maskwatch.detectors import DETECTORS
from maskwatch.images import write_image
from maskwatch.types import CLASSES, Faces, Image, MaskState

WITH, WITHOUT, INCORRECT = CLASSES

Box = tuple[int, int, int, int]

SIZE_WH = (320, 200)
_GREENS = {WITH: 40, WITHOUT: 120, INCORRECT: 200}


@dataclass(frozen=True)
class Painted:
    """A face on a photo.

    Attributes:
        box: Where.
        looks: What the detector takes it for; None for a face that it cannot see.
        score: The detector's score.
        label: What is written of it; empty for nothing.
    """

    box: Box
    looks: MaskState | None = WITH
    score: float = 0.9
    label: str = "with_mask"


def paint(faces: Sequence[Painted], size_wh: tuple[int, int] = SIZE_WH) -> Image:
    """The photo."""
    image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    for face in faces:
        if face.looks is not None:
            x0, y0, x1, y1 = face.box
            image[y0:y1, x0:x1] = (round(face.score * 200), _GREENS[face.looks], 255)
    return image


def painted_set(
    folder: Path, photos: Sequence[Sequence[Painted]], splits: Sequence[str] = ()
) -> Path:
    """A VOC data set of photos 0.png, 1.png and so on, each in its split if there are splits."""
    for number, faces in enumerate(photos):
        write_image(folder / "images" / f"{number}.png", paint(faces))
        items = "".join(
            f"<object><name>{face.label}</name><bndbox><xmin>{face.box[0]}</xmin>"
            f"<ymin>{face.box[1]}</ymin><xmax>{face.box[2]}</xmax><ymax>{face.box[3]}</ymax>"
            "</bndbox></object>"
            for face in faces
            if face.label
        )
        annotation = folder / "annotations" / f"{number}.xml"
        annotation.parent.mkdir(parents=True, exist_ok=True)
        annotation.write_text(f"<annotation>{items}</annotation>")
        if splits:
            with (folder / f"{splits[number]}.txt").open("a") as listing:
                listing.write(f"{number}\n")
    return folder


def some_photos() -> list[list[Painted]]:
    """Three photos: two faces right, one told wrong, one missed as shipped, and a false alarm."""
    return [
        [
            Painted((10, 10, 60, 60)),
            Painted((100, 10, 160, 70), WITHOUT, 0.8, "without_mask"),
            Painted((200, 10, 230, 40), WITH, 0.7, ""),
        ],
        [Painted((20, 20, 120, 120), INCORRECT, 0.85, "with_mask")],
        [Painted((20, 20, 120, 120), INCORRECT, 0.3, "incorrect_mask")],
    ]


class PaintDetector:
    """Finds painted faces."""

    def __init__(self, name: str, min_score: float | None = None, *, states: bool) -> None:
        self.name = name
        self.min_score = 0.5 if min_score is None else min_score
        self.tells_states = states

    def __call__(self, images: Sequence[Image]) -> list[Faces]:
        return [self._find(image) for image in images]

    def _find(self, image: Image) -> Faces:
        count, labels, stats, _ = cv2.connectedComponentsWithStats(
            (image[:, :, 2] > 128).astype(np.uint8)
        )
        boxes, scores, probs = [], [], []
        for index in range(1, count):
            x, y, width, height, _ = stats[index]
            blue, green, _ = image[labels == index][0].astype(float)
            if blue / 200 >= self.min_score:
                boxes.append([x, y, x + width, y + height])
                scores.append(blue / 200)
                own = np.array([0.1, 0.1, 0.1])
                own[list(_GREENS.values()).index(int(green))] = 0.8
                probs.append(own)
        order = np.argsort(scores)[::-1]
        return Faces(
            np.array(boxes, np.float32).reshape(-1, 4)[order],
            np.array(scores, np.float32)[order],
            np.array(probs, np.float32).reshape(-1, 3)[order] if self.tells_states else None,
        )


def add_detectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make them known: `paint` tells states, `plain` finds faces alone."""
    for name, states in (("paint", True), ("plain", False)):

        def make(low: float | None, name: str = name, states: bool = states) -> PaintDetector:
            return PaintDetector(name, low, states=states)

        monkeypatch.setitem(DETECTORS, name, make)
