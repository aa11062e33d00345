"""Where a training stands, on disk, so that it can be killed at any moment and goes on."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from maskwatch.errors import ModelFileError, ModelOutputError, OutputError
from maskwatch.images import os_reason
from maskwatch.training.observer import Row


@dataclass(slots=True)
class State:
    """What the model's own file does not hold.

    Attributes:
        rows: The epochs that are done.
        loss_sum: Of the faces of the epoch that runs.
        accuracy_sum: Likewise.
        faces: How many these are.
        seconds: Spent in the epoch that runs.
        chance: State of each random generator of the model (dropout), which Keras does not save.
    """

    rows: list[Row] = field(default_factory=list)
    loss_sum: float = 0.0
    accuracy_sum: float = 0.0
    faces: int = 0
    seconds: float = 0.0
    chance: list[list[int]] = field(default_factory=list)

    def best(self) -> Row | None:
        """The epoch with the best validation accuracy, of equal ones the least loss."""
        if not self.rows:
            return None
        return max(self.rows, key=lambda row: (row.val_accuracy, -row.val_loss, -row.epoch))


class Checkpoints:
    """Checkpoints in a folder: the model with its optimizer, and the state of that very step.

    The state is written first, under a name with its step; the model replaces the one before by
    a rename. So a kill between any two instructions leaves a model and its own state.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._model = folder / "checkpoint.keras"

    def load(self) -> tuple[keras.Model, State] | None:
        """The last checkpoint; None where there is none.

        Raises:
            ModelFileError: It is damaged.
        """
        if not self._model.exists():
            return None
        try:
            model = keras.models.load_model(self._model)
        except Exception as exc:  # h5py, zipfile and Keras share no base but Exception
            reason = " ".join(str(exc).split())[:200]
            raise ModelFileError(
                f"cannot go on from {self._model}: {reason}. Delete its folder to begin anew."
            ) from exc
        state = self._state(step_of(model))
        for variable, value in zip(_generators(model), state.chance, strict=False):
            variable.assign(np.array(value, variable.dtype))
        return model, state

    def _state(self, step: int) -> State:
        try:
            raw = json.loads(self._state_file(step).read_text())
        except FileNotFoundError:
            return State()
        return State(**raw | {"rows": [Row(**row) for row in raw["rows"]]})

    def _state_file(self, step: int) -> Path:
        return self.folder / f"state-{step}.json"

    def save(self, model: keras.Model, state: State) -> None:
        """Keep model and state in place of those before.

        Raises:
            ModelOutputError: A weight is NaN or infinite; the checkpoint before is kept.
            OutputError: The disk is full or the folder not writable.
        """
        if not all(np.isfinite(value).all() for value in model.get_weights()):
            raise ModelOutputError(not_finite("a weight"))
        step = step_of(model)
        state.chance = [
            keras.ops.convert_to_numpy(variable).tolist() for variable in _generators(model)
        ]
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            _put(self._state_file(step), json.dumps(asdict(state)).encode())
            _save(model, self._model)
            self._tidy(step, state)

    def _tidy(self, step: int, state: State) -> None:
        """Remove what the checkpoint just saved does not need."""
        best = state.best()
        needed = {self._state_file(step), self._best_file(best.epoch if best else 0)}
        for pattern in ("state-*.json", "best-*.npz"):
            for path in self.folder.glob(pattern):
                if path not in needed:
                    path.unlink()

    def _best_file(self, epoch: int) -> Path:
        return self.folder / f"best-{epoch}.npz"

    def save_best(self, model: keras.Model, epoch: int) -> None:
        """Keep the weights of an epoch.

        Raises:
            OutputError: The disk is full or the folder not writable.
        """
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self._best_file(epoch)
            part = path.with_name(f"part-{path.name}")
            np.savez(part, *model.get_weights())
            part.replace(path)

    def load_best(self, model: keras.Model, epoch: int) -> None:
        """Put the weights kept of an epoch into a model."""
        with np.load(self._best_file(epoch)) as kept:
            model.set_weights([kept[f"arr_{i}"] for i in range(len(kept.files))])


def step_of(model: keras.Model) -> int:
    """Batches that a model was trained on."""
    return int(keras.ops.convert_to_numpy(model.optimizer.iterations))


def _generators(model: keras.Model) -> list[Any]:
    """The variables of a model's random generators."""
    return [variable for variable in model.variables if "seed_generator" in variable.path]


def not_finite(what: str) -> str:
    """What to say where training ran away."""
    return (
        f"{what} became NaN or infinite. The last good checkpoint is kept. Begin anew in another "
        "folder with a smaller --rate, or with --precision float32."
    )


def _save(model: Any, path: Path) -> None:
    """Write beside and rename, so that a kill leaves the old or the new, never a torn file."""
    part = path.with_name(f"part-{path.name}")
    model.save(part)
    part.replace(path)


def _put(path: Path, content: bytes) -> None:
    part = path.with_name(f"part-{path.name}")
    part.write_bytes(content)
    part.replace(path)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what goes wrong when writing into a run's folder into an OutputError.

    Raises:
        OutputError: The disk is full, the folder not writable, or another fault of the disk.
    """
    try:
        yield
    except OSError as exc:
        full = exc.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(exc)
        reason = "No space left on device" if full else os_reason(exc)
        raise OutputError(
            f"cannot write {folder}: {reason}. Make it writable and give the same command again: "
            "it goes on from the last checkpoint."
        ) from exc
