"""Rules of settings: strict about names and types, helpful about what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from maskwatch.errors import SettingsError
from maskwatch.settings import DetectSettings, from_mapping, from_toml


@dataclass(frozen=True)
class Sample:
    """One field of each kind."""

    word: str = "w"
    whole: int = 1
    number: float = 1.0
    switch: bool = False
    perhaps: float | None = None


def test_all_given() -> None:
    """Every value given arrives."""
    values = {"word": "x", "whole": 2, "number": 0.5, "switch": True, "perhaps": 0.25}
    assert from_mapping(Sample, values) == Sample("x", 2, 0.5, True, 0.25)


def test_nothing_given() -> None:
    """What is not given keeps its default."""
    assert from_mapping(DetectSettings, {}) == DetectSettings()


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"number": 2}, id="int-for-float"),
        pytest.param({"perhaps": 2}, id="int-for-optional-float"),
        pytest.param({"perhaps": None}, id="none-for-optional"),
    ],
)
def test_values_that_fit(values: dict[str, Any]) -> None:
    """A whole number is a number too, and None fits what is optional."""
    (name,) = values
    assert getattr(from_mapping(Sample, values), name) == values[name]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        pytest.param({"word": 1}, "word is 1, expected str", id="int-for-str"),
        pytest.param({"whole": "1"}, "whole is '1', expected int", id="str-for-int"),
        pytest.param({"whole": 1.5}, "whole is 1.5, expected int", id="float-for-int"),
        pytest.param({"whole": True}, "whole is True, expected int", id="bool-for-int"),
        pytest.param({"number": False}, "number is False, expected float", id="bool-for-float"),
        pytest.param({"switch": 1}, "switch is 1, expected bool", id="int-for-bool"),
        pytest.param({"word": None}, "word is None, expected str", id="none"),
        pytest.param({"whole": [1]}, r"whole is \[1\], expected int", id="list"),
        pytest.param({"perhaps": "a"}, "perhaps is 'a', expected float or nothing", id="optional"),
    ],
)
def test_values_that_do_not_fit(values: dict[str, Any], text: str) -> None:
    """A value of another type is refused: where, which, what it is, what it should be."""
    with pytest.raises(SettingsError, match=f"^here: {text}"):
        from_mapping(Sample, values, where="here")


def test_misspelt_key() -> None:
    """A misspelt key is refused with the nearest known one."""
    with pytest.raises(SettingsError, match=r"unknown key 'detectr'\. Did you mean 'detector'\?"):
        from_mapping(DetectSettings, {"detectr": "haar"})


def test_foreign_key() -> None:
    """A key like no other is refused with all known ones."""
    with pytest.raises(SettingsError, match=r"unknown key 'zzz'\. Known: word, whole, number"):
        from_mapping(Sample, {"zzz": 1})


@pytest.mark.parametrize(
    ("values", "text"),
    [
        pytest.param({"min_score": -0.1}, "min_score is -0.1", id="score-below"),
        pytest.param({"min_score": 1.1}, "min_score is 1.1", id="score-above"),
        pytest.param({"min_score": float("nan")}, "min_score is nan", id="score-nan"),
        pytest.param({"every": 0}, "every is 0", id="every"),
        pytest.param({"batch": -1}, "batch is -1", id="batch"),
    ],
)
def test_limits(values: dict[str, Any], text: str) -> None:
    """Values out of their limits are refused by name and value."""
    with pytest.raises(SettingsError, match=text):
        from_mapping(DetectSettings, values)


@pytest.mark.parametrize("score", [0, 0.0, 1, 1.0, None], ids=repr)
def test_at_the_limits(score: float | None) -> None:
    """The limits themselves are allowed."""
    assert DetectSettings(min_score=score, every=1, batch=1).min_score == score


def test_toml(tmp_path: Path) -> None:
    """A TOML file gives settings."""
    path = tmp_path / "s.toml"
    path.write_text('detector = "ssd"\nmin_score = 0.4\nevery = 3\n')
    assert from_toml(DetectSettings, path) == DetectSettings("ssd", min_score=0.4, every=3)


def test_toml_is_named_in_errors(tmp_path: Path) -> None:
    """What does not fit in a file is reported with the file."""
    path = tmp_path / "s.toml"
    path.write_text("evry = 3\n")
    with pytest.raises(SettingsError, match=r"s\.toml: unknown key 'evry'\. Did you mean 'every'"):
        from_toml(DetectSettings, path)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(None, id="missing"),
        pytest.param(b"every = ", id="not-toml"),
        pytest.param(b'detector = "\xff"', id="not-utf8"),
    ],
)
def test_toml_that_cannot_be_read(tmp_path: Path, data: bytes | None) -> None:
    """A file that is missing or no TOML is named."""
    path = tmp_path / "s.toml"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(SettingsError, match=r"cannot read settings from .*s\.toml"):
        from_toml(DetectSettings, path)
