"""Picture sheets of what a detector does wrong as shipped, the worst first.

`misses`: labelled faces that are not found, the largest first. `false-alarms`: found faces that are
not labelled, the best scored first. `states`: faces found and told wrong, the surest first. Each
cell shows the face in its surroundings with all labelled boxes and all found ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from maskwatch.boxes import squares
from maskwatch.errors import OutputError, UnreadableImageError
from maskwatch.images import os_reason, read_image, write_image
from maskwatch.metrics.detection import NAMES, DetectionReport
from maskwatch.metrics.detector_comparison import DetectorComparison
from maskwatch.metrics.found import NO_STATE, Doubles
from maskwatch.metrics.matching import overlaps
from maskwatch.preprocess import crop_square
from maskwatch.types import Image

MAX_SHEETS = 3
"""Of one kind for one detector."""

_TILE_PX = 180
_CAPTION_PX = 34
_COLUMNS, _ROWS = 8, 5
_TITLE_PX = 28
_GAP_PX = 6
_SURROUNDINGS = 2.2  # side of what is shown, in longer sides of the box
_LEAST_PX = 48  # of the photo are shown, however small the face
_LABELLED, _FOUND = (70, 190, 60), (0, 130, 255)
_INK, _PAPER, _OUTSIDE = (40, 30, 25), (255, 255, 255), (228, 226, 224)


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One error.

    Attributes:
        photo: Number of its photo.
        box: `(4,)` of the face that it is about.
        found: Whether that is a found face and not a labelled one.
        caption: What to say of it, two lines.
    """

    photo: int
    box: Doubles
    found: bool
    caption: tuple[str, str]


def write_sheets(comparison: DetectorComparison, folder: Path) -> list[Path]:
    """Write the sheets of every detector as PNG; without errors of a kind there is none of it.

    Sheets of these names that are left from another time are removed.

    Raises:
        OutputError: A file cannot be written or removed.
    """
    written = []
    for report in comparison.reports:
        for kind in KINDS:
            for number, sheet in enumerate(sheets(report, kind), start=1):
                path = _file(folder, report.name, kind, number)
                write_image(path, sheet)
                written.append(path)
    names = [report.name for report in comparison.reports]
    for path in set(sheet_files(names, folder)) - set(written):
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            raise OutputError(f"cannot remove {path}: {os_reason(exc)}.") from exc
    return written


def sheet_files(names: Sequence[str], folder: Path) -> list[Path]:
    """Every file that `write_sheets` may write for detectors of these names."""
    numbers = range(1, MAX_SHEETS + 1)
    return [_file(folder, name, kind, n) for name in names for kind in KINDS for n in numbers]


def _file(folder: Path, name: str, kind: str, number: int) -> Path:
    # A classifier may be a path.
    return folder / f"{re.sub(r'[^A-Za-z0-9.+-]+', '_', name)}-{kind}-{number}.png"


def sheets(report: DetectionReport, kind: str, limit: int = MAX_SHEETS) -> list[Image]:
    """The first sheets of a kind, one of `KINDS`.

    Photos are read again; where one has gone, its cells say so.
    """
    what, cells_of = KINDS[kind]
    return drawn(report, cells_of(report), what, limit)


def drawn(
    report: DetectionReport, cells: Sequence[Cell], what: str, limit: int = MAX_SHEETS
) -> list[Image]:
    """The first sheets of cells; `what` says in the plural what these are."""
    a_sheet = _COLUMNS * _ROWS
    starts = range(0, min(len(cells), limit * a_sheet), a_sheet)
    pictures = []
    for number, start in enumerate(starts, start=1):
        title = f"{report.name}: {len(cells)} {what}   sheet {number} of {len(starts)}"
        tiles = [_tile(report, cell) for cell in cells[start : start + a_sheet]]
        pictures.append(_sheet(title, tiles))
    return pictures


def _misses(report: DetectionReport) -> list[Cell]:
    truths, sizes_px = report.truths, report.truths.sizes_px
    best = _best_ious(report, found=False)
    cells = []
    for index in report.misses.tolist():
        photo, state = int(truths.photo[index]), _state(int(truths.states[index]))
        first = f"{sizes_px[index]:.0f} px {state} {_near(best[index])}"
        cells.append(Cell(photo, truths.boxes[index], False, (first, _where(report, photo))))
    return cells


def _false_alarms(report: DetectionReport) -> list[Cell]:
    found, told = report.shipped, report.shipped.state_probs
    best, sizes_px = _best_ious(report, found=True), report.shipped.sizes_px
    cells = []
    for index in report.false_alarms.tolist():
        state = "" if told is None else f" {_state(int(told[index].argmax()))}"
        photo = int(found.photo[index])
        first = f"{found.scores[index]:.2f} {sizes_px[index]:.0f} px{state} {_near(best[index])}"
        cells.append(Cell(photo, found.boxes[index], True, (first, _where(report, photo))))
    return cells


def _wrong_states(report: DetectionReport) -> list[Cell]:
    found, truths, told = report.shipped, report.truths, report.shipped.state_probs
    if told is None:
        return []
    cells = []
    for index, truth in report.wrong_states.tolist():
        best = int(told[index].argmax())
        photo = int(found.photo[index])
        labelled = _state(int(truths.states[truth]))
        first = f"{_state(best)} {told[index, best]:.2f}, is {labelled}"
        cells.append(Cell(photo, found.boxes[index], True, (first, _where(report, photo))))
    return cells


