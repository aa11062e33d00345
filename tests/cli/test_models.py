"""`maskwatch models`: what it prints and what it does."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from maskwatch import models, weights
from maskwatch.cli.models import app
from maskwatch.errors import DownloadError, UnknownNameError

BODY = b"a small model" * 10_000


@pytest.fixture(autouse=True)
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, one fetchable model `tiny` that nobody serves, and none embedded."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("MASKWATCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(models, "_folder", lambda: tmp_path)
    publish(monkeypatch, "http://127.0.0.1:1")
    return tmp_path


@pytest.fixture
def server(registry: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Somebody serves `tiny`."""
    folder = registry / "served"
    folder.mkdir()
    (folder / "tiny.bin").write_bytes(BODY)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.005,))
        thread.start()
        publish(monkeypatch, f"http://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()
        thread.join()


@pytest.fixture
def brought(registry: Path) -> str:
    """Path of a file that the user has."""
    path = registry / "brought"
    path.write_bytes(BODY)
    return str(path)


@pytest.fixture
def card(registry: Path) -> dict[str, Any]:
    """An embedded model `small`."""
    (registry / "small.onnx").write_bytes(b"onnx")
    card = {
        "name": "small",
        "kind": "classifier",
        "files": [
            {"name": "small.onnx", "sha256": hashlib.sha256(b"onnx").hexdigest(), "bytes": 4}
        ],
        "classes": ["with_mask", "without_mask"],
        "input": {"size_px": 8},
        "data": [{"name": "made up", "faces": 1}],
        "recipe": "none",
        "seed": 0,
        "scores": {"made up": {"accuracy": 0.5}},
        "limits": ["knows nothing"],
        "licence": "Apache-2.0",
        "reproduce": "maskwatch train",
    }
    (registry / "small.json").write_text(json.dumps(card))
    return card


def publish(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    content = weights.Content(hashlib.sha256(BODY).hexdigest(), len(BODY))
    file = weights.ModelFile("tiny.bin", f"{url}/tiny.bin", content)
    tiny = weights.Model(
        "tiny", "detector", "to be tested", "MIT (tests)", "https://example.org", "by hand", (file,)
    )
    monkeypatch.setitem(weights.MODELS, "tiny", tiny)


def run(*args: str) -> Result:
    return CliRunner().invoke(app, args)


def done(*args: str) -> str:
    """Output of a command that succeeds."""
    result = run(*args)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list(card: dict[str, Any], brought: str) -> None:
    """The list has a line a model: name, kind, status, size, licence, purpose."""
    lines = {line.split()[0]: line for line in done("list").splitlines()}
    assert {"small", "tiny", "yunet", "yunet-n", "ssd", "ssd-caffe"} <= lines.keys()
    assert lines["tiny"].split("  ")[0] == "tiny"
    for word in ("detector", "not installed", "130.0 kB", "MIT", "to be tested"):
        assert word in lines["tiny"]
    assert "embedded" in lines["small"]
    done("get", "tiny", "--from", brought)
    lines = {line.split()[0]: line for line in done("list").splitlines()}
    assert "not installed" not in lines["tiny"]


def test_list_json(card: dict[str, Any]) -> None:
    """As JSON the list is one array of objects with the same facts."""
    rows = {row["name"]: row for row in json.loads(done("list", "--json"))}
    assert rows["tiny"] == {
        "name": "tiny",
        "kind": "detector",
        "status": "not installed",
        "bytes": len(BODY),
        "licence": "MIT (tests)",
        "purpose": "to be tested",
    }
    assert rows["small"]["status"] == "embedded"


def test_info(registry: Path) -> None:
    """Info has the address, the hash, the publisher, the loader and the path."""
    text = done("info", "tiny")
    path = registry / "home" / "models" / "tiny" / "tiny.bin"
    for fact in (
        "http://127.0.0.1:1/tiny.bin",
        hashlib.sha256(BODY).hexdigest(),
        "https://example.org",
        "by hand",
        "MIT (tests)",
        f"path: {path}",
    ):
        assert fact in text
    facts = json.loads(done("info", "tiny", "--json"))
    assert facts["files"][0]["path"] == str(path)


def test_info_of_model_made_here() -> None:
    """Of a model that is made on this computer, info has what has to be installed for that."""
    facts = json.loads(done("info", "mtcnn-stock", "--json"))
    assert facts["status"] == "not installed"
    assert facts["made_with"] == "pip install 'maskwatch[mtcnn]'"
    assert "made_with" not in done("info", "tiny")


def test_info_of_embedded(registry: Path, card: dict[str, Any]) -> None:
    """Info of an embedded model is its card, with its path."""
    facts = json.loads(done("info", "small", "--json"))
    files = [card["files"][0] | {"path": str(registry / "small.onnx")}]
    assert facts == card | {"status": "embedded", "bytes": 4, "files": files}
    text = done("info", "small")
    for fact in ("classes: with_mask; without_mask", "accuracy: 0.5", "faces: 1"):
        assert fact in text


@pytest.mark.usefixtures("server")
def test_get() -> None:
    """Get downloads, tells on stderr how far it is, and says where the file lies."""
    result = run("get", "tiny")
    assert result.exit_code == 0
    (path,) = weights.require("tiny")
    assert path.read_bytes() == BODY
    assert result.stdout == f"tiny is installed: {path}\n"
    assert result.stderr.splitlines()[0] == "tiny.bin: 0 bytes of 130.0 kB"
    assert result.stderr.splitlines()[-1] == "tiny.bin: 130.0 kB of 130.0 kB"


def test_get_again(brought: str) -> None:
    """What is installed stays: get says so and needs no network."""
    assert "tiny is installed" in done("get", "tiny", "--from", brought)
    assert "tiny is already installed" in done("get", "tiny")


def test_get_with_force(brought: str) -> None:
    """With --force an installed model is fetched again."""
    done("get", "tiny", "--from", brought)
    result = run("get", "tiny", "--force")
    assert isinstance(result.exception, DownloadError)
    assert "tiny is installed" in done("get", "tiny", "--from", brought, "--force")


def test_several_files(registry: Path, card: dict[str, Any]) -> None:
    """Of an embedded model of several files all paths are told."""
    (registry / "more.onnx").write_bytes(b"more")
    more = {"name": "more.onnx", "sha256": hashlib.sha256(b"more").hexdigest(), "bytes": 4}
    (registry / "small.json").write_text(json.dumps(card | {"files": [*card["files"], more]}))
    assert done("get", "small").endswith(f"{registry / 'small.onnx'}, {registry / 'more.onnx'}\n")
    assert f"path: {registry / 'more.onnx'}" in done("info", "small")
    rows = {row["name"]: row for row in json.loads(done("list", "--json"))}
    assert rows["small"]["bytes"] == 8


def test_get_embedded(registry: Path, card: dict[str, Any]) -> None:
    """An embedded model need not be fetched."""
    assert done("get", "small") == f"small comes with maskwatch: {registry / 'small.onnx'}\n"


def test_get_without_network() -> None:
    """A failed download raises the error that names --from."""
    result = run("get", "tiny")
    assert isinstance(result.exception, DownloadError)
    assert "maskwatch models get tiny --from FILE" in str(result.exception)


@pytest.mark.parametrize("command", ["get", "info"])
def test_unknown_name(command: str, card: dict[str, Any]) -> None:
    """An unknown name is refused; embedded and fetchable names are listed."""
    result = run(command, "tinny")
    assert isinstance(result.exception, UnknownNameError)
    assert "Did you mean 'tiny'" in str(result.exception)
    assert "small" in str(result.exception)
