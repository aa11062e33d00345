"""Milliseconds a photo and accuracy of every detector that is installed, in one run.

python benchmarks/detectors.py [--photos N] [--rounds N] [--no-accuracy] [--detectors A,B]

Photos are decoded and scaled to a long side of 640 px beforehand. In each round every detector
looks at all of them, one by one; the rounds begin with another detector each. What counts is the
median of the rounds, and ratios are taken within a round, so that a machine that grows busy slows
all of them alike. Three times are told: of the detector alone; until the mask states are known,
which takes the embedded classifier where the detector tells none; and as `maskwatch detect` does
it, where the classifier is asked about large faces beside a detector that tells them.

`aizoo-360` feeds the layers of AIZOO's 260 px network a picture of 360 px: the time that its larger
model takes, whose weights are published for other frameworks; its faces say nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from machine import SHARED, install_from_shared, machine
from photos import val_records

from maskwatch import __version__, weights
from maskwatch.classifier import OnnxClassifier, classify, load_classifier, share_of
from maskwatch.detectors import Detector, load_detector
from maskwatch.detectors.aizoo import AizooDetector
from maskwatch.errors import MaskwatchError
from maskwatch.images import read_image
from maskwatch.metrics.detection import ANY, DetectionReport
from maskwatch.training.detection import evaluate_detectors
from maskwatch.types import CLASSES, Image

NAMES = (
    "onepass",
    "onepass-fast",
    "mtcnn",
    "mtcnn-stock",
    "yunet",
    "yunet-n",
    "ssd",
    "haar",
    "ultra",
    "aizoo",
)
BASE = "yunet"
LARGER = "aizoo-360"
SETS = ("ilc", "kaggle", "negatives")
LONG_SIDE_PX = 640
WARM_UP = 3


@dataclass
class Contender:
    """A detector and what was measured of it."""

    name: str
    detector: Detector
    faces: int = 0
    alone_s: list[float] = field(default_factory=list)
    shipped_s: list[float] = field(default_factory=list)

    @property
    def states_s(self) -> list[float]:
        """Seconds of each round until the states are known."""
        return self.alone_s if self.detector.tells_states else self.shipped_s


def main() -> None:
    """Measure, print tables and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "detection")
    parser.add_argument("--photos", type=int, help="so many of them only, for timing")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-accuracy", action="store_true", help="time only")
    parser.add_argument("--detectors", default=",".join(NAMES))
    parser.add_argument("--sets", default=",".join(SETS), help="photos that accuracy is told on")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/detectors.json"))
    args = parser.parse_args()
    photos = scaled_photos(args.data / "ilc", args.photos)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ.setdefault("MASKWATCH_HOME", scratch)
        install_from_shared(("yunet", "yunet-n", "ssd", "ultra", "aizoo"))
        with suppress(MaskwatchError):  # told of where it is loaded
            weights.get("mtcnn-stock")
        contenders, skipped = load(args.detectors.split(","))
        measure(contenders, photos, args.rounds)
        times = [figures(contender, contenders, len(photos)) for contender in contenders]
        print("\n".join(time_table(times)), flush=True)
        folders = [args.data / name for name in args.sets.split(",")]
        rows = [] if args.no_accuracy else accuracy(contenders, folders)
    print("\n".join(["", *accuracy_table(rows)]))
    result = {
        "machine": machine(),
        "maskwatch": __version__,
        "photos": {"data": "ilc val", "count": len(photos), "long_side_px": LONG_SIDE_PX},
        "rounds": args.rounds,
        "skipped": skipped,
        "times": times,
        "accuracy": rows,
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n")


def scaled_photos(folder: Path, limit: int | None) -> list[Image]:
    """The photos of the split `val`, or so many spread over it, at the long side measured."""
    return [at_long_side(read_image(record.path)) for record in val_records(folder, limit)]


def at_long_side(image: Image) -> Image:
    """The picture at a long side of `LONG_SIDE_PX`."""
    height, width = image.shape[:2]
    scale = LONG_SIDE_PX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)


def load(names: Sequence[str]) -> tuple[list[Contender], dict[str, str]]:
    """The detectors of these that are installed, and why the others are not measured."""
    contenders, skipped = [], {}
    for name in names:
        try:
            contenders.append(Contender(name, load_detector(name)))
        except MaskwatchError as exc:
            skipped[name] = str(exc)
            print(f"skipped {name}: {exc}", flush=True)
    if "aizoo" in names and (files := weights.find("aizoo")):
        contenders.append(Contender(LARGER, AizooDetector(files, side_px=360)))
    return contenders, skipped