KINDS: dict[str, tuple[str, Callable[[DetectionReport], list[Cell]]]] = {
    "misses": ("faces missed, the largest first", _misses),
    "false-alarms": ("false alarms, the best scored first", _false_alarms),
    "states": ("states told wrong, the surest first", _wrong_states),
}
"""By name: what they are, and how to find them."""


def _best_ious(report: DetectionReport, *, found: bool) -> Doubles:
    """The best overlap of each found face with a labelled one, or the other way round."""
    pairs = overlaps(report.shipped, report.truths)
    best = np.zeros(len(report.shipped if found else report.truths))
    np.maximum.at(best, pairs.found if found else pairs.truth, pairs.iou)
    return best


def _near(iou: float) -> str:
    return f"IoU {iou:.2f}" if iou else "alone"


def _state(index: int) -> str:
    return "face" if index == NO_STATE else NAMES[index].removesuffix("_mask")


def _where(report: DetectionReport, photo: int) -> str:
    file = report.paths[photo].stem
    if len(report.sources) == 1:
        return file
    return f"{report.sources[int(report.photo_source[photo])].name} {file}"


def _tile(report: DetectionReport, cell: Cell) -> Image:
    """A cell as a picture."""
    tile = np.full((_TILE_PX + _CAPTION_PX, _TILE_PX, 3), _PAPER, np.uint8)
    for line, words in enumerate(cell.caption):
        _write(tile, words, (2, _TILE_PX + 13 + 15 * line), 0.38)
    try:
        image = read_image(report.paths[cell.photo])
    except UnreadableImageError:
        _write(tile, "not readable", (40, _TILE_PX // 2), 0.45)
        return tile
    square = _surroundings(cell.box)
    view = crop_square(image, square.astype(np.float32), _TILE_PX)
    shift, scale = square[:2], _TILE_PX / (square[2] - square[0])
    _blank_outside(view, np.array([[0, 0], image.shape[1::-1]]) - shift, scale)
    labelled = report.truths.boxes[report.truths.photo == cell.photo]
    found = report.shipped.boxes[report.shipped.photo == cell.photo]
    for boxes, colour in ((labelled, _LABELLED), (found, _FOUND)):
        for box in boxes:
            _draw(view, (box.reshape(2, 2) - shift) * scale, colour, 1)
    colour = _FOUND if cell.found else _LABELLED
    _draw(view, (cell.box.reshape(2, 2) - shift) * scale, colour, 2)
    tile[:_TILE_PX] = view
    return tile


def _surroundings(box: Doubles) -> Doubles:
    """The square around a box that is shown, `(4,)`."""
    longer = max(float((box[2:] - box[:2]).max()), 1.0)
    scale = max(_SURROUNDINGS, _LEAST_PX / longer)
    return np.asarray(squares(box[None].astype(np.float32), scale)[0], np.float64)


def _blank_outside(view: Image, corners: Doubles, scale: float) -> None:
    """Paint over what is no part of the photo, whose `corners` are given from the view's own."""
    (x0, y0), (x1, y1) = np.clip(np.round(corners * scale), 0, _TILE_PX).astype(int).tolist()
    inside = view[y0:y1, x0:x1].copy()
    view[:] = _OUTSIDE
    view[y0:y1, x0:x1] = inside


def _draw(view: Image, corners: Doubles, colour: tuple[int, int, int], width: int) -> None:
    # Far outside OpenCV's integers overflow.
    points: NDArray[np.int64] = np.clip(np.round(corners), -9999, 9999).astype(np.int64)
    first, second = (tuple(point) for point in points.tolist())
    cv2.rectangle(view, first, second, colour, width, cv2.LINE_AA)


def _write(image: Image, words: str, place: tuple[int, int], scale: float) -> None:
    # OpenCV's letters are those of ASCII.
    text = words.encode("ascii", "replace").decode()
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, _INK, 1, cv2.LINE_AA)


def _sheet(title: str, tiles: Sequence[Image]) -> Image:
    """Cells in rows below a title; the last row may be short, a single one as narrow as that."""
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // _COLUMNS)
    size = (
        _TITLE_PX + rows * (height + _GAP_PX),
        _GAP_PX + _COLUMNS * (width + _GAP_PX),
    )
    sheet = np.full((*size, 3), _PAPER, np.uint8)
    _write(sheet, title, (_GAP_PX, 19), 0.5)
    for words, colour, right in (("labelled", _LABELLED, 190), ("found", _FOUND, 90)):
        x = size[1] - right
        cv2.rectangle(sheet, (x, 9), (x + 12, 19), colour, -1)
        _write(sheet, words, (x + 18, 19), 0.45)
    for index, tile in enumerate(tiles):
        y = _TITLE_PX + index // _COLUMNS * (height + _GAP_PX)
        x = _GAP_PX + index % _COLUMNS * (width + _GAP_PX)
        sheet[y : y + height, x : x + width] = tile
    return sheet
