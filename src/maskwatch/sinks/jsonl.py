"""JSON Lines, one object a frame: the stable contract of the command line."""

from __future__ import annotations

import json
from typing import Any

from maskwatch.sinks.base import Drawn
from maskwatch.sinks.textfile import TextSink
from maskwatch.types import CLASSES, FrameResult


class JsonLinesSink(TextSink):
    """Writes one JSON object a line for every frame, faces or not."""

    def write(self, result: FrameResult, drawn: Drawn) -> None:
        """Write the line of one result."""
        # All in ASCII: whatever a file is called, any encoding of standard output holds the line.
        self.put(json.dumps(to_json(result)) + "\n")


def to_json(result: FrameResult) -> dict[str, Any]:
    """A result as in the contract; stages' additions follow the fixed keys."""
    line: dict[str, Any] = {
        "source": result.frame.source,
        "frame": result.frame.index,
        "time_s": round(result.frame.time_s, 3),
        "width": result.frame.width_px,
        "height": result.frame.height_px,
        "faces": [_face(result, index) for index in range(len(result.faces))],
    }
    if result.too_close is not None:
        line["too_close"] = [[p.first, p.second, p.distance] for p in result.too_close]
    return line | dict(result.extras)


def _face(result: FrameResult, index: int) -> dict[str, Any]:
    faces = result.faces
    probs = None
    if faces.state_probs is not None:
        pairs = zip(CLASSES, faces.state_probs[index], strict=True)
        probs = {state.value: round(float(prob), 4) for state, prob in pairs}
    return {
        "box": [round(float(value), 1) for value in faces.boxes[index]],
        "score": round(float(faces.scores[index]), 4),
        "state": result.states[index].value,
        "state_probs": probs,
        "track_id": None if faces.track_ids is None else int(faces.track_ids[index]),
    }
