"""Rules of the CSV table."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

from maskwatch.sinks.csvfile import CsvSink
from maskwatch.types import Faces, FrameResult, MaskState
from run_helpers import grey, result_of


def written(tmp_path: Path, *results: FrameResult) -> list[list[str]]:
    path = tmp_path / "out.csv"
    with CsvSink(path) as sink:
        for result in results:
            sink.write(result, grey)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_columns(tmp_path: Path) -> None:
    """The first row names the columns, also when nothing follows."""
    (head,) = written(tmp_path)
    assert head == [
        *("source", "frame", "time_s", "width", "height", "face", "x0", "y0", "x1", "y1"),
        *("score", "state", "prob_with_mask", "prob_without_mask", "prob_incorrect_mask"),
        "track_id",
    ]


def test_a_row_a_face(tmp_path: Path) -> None:
    """Each face has a row; a frame without faces has none."""
    boxes = [(1, 2, 30.25, 40), (3, 4, 50, 60)]
    states = [MaskState.WITH_MASK, MaskState.INCORRECT_MASK]
    found = result_of(grey(), boxes, states, index=1, time_s=0.1)
    _, *rows = written(tmp_path, result_of(grey(), index=0), found)
    assert [",".join(row) for row in rows] == [
        "a.jpg,1,0.1,64,48,0,1.0,2.0,30.2,40.0,0.75,with_mask,0.9,0.07,0.03,",
        "a.jpg,1,0.1,64,48,1,3.0,4.0,50.0,60.0,0.75,incorrect_mask,0.9,0.07,0.03,",
    ]


def test_names_with_commas_and_quotes(tmp_path: Path) -> None:
    """A source's name comes back as it was, whatever is in it."""
    name = 'a, "b"\nfête.jpg'
    _, row = written(tmp_path, result_of(grey(), [(0, 0, 9, 9)], source=name))
    assert row[0] == name


def test_faces_without_probabilities(tmp_path: Path) -> None:
    """Where nothing was judged, the probabilities are empty."""
    result = result_of(grey(), [(0, 0, 9, 9)])
    bare = Faces(result.faces.boxes, result.faces.scores)
    head, row = written(tmp_path, dataclasses.replace(result, faces=bare))
    assert len(row) == len(head)
    assert row[12:15] == ["", "", ""]
