"""The contract of `--json`: keys, order, rounding."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from maskwatch.sinks.jsonl import JsonLinesSink, to_json
from maskwatch.types import ClosePair, Faces, FrameResult, MaskState
from run_helpers import grey, result_of


def written(tmp_path: Path, *results: FrameResult) -> list[dict[str, Any]]:
    """The lines of the file, parsed with the order of keys kept."""
    path = tmp_path / "out.jsonl"
    with JsonLinesSink(path) as sink:
        for result in results:
            sink.write(result, grey)
    text = path.read_bytes().decode("utf-8")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_line_of_a_face_exactly(tmp_path: Path) -> None:
    """A line is, to the byte, what the contract says."""
    path = tmp_path / "out.jsonl"
    result = result_of(grey(0, 800, 600), [(10.04, 20, 110.96, 220.5)], time_s=1.23456, index=37)
    with JsonLinesSink(path) as sink:
        sink.write(result, grey)
    assert path.read_bytes() == (
        b'{"source": "a.jpg", "frame": 37, "time_s": 1.235, "width": 800, "height": 600, "faces": '
        b'[{"box": [10.0, 20.0, 111.0, 220.5], "score": 0.75, "state": "with_mask", '
        b'"state_probs": {"with_mask": 0.9, "without_mask": 0.07, "incorrect_mask": 0.03}, '
        b'"track_id": null}]}\n'
    )


def test_frame_without_faces(tmp_path: Path) -> None:
    """A frame without faces has a line with an empty list."""
    assert written(tmp_path, result_of(grey()))[0]["faces"] == []


def test_a_line_a_frame_in_order(tmp_path: Path) -> None:
    """Every frame has one line."""
    lines = written(tmp_path, *(result_of(grey(), index=index) for index in range(3)))
    assert [line["frame"] for line in lines] == [0, 1, 2]


def test_unknown_state_keeps_its_probabilities(tmp_path: Path) -> None:
    """`unknown` is a state of its own and never a key of the probabilities."""
    result = result_of(grey(), [(0, 0, 9, 9)], [MaskState.UNKNOWN])
    face = written(tmp_path, result)[0]["faces"][0]
    assert face["state"] == "unknown"
    assert list(face["state_probs"]) == ["with_mask", "without_mask", "incorrect_mask"]


def test_faces_without_probabilities_and_with_tracks() -> None:
    """Probabilities are null where none were computed; a track is a number."""
    result = result_of(grey(), [(0, 0, 9, 9)])
    faces = Faces(result.faces.boxes, result.faces.scores, track_ids=np.array([7]))
    face = to_json(dataclasses.replace(result, faces=faces))["faces"][0]
    assert face["state_probs"] is None
    assert face["track_id"] == 7


def test_too_close_only_where_asked(tmp_path: Path) -> None:
    """Pairs come as [first, second, distance] after the faces; no key without distances."""
    boxes = [(0, 0, 9, 9), (10, 0, 19, 9)]
    result = result_of(grey(), boxes, close=[ClosePair(0, 1, 1.111)])
    asked, none, unasked = written(
        tmp_path, result, result_of(grey(), boxes, close=[]), result_of(grey(), boxes)
    )
    assert list(asked)[-2:] == ["faces", "too_close"]
    assert asked["too_close"] == [[0, 1, 1.111]]
    assert none["too_close"] == []
    assert "too_close" not in unasked


def test_extras_follow(tmp_path: Path) -> None:
    """What stages add comes after the fixed keys."""
    result = dataclasses.replace(result_of(grey(), close=[]), extras={"events": ["x"]})
    (line,) = written(tmp_path, result)
    assert list(line)[-3:] == ["faces", "too_close", "events"]
    assert line["events"] == ["x"]
