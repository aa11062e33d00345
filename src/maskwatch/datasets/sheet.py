"""A contact sheet: faces of each class, and pairs of copies."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from maskwatch.datasets.check import Report
from maskwatch.datasets.duplicates import Pair
from maskwatch.datasets.records import Record, state_name
from maskwatch.images import read_image
from maskwatch.preprocess import CROP_SCALE, as_box, face_crops
from maskwatch.types import Floats, Image

_TILE_PX = 96
_COLUMNS = 12
_TITLE_PX = 24


def contact_sheet(report: Report, *, seed: int = 0) -> Image:
    """Draw it: a row of random faces a class, then pairs that leak, one above the other.

    Without leakage other pairs of copies are shown.
    """
    rng = np.random.default_rng(seed)
    faces: dict[str, list[tuple[Record, int]]] = {}
    for record in report.records:
        for index, state in enumerate(record.states):
            faces.setdefault(state_name(state), []).append((record, index))
    parts: list[Image] = []
    for name, found in sorted(faces.items()):
        chosen = sorted(rng.permutation(len(found))[:_COLUMNS].tolist())
        parts += [
            _title(f"{name}: {len(found)}"),
            _row([_face(*found[index]) for index in chosen]),
        ]
    pairs = report.leaks or report.pairs
    if pairs:
        what = "copies across splits" if report.leaks else "copies"
        chosen = sorted(rng.permutation(len(pairs))[: 2 * _COLUMNS].tolist())
        parts.append(_title(f"{what}: {len(pairs)} pairs"))
        tiles = [_pair(report.records, pairs[index]) for index in chosen]
        parts += [_row(tiles[i : i + _COLUMNS]) for i in range(0, len(tiles), _COLUMNS)]
    return np.concatenate(parts) if parts else _title("nothing to show")


def _face(record: Record, index: int) -> Image:
    image = read_image(record.path)
    if record.boxes is None:
        return _tile(image, as_box(image))
    return _tile(image, record.boxes[index : index + 1])


def _tile(image: Image, box: Floats, scale: float = CROP_SCALE) -> Image:
    return np.asarray(face_crops(image, box, _TILE_PX, scale)[0], np.uint8)


def _pair(records: Sequence[Record], pair: Pair) -> Image:
    tiles = []
    for index in (pair.first, pair.second):
        image = read_image(records[index].path)
        tiles.append(_tile(image, _whole(image), 1.0))
    gap = np.full((6, _TILE_PX, 3), 255, np.uint8)
    return np.concatenate([*tiles, gap])


def _whole(image: Image) -> Floats:
    return np.array([[0, 0, image.shape[1], image.shape[0]]], np.float32)


def _row(tiles: list[Image]) -> Image:
    blank = np.full_like(tiles[0], 255)
    return np.concatenate([*tiles, *[blank] * (_COLUMNS - len(tiles))], axis=1)


def _title(text: str) -> Image:
    bar = np.full((_TITLE_PX, _TILE_PX * _COLUMNS, 3), 255, np.uint8)
    place = (4, _TITLE_PX - 7)
    cv2.putText(bar, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return bar
