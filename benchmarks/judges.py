"""States told by a detector, by the classifier behind it, and by both in several mixtures.

python benchmarks/judges.py [--detectors A,B] [--sets A,B]

`classifier.FUSED_SHARE` and `FUSED_FROM_PX` come from these figures. Share 0 is the detector alone
and share 1 the classifier alone; from a size of 0 on every face is judged by both.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from machine import SHARED, install_from_shared, machine

from maskwatch import __version__
from maskwatch.boxes import areas
from maskwatch.classifier import classify, load_classifier
from maskwatch.detectors import load_detector
from maskwatch.metrics.classification import number
from maskwatch.metrics.detection import DetectionReport
from maskwatch.training.detection.evaluate import evaluate_contenders
from maskwatch.training.detection.specs import LOW_SCORE
from maskwatch.types import CLASSES, Faces, Image

CHOICES = ((0.0, 0.0), (0.35, 24.0), (0.5, 0.0), (0.5, 24.0), (0.5, 48.0), (0.7, 24.0), (1.0, 0.0))
"""Shares of the classifier, and sizes of faces from which on it is asked."""


class Judges:
    """Looks once at a photo; keeps what both judges say of its faces until the next one."""

    def __init__(self, name: str) -> None:
        """Load the detector, as shipped and down to low scores."""
        shipped = load_detector(name)
        if not shipped.tells_states:
            raise SystemExit(f"{name} tells no mask states. Choose onepass, onepass-fast or aizoo.")
        self.name, self.min_score = name, shipped.min_score
        self._detectors = {"shipped": shipped, "low": load_detector(name, LOW_SCORE)}
        self._classifier = load_classifier()
        self._image: Image | None = None
        self._kept: dict[str, tuple[Faces, Faces]] = {}

    def __call__(self, image: Image, which: str) -> tuple[Faces, Faces]:
        """The faces with the detector's states, and with the classifier's."""
        if self._image is not image:
            self._image, self._kept = image, {}
        if which not in self._kept:
            found = self._detectors[which]([image])
            ((judged, _),) = classify(self._classifier, [image], found)
            self._kept[which] = found[0], judged
        return self._kept[which]


class Mixture:
    """One share from one size on."""

    tells_states = True

    def __init__(self, judges: Judges, share: float, from_px: float) -> None:
        """Choose."""
        self._judges, self.share, self.from_px = judges, share, from_px
        self.name, self.min_score = (
            f"{judges.name}: {share:g} from {from_px:g} px",
            judges.min_score,
        )

    def as_shipped(self, image: Image) -> Faces:
        """What serving finds."""
        return self._mixed(*self._judges(image, "shipped"))

    def down_to_low_scores(self, image: Image) -> Faces:
        """All that it finds."""
        return self._mixed(*self._judges(image, "low"))

    def _mixed(self, told: Faces, judged: Faces) -> Faces:
        assert told.state_probs is not None
        assert judged.state_probs is not None
        asked = np.sqrt(areas(told.boxes)) >= self.from_px
        weights = np.where(asked, self.share, 0.0).astype(np.float32)[:, None]
        return told.with_state_probs(
            weights * judged.state_probs + (1 - weights) * told.state_probs
        )


def mixtures(name: str) -> list[Mixture]:
    """All that are compared of one detector."""
    judges = Judges(name)
    return [Mixture(judges, *choice) for choice in CHOICES]


def figures(mixture: Mixture, report: DetectionReport) -> dict[str, Any]:
    """What is written of one mixture on one data set."""
    ap50 = {str(state): report.scores[state].ap50 for state in CLASSES if state in report.scores}
    return {
        "detector": report.name.partition(":")[0],
        "source": report.sources[0].label,
        "share": mixture.share,
        "from_px": mixture.from_px,
        "faces": report.states.count,
        "states_right": number(report.states.accuracy),
        "ap50_mean": number(report.mean("ap50")),
        **{f"ap50_{state}": number(value) for state, value in ap50.items()},
    }


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The figures as a table."""
    columns = [key for key in rows[0] if key not in ("detector", "source")]
    lines = [
        f"| data | detector | {' | '.join(columns)} |",
        f"| --- | --- |{' ---: |' * len(columns)}",
    ]
    for row in rows:
        cells = " | ".join("" if row[key] is None else f"{row[key]:g}" for key in columns)
        lines.append(f"| {row['source']} | {row['detector']} | {cells} |")
    return lines


def main() -> None:
    """Measure, print a table and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "detection")
    parser.add_argument("--detectors", default="onepass,aizoo")
    parser.add_argument("--sets", default="ilc,kaggle")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/judges.json"))
    args = parser.parse_args()
    folders = [args.data / name for name in args.sets.split(",")]
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        os.environ.setdefault("MASKWATCH_HOME", scratch)
        install_from_shared(("aizoo",))
        for name in args.detectors.split(","):
            mixed = mixtures(name)
            done = evaluate_contenders(mixed, folders, split="val")
            for mixture, report in zip(mixed, done.reports, strict=True):
                rows += [figures(mixture, part) for part in report.by_source]
    rows.sort(key=lambda row: (row["source"], row["detector"]))
    print("\n".join(table(rows)))
    result = {"machine": machine(), "maskwatch": __version__, "split": "val", "rows": rows}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
