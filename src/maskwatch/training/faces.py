"""The labelled faces of a data set: which they are, and their crops, decoded in threads."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from maskwatch.boxes import areas
from maskwatch.datasets.records import Dataset, Record
from maskwatch.errors import DatasetError, UnreadableImageError
from maskwatch.images import read_image
from maskwatch.preprocess import as_box, possible_boxes
from maskwatch.types import CLASSES, Floats, Image

T = TypeVar("T")
R = TypeVar("R")

_SPLIT_SEED = 0
"""The share kept for validation is the same for every seed of a training."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture and those of its faces that have a mask state.

    Attributes:
        path: Where it is.
        boxes: `(N, 4)` in its pixels; None where it is a face crop.
        labels: `(N,)` index into `CLASSES`; of a crop, `(1,)`.
    """

    path: Path
    boxes: Floats | None
    labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class FaceSet:
    """Faces to train on or to validate with, in the order of their pictures.

    Attributes:
        pictures: Each with one face or more.
        labels: `(N,)` index into `CLASSES`.
        boxed: `(N,)` whether the face is in a photo with boxes.
    """

    pictures: tuple[Picture, ...]
    labels: NDArray[np.int64] = field(init=False)
    boxed: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        none = np.zeros(0, np.int64)
        put = object.__setattr__
        put(self, "labels", np.concatenate([none, *(p.labels for p in self.pictures)]))
        of_box = [np.full(len(p.labels), p.boxes is not None) for p in self.pictures]
        put(self, "boxed", np.concatenate([none.astype(bool), *of_box]))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def columns(self) -> list[int]:
        """The classes that are there, as indices into `CLASSES`."""
        return [int(i) for i in np.unique(self.labels)]

    def fingerprint(self) -> str:
        """A hash of the pictures' bytes and boxes, in order; of neither names nor labels."""
        digest = hashlib.sha256()
        for content in ahead(self.pictures, _hash_of, workers=cores()):
            digest.update(content)
        return digest.hexdigest()


def _hash_of(picture: Picture) -> bytes:
    try:
        content = picture.path.read_bytes()
    except OSError:
        content = b""
    boxes = b"" if picture.boxes is None else picture.boxes.astype(np.float32).tobytes()
    return hashlib.sha256(content).digest() + hashlib.sha256(boxes).digest()


def list_faces(records: Iterable[Record], min_face_px: float) -> FaceSet:
    """The faces with a mask state; boxes without one, or too small, are left out.

    Args:
        records: Of a data set.
        min_face_px: Least square root of a box's area. Ready-made crops are all taken.
    """
    index = {state: i for i, state in enumerate(CLASSES)}
    pictures = []
    for record in records:
        labels = np.array([index.get(s, -1) if s else -1 for s in record.states], np.int64)
        keep = labels >= 0
        if record.boxes is not None:
            keep &= np.isfinite(record.boxes).all(axis=1)
            keep &= np.sqrt(areas(record.boxes)) >= min_face_px
        if keep.any():
            boxes = None if record.boxes is None else record.boxes[keep]
            pictures.append(Picture(record.path, boxes, labels[keep]))
    return FaceSet(tuple(pictures))


def split_faces(
    dataset: Dataset, validation: float, min_face_px: float
) -> tuple[FaceSet, FaceSet, str]:
    """What to train on, what to validate with, and where the latter comes from, in words.

    The split `train` is trained on, or everything where there are no splits; `val` validates, or
    a share of each class of the training pictures. That share may hold near-copies of pictures
    trained on: `maskwatch data split` makes a `val` that does not.

    Raises:
        DatasetError: There is nothing to train on, only one class, or too few pictures.
    """
    by_split: dict[str, list[Record]] = {}
    for record in dataset.records:
        by_split.setdefault(record.split, []).append(record)
    listed = by_split.get("train") or (by_split.get("") if "train" not in by_split else None)
    if not listed:
        found = ", ".join(sorted(by_split)) or "nothing"
        raise DatasetError(f"data set {dataset.name} has no split 'train' to learn from: {found}.")
    train = list_faces(listed, min_face_px)
    _check(train, dataset.name)
    if held := by_split.get("val"):
        val = list_faces(held, min_face_px)
        known = [p for p in val.pictures if np.isin(p.labels, train.columns).all()]
        if known:
            return train, FaceSet(tuple(known)), "split val"
    faces = train
    train, val = _share(faces, validation, dataset.name)
    if lost := sorted(set(faces.columns) - set(train.columns)):
        raise _too_few(dataset.name, lost[0], 1)
    return train, val, f"{validation:.0%} of the training pictures"


