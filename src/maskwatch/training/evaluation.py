"""Judge labelled faces with a model, exactly as serving would, and say how well it did.

    judge = load_judge("default")
    print(evaluate(judge, Path("photos"), split="val").table())

Which split is judged: the one asked for; else `test`, else `val`, else everything. What happens to
a three-class model on data of two classes is written at the head of `metrics.evaluation`.

Needs the base install only, unless the model is a run of a training.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskwatch.boxes import areas
from maskwatch.classifier import decide, sharpness
from maskwatch.datasets.formats import load_dataset
from maskwatch.datasets.records import Dataset, Record, Track, silently, split_named
from maskwatch.errors import (
    DatasetError,
    ModelOutputError,
    SourceError,
    UnknownNameError,
    UnreadableImageError,
)
from maskwatch.images import read_image
from maskwatch.metrics.evaluation import Evaluation
from maskwatch.metrics.judged import JudgedFaces, Place, Source
from maskwatch.preprocess import as_box, face_crops, possible_boxes
from maskwatch.training.judges import Judge, load_judge
from maskwatch.types import CLASSES, Floats, Image, MaskState

__all__ = ["ALL", "Evaluation", "Judge", "evaluate", "load_judge"]

ALL = "all"
"""What is asked for to judge every split."""

MIN_FACE_PX = 24.0
"""Smaller faces are left out unless they are asked for: people cannot label them well either."""

_ROUNDING = 1e-3
"""How far a probability may lie outside of 0 to 1."""

_IMPOSSIBLE = "with an impossible box"

_SPLITS = ("train", "val", "test", ALL)


def evaluate(
    judge: Judge,
    data: Path | Sequence[Path],
    *,
    split: str | None = None,
    min_face_px: float = MIN_FACE_PX,
    batch: int = 64,
    track: Track = silently,
    form: str | None = None,
    mapping: Mapping[str, str] | None = None,
    model: str = "",
) -> Evaluation:
    """Judge every labelled face of one or more data sets.

    Faces are cut as serving cuts them. Faces without a mask state are left out. Pictures are
    decoded in threads, a few at a time, so that memory does not grow with the data. A picture, or
    one of several data sets, that cannot be read is named in the result, and the rest is judged.

    Args:
        judge: The model.
        data: Folders of data sets, each in any form that `load_dataset` knows; a folder that holds
            several data sets stands for all of them.
        split: `train`, `val`, `test` or `all`; None takes `test`, else `val`, else everything.
        min_face_px: Faces are left out whose box has a smaller square root of its area; of
            ready-made crops, whose longer side is smaller.
        batch: Faces that are judged at a time.
        track: Shows how far it is.
        form: The form of the data sets, see `load_dataset`; None recognises it.
        mapping: Meanings of class names, see `load_dataset`.
        model: The model's name, for the result.

    Raises:
        UnknownNameError: No such split or form, or a mapping to no class.
        SourceNotFoundError: No such folder.
        DatasetError: No data set can be read, or there is not one face to judge.
        ModelOutputError: The model gives something else than probabilities.
    """
    if split is not None:
        split = _split(split)
    folders = [data] if isinstance(data, Path) else list(data)
    sets, unread = _find_sets(folders, form, mapping, split)
    sources = tuple(Source(name, part.split, part.folder) for name, part in _named(sets))
    work = [(number, record) for number, part in enumerate(sets) for record in part.records]
    left_out = Counter({"without a mask state": sum(_stateless(record) for _, record in work)})
    work = [(number, record) for number, record in work if any(record.states)]
    collected = _Collected(judge, batch, left_out, unread)
    for number, faces in _read_ahead(work, judge.size_px, min_face_px, track):
        collected.add(number, faces)
    judged = collected.finish()
    if not len(judged):
        where = ", ".join(source.label for source in sources)
        raise DatasetError(
            f"no face of {min_face_px:g} px or more with a mask state can be read in {where}."
            + (f" {unread[0]}" if unread else "")
        )
    return Evaluation(model, sources, judged, min_face_px, dict(+left_out), tuple(unread))


@dataclass(frozen=True, slots=True)
class _Part:
    """The part of a data set that is judged."""

    name: str
    split: str
    folder: Path
    records: tuple[Record, ...]


def _split(name: str) -> str:
    known = ALL if name == ALL else split_named(name)
    if known is None:
        raise UnknownNameError("split", name, _SPLITS)
    return known


def _find_sets(
    folders: Sequence[Path],
    form: str | None,
    mapping: Mapping[str, str] | None,
    split: str | None,
) -> tuple[list[_Part], list[str]]:
    """The parts to judge, and a line for whatever cannot be read."""
    parts: list[_Part] = []
    failures: list[SourceError | DatasetError] = []
    unread: list[str] = []
    for folder in folders:
        loaded, failed = _load(folder, form, mapping)
        failures += failed
        for place, dataset in loaded:
            unread += dataset.unread
            try:
                parts.append(_chosen(place, dataset, split))
            except DatasetError as exc:
                failures.append(exc)
    if not parts:
        raise failures[0] if failures else DatasetError("no data set was given.")
    return parts, [*unread, *map(str, failures)]


def _load(
    folder: Path, form: str | None, mapping: Mapping[str, str] | None
) -> tuple[list[tuple[Path, Dataset]], list[SourceError | DatasetError]]:
    """The data set of a folder, or those in it."""
    try:
        return [(folder, load_dataset(folder, form, mapping))], []
    except SourceError as exc:
        return [], [exc]
    except DatasetError as exc:
        inside = sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != ".")
        # Parts of one data set are not data sets, even where one of them reads well.
        if form is not None or any(split_named(inner.name) for inner in inside):
            return [], [exc]
        found: list[tuple[Path, Dataset]] = []
        failed: list[SourceError | DatasetError] = []
        for inner in inside:
            try:
                found.append((inner, load_dataset(inner, form, mapping)))
            except DatasetError as inner_exc:
                failed.append(inner_exc)
        # Without a data set inside it is one itself, and what is wrong with it is the news.
        return (found, failed) if found else ([], [exc])


def _chosen(folder: Path, dataset: Dataset, split: str | None) -> _Part:
    """The records of one split; of the default one where None is asked for."""
    there = {record.split for record in dataset.records if any(record.states)}
    if not there:
        raise DatasetError(f"no face in {folder} is labelled with a mask state.")
    if split is None:
        split = next((name for name in ("test", "val") if name in there), ALL)
    if split == ALL:
        label = ALL if there - {""} else ""
        return _Part(dataset.name, label, folder, dataset.records)
    if split not in there:
        names = ", ".join(sorted(there - {""})) or "none"
        raise DatasetError(
            f"no labelled faces in split {split!r} of {folder}. Its splits: {names}."
        )
    records = tuple(record for record in dataset.records if record.split == split)
    return _Part(dataset.name, split, folder, records)


def _named(parts: Sequence[_Part]) -> Iterator[tuple[str, _Part]]:
    """Each part with a name that no other has."""
    counts = Counter(part.name for part in parts)
    for part in parts:
        alone = counts[part.name] == 1
        yield (part.name if alone else "/".join(part.folder.resolve().parts[-2:])), part


def _stateless(record: Record) -> int:
    return sum(state is None for state in record.states)


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """The faces of one picture that are large enough.

    Attributes:
        crops: `(n, S, S, 3)`.
        truth: `(n,)`.
        sizes_px: `(n,)`.
        places: Of each.
        left_out: Faces that are not, by reason.
        unread: Why the picture could not be read.
    """

    crops: Image
    truth: list[int] = field(default_factory=list)
    sizes_px: list[float] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    unread: str = ""


def _read_ahead(
    work: Sequence[tuple[int, Record]], size_px: int, min_face_px: float, track: Track
) -> Iterator[tuple[int, _Cut]]:
    """Cut the faces of every picture in threads, a few pictures ahead and in their order."""
    threads = os.cpu_count() or 1
    waiting: deque[tuple[int, Future[_Cut]]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        for number, record in track(work, "judging faces"):
            waiting.append((number, pool.submit(_cut, record, size_px, min_face_px)))
            if len(waiting) > 2 * threads:
                done, future = waiting.popleft()
                yield done, future.result()
        for done, future in waiting:
            yield done, future.result()


def _cut(record: Record, size_px: int, min_face_px: float) -> _Cut:
    nothing = np.zeros((0, size_px, size_px, 3), np.uint8)
    left_out: Counter[str] = Counter()
    boxes, sizes_px = record.boxes, None
    if boxes is not None:
        sizes_px = np.sqrt(areas(boxes))
        chosen = _large(record, boxes, sizes_px, min_face_px, left_out)
        if not chosen:
            return _Cut(nothing, left_out=left_out)
    try:
        image = read_image(record.path)
    except UnreadableImageError as exc:
        return _Cut(nothing, unread=str(exc))
    if boxes is None or sizes_px is None:
        boxes, sizes_px = as_box(image), np.array([max(image.shape[:2])], np.float32)
        chosen = _large(record, boxes, sizes_px, min_face_px, left_out)
    else:
        chosen = _within(image, boxes, chosen, left_out)
    return _Cut(
        face_crops(image, boxes[chosen], size_px),
        [index for i in chosen if (index := _class_index(record.states[i])) is not None],
        [float(sizes_px[i]) for i in chosen],
        [Place(record.path, i, boxes[i]) for i in chosen],
        left_out,
    )


def _large(
    record: Record,
    boxes: Floats,
    sizes_px: Floats,
    min_face_px: float,
    left_out: Counter[str],
) -> list[int]:
    """The faces that have a state and are large enough; the small ones are counted."""
    usable = np.isfinite(boxes).all(axis=1) & (sizes_px > 0)
    chosen = []
    for index, state in enumerate(record.states):
        if state is None:
            continue
        if not usable[index]:
            left_out[_IMPOSSIBLE] += 1
        elif sizes_px[index] < min_face_px:
            left_out[f"under {min_face_px:g} px"] += 1
        else:
            chosen.append(index)
    return chosen


def _within(image: Image, boxes: Floats, chosen: list[int], left_out: Counter[str]) -> list[int]:
    """The faces whose boxes show something of the picture; the others are counted."""
    seen = possible_boxes(image, boxes)
    left_out[_IMPOSSIBLE] += sum(not seen[index] for index in chosen)
    return [index for index in chosen if seen[index]]


def _class_index(state: MaskState | None) -> int | None:
    return None if state is None else CLASSES.index(state)


class _Collected:
    """Judges faces a batch at a time and keeps what the figures need, not the pictures."""

    def __init__(self, judge: Judge, batch: int, left_out: Counter[str], unread: list[str]) -> None:
        self._judge, self._batch = judge, batch
        self._left_out, self._unread = left_out, unread
        self._waiting: list[Image] = []
        self._crops = 0
        self._probs: list[Floats] = []
        self._sharp: list[Floats] = []
        self._truth: list[int] = []
        self._sizes_px: list[float] = []
        self._source: list[int] = []
        self._places: list[Place] = []

    def add(self, source: int, cut: _Cut) -> None:
        """Take the faces of one picture."""
        self._left_out.update(cut.left_out)
        if cut.unread:
            self._unread.append(cut.unread)
        self._truth += cut.truth
        self._sizes_px += cut.sizes_px
        self._source += [source] * len(cut.truth)
        self._places += cut.places
        self._waiting.append(cut.crops)
        self._crops += len(cut.crops)
        if self._crops >= self._batch:
            self._flush(whole=False)

    def finish(self) -> JudgedFaces:
        """Judge what is left, and hand out all."""
        self._flush(whole=True)
        probs = np.concatenate([np.zeros((0, len(CLASSES)), np.float32), *self._probs])
        sharp = np.concatenate([np.zeros(0, np.float32), *self._sharp])
        boxes = np.array([place.box for place in self._places], np.float32).reshape(-1, 4)
        states = decide(boxes, probs, sharp)
        known: NDArray[np.bool_] = np.array(
            [state is not MaskState.UNKNOWN for state in states], np.bool_
        )
        return JudgedFaces(
            np.array(self._truth, np.int64),
            probs,
            np.array(self._sizes_px, np.float32),
            known,
            np.array(self._source, np.int64),
            tuple(self._places),
        )

    def _flush(self, *, whole: bool) -> None:
        """Judge full batches; with `whole` the remainder, too."""
        if not self._crops:
            return
        crops = np.concatenate(self._waiting)
        end = len(crops) if whole else len(crops) - len(crops) % self._batch
        for start in range(0, end, self._batch):
            part = crops[start : min(start + self._batch, end)]
            self._probs.append(_checked(self._judge(part), len(part)))
            self._sharp.append(sharpness(part))
        # A copy, so that the judged ones are let go.
        self._waiting, self._crops = [crops[end:].copy()], len(crops) - end


def _checked(probs: Floats, count: int) -> Floats:
    """Probabilities as they must be.

    Raises:
        ModelOutputError: They are not.
    """
    shape = (count, len(CLASSES))
    # Negated, so that NaN fails too.
    if probs.shape != shape or not np.all((probs >= -_ROUNDING) & (probs <= 1 + _ROUNDING)):
        raise ModelOutputError(
            f"the model gave {probs.shape} for {count} faces, or values that are no probabilities; "
            f"expected {shape} of 0 to 1. It is no mask classifier of this package, or is damaged."
        )
    return np.asarray(probs, np.float32)
