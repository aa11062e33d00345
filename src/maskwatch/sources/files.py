"""From a folder or a glob to the pictures and videos in it."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path, PurePath

from maskwatch.errors import SourceError, SourceNotFoundError
from maskwatch.images import IMAGE_SUFFIXES, os_reason

VIDEO_SUFFIXES = frozenset(
    {
        *(".mp4", ".m4v", ".mov", ".3gp", ".avi", ".mkv", ".webm", ".ogv", ".flv", ".wmv"),
        *(".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".mjpg", ".mjpeg", ".h264", ".h265"),
    }
)
"""File name endings of videos, lower case."""

Found = tuple[Path, PurePath]
"""A file, and its path below the folder or the fixed part of the glob that was given."""


def in_folder(folder: Path) -> list[Found]:
    """Pictures and videos in a folder and the folders below it, sorted; hidden ones left out.

    Folders that are symbolic links are not entered, since they may lead in a circle.

    Raises:
        SourceNotFoundError: There are none.
        SourceError: A folder cannot be listed.
    """
    found: list[Found] = []
    for here, folders, names in os.walk(folder, onerror=_cannot_list):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(here, name) for name in names if not name.startswith("."))
        found += [(path, path.relative_to(folder)) for path in paths if _is_wanted(path)]
    if not found:
        raise SourceNotFoundError(f"no pictures or videos in folder {folder}. {_looked_for()}")
    return _in_order(found)


def matching(pattern: str) -> list[Found]:
    """Pictures and videos that match a glob, sorted; `**` stands for any depth of folders.

    Raises:
        SourceNotFoundError: There are none.
    """
    everything = pattern + "/*" if pattern.endswith("**") else pattern
    # Path.glob would bring hidden files too.
    paths = [Path(name) for name in glob.glob(everything, recursive=True)]  # noqa: PTH207
    root = _fixed_root(pattern)
    wanted = [path for path in paths if _is_wanted(path)]
    if "**" in pattern:
        wanted = _without_loops(wanted)
    if not wanted:
        some = f"{len(paths)} found, but" if paths else "nothing found;"
        raise SourceNotFoundError(
            f"no pictures or videos match {pattern!r}: {some} check the pattern. {_looked_for()}"
        )
    return _in_order((path, path.relative_to(root)) for path in wanted)


def _in_order(found: Iterable[Found]) -> list[Found]:
    return sorted(found, key=lambda item: item[1].parts)


def _is_wanted(path: Path) -> bool:
    """Whether it looks like a picture or video; a broken link does, to be reported later.

    Pipes and devices are left out: opening one can wait for ever.
    """
    suffix = path.suffix.lower()
    named = suffix in IMAGE_SUFFIXES or suffix in VIDEO_SUFFIXES
    return named and (path.is_file() or not path.exists())


def _without_loops(paths: Iterable[Path]) -> list[Path]:
    """Each file once: `**` follows links, which may lead in a circle."""
    shortest: dict[str, Path] = {}
    for path in sorted(paths, key=lambda path: len(path.parts)):
        shortest.setdefault(os.path.realpath(path), path)
    return list(shortest.values())


def _fixed_root(pattern: str) -> Path:
    """The folders of a glob before its first wildcard."""
    parts = Path(pattern).parts
    fixed = 0
    while fixed < len(parts) - 1 and not glob.has_magic(parts[fixed]):
        fixed += 1
    return Path(*parts[:fixed])


def _looked_for() -> str:
    endings = sorted(suffix[1:] for suffix in IMAGE_SUFFIXES | VIDEO_SUFFIXES)
    return f"Looked for: {', '.join(endings)}."


def _cannot_list(exc: OSError) -> None:
    raise SourceError(f"cannot list folder {exc.filename}: {os_reason(exc)}.") from exc