def _check(faces: FaceSet, name: str) -> None:
    if len(faces) == 0:
        raise DatasetError(f"data set {name} has no face with a mask state to learn from.")
    if len(faces.columns) < 2:
        only = CLASSES[faces.columns[0]].value
        raise DatasetError(
            f"data set {name} has one class only, {only!r}: there is nothing to tell apart. "
            "Add pictures of another class, or name its folders with --map."
        )


def _too_few(name: str, label: int, pictures: int) -> DatasetError:
    return DatasetError(
        f"data set {name} has too few pictures of {CLASSES[label].value!r} to train and "
        f"validate: {pictures}. At least 2 are needed, hundreds are better."
    )


def _share(faces: FaceSet, share: float, name: str) -> tuple[FaceSet, FaceSet]:
    """Part the pictures so that each class, by a picture's rarest face, keeps its share."""
    rng = np.random.default_rng(_SPLIT_SEED)
    counts = np.bincount(faces.labels, minlength=len(CLASSES))
    kinds = np.array([min(p.labels, key=lambda label: counts[label]) for p in faces.pictures])
    held = np.zeros(len(kinds), bool)
    for kind in np.unique(kinds):
        own = np.flatnonzero(kinds == kind)
        if len(own) < 2:
            raise _too_few(name, int(kind), len(own))
        number = min(max(round(share * len(own)), 1), len(own) - 1)
        held[rng.permutation(own)[:number]] = True
    parts = [[p for p, h in zip(faces.pictures, held, strict=True) if h == want] for want in (0, 1)]
    return FaceSet(tuple(parts[0])), FaceSet(tuple(parts[1]))


def cut_faces(picture: Picture, cut: Callable[[Image, Floats], T]) -> T | UnreadableImageError:
    """What `cut` makes of a picture and its boxes, or why it cannot be had."""
    try:
        image = read_image(picture.path)
    except UnreadableImageError as exc:
        return exc
    if picture.boxes is None:
        return cut(image, as_box(image))
    if not possible_boxes(image, picture.boxes).all():
        return UnreadableImageError(
            f"cannot use picture {picture.path}: a box lies outside of it, or is far larger."
        )
    return cut(image, picture.boxes)


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def ahead(
    items: Iterable[T], work: Callable[[T], R], *, workers: int, depth: int | None = None
) -> Generator[R, None, None]:
    """`work(item)` of each item, in order, done in threads ahead of its use.

    What fails in a thread is raised here. Closed early, nothing new is begun.

    Args:
        items: May be endless.
        work: OpenCV, Pillow and hashing let other threads run meanwhile.
        workers: Threads.
        depth: Results that may wait for their use; three a worker by default.
    """
    source = iter(items)
    with ThreadPoolExecutor(workers, thread_name_prefix="ahead") as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in islice(source, depth or 3 * workers):
                waiting.append(pool.submit(work, item))
            while waiting:
                result = waiting.popleft().result()
                for item in islice(source, 1):
                    waiting.append(pool.submit(work, item))
                yield result
        finally:
            for future in waiting:
                future.cancel()


def class_line(faces: FaceSet) -> str:
    """How many faces of each class, for people."""
    counts = np.bincount(faces.labels, minlength=len(CLASSES))
    return ", ".join(f"{n} {c.value}" for n, c in zip(counts, CLASSES, strict=True) if n)


def rows_of(pictures: Sequence[Picture]) -> NDArray[Any]:
    """The first face of each picture, and behind it the number of all, `(len + 1,)`."""
    return np.cumsum([0, *(len(p.labels) for p in pictures)])
