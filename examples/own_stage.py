"""A stage of one's own: the share of bare faces, written into every JSON line.

python examples/own_stage.py SOURCE
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from maskwatch import FrameResult, MaskState, Pipeline, open_sources
from maskwatch.classifier import load_classifier
from maskwatch.detectors import load_detector
from maskwatch.run import run
from maskwatch.sinks.jsonl import JsonLinesSink


def add_bare_share(result: FrameResult) -> FrameResult:
    """Add the key `bare_share` to the result; null without faces."""
    bare = result.states.count(MaskState.WITHOUT_MASK)
    share = bare / len(result.states) if result.states else None
    return replace(result, extras={**result.extras, "bare_share": share})


def main(source: str) -> None:
    """Run the pipeline with the stage and print JSON Lines."""
    pipeline = Pipeline(load_detector(), load_classifier(), [add_bare_share])
    run(open_sources(source), pipeline, [JsonLinesSink(Path("-"))])


if __name__ == "__main__":
    main(sys.argv[1])
