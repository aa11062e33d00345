"""The photos that a benchmark looks at."""

from __future__ import annotations

from pathlib import Path

from maskwatch.datasets.records import Record
from maskwatch.training.detection.photos import find_photos


def val_records(folder: Path, limit: int | None = None) -> list[Record]:
    """The photos of the split `val`, or so many spread over it."""
    if not folder.is_dir():
        raise SystemExit(f"no photos in {folder}: give a folder with --data.")
    (found,), _ = find_photos([folder], "val")
    records = list(found.records)
    return records[:: max(1, len(records) // limit)][:limit] if limit else records
