"""Train P-, R- and O-Net one after the other, each on what the ones before find."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras

from maskwatch.datasets.records import Track, silently
from maskwatch.detectors import Detector
from maskwatch.detectors.mtcnn.networks import (
    TRAINED_THRESHOLDS,
    Networks,
    Thresholds,
    files_in,
    onnx_file,
    thresholds_of,
)
from maskwatch.errors import UsageError
from maskwatch.training.mtcnn import runs
from maskwatch.training.mtcnn.crops import Rows
from maskwatch.training.mtcnn.cutting import cut_samples
from maskwatch.training.mtcnn.fit import fit
from maskwatch.training.mtcnn.networks import (
    STAGES,
    arrays_of,
    build_network,
    export,
    has_landmarks,
    load_arrays,
)
from maskwatch.training.mtcnn.photos import Photo, training_photos, validation_photos
from maskwatch.training.mtcnn.recall import StageRecall, recall_of, table
from maskwatch.training.mtcnn.recipe import MtcnnRecipe, StageRecipe
from maskwatch.training.mtcnn.samples import counts_line, load_samples
from maskwatch.training.observer import SILENT, Observer
from maskwatch.types import Floats


@dataclass(slots=True, eq=False)
class _Job:
    """What `train` was given, and what is read only when it is needed."""

    folders: Sequence[Path]
    out: Path
    recipe: MtcnnRecipe
    start: dict[str, list[Floats]]
    landmarks: bool
    finder: Detector | None
    facts: dict[str, Any]
    stop: threading.Event | None
    observer: Observer
    track: Track
    _photos: Sequence[Photo] | None = field(default=None, init=False)
    _held: Sequence[Photo] | None = field(default=None, init=False)

    def photos(self) -> Sequence[Photo]:
        """To train on."""
        if self._photos is None:
            read = training_photos(
                self.folders, self.finder, min_face_px=self.recipe.min_face_px, track=self.track
            )
            for line in read.unread:
                self.observer.note(f"left out: {line}")
            self._photos = read.photos
        return self._photos

    def held(self) -> Sequence[Photo]:
        """To measure on; perhaps none."""
        if self._held is None:
            least_px = self.recipe.min_face_px
            self._held = validation_photos(
                self.folders, min_face_px=least_px, track=self.track
            ).photos
        return self._held


def train(
    folders: Sequence[Path],
    out: Path,
    recipe: MtcnnRecipe | None = None,
    *,
    stages: Sequence[str] = STAGES,
    start: str = runs.STOCK,
    landmarks: bool = False,
    finder: Detector | None = None,
    overwrite: bool = False,
    stop: threading.Event | None = None,
    observer: Observer = SILENT,
    track: Track = silently,
) -> bool:
    """Train networks, or go on where a training was cut off.

    Networks that are not trained come from `out`, where they were trained before, else from the
    start. After each one its recall on the split `val` is told, beside that of the start.

    Args:
        folders: Data sets of photos with boxes; their split `train` is trained on. Photos without
            labels have no faces.
        out: The run's folder, see `runs`.
        recipe: How; None takes the usual one.
        stages: Networks to train, of `STAGES`.
        start: `stock`, `none` or the folder of a run: weights to begin with.
        landmarks: Whether the O-Net keeps giving landmarks. As no data have them, those of the
            start on bare faces are learnt.
        finder: Finds faces that nobody labelled, which are then ignored; None looks for none.
        overwrite: Train these networks anew; finished ones that are not named stay.
        stop: When set, the training is saved after the running step and left.
        observer: Told of what goes on.
        track: Shows how far reading and cutting are.

    Returns:
        Whether all networks are there; False where it was stopped.

    Raises:
        UsageError: No such network or start, or `out` holds another training.
        DatasetError: Photos cannot be read, or have no faces to train on.
        ModelError: Weights are missing or damaged, or training ran away.
        OutputError: The folder cannot be written.
    """
    recipe = recipe or MtcnnRecipe()
    given = runs.start_arrays(start)
    _check(stages, given, start, out, landmarks)
    asked = {"from": start, "landmarks": landmarks, "recipe": _plain(recipe)}
    asked["data"] = [str(folder.resolve()) for folder in folders]
    facts = runs.opened(out, asked, stages, overwrite=overwrite)
    runs.write_facts(out, facts)
    job = _Job(folders, out, recipe, given, landmarks, finder, facts, stop, observer, track)
    for stage in STAGES:
        if runs.has_weights(out, stage) and (stage not in stages or stage in _finished(facts)):
            continue
        if stage not in stages:
            _keep(job, stage, given[stage])
        elif not _train_one(job, stage):
            return False
    return True


def _check(
    stages: Sequence[str], given: dict[str, list[Floats]], start: str, out: Path, landmarks: bool
) -> None:
    """See that every network comes from somewhere.

    Raises:
        UsageError: One does not.
    """
    for stage in STAGES:
        if stage not in stages and stage not in given and not runs.has_weights(out, stage):
            raise UsageError(f"with --from {start} there is no {stage}: add it to --stages.")
    if landmarks and ("onet" not in given or not has_landmarks("onet", given["onet"])):
        raise UsageError(
            f"--landmarks yes learns those of the O-Net that training begins with, and --from "
            f"{start} gives none. Begin from stock."
        )


def _plain(choices: MtcnnRecipe | StageRecipe) -> dict[str, Any]:
    """Choices as they come back from JSON; those of single networks are kept apart."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(choices)))
    plain.pop("stages", None)
    return plain


