"""Real face crops on which an exported file is calibrated and checked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maskwatch.boxes import areas
from maskwatch.datasets.formats import load_dataset
from maskwatch.datasets.records import Record, Track, silently
from maskwatch.errors import DatasetError, UnreadableImageError
from maskwatch.images import read_image
from maskwatch.preprocess import as_box, face_crops, possible_boxes
from maskwatch.types import Image

_HELD_OUT = ("val", "test")


@dataclass(frozen=True, slots=True, eq=False)
class ExportCrops:
    """Crops as serving would cut them, without augmentation.

    Attributes:
        calibration: `(n, S, S, 3)` uint8 BGR, from the pictures that models are trained on.
        check: `(m, S, S, 3)`, from other pictures.
        check_split: The split of those; empty where the data set has none but `train`.
    """

    calibration: Image
    check: Image
    check_split: str


def read_export_crops(
    data: Path,
    size_px: int,
    *,
    calibration: int = 512,
    check: int = 512,
    min_face_px: float = 24.0,
    seed: int = 0,
    form: str | None = None,
    mapping: Mapping[str, str] | None = None,
    track: Track = silently,
) -> ExportCrops:
    """Cut faces drawn at random from a data set; pictures that cannot be read are passed over.

    Args:
        data: The data set, in any form that `load_dataset` knows.
        size_px: Side of the crops.
        calibration: Faces from its split `train`, else from what `check` leaves; from half of its
            pictures where that is nothing.
        check: Faces from its split `val`, else `test`, else from pictures not taken before.
        min_face_px: Faces whose box has a smaller square root of its area are passed over.
        seed: Of the draw.
        form: Form of the data set; None recognises it.
        mapping: Meanings of class names.
        track: Shows how far it is.

    Raises:
        SourceNotFoundError: No such folder.
        DatasetError: The labels cannot be understood, or there are no faces for one of the two.
    """
    records = [record for record in load_dataset(data, form, mapping).records if any(record.states)]
    shuffled = [records[i] for i in np.random.default_rng(seed).permutation(len(records))]
    split = next((s for s in _HELD_OUT if any(r.split == s for r in shuffled)), "")
    held_out = [record for record in shuffled if record.split == split] if split else []
    rest = [record for record in shuffled if record.split != split] if split else shuffled
    train = [record for record in rest if record.split == "train"] or rest
    if not held_out or not train:
        train = train or held_out
        # One picture may have several faces; its neighbours must not be on both sides.
        half = (len(train) + 1) // 2
        train, held_out, split = train[:half], train[half:], ""
    parts = []
    for part, count, what in ((train, calibration, "to calibrate"), (held_out, check, "to check")):
        nothing = np.zeros((0, size_px, size_px, 3), np.uint8)
        crops = np.concatenate([nothing, *_crops(part, size_px, min_face_px, count, track)])
        if count and not len(crops):
            raise DatasetError(f"no face of {min_face_px:g} px or more {what} in {data}.")
        parts.append(crops[:count])
    return ExportCrops(parts[0], parts[1], split)


def _crops(
    records: Sequence[Record], size_px: int, min_face_px: float, count: int, track: Track
) -> Iterator[Image]:
    """The faces of one picture after the other, until there are `count`."""
    found, threads = 0, os.cpu_count() or 1
    chunks = [records[i : i + 2 * threads] for i in range(0, len(records), 2 * threads)]
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        for chunk in track(chunks, "cutting faces"):
            if found >= count:
                return
            for crops in pool.map(lambda record: _cut(record, size_px, min_face_px), chunk):
                found += len(crops)
                yield crops


def _cut(record: Record, size_px: int, min_face_px: float) -> Image:
    nothing = np.zeros((0, size_px, size_px, 3), np.uint8)
    try:
        image = read_image(record.path)
    except UnreadableImageError:
        return nothing
    if record.boxes is None:
        return face_crops(image, as_box(image), size_px)
    large = np.isfinite(record.boxes).all(axis=1) & (np.sqrt(areas(record.boxes)) >= min_face_px)
    usable = large & possible_boxes(image, record.boxes)
    kept = [i for i, state in enumerate(record.states) if state is not None and usable[i]]
    return face_crops(image, record.boxes[kept], size_px) if kept else nothing
