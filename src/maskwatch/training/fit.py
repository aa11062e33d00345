"""Train a classifier by a recipe: `train` is what the command line calls.

A frozen backbone is run once for each face and view, its features are kept on disk, and the head
is trained on them. Where the backbone learns, decoded crops are kept and augmented in threads.
"""

from __future__ import annotations

import json
import platform
import shutil
import statistics
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

import maskwatch
from maskwatch.datasets.formats import load_dataset
from maskwatch.errors import DatasetError, OutputExistsError, UsageError
from maskwatch.training import runs
from maskwatch.training.checkpoints import Checkpoints, writing
from maskwatch.training.curves import write_curves
from maskwatch.training.devices import Devices, precision, predicted
from maskwatch.training.faces import FaceSet, class_line, cores, split_faces
from maskwatch.training.features import cached_crops, cached_features
from maskwatch.training.heads import Network, build_network, compiled, output_of, targets
from maskwatch.training.loop import Batch, Outcome, Plan, Validate, loss_and_accuracy, run
from maskwatch.training.observer import SILENT, Observer
from maskwatch.training.recipes import Recipe
from maskwatch.training.rowcache import RowCache, Rows
from maskwatch.training.runs import Run
from maskwatch.training.views import Views
from maskwatch.types import CLASSES, MaskState

MIN_FACE_PX = 24.0
_SAVE_EVERY_STEPS = 100
_VAL_BATCH = 64
_FEATURES = ("features_seconds", "features_reused")


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """All that the parts of a training share.

    Attributes:
        features: Facts of making the features, over all sittings; filled in by `_train_head`.
    """

    recipe: Recipe
    weights: str | Path
    seed: int
    out: Path
    cache: RowCache
    train: FaceSet
    val: FaceSet
    stop: threading.Event | None
    observer: Observer
    policy: str
    features: dict[str, Any]

    @property
    def columns(self) -> list[int]:
        return self.train.columns

    def targets(self, labels: Any) -> Any:
        return targets(labels, self.columns, output_of(self.recipe, self.columns))


def train(
    data: Path,
    recipe: Recipe,
    out: Path,
    *,
    weights: str | Path = "imagenet",
    seed: int = 0,
    cache: Path | None = None,
    stop: threading.Event | None = None,
    observer: Observer | None = None,
    min_face_px: float = MIN_FACE_PX,
    form: str | None = None,
    mapping: Mapping[str, str] | None = None,
    policy: str = "auto",
    overwrite: bool = False,
) -> Run:
    """Train a classifier, or go on with a training that was stopped or killed.

    A finished run is returned as it is.

    Args:
        data: Class folders or photos with boxes, see `maskwatch.datasets.formats`.
        recipe: How; vary one with `dataclasses.replace`.
        out: Folder of the run, see `Run`.
        weights: Of the backbone: `imagenet`, `none` or a file.
        seed: Of new weights, dropout and the order of the faces.
        cache: Folder for features and decoded crops; None takes maskwatch's own cache folder.
        stop: When set, the training is saved after the running step; the run is not finished.
        observer: Told what goes on; None tells nobody.
        min_face_px: Least square root of a box's area.
        form: Form of the data set; None recognises it.
        mapping: Meanings of class names.
        policy: One of `devices.PRECISIONS`.
        overwrite: Replace the run that `out` holds, once the data are read; other files stay.

    Raises:
        UsageError: `out` holds another training, or, to be overwritten, something else; or the
            recipe cannot be followed.
        OutputExistsError: `out` holds something else.
        DatasetError: The data cannot be learnt from.
        ModelError: The weights cannot be had, or the training ran away.
        OutputError: Something cannot be written.
    """
    began_s = time.monotonic()
    observer = observer or SILENT
    asked = _asked(data, recipe, weights, seed, min_face_px, form, mapping)
    if overwrite:
        _check_replaceable(out)
    facts = None if overwrite else _known(out, asked)
    if facts is not None and facts.get("finished"):
        return runs.load_run(out)
    before = facts or {}
    spent_s = float(before.get("train_seconds", 0.0))
    made = {key: before[key] for key in _FEATURES if key in before}
    dataset = load_dataset(data, form, mapping)
    for line in dataset.unread:
        observer.note(line)
    faces, val, origin = split_faces(dataset, recipe.validation, min_face_px)
    if overwrite:
        remove_run(out)
    facts = asked | {"finished": False, "validation": origin} | _machine()
    runs.write_facts(out, facts)
    observer.note(f"training: {class_line(faces)}; validation: {class_line(val)} ({origin})")
    with precision(policy) as chosen:
        kept = RowCache(cache)
        job = _Job(recipe, weights, seed, out, kept, faces, val, stop, observer, chosen, made)
        _warn(job)
        done = (_train_head if recipe.trainable == "none" else _train_all)(job)
    seconds = spent_s + time.monotonic() - began_s
    if done is None:
        facts |= job.features | {"train_seconds": round(seconds, 1)}
        runs.write_facts(out, facts)
        return Run(out, facts)
    return _finish(job, *done, facts, seconds)


