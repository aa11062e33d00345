"""Settings: frozen dataclasses, read from TOML, strict about unknown keys."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from maskwatch.errors import SettingsError

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class DetectSettings:
    """What `maskwatch detect` can be told about finding and judging faces.

    Attributes:
        detector: Name of the detector, or `auto` for the embedded `onepass`; the `.onnx` file of a
            one-pass detector, or the folder of a run of `maskwatch mtcnn train`.
        classifier: `default` or the path of an ONNX classifier.
        min_score: Faces scored lower are dropped; None takes the detector's own default.
        distance: `pixels:N`, `faces:N`, or None.
        every: Look at every N-th frame only.
        batch: Frames judged together in one call of the networks.
    """

    detector: str = "auto"
    classifier: str = "default"
    min_score: float | None = None
    distance: str | None = None
    every: int = 1
    batch: int = 4

    def __post_init__(self) -> None:
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise SettingsError(f"min_score is {self.min_score}; it lies between 0 and 1.")
        for name in ("every", "batch"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; it is 1 or more.")


def from_mapping(cls: type[T], values: dict[str, Any], where: str = "settings") -> T:
    """Build a settings dataclass from a mapping.

    Args:
        cls: The dataclass.
        values: Its values by field name.
        where: Named in errors.

    Raises:
        SettingsError: A key is unknown (the nearest known one is named) or a value has the wrong
            type.
    """
    hints = typing.get_type_hints(cls)
    for key, value in values.items():
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(hints)}."
            raise SettingsError(f"{where}: unknown key {key!r}.{hint}")
        if not _fits(value, hints[key]):
            raise SettingsError(f"{where}: {key} is {value!r}, expected {_name(hints[key])}.")
    return cls(**values)


def from_toml(cls: type[T], path: Path) -> T:
    """Read a settings dataclass from a TOML file.

    Raises:
        SettingsError: The file is missing, is not TOML, or does not fit.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise SettingsError(f"cannot read settings from {path}: {exc}") from exc
    return from_mapping(cls, values, where=str(path))


def _members(hint: Any) -> tuple[Any, ...]:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return typing.get_args(hint)
    return (hint,)


def _fits(value: Any, hint: Any) -> bool:
    members = _members(hint)
    if isinstance(value, bool):
        return bool in members
    if isinstance(value, int) and float in members:
        return True
    return any(isinstance(value, member) for member in members)


def _name(hint: Any) -> str:
    return " or ".join("nothing" if m is type(None) else m.__name__ for m in _members(hint))
