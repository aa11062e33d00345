"""The models that come with maskwatch: `NAME.onnx`, each with its card `NAME.json`."""

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
class Card:
    """What is known about an embedded model.

    Attributes:
        name: What the user calls it; the card is `NAME.json`.
        kind: `classifier` or `detector`.
        file: Name of its ONNX file, beside the card.
        sha256: SHA-256 of that file.
        bytes: Size of that file.
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
    file: str
    sha256: str
    bytes: int
    classes: tuple[str, ...]
    input: dict[str, Any]
    data: tuple[Any, ...]
    recipe: str
    seed: int
    scores: dict[str, Any]
    limits: tuple[str, ...]
    licence: str
    reproduce: str


_TYPES: dict[str, type] = {
    "bytes": int,
    "seed": int,
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
    return Card(**frozen)


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


def embedded_path(name: str) -> Path:
    """Path of the ONNX file of an embedded model.

    Raises:
        UnknownNameError: There is no embedded model of that name.
        ModelFileError: Its file is not there.
    """
    cards = embedded()
    if name not in cards:
        raise UnknownNameError("embedded model", name, cards)
    path = _folder() / cards[name].file
    if not isinstance(path, Path) or not path.is_file():
        raise ModelFileError(
            f"the file of the embedded model {name!r} is not at {path}. "
            "Install maskwatch again, as a folder and not as a zip file."
        )
    return path


def _folder() -> Traversable:
    return resources.files(__name__)