def _finished(facts: dict[str, Any]) -> list[str]:
    return [stage for stage, how in facts["stages"].items() if how.get("finished")]


def _keep(job: _Job, stage: str, arrays: Sequence[Floats]) -> None:
    """Take a network over, and write it."""
    difference = export(stage, arrays, onnx_file(job.out, stage))
    runs.save_weights(job.out, stage, arrays)
    _tell_threshold(job, stage, runs.start_thresholds(job.facts["from"]))
    runs.write_facts(job.out, job.facts)
    job.observer.note(f"{stage}: as it was; ONNX differs from Keras by {difference:.1g}")


def _train_one(job: _Job, stage: str) -> bool:
    """Cut, train, write and measure one network; False where it was stopped."""
    how = _plain(job.recipe.stages[stage])
    known = job.facts["stages"].get(stage)
    if known is not None and any(known.get(key) != value for key, value in how.items()):
        raise UsageError(
            f"{job.out} holds another training of the {stage}: {known}. Give --overwrite to "
            "replace it, or choose another place."
        )
    rows = _samples(job, stage)
    if rows is None:
        return False
    job.facts["stages"][stage] = {**how, "crops": counts_line(rows), "finished": False}
    runs.write_facts(job.out, job.facts)
    job.observer.note(f"{stage}: {counts_line(rows)}")
    network = fit(
        stage,
        rows,
        job.start.get(stage),
        job.recipe,
        job.out / stage / "checkpoint",
        landmarks=job.landmarks and stage == "onet",
        stop=job.stop,
        observer=job.observer,
    )
    if network is None:
        return False
    _keep_trained(job, stage, network)
    return True


def _samples(job: _Job, stage: str) -> Rows | None:
    """The crops of a network; cuts them if that has not been done; None where it was stopped."""
    path = job.out / stage / "samples.npy"
    if path.is_file():
        return load_samples(path, stage)
    before = [onnx_file(job.out, one) for one in STAGES[: STAGES.index(stage)]]
    teacher = None
    if job.landmarks and stage == "onet":
        teacher = build_network(stage, landmarks=True)
        load_arrays(teacher, job.start[stage])
    return cut_samples(
        stage,
        job.photos(),
        before,
        path,
        job.recipe,
        landmarks=teacher,
        stop=job.stop,
        track=job.track,
    )


def _keep_trained(job: _Job, stage: str, network: keras.Model) -> None:
    arrays = arrays_of(network)
    difference = export(stage, arrays, onnx_file(job.out, stage))
    runs.save_weights(job.out, stage, arrays)
    job.facts["stages"][stage]["finished"] = True
    _tell_threshold(job, stage, TRAINED_THRESHOLDS)
    job.observer.note(f"{stage}: trained; ONNX differs from Keras by {difference:.1g}")
    if job.held():
        recalls = _recalls(job, stage)
        for line in table(stage, recalls).splitlines():
            job.observer.note(line)
        job.facts["stages"][stage]["recall"] = {
            row.name: {f"iou {iou:g} of {n}": row.recall(iou, n) for iou, n in row.hits}
            for row in recalls
        }
    runs.write_facts(job.out, job.facts)


def _tell_threshold(job: _Job, stage: str, thresholds: Thresholds) -> None:
    job.facts["thresholds"][stage] = getattr(thresholds, stage)


def _recalls(job: _Job, stage: str) -> list[StageRecall]:
    """Of the networks begun with, where there are any, and of the run's."""
    number = STAGES.index(stage) + 1
    models = {job.out.name: Networks(files_in(job.out), thresholds_of(job.facts)).first(number)}
    if job.start:
        folder = job.out / "start"
        for one in STAGES[:number]:
            if not onnx_file(folder, one).is_file():
                export(one, job.start[one], onnx_file(folder, one))
        start = str(job.facts["from"])
        begun = Networks(files_in(folder), runs.start_thresholds(start))
        models = {start: begun.first(number), **models}
    held = job.held()
    return [recall_of(stage, each, held, name, track=job.track) for name, each in models.items()]
