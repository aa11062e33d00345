"""The photos that MTCNN is trained on, and those that its stages are measured on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskwatch.boxes import areas, iou
from maskwatch.datasets.records import Track, silently
from maskwatch.detectors import Detector
from maskwatch.errors import DatasetError, UnreadableImageError
from maskwatch.images import read_image
from maskwatch.training.detection.photos import find_photos, usable_labels
from maskwatch.training.mtcnn.conventions import normalised
from maskwatch.training.onepass.pack import IGNORED, NO_STATE
from maskwatch.types import CLASSES, Floats, Image

_SAME_FACE = 0.2
"""Intersection over union from which a found face is a labelled one, however it is boxed."""


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A photo and what is known of its faces.

    Attributes:
        path: The picture.
        boxes: `(N, 4)` float32, x0 y0 x1 y1 in its pixels.
        states: `(N,)` index into `CLASSES`, `NO_STATE`, or `IGNORED` where there may be a face.
        source: Name of its data set.
    """

    path: Path
    boxes: Floats
    states: NDArray[np.int64]
    source: str


@dataclass(frozen=True, slots=True, eq=False)
class Photos:
    """Photos, and a line for each that could not be read."""

    photos: tuple[Photo, ...]
    unread: tuple[str, ...]


def training_photos(
    folders: Sequence[Path],
    finder: Detector | None,
    *,
    min_face_px: float,
    track: Track = silently,
) -> Photos:
    """The photos of the split `train`, boxes in one convention.

    Faces that are small, and faces that a detector finds and nobody labelled, are ignored. A folder
    of photos without any labels stands for photos without faces.

    Args:
        folders: Of data sets.
        finder: Sure of what it finds; None looks for no more faces.
        min_face_px: Faces whose box has a smaller square root of its area are ignored.
        track: Shows how far it is.

    Raises:
        SourceError: No such folder.
        DatasetError: Not one photo can be read.
    """
    return _read(folders, "train", finder, min_face_px, True, track)


def validation_photos(
    folders: Sequence[Path], *, min_face_px: float, track: Track = silently
) -> Photos:
    """The photos of the split `val` with boxes as they were labelled; none where there are none."""
    try:
        return _read(folders, "val", None, min_face_px, False, track)
    except DatasetError:
        return Photos((), ())


def _read(
    folders: Sequence[Path],
    split: str,
    finder: Detector | None,
    min_face_px: float,
    learnt: bool,
    track: Track,
) -> Photos:
    sets, unread = find_photos(folders, split)
    # Photos without labels are in no split: a training set that needs none.
    chosen = [part for part in sets if learnt or part.source.split == split]
    records = [record for part in chosen for record in part.records]
    photos = []
    for record in track(records, "reading photos"):
        try:
            image = read_image(record.path)
        except UnreadableImageError as exc:
            unread.append(str(exc))
            continue
        boxes, known = usable_labels(record, image, Counter())
        states = np.array([NO_STATE if s is None else CLASSES.index(s) for s in known], np.int64)
        states[np.sqrt(areas(boxes)) < min_face_px] = IGNORED
        if learnt:
            more = _unlabelled(image, boxes, finder)
            boxes = np.concatenate([normalised(boxes, record.source), more])
            states = np.concatenate([states, np.full(len(more), IGNORED, np.int64)])
        photos.append(Photo(record.path, boxes, states, record.source))
    if not photos:
        raise DatasetError(f"no photo of split {split!r} can be read. {' '.join(unread[:1])}")
    return Photos(tuple(photos), tuple(unread) if learnt else ())


def _unlabelled(image: Image, boxes: Floats, finder: Detector | None) -> Floats:
    """Faces that a detector finds and nobody labelled, `(N, 4)`.

    People leave out small, blurred and half hidden faces; a network should not be told that there
    are none.
    """
    if finder is None:
        return np.zeros((0, 4), np.float32)
    (found,) = finder([image])
    new = iou(found.boxes, boxes).max(axis=1, initial=0) < _SAME_FACE
    return np.asarray(found.boxes[new], np.float32)
