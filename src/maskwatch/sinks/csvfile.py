"""A table for spreadsheets: a row a face."""

from __future__ import annotations

import csv
import io
from typing import Any, Self

from maskwatch.errors import OutputError
from maskwatch.sinks.base import Drawn
from maskwatch.sinks.jsonl import to_json
from maskwatch.sinks.textfile import TextSink
from maskwatch.types import CLASSES, FrameResult

COLUMNS = (
    "source", "frame", "time_s", "width", "height", "face", "x0", "y0", "x1", "y1", "score",
    "state", *(f"prob_{state.value}" for state in CLASSES), "track_id",
)  # fmt: skip


class CsvSink(TextSink):
    """Writes a row for every face, below a row of names. Frames without faces have no row."""

    def __enter__(self) -> Self:
        """Open the file and write the names of the columns."""
        super().__enter__()
        try:
            self.put(_row(COLUMNS))
        except OutputError as exc:
            # Who fails to enter is not asked to leave.
            self.__exit__(type(exc), exc, exc.__traceback__)
            raise
        return self

    def write(self, result: FrameResult, drawn: Drawn) -> None:
        """Write the rows of one result."""
        line = to_json(result)
        head = [line[key] for key in ("source", "frame", "time_s", "width", "height")]
        rows = []
        for number, face in enumerate(line["faces"]):
            probs = (face["state_probs"] or dict.fromkeys(CLASSES, "")).values()
            tail = [face["score"], face["state"], *probs, face["track_id"]]
            rows.append(_row([*head, number, *face["box"], *tail]))
        self.put("".join(rows))


def _row(values: Any) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()
