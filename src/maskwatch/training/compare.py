"""Train recipes side by side, test them alike, and write one page about it.

    trials = plan_trials(["mobilenetv2", "vgg19"], ["adam", "adamw"], seeds=3)
    print(compare(Path("faces"), trials, Path("comparison")).table())

Each trial is a run in `runs/`, exported to `model.onnx` beside it, and the exported file is what is
tested and timed. `results.json` keeps what is done: the same call goes on after a stop or a kill,
trains only what is missing or has failed, and can add recipes, optimisers and seeds.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras

from maskwatch.benchmark import BATCHES, THREADS, latencies_ms
from maskwatch.classifier import OnnxClassifier
from maskwatch.datasets.formats import load_dataset
from maskwatch.datasets.records import Track, silently
from maskwatch.errors import (
    DatasetError,
    MaskwatchError,
    OutputError,
    OutputExistsError,
    UsageError,
)
from maskwatch.export import export_classifier
from maskwatch.export_crops import read_export_crops
from maskwatch.images import os_reason, output_error, part_of
from maskwatch.training.compare_page import CHART, comparison_page, write_chart
from maskwatch.training.comparison import Comparison, Result, grouped
from maskwatch.training.evaluation import evaluate
from maskwatch.training.fit import train
from maskwatch.training.observer import SILENT, Observer
from maskwatch.training.runs import Run, read_facts
from maskwatch.training.trials import Trial

RESULTS, TABLE, PAGE, RUNS = "results.json", "compare.csv", "index.html", "runs"
FILE = "model.onnx"

_CHECKED_CROPS = 64


def compare(
    data: Path,
    trials: Sequence[Trial],
    out: Path,
    *,
    cache: Path | None = None,
    overwrite: bool = False,
    stop: threading.Event | None = None,
    observer: Observer | None = None,
    track: Track = silently,
) -> Comparison:
    """Train, test and time what has not been yet, and write table, chart and page.

    A trial that fails is named in the result and tried again by the next call.

    Args:
        data: To train and test on, see `fit.train` and `evaluate` for the splits.
        trials: From `plan_trials`.
        out: Folder for runs and results.
        cache: Folder for features and crops, see `fit.train`.
        overwrite: Begin anew where `out` holds other results.
        stop: When set, the running training is saved, and no other begins.
        observer: Told what goes on.
        track: Shows how far reading and testing are.

    Raises:
        SourceNotFoundError: The data are not there.
        DatasetError: They cannot be understood, or nothing in them is kept from training.
        UsageError: `out` holds results of other data or settings, or something else.
        OutputError: Something cannot be written.
    """
    _check_splits(data)
    stop, observer = stop or threading.Event(), observer or SILENT
    book = _Book.open(data, trials, out, overwrite=overwrite)
    for number, trial in enumerate(trials, 1):
        if stop.is_set():
            break
        if book.result(trial) is not None:
            continue
        observer.note(f"[{number} of {len(trials)}] {trial.name}, weights {trial.weights}")
        try:
            result = _run(trial, data, out, cache, stop, observer, track)
        except OutputError:
            raise
        # TensorFlow's and Keras' errors share no base but Exception, and one failing recipe must
        # not end the others.
        except Exception as exc:
            book.fail(trial, _reason(exc))
            observer.note(f"{trial.name} failed: {_reason(exc)}")
        else:
            if result is not None:
                book.keep(trial, result)
                observer.note(f"{trial.name}: accuracy {result.accuracy:.4f}")
        keras.utils.clear_session()
    if not stop.is_set():
        _measure(book, trials, out, observer)
    return _close(book, trials, data, out)


def _check_splits(data: Path) -> None:
    """See that there are faces to test on that nothing is trained on.

    Raises:
        DatasetError: There are none.
    """
    splits = {record.split for record in load_dataset(data).records if any(record.states)}
    if "train" not in splits or not splits & {"val", "test"}:
        raise DatasetError(
            f"{data} has no faces in a split test or val beside train, so that models would be "
            f"tested on what they learnt. maskwatch data split {data} --out DIR makes splits."
        )


def _run(
    trial: Trial,
    data: Path,
    out: Path,
    cache: Path | None,
    stop: threading.Event,
    observer: Observer,
    track: Track,
) -> Result | None:
    """Train, export and test one; None where it was stopped."""
    run = train(
        data,
        trial.recipe,
        out / RUNS / trial.name,
        weights=trial.weights,
        seed=trial.seed,
        cache=cache,
        stop=stop,
        observer=observer,
    )
    if not run.finished:
        return None
    file = run.folder / FILE
    crops = read_export_crops(data, run.size_px, calibration=0, check=_CHECKED_CROPS)
    export_classifier(run.load_model(), file, crops.check)
    tested = evaluate(OnnxClassifier(file), data, track=track, model=trial.name)
    where = ", ".join(source.label for source in tested.sources)
    faces = len(tested.faces)
    return _result(trial, run, tested.accuracy, tested.balanced_accuracy, faces, where)


def _result(
    trial: Trial, run: Run, accuracy: float, balanced: float, faces: int, where: str
) -> Result:
    facts, recipe = run.facts, trial.recipe
    features_s = float(facts.get("features_seconds", 0.0))
    made = "features_seconds" in facts and not facts.get("features_reused")
    return Result(
        group=trial.group,
        seed=trial.seed,
        recipe=recipe.name,
        backbone=recipe.backbone,
        size_px=run.size_px,
        optimizer=recipe.optimizer,
        weights=trial.weights,
        accuracy=accuracy,
        balanced_accuracy=balanced,
        faces=faces,
        tested_on=where,
        val_accuracy=float(facts["val_accuracy"]),
        parameters=int(facts["parameters"]),
        trainable=int(facts["trainable_parameters"]),
        epochs=int(facts["epochs_done"]),
        file_mb=(run.folder / FILE).stat().st_size / 1e6,
        train_s=round(max(float(facts["train_seconds"]) - features_s, 0.0), 2),
        features_s=features_s if made else None,
        ms_per_step=float(facts["ms_per_step"]),
    )


def _measure(book: _Book, trials: Sequence[Trial], out: Path, observer: Observer) -> None:
    """Time a file of each group, all in one run; nothing where that has been done."""
    files: dict[str, Path] = {}
    for trial in trials:
        if book.result(trial) is not None and trial.group not in files:
            files[trial.group] = out / RUNS / trial.name / FILE
    if not files or set(book.latencies_ms) == set(files):
        return
    observer.note(f"timing {len(files)} models with {THREADS} thread, taking turns")
    judges = {group: OnnxClassifier(file, threads=THREADS) for group, file in files.items()}
    taken = {batch: latencies_ms(judges, batch) for batch in BATCHES}
    book.time({group: {n: taken[n][group] for n in BATCHES} for group in files})


def _close(book: _Book, trials: Sequence[Trial], data: Path, out: Path) -> Comparison:
    """Write what is known, also where it is not all."""
    results = [result for trial in trials if (result := book.result(trial)) is not None]
    done = Comparison(
        str(data),
        grouped(results, book.latencies_ms),
        {t.name: line for t in trials if (line := book.failure(t)) is not None},
        tuple(t.name for t in trials if book.result(t) is None and book.failure(t) is None),
        THREADS,
    )
    book.save(done)
    _put(out / TABLE, done.csv().encode())
    if done.groups:
        write_chart(done, out / CHART)
        _put(out / PAGE, comparison_page(done).encode())
    return done


class _Book:
    """`results.json`: what has been done, kept after every trial."""

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        self._path = path
        self._content = content

    @classmethod
    def open(cls, data: Path, trials: Sequence[Trial], out: Path, *, overwrite: bool) -> _Book:
        """Read it, or begin it.

        Raises:
            UsageError: It is of other data or settings; to be overwritten, of something else.
            OutputExistsError: The folder holds something else.
        """
        path = out / RESULTS
        fresh: dict[str, Any] = {"data": str(data), "trials": {}, "latency_ms": {}}
        if overwrite:
            _replace(trials, out)
        if not path.exists():
            if out.exists() and (not out.is_dir() or any(out.iterdir())) and not overwrite:
                raise OutputExistsError(out)
            book = cls(path, fresh)
            book._write()
            return book
        book = cls(path, _read(path))
        book._check(str(data), trials, out)
        return book

    @property
    def latencies_ms(self) -> dict[str, dict[int, float]]:
        """By group and faces in a call."""
        kept = self._content["latency_ms"]
        return {group: {int(n): ms for n, ms in taken.items()} for group, taken in kept.items()}

    def result(self, trial: Trial) -> Result | None:
        """What a trial gave; None where it has not ended."""
        kept = self._content["trials"].get(trial.name, {}).get("result")
        return None if kept is None else Result(**kept)

    def failure(self, trial: Trial) -> str | None:
        """Why a trial failed; None where it did not."""
        line: str | None = self._content["trials"].get(trial.name, {}).get("error")
        return line

    def keep(self, trial: Trial, result: Result) -> None:
        """Take the result of a trial; timings that were there are out of date."""
        self._content["trials"][trial.name] = {
            "settings": trial.settings,
            "result": asdict(result),
            "error": None,
        }
        self._content["latency_ms"].pop(trial.group, None)
        self._write()

    def fail(self, trial: Trial, line: str) -> None:
        """Take the failure of a trial."""
        kept = {"settings": trial.settings, "result": None, "error": line}
        self._content["trials"][trial.name] = kept
        self._write()

    def time(self, latencies: dict[str, dict[int, float]]) -> None:
        """Take the timings of all groups."""
        self._content["latency_ms"] = {
            group: {str(n): ms for n, ms in taken.items()} for group, taken in latencies.items()
        }
        self._write()

    def save(self, done: Comparison) -> None:
        """Add the figures that follow."""
        self._content["comparison"] = done.json()
        self._write()

    def _check(self, data: str, trials: Sequence[Trial], out: Path) -> None:
        if self._content["data"] != data:
            raise UsageError(
                f"{out} compares on {self._content['data']}, not on {data}. Give --overwrite to "
                "begin anew, or choose another place."
            )
        for trial in trials:
            kept = self._content["trials"].get(trial.name)
            if kept is not None and (what := _difference(kept["settings"], trial.settings)):
                raise UsageError(
                    f"{out} holds {trial.name} with other settings: {what}. Give --overwrite to "
                    "begin anew, or choose another place."
                )

    def _write(self) -> None:
        _put(self._path, (json.dumps(self._content, indent=1) + "\n").encode())


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise UsageError(
            f"cannot read {path}: {exc}. Delete it to begin anew, or choose another --out."
        ) from exc
    fits = isinstance(content, dict) and all(
        isinstance(content.get(key), kind)
        for key, kind in (("data", str), ("trials", dict), ("latency_ms", dict))
    )
    if not fits:
        raise UsageError(f"{path} is not from maskwatch compare. Choose another --out.")
    return dict(content)


def _difference(kept: dict[str, Any], asked: dict[str, Any]) -> str:
    """The first setting that differs, as text; empty where none does."""
    before, now = ({**s, **s["recipe"]} for s in (kept, asked))
    for name in now:
        if name != "recipe" and before.get(name) != now[name]:
            return f"{name} {before.get(name)!r}, not {now[name]!r}"
    return ""


def _reason(exc: Exception) -> str:
    text = " ".join(str(exc).split())
    if isinstance(exc, MaskwatchError) and text:
        return text
    return f"{type(exc).__name__}: {text}"[:300]


def _replace(trials: Sequence[Trial], out: Path) -> None:
    """Remove an earlier comparison, after a look at all of it.

    Raises:
        UsageError: Something of it is not from maskwatch.
        OutputError: It cannot be removed.
    """
    if (out / RESULTS).exists():
        _read(out / RESULTS)
    folders = [out / RUNS / trial.name for trial in trials]
    for folder in folders:
        there = folder.is_file() or (folder.is_dir() and any(folder.iterdir()))
        if there and read_facts(folder) is None:
            raise UsageError(f"{folder} is not from maskwatch train. Choose another --out.")
    try:
        for name in (TABLE, CHART, PAGE, RESULTS):
            (out / name).unlink(missing_ok=True)
        for folder in filter(Path.is_dir, folders):
            shutil.rmtree(folder)
    except OSError as exc:
        raise OutputError(f"cannot replace what is in {out}: {os_reason(exc)}.") from exc


def _put(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all."""
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
    except OSError as exc:
        raise output_error(path, exc) from exc
