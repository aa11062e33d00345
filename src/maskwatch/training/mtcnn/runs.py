"""The folder that a training of MTCNN leaves behind, and the weights that one begins with.

`mtcnn.json` holds the facts; `pnet.onnx`, `rnet.onnx` and `onet.onnx` the networks, and `.npz`
files of the same names their weights as Keras has them. A folder for each network has its crops, a
picture of some, and the checkpoint.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from maskwatch import weights
from maskwatch.datasets.importing import put
from maskwatch.detectors.mtcnn.networks import (
    FACTS,
    STOCK_THRESHOLDS,
    TRAINED_THRESHOLDS,
    Networks,
    Thresholds,
    of_run,
    onnx_file,
)
from maskwatch.errors import ModelError, OutputExistsError, UsageError
from maskwatch.models import embedded_paths
from maskwatch.training import runs
from maskwatch.training.checkpoints import writing
from maskwatch.training.mtcnn.networks import STAGES
from maskwatch.types import Floats
from maskwatch.weights import mtcnn_stock

DEFAULT, STOCK, NOTHING = "default", "stock", "none"


def model_networks(model: str) -> Networks:
    """The three networks of `default`, which come with maskwatch, of `stock`, or of a run.

    Raises:
        ModelNotFoundError: The stock weights are not installed.
        ModelFileError: The folder is no run, or its training has not come to an end.
    """
    if model == DEFAULT:
        return Networks(embedded_paths("mtcnn"), TRAINED_THRESHOLDS)
    if model == STOCK:
        return Networks(weights.require("mtcnn-stock"), STOCK_THRESHOLDS)
    return of_run(Path(model))


def start_thresholds(start: str) -> Thresholds:
    """Those of what a training begins with.

    Args:
        start: As of `start_arrays`, which has been read.
    """
    if start in (STOCK, NOTHING):
        return STOCK_THRESHOLDS
    return of_run(Path(start)).thresholds


def start_arrays(start: str) -> dict[str, list[Floats]]:
    """Weights to begin with, by network; none for `none`.

    Args:
        start: `stock`, `none`, or the folder of a run.

    Raises:
        MissingExtraError: The stock weights are asked for, and their package is not installed.
        ModelError: The folder is no run, or lacks a file.
    """
    if start == NOTHING:
        return {}
    if start == STOCK:
        return {stage: mtcnn_stock.read(stage) for stage in STAGES}
    if read_facts(Path(start)) is None:
        raise UsageError(f"--from {start}: no such run. Give stock, none, or the folder of a run.")
    return {stage: load_weights(Path(start), stage) for stage in STAGES}


def has_weights(folder: Path, stage: str) -> bool:
    """Whether a network is finished there."""
    return (folder / f"{stage}.npz").is_file() and onnx_file(folder, stage).is_file()


def save_weights(folder: Path, stage: str, arrays: Sequence[Floats]) -> None:
    """Write the weights, whole or not at all.

    Raises:
        OutputError: The folder cannot be written.
    """
    part = folder / f"part-{stage}.npz"
    with writing(folder):
        np.savez(part, *arrays)
        part.replace(folder / f"{stage}.npz")


def load_weights(folder: Path, stage: str) -> list[Floats]:
    """Read them.

    Raises:
        ModelError: The file is missing or damaged.
    """
    path = folder / f"{stage}.npz"
    try:
        with np.load(path) as file:
            return [np.asarray(file[f"arr_{i}"], np.float32) for i in range(len(file.files))]
    except (OSError, ValueError, KeyError, EOFError) as exc:
        raise ModelError(f"cannot read {path}: {exc}. Finish that training first.") from exc


def read_facts(folder: Path) -> dict[str, Any] | None:
    """What `mtcnn.json` says; None where there is none.

    Raises:
        ModelError: It cannot be read.
    """
    return runs.read_facts(folder, name=FACTS, key="stages", maker="maskwatch mtcnn train")


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Write `mtcnn.json`.

    Raises:
        OutputError: The folder cannot be written.
    """
    put(folder / FACTS, (json.dumps(facts, indent=1) + "\n").encode())


def opened(
    folder: Path, asked: dict[str, Any], stages: Sequence[str], *, overwrite: bool
) -> dict[str, Any]:
    """The facts of a run to go on with, or those of a new one.

    Args:
        folder: Of the run.
        asked: The facts that all its trainings have in common, without `stages`.
        stages: Networks to be trained.
        overwrite: Begin these anew; finished ones that are not named stay.

    Raises:
        OutputExistsError: The folder holds something else.
        UsageError: It holds another training.
    """
    facts = read_facts(folder)
    if facts is None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise (
                OutputExistsError(folder)
                if not overwrite
                else UsageError(f"{folder} holds something else than a run. Choose another place.")
            )
        return {**asked, "stages": {}, "thresholds": {}}
    if overwrite:
        # What an unfinished network was to learn from came from those that are trained anew.
        gone = {stage for stage in STAGES if stage in stages or not has_weights(folder, stage)}
        for stage in gone:
            remove(folder, stage)
        kept = {
            key: {stage: each for stage, each in facts[key].items() if stage not in gone}
            for key in ("stages", "thresholds")
        }
        return {**asked, **kept}
    for key, value in asked.items():
        if facts.get(key) != value:
            raise UsageError(
                f"{folder} holds another training: {key} is {facts.get(key)!r} there and not "
                f"{value!r}. Give --overwrite to replace it, or choose another place."
            )
    return facts


def remove(folder: Path, stage: str) -> None:
    """Remove all that belongs to a network.

    Raises:
        OutputError: It cannot be removed.
    """
    with writing(folder):
        for path in (onnx_file(folder, stage), folder / f"{stage}.npz"):
            path.unlink(missing_ok=True)
        if (folder / stage).is_dir():
            shutil.rmtree(folder / stage)
