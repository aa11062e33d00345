"""The models that come with maskwatch, and the reading of their cards."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from maskwatch import models
from maskwatch.errors import ModelFileError, UnknownNameError
from maskwatch.models import embedded, embedded_path, embedded_paths, parse_card

MAX_BYTES = 5_000_000
NAMES = list(embedded())

FILE = {"name": "tiny.onnx", "sha256": hashlib.sha256(b"onnx").hexdigest(), "bytes": 4}

GOOD: dict[str, Any] = {
    "name": "tiny",
    "kind": "classifier",
    "files": [FILE],
    "classes": ["with_mask", "without_mask"],
    "input": {"height_px": 8, "width_px": 8, "layout": "NHWC"},
    "data": ["made up"],
    "recipe": "none",
    "seed": 0,
    "scores": {"made up": {"accuracy": 0.5}},
    "limits": ["knows nothing"],
    "licence": "Apache-2.0",
    "reproduce": "true",
}


@pytest.mark.parametrize("name", NAMES)
def test_file_is_what_the_card_says(name: str) -> None:
    """Embedded files have the hash and the size of their card, and are at most 5 MB."""
    card = embedded()[name]
    for file, path in zip(card.files, embedded_paths(name), strict=True):
        data = path.read_bytes()
        assert hashlib.sha256(data).hexdigest() == file.sha256
        assert len(data) == file.bytes
    assert card.bytes <= MAX_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_no_path_of_the_maker(name: str) -> None:
    """A card names no folder of the machine that it was written on."""
    text = (Path(models.__file__).parent / f"{name}.json").read_text(encoding="utf-8")
    assert not re.search(r'"(/|[A-Z]:)', text)


def test_every_model_has_a_card() -> None:
    """There is no ONNX file without a card."""
    files = {path.name for path in Path(models.__file__).parent.glob("*.onnx")}
    if not files:
        pytest.skip("no embedded models yet")
    assert files == {file.name for card in embedded().values() for file in card.files}


def test_good_card() -> None:
    """A complete card gives its values; lists become tuples."""
    card = parse_card(json.dumps(GOOD), "tiny.json")
    assert card.name == "tiny"
    assert card.classes == ("with_mask", "without_mask")
    assert card.limits == ("knows nothing",)
    assert card.scores == {"made up": {"accuracy": 0.5}}


@pytest.mark.parametrize("key", GOOD)
def test_missing_key(key: str) -> None:
    """A card that lacks a key is refused; card and key are named."""
    values = {k: v for k, v in GOOD.items() if k != key}
    with pytest.raises(ModelFileError, match=rf"card tiny\.json lacks: {key}\."):
        parse_card(json.dumps(values), "tiny.json")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param({"colour": "red"}, "unknown keys: colour", id="unknown-key"),
        pytest.param({"seed": "0"}, "seed is '0', expected int", id="text-for-number"),
        pytest.param({"seed": True}, "seed is True, expected int", id="bool-for-number"),
        pytest.param({"classes": "a"}, "classes is 'a', expected list", id="text-for-list"),
        pytest.param({"classes": [1]}, "classes is", id="list-of-numbers"),
        pytest.param({"files": []}, "names no file", id="no-file"),
        pytest.param({"files": ["a.onnx"]}, "a file is 'a.onnx', expected", id="file-as-text"),
        pytest.param({"files": [{"name": "a.onnx"}]}, "a file is .*sha256, bytes", id="short-file"),
        pytest.param({"files": [FILE | {"bytes": "4"}]}, "a file is", id="bytes-as-text"),
        pytest.param({"kind": "camera"}, "kind is 'camera', expected one of", id="kind"),
    ],
)
def test_bad_card(change: dict[str, Any], text: str) -> None:
    """A card with a value that does not fit is refused; card, key and value are named."""
    with pytest.raises(ModelFileError, match=rf"card tiny\.json.*{text}"):
        parse_card(json.dumps(GOOD | change), "tiny.json")


@pytest.mark.parametrize("text", ["", "[]"], ids=["no-json", "no-object"])
def test_no_card_at_all(text: str) -> None:
    """A file that is no JSON object is refused by name."""
    with pytest.raises(ModelFileError, match=r"tiny\.json is not"):
        parse_card(text, "tiny.json")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder of its own."""
    monkeypatch.setattr(models, "_folder", lambda: tmp_path)
    return tmp_path


def test_lookup(package: Path) -> None:
    """An embedded model is found by its name."""
    (package / "tiny.json").write_text(json.dumps(GOOD))
    (package / "tiny.onnx").write_bytes(b"onnx")
    assert list(embedded()) == ["tiny"]
    assert embedded_path("tiny") == package / "tiny.onnx"


def test_lookup_of_several_files(package: Path) -> None:
    """Files come in the order of the card, and their sizes make up that of the model."""
    files = [FILE | {"name": name} for name in ("b.onnx", "a.onnx")]
    (package / "tiny.json").write_text(json.dumps(GOOD | {"files": files}))
    for name in ("a.onnx", "b.onnx"):
        (package / name).write_bytes(b"onnx")
    assert embedded_paths("tiny") == (package / "b.onnx", package / "a.onnx")
    assert embedded()["tiny"].bytes == 8
    with pytest.raises(ModelFileError, match="'tiny' has 2 files, expected one"):
        embedded_path("tiny")


def test_lookup_without_file(package: Path) -> None:
    """A card without its file is an error that names the path."""
    (package / "tiny.json").write_text(json.dumps(GOOD))
    with pytest.raises(ModelFileError, match=r"tiny\.onnx"):
        embedded_path("tiny")


def test_card_under_another_name(package: Path) -> None:
    """A card is named as its file."""
    (package / "other.json").write_text(json.dumps(GOOD))
    with pytest.raises(ModelFileError, match=r"other\.json names itself 'tiny'"):
        embedded()


def test_unknown_embedded(package: Path) -> None:
    """A name that is not embedded is refused."""
    with pytest.raises(UnknownNameError, match="embedded model 'none'"):
        embedded_path("none")
