"""The crops of one network in one file, read from the disk as they are needed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from maskwatch.errors import ModelFileError
from maskwatch.training.checkpoints import writing
from maskwatch.training.mtcnn.crops import Rows, row_type
from maskwatch.training.mtcnn.recipe import NEGATIVE, PART, POSITIVE
from maskwatch.training.onepass.pack import NO_STATE
from maskwatch.types import CLASSES, Image

KINDS = {"faces": POSITIVE, "parts": PART, "no face": NEGATIVE}
"""Kinds by name, in the order of `MtcnnRecipe.mix`."""

STATES = (*range(len(CLASSES)), NO_STATE)
"""States of faces, in the order of `MtcnnRecipe.states`."""

_TILE_PX, _COLUMNS, _ROWS = 56, 24, 5
_TITLE_PX = 24
_BOX = (60, 220, 60)


class SampleWriter:
    """Writes rows as they come; the file is there only once all are."""

    def __init__(self, path: Path, stage: str) -> None:
        """Begin.

        Args:
            path: The `.npy` file; one that is there is replaced.
            stage: Network that the rows are for.
        """
        self._path = path
        self._part = path.with_name(f"part-{path.name}")
        self._type = row_type(stage)
        self._file: BinaryIO | None = None
        self.count = 0

    def __enter__(self) -> Self:
        with writing(self._path.parent):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._part.open("wb")
        return self

    def add(self, rows: Rows) -> None:
        """Write some.

        Raises:
            OutputError: The disk is full.
        """
        assert self._file is not None
        with writing(self._path.parent):
            self._file.write(np.ascontiguousarray(rows, self._type).tobytes())
        self.count += len(rows)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._file is not None
        self._file.close()
        if kind is None:
            self._finish()
        self._part.unlink(missing_ok=True)

    def _finish(self) -> None:
        """Put the header, which tells the number of rows, before them."""
        whole = self._path.with_name(f"whole-{self._path.name}")
        header = {
            "descr": np.lib.format.dtype_to_descr(self._type),
            "fortran_order": False,
            "shape": (self.count,),
        }
        with writing(self._path.parent):
            with whole.open("wb") as file, self._part.open("rb") as rows:
                np.lib.format.write_array_header_2_0(file, header)
                shutil.copyfileobj(rows, file, 1 << 22)
            whole.replace(self._path)


def load_samples(path: Path, stage: str) -> Rows:
    """The rows of a file, `(N,)`, which stay on the disk.

    Raises:
        ModelFileError: It is none, or of another network.
    """
    try:
        rows = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as exc:
        raise ModelFileError(f"cannot read {path}: {exc}. Delete it to cut it anew.") from exc
    if rows.dtype != row_type(stage):
        raise ModelFileError(f"{path} holds no crops for the {stage}. Delete it to cut it anew.")
    return np.asanyarray(rows)


def counts(rows: Rows) -> dict[str, NDArray[np.int64]]:
    """How many rows there are of each kind by state, `(4,)` in the order of `STATES`."""
    kinds, states = np.asarray(rows["kind"]), np.asarray(rows["state"])
    return {
        name: np.array([np.count_nonzero((kinds == kind) & (states == s)) for s in STATES])
        for name, kind in KINDS.items()
    }


def counts_line(rows: Rows) -> str:
    """The counts as text: faces and parts by state, the others in one."""
    names = ("masked", "bare", "incorrect", "unknown")
    parts = []
    for name, by_state in counts(rows).items():
        inner = ", ".join(f"{n} {c}" for n, c in zip(names, by_state.tolist(), strict=True) if c)
        more = f" ({inner})" if name != "no face" and inner else ""
        parts.append(f"{by_state.sum()} {name}{more}")
    return ", ".join(parts)


def preview(rows: Rows, stage: str, seed: int = 0) -> Image:
    """A sheet of crops by chance: a block a kind, with the boxes that are to be learnt."""
    rng = np.random.default_rng(seed)
    kinds = np.asarray(rows["kind"])
    blocks = []
    for name, kind in KINDS.items():
        own = np.nonzero(kinds == kind)[0]
        chosen = np.sort(rng.permutation(own)[: _COLUMNS * _ROWS])
        tiles = [_tile(row, stage) for row in rows[chosen]]
        blocks += [_title(f"{stage}: {len(own)} {name}"), _block(tiles)]
    return np.concatenate(blocks)


def _tile(row: np.void, stage: str) -> Image:
    tile = cv2.resize(row["crop"], (_TILE_PX, _TILE_PX), interpolation=cv2.INTER_NEAREST)
    if row["kind"] != NEGATIVE:
        # The P-Net's window is read from its second pixel on.
        first, span = (1 / 12, 11 / 12) if stage == "pnet" else (0.0, 1.0)
        corners = np.array([0, 0, 1, 1]) + row["offsets"]
        points = np.rint((first + corners * span) * _TILE_PX).astype(int).tolist()
        cv2.rectangle(tile, points[:2], points[2:], _BOX, 1)
    return np.asarray(np.pad(tile, [(1, 1), (1, 1), (0, 0)], constant_values=255), np.uint8)


def _block(tiles: Sequence[Image]) -> Image:
    side = _TILE_PX + 2
    sheet = np.full((max(1, -(-len(tiles) // _COLUMNS)) * side, _COLUMNS * side, 3), 255, np.uint8)
    for index, tile in enumerate(tiles):
        y, x = index // _COLUMNS * side, index % _COLUMNS * side
        sheet[y : y + side, x : x + side] = tile
    return sheet


def _title(text: str) -> Image:
    bar = np.full((_TITLE_PX, _COLUMNS * (_TILE_PX + 2), 3), 255, np.uint8)
    place = (4, _TITLE_PX - 7)
    cv2.putText(bar, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return bar
