"""Pictures sorted into a folder a class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from maskwatch.errors import DatasetError
from maskwatch.images import IMAGE_SUFFIXES
from maskwatch.types import CLASSES, MaskState


def read_folders(folder: Path) -> Iterator[tuple[Path, MaskState]]:
    """List the pictures below `with_mask/`, `without_mask/` and `incorrect_mask/`, sorted.

    Raises:
        DatasetError: None of these folders is there.
    """
    states = [state for state in CLASSES if (folder / state.value).is_dir()]
    if not states:
        names = ", ".join(state.value for state in CLASSES)
        raise DatasetError(f"no class folders in {folder}. Expected some of: {names}.")
    for state in states:
        for path in sorted((folder / state.value).rglob("*")):
            if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
                yield path, state
