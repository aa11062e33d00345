"""Run detectors over labelled photos, once for each photo, and time them.

Every detector looks twice at each photo: as it is shipped, which is timed and gives precision and
recall, and down to very low scores, for the curves. Some return other faces and not only more of
them when their threshold falls, so that the one cannot be had from the other.

Photos are decoded in threads a block ahead of the detectors, and no decoding runs while they are
timed. They take turns at each photo, so that a machine that grows busy slows all of them alike.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from maskwatch.datasets.records import Record, Track, silently
from maskwatch.errors import DatasetError, ModelOutputError, UnreadableImageError
from maskwatch.images import read_image
from maskwatch.metrics.detection import DetectionReport
from maskwatch.metrics.detector_comparison import DetectorComparison
from maskwatch.metrics.found import Found, Truths
from maskwatch.metrics.judged import Source
from maskwatch.training.detection.photos import find_photos, usable_labels
from maskwatch.training.detection.specs import load_contenders, parse_specs
from maskwatch.types import CLASSES, Faces, Floats, Image, MaskState

MIN_FACE_PX = 24.0
"""Smaller faces are ignored unless they are asked for: people cannot label them well either."""


def evaluate_detectors(
    specs: Sequence[str],
    data: Path | Sequence[Path],
    *,
    split: str | None = None,
    min_face_px: float = MIN_FACE_PX,
    track: Track = silently,
    form: str | None = None,
    mapping: Mapping[str, str] | None = None,
) -> DetectorComparison:
    """Measure detectors on one or more data sets of photos with boxes.

    A photo, or one of several data sets, that cannot be read is named in the result, and the rest
    is looked at. A folder of photos without any labels stands for photos without faces.

    Args:
        specs: `DETECTOR` or `DETECTOR+CLASSIFIER` each. Behind a detector that tells states by
            itself a classifier has the say that it has in serving, see `classifier.classify`.
        data: Folders of data sets; one that holds several stands for all of them.
        split: `train`, `val`, `test` or `all`; None takes `test`, else `val`, else everything.
        min_face_px: Faces whose box has a smaller square root of its area are ignored.
        track: Shows how far it is.
        form: The form of the data sets, see `load_dataset`; None recognises it.
        mapping: Meanings of class names, see `load_dataset`.

    Raises:
        UsageError: No such detector, classifier, split or form.
        SourceError: No such folder.
        DatasetError: Not one photo can be read.
        ModelError: A model is missing or damaged, or fails.
    """
    return evaluate_contenders(
        load_contenders(parse_specs(specs)),
        data,
        split=split,
        min_face_px=min_face_px,
        track=track,
        form=form,
        mapping=mapping,
    )


class Contestant(Protocol):
    """What is measured.

    Attributes:
        name: Its own.
        min_score: Its threshold as shipped.
        tells_states: Whether its faces have states.
    """

    name: str
    min_score: float
    tells_states: bool

    def as_shipped(self, image: Image) -> Faces:
        """What serving finds."""
        ...

    def down_to_low_scores(self, image: Image) -> Faces:
        """What it finds when it returns faces that it hardly believes in, too."""
        ...


def evaluate_contenders(
    contenders: Sequence[Contestant],
    data: Path | Sequence[Path],
    *,
    split: str | None = None,
    min_face_px: float = MIN_FACE_PX,
    track: Track = silently,
    form: str | None = None,
    mapping: Mapping[str, str] | None = None,
) -> DetectorComparison:
    """`evaluate_detectors` for detectors that are loaded already."""
    folders = [data] if isinstance(data, Path) else list(data)
    sets, unread = find_photos(folders, split, form, mapping)
    work = [(number, record) for number, part in enumerate(sets) for record in part.records]
    seen = _Seen(contenders)
    for number, record, image in _decoded(work, track):
        if isinstance(image, UnreadableImageError):
            unread.append(str(image))
        else:
            seen.add(number, record, image)
    if not seen.photo_source:
        where = ", ".join(part.source.label for part in sets)
        raise DatasetError(
            f"no photo can be read in {where}. {unread[0] if unread else ''}".strip()
        )
    reports = seen.reports(tuple(part.source for part in sets), min_face_px)
    return DetectorComparison(reports, dict(seen.left_out), tuple(unread))


def _decoded(
    work: Sequence[tuple[int, Record]], track: Track
) -> Iterator[tuple[int, Record, Image | UnreadableImageError]]:
    """Every photo, decoded in blocks: while one is looked at nothing else runs."""
    threads = os.cpu_count() or 1
    block: list[tuple[int, Record]] = []
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        items: Iterable[tuple[int, Record]] = track(work, "looking for faces")
        for count, item in enumerate(items, start=1):
            block.append(item)
            if len(block) == 4 * threads or count == len(work):
                images = list(pool.map(_read, (record.path for _, record in block)))
                for (number, record), image in zip(block, images, strict=True):
                    yield number, record, image
                block = []


def _read(path: Path) -> Image | UnreadableImageError:
    try:
        return read_image(path)
    except UnreadableImageError as exc:
        return exc


class _Seen:
    """Has every detector look at photos and keeps what they find, not the photos."""

    def __init__(self, contenders: Sequence[Contestant]) -> None:
        self._contenders = contenders
        self._shipped: list[list[Faces]] = [[] for _ in contenders]
        self._found: list[list[Faces]] = [[] for _ in contenders]
        self._times_ms: list[list[float]] = [[] for _ in contenders]
        self._labels: list[tuple[Floats, tuple[MaskState | None, ...]]] = []
        self.photo_source: list[int] = []
        self.paths: list[Path] = []
        self.left_out: Counter[str] = Counter()

    def add(self, source: int, record: Record, image: Image) -> None:
        """Look at one photo."""
        self._labels.append(usable_labels(record, image, self.left_out))
        self.photo_source.append(source)
        self.paths.append(record.path)
        for index, contender in enumerate(self._contenders):
            start_s = time.perf_counter()
            self._shipped[index].append(contender.as_shipped(image))
            self._times_ms[index].append(1000 * (time.perf_counter() - start_s))
            self._found[index].append(contender.down_to_low_scores(image))

    def reports(
        self, sources: tuple[Source, ...], min_face_px: float
    ) -> tuple[DetectionReport, ...]:
        """What was found, a report a detector."""
        truths = Truths.of(self._labels)
        return tuple(
            DetectionReport(
                contender.name,
                truths,
                _joined(contender, self._found[index]),
                _joined(contender, self._shipped[index]),
                np.array(self.photo_source, np.int64),
                sources,
                contender.min_score,
                min_face_px,
                np.array(self._times_ms[index]),
                tuple(self.paths),
            )
            for index, contender in enumerate(self._contenders)
        )


def _joined(contender: Contestant, photos: Sequence[Faces]) -> Found:
    """The faces of all photos.

    Raises:
        ModelOutputError: A value is none.
    """
    found = Found.of(photos)
    if contender.tells_states and not len(found):
        found = replace(found, state_probs=np.zeros((0, len(CLASSES))))
    for array in (found.boxes, found.scores, found.state_probs):
        if array is not None and not np.isfinite(array).all():
            raise ModelOutputError(f"{contender.name} returned NaN. Fetch its files again.")
    return found
