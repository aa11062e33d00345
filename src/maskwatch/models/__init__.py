"""The models that come with maskwatch: ONNX files, each model with its card `NAME.json`."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from maskwatch.errors import ModelFileError, UnknownNameError


@dataclass(frozen=True, slots=True)
class CardFile:
    """One ONNX file of an embedded model.

    Attributes:
        name: Its name; it lies beside the card.
        sha256: Its SHA-256.
        bytes: Its size.
    """

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Card:
    """What is known about an embedded model.

    Attributes:
        name: What the user calls it; the card is `NAME.json`.
        kind: `classifier` or `detector`.
        files: Its files, in the order in which they are loaded.
        classes: Its classes, in the order of its output.
        input: Size, layout and scaling of its input.
        data: The data it was trained on, one entry a source.
        recipe: Name of the training recipe.
        seed: Seed of the training run.
        scores: Its scores by test source.
        limits: What it cannot do.
        licence: Its licence.
        reproduce: The command that trains it again.
    """

    name: str
    kind: str
    files: tuple[CardFile, ...]
    classes: tuple[str, ...]
    input: dict[str, Any]
    data: tuple[Any, ...]
    recipe: str
    seed: int
    scores: dict[str, Any]
    limits: tuple[str, ...]
    licence: str
    reproduce: str

    @property
    def bytes(self) -> int:
        """Size of all files together."""
        return sum(file.bytes for file in self.files)


_TYPES: dict[str, type] = {
    "seed": int,
    "files": list,
    "classes": list,
    "data": list,
    "limits": list,
    "input": dict,
    "scores": dict,
}
"""JSON type by key; all others are text."""

_LISTS = tuple(key for key, kind in _TYPES.items() if kind is list)

_TEXTS = ("classes", "limits")
"""The lists that hold nothing but text."""

_KINDS = ("classifier", "detector")


def parse_card(text: str, where: str) -> Card:
    """Read a card, strictly: every key is there, none is unknown, each has its type.

    Args:
        text: The JSON.
        where: The card, named in errors.

    Raises:
        ModelFileError: The text does not fit.
    """
    try:
        values = json.loads(text)
    except ValueError as exc:
        raise ModelFileError(f"model card {where} is not JSON: {exc}") from exc
    if not isinstance(values, dict):
        raise ModelFileError(f"model card {where} is not a JSON object.")
    known = [field.name for field in dataclasses.fields(Card)]
    _check_keys(values, known, where)
    for key in known:
        _check_value(key, values[key], where)
    frozen: dict[str, Any] = {k: tuple(v) if k in _LISTS else v for k, v in values.items()}
    frozen["files"] = tuple(_file(value, where) for value in values["files"])
    if not frozen["files"]:
        raise ModelFileError(f"model card {where} names no file.")
    return Card(**frozen)


def _file(value: Any, where: str) -> CardFile:
    """One of the files of a card.

    Raises:
        ModelFileError: The entry does not fit.
    """
    known = {
        field.name: {"bytes": int}.get(field.name, str) for field in dataclasses.fields(CardFile)
    }
    fits = isinstance(value, dict) and value.keys() == known.keys()
    if not fits or not all(type(value[key]) is kind for key, kind in known.items()):
        raise ModelFileError(
            f"model card {where}: a file is {value!r}, expected an object of {', '.join(known)}."
        )
    return CardFile(**value)


def _check_keys(values: dict[str, Any], known: list[str], where: str) -> None:
    if missing := [key for key in known if key not in values]:
        raise ModelFileError(f"model card {where} lacks: {', '.join(missing)}.")
    if unknown := [key for key in values if key not in known]:
        raise ModelFileError(
            f"model card {where} has unknown keys: {', '.join(unknown)}. Known: {', '.join(known)}."
        )


def _check_value(key: str, value: Any, where: str) -> None:
    kind = _TYPES.get(key, str)
    fits = isinstance(value, kind) and not isinstance(value, bool)
    if key in _TEXTS:
        fits = fits and all(isinstance(item, str) for item in value)
    if not fits:
        raise ModelFileError(f"model card {where}: {key} is {value!r}, expected {kind.__name__}.")
    if key == "kind" and value not in _KINDS:
        raise ModelFileError(
            f"model card {where}: kind is {value!r}, expected one of: {', '.join(_KINDS)}."
        )


def embedded() -> dict[str, Card]:
    """The cards of all embedded models, by name.

    Raises:
        ModelFileError: A card does not fit, or is named otherwise than its file.
    """
    cards = {}
    for entry in sorted(_folder().iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".json"):
            card = parse_card(entry.read_text(encoding="utf-8"), entry.name)
            if f"{card.name}.json" != entry.name:
                raise ModelFileError(f"model card {entry.name} names itself {card.name!r}.")
            cards[card.name] = card
    return cards


def embedded_paths(name: str) -> tuple[Path, ...]:
    """Paths of the ONNX files of an embedded model, in the order of its card.

    Raises:
        UnknownNameError: There is no embedded model of that name.
        ModelFileError: A file is not there.
    """
    cards = embedded()
    if name not in cards:
        raise UnknownNameError("embedded model", name, cards)
    return tuple(_path(name, file) for file in cards[name].files)


def _path(name: str, file: CardFile) -> Path:
    path = _folder() / file.name
    if not isinstance(path, Path) or not path.is_file():
        raise ModelFileError(
            f"the file of the embedded model {name!r} is not at {path}. "
            "Install maskwatch again, as a folder and not as a zip file."
        )
    return path


def embedded_path(name: str) -> Path:
    """As `embedded_paths`, of a model of one file.

    Raises:
        ModelFileError: It has several, too.
    """
    paths = embedded_paths(name)
    if len(paths) != 1:
        raise ModelFileError(f"the embedded model {name!r} has {len(paths)} files, expected one.")
    return paths[0]


def _folder() -> Traversable:
    return resources.files(__name__)
