"""A run: the folder that a training leaves behind."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import keras

import maskwatch.training.heads  # noqa: F401, its layers are in the files of runs
from maskwatch.errors import ModelError
from maskwatch.training.checkpoints import writing
from maskwatch.training.observer import Row

FACTS = "run.json"
MODEL = "model.keras"
HISTORY = "history.csv"
CURVES = "curves.png"
CHECKPOINT = "checkpoint"


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A training, finished or not.

    Attributes:
        folder: Holds `run.json` (the facts), `model.keras`, `history.csv` and `curves.png`.
        facts: Recipe, seed, data, times, parameters, `val_accuracy`, library versions.
    """

    folder: Path
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.resolve().name

    @property
    def size_px(self) -> int:
        """Side of the model's input."""
        return int(self.facts["recipe"]["size_px"])

    @property
    def finished(self) -> bool:
        """Whether it was trained to its end."""
        return bool(self.facts.get("finished"))

    def load_model(self) -> keras.Model:
        """The classifier: `(N, S, S, 3)` uint8 BGR to `(N, 3)` probabilities.

        Raises:
            ModelError: Its file is missing or damaged.
        """
        try:
            return keras.models.load_model(self.folder / MODEL)
        except Exception as exc:  # h5py, zipfile and Keras share no base but Exception
            reason = " ".join(str(exc).split())[:200]
            raise ModelError(f"cannot load {self.folder / MODEL}: {reason}") from exc


def load_run(folder: Path) -> Run:
    """The run in a folder.

    Raises:
        ModelError: It is none, or its training has not come to an end.
    """
    facts = read_facts(folder)
    if facts is None:
        raise ModelError(f"{folder} is no run: it has no {FACTS}. maskwatch train makes one.")
    if not (folder / MODEL).is_file():
        raise ModelError(
            f"the training in {folder} has not finished. Give its command again to go on."
        )
    return Run(folder, facts)


def read_facts(
    folder: Path, *, name: str = FACTS, key: str = "recipe", maker: str = "maskwatch train"
) -> dict[str, Any] | None:
    """What `run.json`, or another file of facts, says; None where there is none.

    Args:
        folder: Of the run.
        name: Of the file.
        key: Of an object that it holds.
        maker: The command that writes such files.

    Raises:
        ModelError: It cannot be read, or is of another maker.
    """
    path = folder / name
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as exc:
        raise ModelError(f"cannot read {path}: {exc}. Delete its folder to begin anew.") from exc
    if not isinstance(facts, dict) or not isinstance(facts.get(key), dict):
        raise ModelError(f"{path} is not from {maker}. Choose another folder.")
    return facts


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Write `run.json`, whole or not at all.

    Raises:
        OutputError: The folder cannot be written.
    """
    _put(folder / FACTS, json.dumps(facts, indent=1) + "\n")


def write_history(folder: Path, rows: list[Row]) -> None:
    """Write `history.csv`, a row an epoch.

    Raises:
        OutputError: The folder cannot be written.
    """
    text = io.StringIO()
    table = csv.DictWriter(text, [field.name for field in fields(Row)], lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(row) for row in rows)
    _put(folder / HISTORY, text.getvalue())


def write_model(folder: Path, model: keras.Model) -> None:
    """Write `model.keras`, whole or not at all.

    Raises:
        OutputError: The folder cannot be written.
    """
    part = folder / f"part-{MODEL}"
    with writing(folder):
        model.save(part)
        part.replace(folder / MODEL)


def _put(path: Path, text: str) -> None:
    part = path.with_name(f"part-{path.name}")
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
