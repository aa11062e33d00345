"""Labelled face crops in memory, from photos with boxes and from folders of crops."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskwatch.boxes import areas
from maskwatch.datasets.folders import read_folders
from maskwatch.datasets.voc import read_voc
from maskwatch.images import IMAGE_SUFFIXES, read_image
from maskwatch.preprocess import CROP_SCALE, as_box, face_crops
from maskwatch.training.augment import STORED_MARGIN
from maskwatch.types import CLASSES, Floats, Image, MaskState

STORED_PX = 160


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """N labelled crops.

    Attributes:
        crops: `(N, STORED_PX, STORED_PX, 3)` uint8 BGR, `STORED_MARGIN` wider than serving sees.
        labels: `(N,)` index into `CLASSES`.
        sizes_px: `(N,)` square root of the face's area in its photo; of a crop, its side.
        boxed: `(N,)` whether the face came from a photo with boxes.
        drawn: `(N,)` whether its mask was drawn, see `maskwatch.training.drawn`.
    """

    crops: Image
    labels: NDArray[np.int64]
    sizes_px: Floats
    boxed: NDArray[np.bool_]
    drawn: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def join(cls, parts: list[Samples]) -> Samples:
        """All samples of several sets."""
        return cls(
            np.concatenate([part.crops for part in parts]),
            np.concatenate([part.labels for part in parts]),
            np.concatenate([part.sizes_px for part in parts]),
            np.concatenate([part.boxed for part in parts]),
            np.concatenate([part.drawn for part in parts]),
        )


def from_photos(folder: Path, split: str, min_face_px: float) -> Samples:
    """Crops of the faces in photos with boxes; boxes without a mask state are left out.

    Args:
        folder: A VOC data set, see `maskwatch.datasets.voc`.
        split: Such as `train`.
        min_face_px: Faces whose box has a smaller square root of its area are left out.
    """
    index = {state.value: i for i, state in enumerate(CLASSES)}
    crops, labels, sizes = [], [], []
    for photo in read_voc(folder, split):
        face_px = np.sqrt(areas(photo.boxes))
        keep = [
            i for i, name in enumerate(photo.names) if name in index and face_px[i] >= min_face_px
        ]
        if keep:
            crops.append(stored_crops(read_image(photo.path), photo.boxes[keep]))
            labels += [index[photo.names[i]] for i in keep]
            sizes += [face_px[i] for i in keep]
    return samples_of(crops, labels, sizes, boxed=True)


def from_folders(folder: Path) -> Samples:
    """Ready-made crops from folders named by class."""
    return _from_crops(list(read_folders(folder)))


def from_crops_of_one_state(folder: Path, state: MaskState) -> Samples:
    """Ready-made crops that all show the same state."""
    pictures = (path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    return _from_crops([(path, state) for path in sorted(pictures)])


def _from_crops(listed: list[tuple[Path, MaskState]]) -> Samples:
    crops, labels, sizes = [], [], []
    for path, state in listed:
        image = read_image(path)
        crops.append(stored_crops(image, as_box(image)))
        labels.append(CLASSES.index(state))
        sizes.append(float(max(image.shape[:2])))
    return samples_of(crops, labels, sizes, boxed=False)


def stored_crops(image: Image, boxes: Floats) -> Image:
    """The faces in the form of `Samples.crops`, `(N, STORED_PX, STORED_PX, 3)`."""
    return face_crops(image, boxes, STORED_PX, CROP_SCALE * STORED_MARGIN)


def samples_of(
    crops: list[Image],
    labels: list[int],
    sizes: list[Any],
    *,
    boxed: bool = False,
    drawn: bool = False,
) -> Samples:
    """Samples from lists; an item of `crops` may hold several, `(n, STORED_PX, STORED_PX, 3)`."""
    empty = np.zeros((0, STORED_PX, STORED_PX, 3), np.uint8)
    return Samples(
        np.concatenate([empty, *crops]),
        np.asarray(labels, np.int64),
        np.asarray(sizes, np.float32),
        np.full(len(labels), boxed),
        np.full(len(labels), drawn),
    )
