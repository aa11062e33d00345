"""The cache: where it is, what counts as installed, and files that the user brings."""

from __future__ import annotations

import errno
import hashlib
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from maskwatch import weights
from maskwatch.errors import (
    DownloadError,
    ModelNotFoundError,
    OutputError,
    UnknownNameError,
)

NET, TEXT, OLD_TEXT = b"weights" * 100, b"text", b"the text as it was"


def content(data: bytes) -> weights.Content:
    return weights.Content(hashlib.sha256(data).hexdigest(), len(data))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own and one model of two files, the second known in two versions."""
    files = (
        weights.ModelFile("net.bin", "https://example.org/net.bin", content(NET)),
        weights.ModelFile(
            "net.txt", "https://example.org/net.txt", content(TEXT), also=(content(OLD_TEXT),)
        ),
    )
    model = weights.Model("pair", "detector", "p", "MIT", "https://example.org", "l", files)
    monkeypatch.setitem(weights.MODELS, "pair", model)
    monkeypatch.setenv("MASKWATCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "downloaded (1).bin"
    path.write_bytes(NET)
    return path


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "another name"
    path.write_bytes(TEXT)
    return path


def test_home_variable(home: Path) -> None:
    """MASKWATCH_HOME is the cache folder; models lie below `models/NAME`."""
    assert weights.cache_dir() == home
    assert weights.folder("pair") == home / "models" / "pair"


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        pytest.param("linux", {}, "~/.cache/maskwatch", id="linux"),
        pytest.param("linux", {"XDG_CACHE_HOME": "/x"}, "/x/maskwatch", id="linux-xdg"),
        pytest.param("linux", {"XDG_CACHE_HOME": "x"}, "~/.cache/maskwatch", id="xdg-relative"),
        pytest.param("darwin", {}, "~/Library/Caches/maskwatch", id="macos"),
        pytest.param("win32", {"LOCALAPPDATA": "/local"}, "/local/maskwatch", id="windows"),
        pytest.param("win32", {}, "~/AppData/Local/maskwatch", id="windows-bare"),
    ],
)
def test_user_cache(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    platform: str,
    variables: dict[str, str],
    expected: str,
) -> None:
    """Without MASKWATCH_HOME the cache is where the system keeps caches of the user."""
    for name in ("MASKWATCH_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert weights.cache_dir() == Path(expected.replace("~", str(tmp_path)))


def test_no_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home folder is told of MASKWATCH_HOME."""

    def none() -> Path:
        raise RuntimeError

    monkeypatch.delenv("MASKWATCH_HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(Path, "home", none)
    with pytest.raises(OutputError, match="MASKWATCH_HOME"):
        weights.cache_dir()


@pytest.mark.parametrize("call", [weights.find, weights.require, weights.get])
def test_unknown_name(call: Any) -> None:
    """A name that is not in the list is refused with the nearest known one."""
    with pytest.raises(UnknownNameError, match="Did you mean 'yunet'"):
        call("yunett")


def test_require_says_how(home: Path) -> None:
    """A model that has to be there and is not: one line with both ways to get it."""
    with pytest.raises(ModelNotFoundError) as caught:
        weights.require("yunet")
    assert str(caught.value) == (
        "model 'yunet' is not installed. Run: maskwatch models get yunet "
        "(or, without a network: maskwatch models get yunet --from FILE)"
    )


@pytest.mark.parametrize("backwards", [False, True], ids=["in-order", "backwards"])
def test_install_from(net: Path, text: Path, backwards: bool) -> None:
    """Files are told by their hash; the paths come in the model's order."""
    given = [text, net] if backwards else [net, text]
    paths = weights.install_from("pair", given)
    assert [path.name for path in paths] == ["net.bin", "net.txt"]
    assert [path.read_bytes() for path in paths] == [NET, TEXT]
    assert weights.find("pair") == weights.require("pair") == paths


def test_install_from_other_version(net: Path, text: Path) -> None:
    """Every version that is registered for a file is accepted."""
    text.write_bytes(OLD_TEXT)
    paths = weights.install_from("pair", [net, text])
    assert paths[1].read_bytes() == OLD_TEXT
    assert weights.find("pair") == paths


def test_install_from_wrong_hash(net: Path, text: Path) -> None:
    """With one wrong file nothing is replaced; the error has both hashes and the address."""
    installed = weights.install_from("pair", [net, text])
    text.write_bytes(b"no text")
    with pytest.raises(DownloadError) as caught:
        weights.install_from("pair", [net, text])
    message = str(caught.value)
    for part in (content(b"no text").sha256, content(TEXT).sha256, "https://example.org/net.txt"):
        assert part in message
    assert [path.read_bytes() for path in installed] == [NET, TEXT]


def test_install_from_wrong_hash_at_first(net: Path, text: Path) -> None:
    """With one wrong file a model that was not installed still is not, in no part."""
    text.write_bytes(b"no text")
    with pytest.raises(DownloadError):
        weights.install_from("pair", [net, text])
    assert not weights.folder("pair").exists()


def test_install_from_file_of_another_model(net: Path) -> None:
    """A file of another model is recognised as such."""
    with pytest.raises(DownloadError, match="It belongs to model 'pair'"):
        weights.install_from("yunet", [net])


def test_install_from_missing_file(tmp_path: Path) -> None:
    """A path that does not exist is named, with the address of the file."""
    with pytest.raises(ModelNotFoundError, match=r"absent.*No such file.*example\.org/net\.bin"):
        weights.install_from("pair", [tmp_path / "absent"])


def test_install_from_some(net: Path, text: Path) -> None:
    """Files that leave the model incomplete are refused, unless the others are there."""
    with pytest.raises(ModelNotFoundError, match=r"also needs net\.txt .*--from FILE --from FILE"):
        weights.install_from("pair", [net])
    weights.install_from("pair", [net, text])
    text.write_bytes(OLD_TEXT)
    assert weights.install_from("pair", [text])[1].read_bytes() == OLD_TEXT


def test_install_from_itself(net: Path, text: Path) -> None:
    """Installing from the installed files changes nothing."""
    paths = weights.install_from("pair", [net, text])
    assert weights.install_from("pair", paths) == paths
    assert [path.read_bytes() for path in paths] == [NET, TEXT]


def test_find_checks_sizes(net: Path, text: Path) -> None:
    """A file of the wrong size makes the model count as not installed."""
    paths = weights.install_from("pair", [net, text])
    paths[0].write_bytes(b"cut")
    assert weights.find("pair") is None


def test_disk_full_while_copying(monkeypatch: pytest.MonkeyPatch, net: Path, text: Path) -> None:
    """A copy that fails leaves no half file and names the way out."""

    def fail(source: Path, target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", fail)
    with pytest.raises(OutputError, match="No space left on device"):
        weights.install_from("pair", [net, text])
    assert [path.name for path in weights.folder("pair").iterdir()] == [".lock"]