def measure(contenders: Sequence[Contender], photos: Sequence[Image], rounds: int) -> None:
    """Let every detector look at all photos in each round."""
    classifier = load_classifier()
    for contender in contenders:
        look(contender, photos[:WARM_UP], classifier)
    for index in range(rounds):
        start = index % len(contenders)
        for contender in [*contenders[start:], *contenders[:start]]:
            alone_s, shipped_s = look(contender, photos, classifier)
            contender.alone_s.append(alone_s)
            contender.shipped_s.append(shipped_s)
        print(f"round {index + 1} of {rounds} done", flush=True)


def look(
    contender: Contender, photos: Sequence[Image], classifier: OnnxClassifier
) -> tuple[float, float]:
    """Seconds for all photos: the detector alone, and with the classifier behind it."""
    alone_s = shipped_s = 0.0
    contender.faces = 0
    for photo in photos:
        started_s = time.perf_counter()
        found = contender.detector([photo])
        found_s = time.perf_counter()
        classify(classifier, [photo], found, share=share_of("default"))
        alone_s += found_s - started_s
        shipped_s += time.perf_counter() - started_s
        contender.faces += len(found[0])
    return alone_s, shipped_s


def figures(contender: Contender, contenders: Sequence[Contender], photos: int) -> dict[str, Any]:
    """What is written of one detector's times; ratios are to the same work of `BASE`."""
    base = next((other for other in contenders if other.name == BASE), None)
    row: dict[str, Any] = {
        "detector": contender.name,
        "tells_states": contender.detector.tells_states,
        "faces_a_photo": round(contender.faces / photos, 2),
    }
    for kind in ("alone", "states", "shipped"):
        seconds = np.array(getattr(contender, f"{kind}_s"))
        row[f"{kind}_ms"] = round(1000 * float(np.median(seconds)) / photos, 2)
        if base is not None:
            ratios = seconds / np.array(getattr(base, f"{kind}_s"))
            row[f"{kind}_to_{BASE}"] = round(float(np.median(ratios)), 3)
    return row


def accuracy(contenders: Sequence[Contender], folders: Sequence[Path]) -> list[dict[str, Any]]:
    """Average precision and false alarms of each detector on each data set, with states told.

    By the detector where it tells them, and with the embedded classifier.
    """
    specs = []
    for contender in contenders:
        if contender.name != LARGER:
            specs += [contender.name] * contender.detector.tells_states
            specs += [f"{contender.name}+default"]
    comparison = evaluate_detectors(specs, folders, split="val")
    return [
        {"detector": report.name, "min_score": round(float(report.min_score), 4), **row}
        for report in comparison.reports
        for row in (scores(part) for part in report.by_source)
    ]


def scores(report: DetectionReport) -> dict[str, Any]:
    """The figures of one detector on one data set; undefined ones are null."""
    whole = report.scores[ANY]
    ap50 = {key: report.scores[key].ap50 for key in (ANY, *CLASSES) if key in report.scores}
    values = {
        **{f"ap50_{key}": value for key, value in ap50.items()},
        "ap50_mean": report.mean("ap50"),
        "ap30_any": whole.ap30,
        "ap_any": whole.ap,
        "precision": whole.shipped.precision,
        "recall": whole.shipped.recall,
    }
    return {
        "source": report.sources[0].label,
        "photos": report.photos,
        "faces": whole.count,
        **{
            key: None if np.isnan(value) else round(float(value), 4)
            for key, value in values.items()
        },
        "false_alarms": len(report.false_alarms),
    }


def time_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The times as a table of the README, each beside its ratio to that of `BASE`."""
    heads = "".join(f" {head} | to {BASE} |" for head in ("ms alone", "ms to states", "ms shipped"))
    lines = [f"| detector |{heads} faces a photo |", f"| --- |{' ---: |' * 7}"]
    for row in rows:
        cells = []
        for kind in ("alone", "states", "shipped"):
            ratio = row.get(f"{kind}_to_{BASE}")
            cells += [f"{row[f'{kind}_ms']:.1f}", "" if ratio is None else f"{ratio:.2f} x"]
        lines.append(f"| {row['detector']} | {' | '.join(cells)} | {row['faces_a_photo']:.2f} |")
    return lines


def accuracy_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The accuracy as a table of the README."""
    columns = {
        "any": "ap50_any",
        **{state.removesuffix("_mask"): f"ap50_{state}" for state in CLASSES},
        "mean": "ap50_mean",
        "precision": "precision",
        "recall": "recall",
    }
    lines = [
        f"| data | detector | {' | '.join(columns)} | false alarms |",
        f"| --- | --- |{' ---: |' * (len(columns) + 1)}",
    ]
    for row in sorted(rows, key=lambda row: str(row["source"])):
        cells = ["" if row.get(key) is None else f"{row[key]:.3f}" for key in columns.values()]
        head = f"| {row['source']} | {row['detector']} | {' | '.join(cells)} "
        lines.append(f"{head}| {row['false_alarms']} |")
    return lines if rows else []


if __name__ == "__main__":
    main()
