"""What a detector does wrong as shipped, error by error, for a JSON file."""

from __future__ import annotations

from typing import Any

from maskwatch.metrics.classification import number
from maskwatch.metrics.detection import NAMES, DetectionReport
from maskwatch.metrics.found import NO_STATE, Doubles

MAX_ERRORS = 500
"""Of each kind are told, the worst."""


def errors_json(report: DetectionReport) -> dict[str, Any]:
    """Misses, false alarms and states told wrong, the worst first; ready for `json.dumps`."""
    return {
        "misses": [_miss(report, index) for index in report.misses[:MAX_ERRORS].tolist()],
        "false_alarms": [_alarm(report, i) for i in report.false_alarms[:MAX_ERRORS].tolist()],
        "states": [_state(report, *pair) for pair in report.wrong_states[:MAX_ERRORS].tolist()],
    }


def _miss(report: DetectionReport, index: int) -> dict[str, Any]:
    truths = report.truths
    return {
        **_place(report, int(truths.photo[index]), truths.boxes[index]),
        "labelled": _name(int(truths.states[index])),
    }


def _alarm(report: DetectionReport, index: int) -> dict[str, Any]:
    found = report.shipped
    told = found.state_probs
    return {
        **_place(report, int(found.photo[index]), found.boxes[index]),
        "score": number(float(found.scores[index])),
        "told": None if told is None else _name(int(told[index].argmax())),
    }


def _state(report: DetectionReport, index: int, truth: int) -> dict[str, Any]:
    told = report.shipped.state_probs
    sure = float("nan") if told is None else float(told[index].max())
    return {
        **_alarm(report, index),
        "probability": number(sure),
        "labelled": _name(int(report.truths.states[truth])),
    }


def _place(report: DetectionReport, photo: int, box: Doubles) -> dict[str, Any]:
    return {
        "path": str(report.paths[photo]) if report.paths else None,
        "source": report.sources[int(report.photo_source[photo])].label,
        "box": [round(value, 1) for value in box.tolist()],
    }


def _name(index: int) -> str | None:
    return None if index == NO_STATE else NAMES[index]
