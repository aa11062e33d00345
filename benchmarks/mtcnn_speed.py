"""MTCNN here and in the package `mtcnn` 1.0, with the same weights on the same photos.

python benchmarks/mtcnn_speed.py [--photos N] [--rounds N]

Needs the extra `mtcnn` and TensorFlow, on which that package runs. Photos are decoded beforehand,
at their own sizes; every photo is looked at by one and then by the other, and which is first
changes from photo to photo and from round to round. What counts is the median over the rounds of
the time for all photos, and the ratio within each round. Both look for faces from 20 px on.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import SHARED, machine
from photos import val_records

from maskwatch import __version__, weights
from maskwatch.detectors import load_detector
from maskwatch.images import read_image
from maskwatch.types import Image

MAX_PX = 1.0
MAX_SCORE = 0.01
"""How far the same face may lie apart in both."""


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "detection" / "ilc")
    parser.add_argument("--photos", type=int, default=60, help="so many, spread over the split val")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/mtcnn.json"))
    args = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    photos = val_photos(args.data, args.photos)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ.setdefault("MASKWATCH_HOME", scratch)
        weights.get("mtcnn-stock")
        contenders = {"maskwatch": ours(), "package": theirs()}
        rounds = [measure(contenders, photos, index) for index in range(args.rounds)]
        faces = agreement(contenders, photos)
    result = {
        "machine": machine(),
        "maskwatch": __version__,
        "photos": {"data": "ilc val", "count": len(photos)},
        "min_face_px": 20,
        "rounds": args.rounds,
        **figures(rounds, len(photos)),
        "faces": faces,
    }
    print(json.dumps(result, indent=1))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n")


Find = Callable[[Image], Any]
"""From a BGR picture to rows of box and score, `(N, 5)`."""


def val_photos(folder: Path, count: int) -> list[Image]:
    """So many photos, spread over the split `val`."""
    return [read_image(record.path) for record in val_records(folder, count)]


def ours() -> Find:
    """The detector of this project."""
    detector = load_detector("mtcnn-stock")

    def find(image: Image) -> Any:
        (faces,) = detector([image])
        return np.column_stack([faces.boxes, faces.scores])

    return find


def theirs() -> Find:
    """The package, given RGB and asked for unrounded boxes."""
    try:
        from mtcnn import MTCNN
    except ImportError as exc:
        raise SystemExit(f"needs the package and TensorFlow: {exc}") from exc
    detector = MTCNN()

    def find(image: Image) -> Any:
        rgb = np.ascontiguousarray(image[..., ::-1])
        rows = detector.detect_faces(rgb, output_type="numpy", box_format="xyxy")
        return np.asarray(rows).reshape(-1, 16)[:, 1:6]

    return find


def measure(contenders: dict[str, Find], photos: list[Image], index: int) -> dict[str, float]:
    """Seconds that each took for all photos, in one round after a warm-up."""
    for find in contenders.values():
        find(photos[0])
    taken_s = dict.fromkeys(contenders, 0.0)
    for number, photo in enumerate(photos):
        names = list(contenders)
        for name in names if (number + index) % 2 else reversed(names):
            started_s = time.perf_counter()
            contenders[name](photo)
            taken_s[name] += time.perf_counter() - started_s
    print(f"round {index + 1} done", flush=True)
    return taken_s


def figures(rounds: list[dict[str, float]], photos: int) -> dict[str, Any]:
    """Median milliseconds a photo of both, and median and range of the ratio in a round."""
    ratios = [each["package"] / each["maskwatch"] for each in rounds]
    return {
        "ms_per_photo": {
            name: round(1e3 * statistics.median(each[name] for each in rounds) / photos, 1)
            for name in rounds[0]
        },
        "times_faster": round(statistics.median(ratios), 2),
        "times_faster_range": [round(min(ratios), 2), round(max(ratios), 2)],
    }


def agreement(contenders: dict[str, Find], photos: list[Image]) -> dict[str, int]:
    """How many faces each found, and how many of them are the same."""
    counts = {"maskwatch": 0, "package": 0, "same": 0}
    for photo in photos:
        mine, other = contenders["maskwatch"](photo), contenders["package"](photo)
        apart_px = np.abs(mine[:, None, :4] - other[None, :, :4]).max(axis=2)
        apart = np.abs(mine[:, None, 4] - other[None, :, 4])
        same = (apart_px <= MAX_PX) & (apart <= MAX_SCORE)
        counts["maskwatch"] += len(mine)
        counts["package"] += len(other)
        counts["same"] += int(same.any(axis=1).sum())
    return counts


if __name__ == "__main__":
    main()
