"""Data sets whose pictures say by their colour how a judge takes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from maskwatch.images import write_image
from maskwatch.types import CLASSES, Floats, Image, MaskState

WITH, WITHOUT, INCORRECT = CLASSES


class ColourJudge:
    """Takes blue for `with_mask`, green for `without_mask` and red for `incorrect_mask`.

    The probability of each is the share of its colour in the crop.
    """

    size_px = 8

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, crops: Image) -> Floats:
        self.batches.append(len(crops))
        sums = crops.reshape(len(crops), -1, 3).astype(np.float32).sum(axis=1)
        return np.asarray(sums / sums.sum(axis=1, keepdims=True), np.float32)


def colour(looks: MaskState, share: float = 0.9, mix: MaskState | None = None) -> list[int]:
    """The BGR colour that is taken for `looks` with a probability of about `share`.

    Args:
        looks: What it is taken for.
        share: How surely.
        mix: What gets the rest; None shares it out.
    """
    others = [state for state in CLASSES if state is not looks] if mix is None else [mix]
    values = dict.fromkeys(CLASSES, 0.0) | dict.fromkeys(others, (1 - share) / len(others))
    values[looks] = share
    return [round(200 * values[state]) for state in CLASSES]


def picture(bgr: Sequence[int], size_wh: tuple[int, int] = (60, 60)) -> Image:
    """One colour all over."""
    return np.full((size_wh[1], size_wh[0], 3), bgr, np.uint8)


def crop(folder: Path, truth: str, name: str, bgr: Sequence[int], side: int = 60) -> Path:
    """A ready-made crop in the folder of its class."""
    path = folder / truth / f"{name}.png"
    write_image(path, picture(bgr, (side, side)))
    return path


def photo(
    folder: Path,
    name: str,
    bgr: Sequence[int],
    boxes: Sequence[tuple[str, tuple[float, float, float, float]]],
    split: str = "",
) -> Path:
    """A photo of one colour with boxes, in VOC form."""
    path = folder / "images" / f"{name}.png"
    write_image(path, picture(bgr, (300, 200)))
    items = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{b[0]}</xmin><ymin>{b[1]}</ymin>"
        f"<xmax>{b[2]}</xmax><ymax>{b[3]}</ymax></bndbox></object>"
        for label, b in boxes
    )
    annotation = folder / "annotations" / f"{name}.xml"
    annotation.parent.mkdir(parents=True, exist_ok=True)
    annotation.write_text(f"<annotation>{items}</annotation>")
    if split:
        with (folder / f"{split}.txt").open("a") as listing:
            listing.write(f"{name}\n")
    return path


def three_classes(folder: Path) -> Path:
    """Crops of all three classes in one split-less folder: 7 of 9 are taken for what they are."""
    for state in CLASSES:
        for number in range(3):
            crop(folder, state.value, str(number), colour(state))
    crop(folder, "with_mask", "2", colour(WITHOUT, 0.95))
    crop(folder, "incorrect_mask", "2", colour(WITHOUT, 0.7))
    return folder


def two_classes(folder: Path) -> Path:
    """Crops of two classes, one of which looks like `incorrect_mask` and next like the other.

    Of four, three are told right once `incorrect_mask` is out of the question.
    """
    crop(folder, "with_mask", "a", colour(WITH))
    crop(folder, "with_mask", "b", colour(INCORRECT, 0.6, WITH))
    crop(folder, "without_mask", "c", colour(WITHOUT))
    crop(folder, "without_mask", "d", colour(INCORRECT, 0.6, WITH))
    return folder