def _asked(
    data: Path,
    recipe: Recipe,
    weights: str | Path,
    seed: int,
    min_face_px: float,
    form: str | None,
    mapping: Mapping[str, str] | None,
) -> dict[str, Any]:
    """What a run is made of; another run differs in some of this. As JSON reads it back."""
    asked = {
        "recipe": asdict(recipe),
        "data": str(data),
        "weights": str(weights),
        "seed": seed,
        "min_face_px": min_face_px,
        "format": form,
        "map": dict(mapping or {}),
    }
    plain: dict[str, Any] = json.loads(json.dumps(asked))
    return plain


def _known(out: Path, asked: dict[str, Any]) -> dict[str, Any] | None:
    """The facts of the same training in a folder, None where it is free."""
    facts = runs.read_facts(out)
    if facts is None:
        if (out.is_dir() and any(out.iterdir())) or out.is_file():
            raise OutputExistsError(out)
        return None
    if not facts.get("finished") and not (out / runs.CHECKPOINT).is_dir():
        return None  # nothing was trained yet, so nothing is lost by another recipe
    flat = {**asked, **asked["recipe"]}
    found = {**facts, **facts["recipe"]}
    for key in flat:
        if key not in ("recipe", "summary", "source") and found.get(key) != flat[key]:
            raise UsageError(
                f"{out} holds another training: its {key} is {found.get(key)!r}, not "
                f"{flat[key]!r}. Give --overwrite to replace it, or choose another place."
            )
    return facts


def _check_replaceable(out: Path) -> None:
    """See that a folder holds a run, or nothing.

    Raises:
        UsageError: It holds something else, which `--overwrite` is not for.
    """
    if runs.read_facts(out) is None and ((out.is_dir() and any(out.iterdir())) or out.is_file()):
        raise UsageError(
            f"{out} is not from maskwatch train, so it is not replaced. Choose another place."
        )


