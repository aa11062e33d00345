"""Where models lie on this computer: find them, fetch or make them, take the user's files."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from maskwatch.errors import DownloadError, ModelFileError, ModelNotFoundError, OutputError
from maskwatch.weights import mtcnn_stock, registry
from maskwatch.weights.disk import locked, sha256, size, writing
from maskwatch.weights.download import Progress, fetch
from maskwatch.weights.registry import Model, ModelFile


def cache_dir() -> Path:
    """Folder of everything that maskwatch keeps.

    It is `$MASKWATCH_HOME`, or `maskwatch` in the user's cache folder as the system prescribes it
    (on Linux the XDG Base Directory Specification). It need not exist yet.

    Raises:
        OutputError: There is neither that variable nor a home folder.
    """
    if named := os.environ.get("MASKWATCH_HOME"):
        return Path(named).expanduser().absolute()
    return _user_cache() / "maskwatch"


def _user_cache() -> Path:
    platform: str = sys.platform  # A plain str, so that mypy checks every branch.
    variable = {"win32": "LOCALAPPDATA", "darwin": ""}.get(platform, "XDG_CACHE_HOME")
    named = Path(os.environ.get(variable) or "")
    if named.is_absolute():  # XDG: relative paths are to be ignored.
        return named
    try:
        home = Path.home()
    except RuntimeError as exc:
        raise OutputError(
            "there is no home folder to keep models in. Set MASKWATCH_HOME to a folder."
        ) from exc
    below = {"win32": "AppData/Local", "darwin": "Library/Caches"}.get(platform, ".cache")
    return home / below


def folder(name: str) -> Path:
    """Folder of the files of the model `name`; it need not exist."""
    return cache_dir() / "models" / name


def paths(model: Model) -> tuple[Path, ...]:
    """Where the files of `model` lie or would lie, in the order of `model.files`."""
    return tuple(folder(model.name) / file.name for file in model.files)


def _present(path: Path, file: ModelFile) -> bool:
    """A cheap check: the hash was verified when the file was installed."""
    return size(path) in {content.bytes for content in file.accepted}


def _missing(model: Model) -> list[tuple[ModelFile, Path]]:
    pairs = zip(model.files, paths(model), strict=True)
    return [(file, path) for file, path in pairs if not _present(path, file)]


def find(name: str) -> tuple[Path, ...] | None:
    """The files of an installed model.

    Returns:
        Their paths in the order of `Model.files` (weights first), or None where one is missing or
        has a wrong size.

    Raises:
        UnknownNameError: There is no model of that name.
    """
    model = registry.model(name)
    try:
        return None if _missing(model) else paths(model)
    except OutputError:  # no folder to keep models in: none is installed
        return None


def require(name: str) -> tuple[Path, ...]:
    """The files of a model that has to be there; as `find`.

    Raises:
        ModelNotFoundError: It is not installed. The message says how to get it.
        UnknownNameError: There is no model of that name.
    """
    found = find(name)
    if found is None:
        raise ModelNotFoundError(
            f"model {name!r} is not installed. Run: maskwatch models get {name} "
            f"(or, without a network: {registry.model(name).by_hand})"
        )
    return found


def get(
    name: str,
    *,
    progress: Progress | None = None,
    base_url: str | None = None,
    force: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Path, ...]:
    """Install a model from its publisher; files that are there already are kept.

    Args:
        name: The model.
        progress: Told of every piece that arrives.
        base_url: Take `base_url/FILE` instead of the publisher's address, for a mirror; also of a
            model that is made here otherwise.
        force: Get files that are there already, too.
        sleep: Waits between attempts.

    Returns:
        Its paths, as `find`.

    Raises:
        UnknownNameError: There is no model of that name.
        DownloadError: A file cannot be fetched, or is not what it should be.
        MissingExtraError: The package that the model is made from is not installed.
        ModelFileError: That package has other weights than it should.
        OutputError: The cache folder cannot be written.
    """
    model = registry.model(name)
    if not force and not _missing(model):
        return paths(model)
    if model.extra and base_url is None:
        return _make(model)
    pairs = list(zip(model.files, paths(model), strict=True))
    with locked(folder(name) / ".lock"):
        # Looked at under the lock: another process may have fetched them in the meantime.
        for file, path in pairs if force else _missing(model):
            url = f"{base_url.rstrip('/')}/{file.name}" if base_url else None
            fetch(model, file, path, url=url, progress=progress, sleep=sleep)
    return paths(model)


def _make(model: Model) -> tuple[Path, ...]:
    """Make the files of a model from those of an installed package."""
    files = mtcnn_stock.make()
    for file in model.files:
        if len(files[file.name]) not in {content.bytes for content in file.accepted}:
            raise ModelFileError(
                f"{file.name} was made with {len(files[file.name])} bytes, expected "
                f"{file.content.bytes}. Another version of onnx may do it: pip install -U onnx"
            )
    with locked(folder(model.name) / ".lock"):
        for name, data in files.items():
            path = folder(model.name) / name
            part = path.with_name(path.name + ".tmp")
            with writing(path):
                part.write_bytes(data)
                part.replace(path)
    return paths(model)


def install_from(name: str, files: Sequence[Path | str]) -> tuple[Path, ...]:
    """Install a model from files of the user, in any order and under any name.

    Which file is which is told by its hash. Nothing is changed unless every file given belongs to
    the model and, with those that are there already, they make it complete.

    Returns:
        Its paths, as `find`.

    Raises:
        UnknownNameError: There is no model of that name.
        ModelNotFoundError: A file given does not exist, or one of the model's files is not given.
        DownloadError: A file given is not one of the model's.
        OutputError: The cache folder cannot be written.
    """
    model = registry.model(name)
    sources = dict(_recognise(model, Path(given)) for given in files)
    absent = [file for file, _ in _missing(model) if file not in sources]
    if absent:
        needed = " and ".join(f"{file.name} ({file.url})" for file in absent)
        raise ModelNotFoundError(
            f"model {name!r} also needs {needed}. Give every file: {model.by_hand}"
        )
    with locked(folder(name) / ".lock"):
        for file, source in sources.items():
            _copy(source, folder(name) / file.name)
    return paths(model)


def _recognise(model: Model, path: Path) -> tuple[ModelFile, Path]:
    """Tell by its hash which of the model's files `path` is."""
    try:
        got = sha256(path)
    except OSError as exc:
        raise ModelNotFoundError(
            f"cannot read {path}: {exc.strerror or exc}. Give the downloaded file of {model.name!r}"
            f"; it is published at {' and '.join(file.url for file in model.files)}"
        ) from exc
    for file in model.files:
        if any(got == content.sha256 for content in file.accepted):
            return file, path
    expected = " or ".join(f"{file.content.sha256} ({file.name})" for file in model.files)
    owner = next((name for name, other in registry.MODELS.items() if got in _hashes(other)), None)
    belongs = f" It belongs to model {owner!r}." if owner else ""
    raise DownloadError(
        f"{path} is no file of model {model.name!r}: its sha256 is {got} ({size(path)} bytes), "
        f"expected {expected}.{belongs} Nothing was changed. The right file is at "
        f"{' or '.join(file.url for file in model.files)}"
    )


def _hashes(model: Model) -> set[str]:
    return {content.sha256 for file in model.files for content in file.accepted}


def _copy(source: Path, target: Path) -> None:
    """Copy under another name first, so that `target` is never half a file."""
    copy = target.with_name(target.name + ".tmp")
    with writing(target):
        try:
            shutil.copyfile(source, copy)
            copy.replace(target)
        finally:
            copy.unlink(missing_ok=True)
