"""Training faces whose masks are drawn, because masks worn wrongly are rare in photos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from maskwatch.boxes import areas, iou
from maskwatch.datasets.synthetic import STYLES, Wear, draw_mask
from maskwatch.detectors import Detector
from maskwatch.images import read_image
from maskwatch.preprocess import as_box
from maskwatch.training.samples import Samples, samples_of, stored_crops
from maskwatch.types import CLASSES, Faces, Floats, Image, MaskState

WEARS: dict[Wear, float] = {
    Wear.CORRECT: 0.3,
    Wear.NOSE_OUT: 0.3,
    Wear.CHIN: 0.2,
    Wear.HANGING: 0.2,
}
"""Share of each way of wearing; some are worn well, so that a drawing is not yet a wrong mask."""

WEARS_IN_CROPS: dict[Wear, float] = {Wear.CORRECT: 0.4, Wear.NOSE_OUT: 0.6}
"""Ready-made crops are too tight for what hangs at the chin or beside it."""

_SAME_FACE = 0.4
"""Intersection over union from which a detected face is a labelled one."""

_LEAST_FILL = 0.15
"""Share of a ready-made crop that its face must cover."""


def draw_on_photos(
    photos: Iterable[tuple[Path, Floats]], detector: Detector, min_face_px: float, seed: int
) -> Samples:
    """Draw a mask on every bare face in photos whose landmarks the detector finds.

    Args:
        photos: Pictures and the boxes `(N, 4)` of the bare faces in them.
        detector: Gives landmarks.
        min_face_px: Faces whose box has a smaller square root of its area are left out.
        seed: The only source of chance.
    """
    return _drawn(_faces_in_photos(photos, detector, min_face_px), WEARS, seed)


def draw_on_crops(paths: Iterable[Path], detector: Detector, seed: int) -> Samples:
    """Draw a mask on ready-made crops of bare faces whose landmarks the detector finds."""
    return _drawn(_faces_in_crops(paths, detector), WEARS_IN_CROPS, seed)


def _faces_in_photos(
    photos: Iterable[tuple[Path, Floats]], detector: Detector, min_face_px: float
) -> Iterator[tuple[Image, Floats, Floats]]:
    for path, boxes in photos:
        large = boxes[np.sqrt(areas(boxes)) >= min_face_px]
        if not len(large):
            continue
        image = read_image(path)
        found = _detect(detector, image)
        if found.landmarks is None or not len(found):
            continue
        overlaps = iou(large, found.boxes)
        for box, row in zip(large, overlaps, strict=True):
            if row.max() >= _SAME_FACE:
                yield image, box, found.landmarks[int(row.argmax())]


def _faces_in_crops(
    paths: Iterable[Path], detector: Detector
) -> Iterator[tuple[Image, Floats, Floats]]:
    for path in paths:
        image = read_image(path)
        found = _detect(detector, image)
        if found.landmarks is None or not len(found):
            continue
        best = int(areas(found.boxes).argmax())
        if areas(found.boxes)[best] >= _LEAST_FILL * image.shape[0] * image.shape[1]:
            yield image, as_box(image)[0], found.landmarks[best]


def _detect(detector: Detector, image: Image) -> Faces:
    (found,) = detector([image])
    return found


def _drawn(
    faces: Iterable[tuple[Image, Floats, Floats]], wears: dict[Wear, float], seed: int
) -> Samples:
    crops, labels = [], []
    sizes: list[Any] = []
    styles = list(STYLES.values())
    for number, (image, box, landmarks) in enumerate(faces):
        rng = np.random.default_rng([seed, number])
        style = styles[int(rng.integers(len(styles)))]
        wear = list(wears)[int(rng.choice(len(wears), p=list(wears.values())))]
        drawn, state = draw_mask(image, landmarks, style, wear=wear, rng=rng)
        if state is MaskState.WITHOUT_MASK:  # the mask would lie outside the picture
            continue
        crops.append(stored_crops(drawn, box[None]))
        labels.append(CLASSES.index(state))
        sizes.append(float(np.sqrt(areas(box[None])[0])))
    return samples_of(crops, labels, sizes, drawn=True)