def _machine() -> dict[str, Any]:
    return {
        "maskwatch": maskwatch.__version__,
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "backend_version": version(keras.backend.backend()),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _warn(job: _Job) -> None:
    recipe = job.recipe
    if recipe.trainable == "none" and str(job.weights) == "none":
        job.observer.note(
            "the backbone is frozen and its weights are random, so little can be learnt: give "
            "weights, or unfreeze it (--unfreeze all)."
        )
    if recipe.output == "logit" and len(job.columns) > 2:
        job.observer.note("one logit cannot tell three classes: the head gets a softmax.")


def _readable(faces: FaceSet, rows: Rows, job: _Job, what: str) -> NDArray[np.int64]:
    """The faces that could be read; the others are named.

    Raises:
        DatasetError: None is left, or a class trained on has none left.
    """
    for line in dict.fromkeys(rows.unread.values()):
        job.observer.note(f"skipped: {line}")
    kept = np.setdiff1d(np.arange(len(faces)), np.array(list(rows.unread), np.int64))
    left = set(faces.labels[kept].tolist())
    lost = sorted(set(faces.columns) - left) if what == "training" else []
    if lost or not left:
        names = ", ".join(CLASSES[i].value for i in lost) or "all classes"
        raise DatasetError(f"no picture for {what} of {names} can be read.")
    return kept


def _train_head(job: _Job) -> tuple[Network, Outcome, dict[str, Any]] | None:
    """Train the head on features of the frozen backbone; None where it was stopped."""
    recipe, stop, observer = job.recipe, job.stop, job.observer
    network = build_network(recipe, job.columns, job.weights, seed=job.seed)
    began_s = time.monotonic()
    made = []
    for faces, augmented in ((job.train, True), (job.val, False)):
        rows = cached_features(
            network.features,
            faces,
            recipe,
            job.cache,
            fingerprint=faces.fingerprint(),
            augmented=augmented,
            stop=stop,
            observer=observer,
        )
        if rows is None:
            return None
        made.append(rows)
    facts = job.features
    spent_s = facts.get("features_seconds", 0.0) + time.monotonic() - began_s
    facts["features_seconds"] = round(spent_s, 2)
    facts.setdefault("features_reused", made[0].reused)
    facts["features_mb"] = round(sum(rows.values.nbytes for rows in made) / 1e6, 1)
    kept = _readable(job.train, made[0], job, "training")
    held = _readable(job.val, made[1], job, "validation")
    batch_at = _feature_batches(job, made[0].values, kept)
    validate = _validation(made[1].values[:, 0], job.targets(job.val.labels), held)
    plan = _plan(recipe, len(kept), workers=0)
    keras.utils.set_random_seed(job.seed)
    outcome = run(
        lambda: compiled(network.head, recipe, plan.epochs * plan.steps),
        batch_at,
        validate,
        plan,
        Checkpoints(job.out / runs.CHECKPOINT),
        devices=Devices(shared=False),  # a head is too small to be worth sharing
        stop=stop,
        observer=observer,
    )
    if not outcome.finished:
        return None
    network.head.set_weights(outcome.model.get_weights())
    return network, outcome, facts | {"faces": [len(kept), len(held)], "steps": plan.steps}


def _train_all(job: _Job) -> tuple[Network, Outcome, dict[str, Any]] | None:
    """Train head and backbone, or its last blocks; None where it was stopped."""
    recipe, stop, observer = job.recipe, job.stop, job.observer
    views, plain = Views(recipe.size_px, recipe.augmentation), Views(recipe.size_px)
    made = []
    for faces, kind in ((job.train, views), (job.val, plain)):
        rows = cached_crops(
            faces, kind, job.cache, fingerprint=faces.fingerprint(), stop=stop, observer=observer
        )
        if rows is None:
            return None
        made.append(rows)
    kept = _readable(job.train, made[0], job, "training")
    held = _readable(job.val, made[1], job, "validation")
    plan = _plan(recipe, len(kept), workers=cores())
    devices = Devices()

    def network() -> Network:
        any_size = recipe.first_size_px is not None
        return build_network(recipe, job.columns, job.weights, seed=job.seed, any_size=any_size)

    outcome = run(
        lambda: compiled(network().logits, recipe, plan.epochs * plan.steps),
        _crop_batches(job, views, made[0].values, kept, plan),
        _validation(made[1].values, job.targets(job.val.labels), held),
        plan,
        Checkpoints(job.out / runs.CHECKPOINT),
        devices=devices,
        stop=stop,
        observer=observer,
    )
    if not outcome.finished:
        return None
    final = build_network(recipe, job.columns, "none", seed=job.seed)
    final.logits.set_weights(outcome.model.get_weights())
    facts = {"faces": [len(kept), len(held)], "steps": plan.steps, "devices": devices.count}
    return final, outcome, facts


def _plan(recipe: Recipe, faces: int, *, workers: int) -> Plan:
    return Plan(
        epochs=recipe.epochs,
        steps=-(-faces // recipe.batch),
        save_every=_SAVE_EVERY_STEPS,
        keep_best=recipe.keep_best,
        patience=recipe.patience,
        workers=workers,
    )


def _order(seed: int, faces: NDArray[np.int64]) -> Callable[[int], NDArray[np.int64]]:
    """The faces in the order of an epoch, which depends on seed and epoch alone."""
    last: dict[int, NDArray[np.int64]] = {}

    def order(epoch: int) -> NDArray[np.int64]:
        found = last.get(epoch)
        if found is None:
            found = np.random.default_rng([seed, epoch, 0]).permutation(faces)
            last.clear()
            last[epoch] = found
        return found

    return order


def _feature_batches(
    job: _Job, values: NDArray[Any], kept: NDArray[np.int64]
) -> Callable[[int], Batch]:
    """Every face once an epoch, by one of its views."""
    size = job.recipe.batch
    steps = -(-len(kept) // size)
    order = _order(job.seed, kept)
    wanted = job.targets(job.train.labels)

    def batch_at(step: int) -> Batch:
        epoch, place = divmod(step, steps)
        chosen = order(epoch)[place * size : (place + 1) * size]
        rng = np.random.default_rng([job.seed, step, 1])
        view = rng.integers(0, values.shape[1], len(chosen))
        return values[chosen, view], wanted[chosen]

    return batch_at


def _crop_batches(
    job: _Job, views: Views, values: NDArray[Any], kept: NDArray[np.int64], plan: Plan
) -> Callable[[int], Batch]:
    """Augmented crops: every face once an epoch, or drawn by weight."""
    recipe = job.recipe
    order = _order(job.seed, kept)
    wanted = job.targets(job.train.labels)
    weights = draw_weights(job.train, recipe)[kept] if recipe.weighted else None

    def batch_at(step: int) -> Batch:
        rng = np.random.default_rng([job.seed, step, 1])
        if weights is None:
            epoch, place = divmod(step, plan.steps)
            chosen = order(epoch)[place * recipe.batch : (place + 1) * recipe.batch]
        else:
            chosen = rng.choice(kept, recipe.batch, p=weights / weights.sum())
        side = recipe.size_at(step, plan.epochs * plan.steps)
        return np.stack([views.draw(values[i], rng, side) for i in chosen]), wanted[chosen]

    return batch_at


def draw_weights(faces: FaceSet, recipe: Recipe) -> NDArray[np.float64]:
    """How often each face is drawn, relative to a common one of a ready-made crop, `(N,)`."""
    rare = faces.labels == CLASSES.index(MaskState.INCORRECT_MASK)
    weights = np.where(faces.boxed, recipe.boxed_weight, 1.0)
    return np.asarray(weights * np.where(rare, recipe.rare_weight, 1.0), np.float64)


def _validation(inputs: NDArray[Any], wanted: Any, held: NDArray[np.int64]) -> Validate:
    def validate(model: keras.Model) -> tuple[float, float]:
        logits = [
            predicted(model, inputs[held[i : i + _VAL_BATCH]])
            for i in range(0, len(held), _VAL_BATCH)
        ]
        return loss_and_accuracy(np.concatenate(logits), wanted[held])

    return validate


def _finish(
    job: _Job, network: Network, outcome: Outcome, own: dict[str, Any], facts: Any, seconds: float
) -> Run:
    """Write what a finished training leaves, `run.json` last."""
    if job.policy != "float32":  # what is kept computes in 32 bits everywhere
        with precision("float32"):
            plain = build_network(job.recipe, job.columns, "none")
        plain.logits.set_weights(network.logits.get_weights())
        network = plain
    runs.write_model(job.out, network.model)
    rows, kept = outcome.rows, outcome.kept
    assert kept is not None
    runs.write_history(job.out, rows)
    title = f"{job.recipe.name}, {job.recipe.optimizer}, seed {job.seed}"
    write_curves(job.out / runs.CURVES, rows, kept, title)
    epoch_s = statistics.median(row.seconds for row in rows)
    trained = network.head if job.recipe.trainable == "none" else network.logits
    learn = sum(int(np.prod(v.shape)) for v in trained.trainable_variables)
    facts = (
        facts
        | own
        | {
            "classes": [CLASSES[i].value for i in job.columns],
            "output": output_of(job.recipe, job.columns),
            "optimizer": job.recipe.optimizer,
            "precision": job.policy,
            "epochs_done": len(rows),
            "kept_epoch": kept.epoch,
            "val_accuracy": kept.val_accuracy,
            "val_loss": kept.val_loss,
            "parameters": network.model.count_params(),
            "trainable_parameters": learn,
            "train_seconds": round(seconds, 2),
            "ms_per_step": round(1000 * epoch_s / own["steps"], 3),
            "images_per_s": round(own["faces"][0] / max(epoch_s, 1e-9), 1),
            "finished": True,
        }
    )
    runs.write_facts(job.out, facts)
    with writing(job.out):
        shutil.rmtree(job.out / runs.CHECKPOINT, ignore_errors=True)
    return Run(job.out, facts)


def remove_run(out: Path) -> None:
    """Remove what an earlier training wrote into a folder; other files stay.

    Raises:
        OutputError: It cannot be removed.
    """
    with writing(out):
        # A checkpoint that stayed would be gone on with.
        if (out / runs.CHECKPOINT).is_dir():
            shutil.rmtree(out / runs.CHECKPOINT)
        for name in (runs.MODEL, runs.HISTORY, runs.CURVES, runs.FACTS):
            (out / name).unlink(missing_ok=True)
