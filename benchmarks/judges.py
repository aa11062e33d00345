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
from maskwatch.types import Faces, Image

CHOICES = ((0.0, 0.0), (0.35, 24.0), (0.5, 0.0), (0.5, 24.0), (0.5, 48.0), (0.7, 24.0), (1.0, 0.0))
"""Shares of the classifier, and sizes of faces from which on it is asked."""


class Judges:
    """Looks once at a photo; keeps what both judges say of its faces until the next one."""

    def __init__(self, name: str) -> None:
        """Load the detector as shipped."""
        self.detector = load_detector(name)
        if not self.detector.tells_states:
            raise SystemExit(f"{name} tells no mask states. Choose onepass, onepass-fast or aizoo.")
        self._classifier = load_classifier()
        self._image: Image | None = None
        self._kept = Faces.empty(), Faces.empty()

    def __call__(self, image: Image) -> tuple[Faces, Faces]:
        """The faces with the detector's states, and with the classifier's."""
        if self._image is not image:
            found = self.detector([image])
            ((judged, _),) = classify(self._classifier, [image], found)
            self._image, self._kept = image, (found[0], judged)
        return self._kept


class Mixture:
    """One share from one size on."""

    tells_states = True

    def __init__(self, judges: Judges, share: float, from_px: float) -> None:
        """Choose."""
        self.name = f"{judges.detector.name}: {share:g} {from_px:g}"
        self.min_score = judges.detector.min_score
        self._judges, self.share, self.from_px = judges, share, from_px

    def as_shipped(self, image: Image) -> Faces:
        """What serving finds, with the states of both judges mixed."""
        told, judged = self._judges(image)
        assert told.state_probs is not None
        assert judged.state_probs is not None
        asked = np.sqrt(areas(told.boxes)) >= self.from_px
        weights = np.where(asked, self.share, 0.0).astype(np.float32)[:, None]
        mixed = weights * judged.state_probs + (1 - weights) * told.state_probs
        return told.with_state_probs(mixed)

    def down_to_low_scores(self, image: Image) -> Faces:
        """The same: the states of the faces found are compared, not curves."""
        return self.as_shipped(image)


def mixtures(name: str) -> list[Mixture]:
    """All that are compared of one detector."""
    judges = Judges(name)
    return [Mixture(judges, *choice) for choice in CHOICES]


def figures(mixture: Mixture, report: DetectionReport) -> dict[str, Any]:
    """What is written of one mixture on one data set."""
    states = report.states
    return {
        "detector": report.name.partition(":")[0],
        "source": report.sources[0].label,
        "share": mixture.share,
        "from_px": mixture.from_px,
        "faces": states.count,
        "right": number(states.accuracy),
        "mean_f1": number(states.mean_f1),
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
