"""How many faces detectors still find in photos that are turned.

python benchmarks/turned.py [--detectors A,B] [--photos N]

Photos of the split `val` are turned about their middle, with room for their corners, and looked at
as shipped. A labelled face counts as found where a box overlaps its own, turned, by an IoU of 0.3;
the box of a turned face is that around the ellipse that fills it, as in training.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from machine import SHARED, install_from_shared, machine
from photos import val_records

from maskwatch import __version__
from maskwatch.boxes import areas, iou, mapped
from maskwatch.detectors import Detector, load_detector
from maskwatch.images import read_image
from maskwatch.preprocess import PADDING
from maskwatch.training.detection.photos import usable_labels
from maskwatch.types import Floats, Image

DEGREES = (0, 15, 30, 45, 60, 90, 180)
MIN_FACE_PX = 32.0
MIN_IOU = 0.3


def turned(image: Image, boxes: Floats, degrees: float) -> tuple[Image, Floats]:
    """A picture and its boxes `(N, 4)`, turned to the left."""
    height, width = image.shape[:2]
    middle = width / 2, height / 2
    matrix = np.asarray(cv2.getRotationMatrix2D(middle, degrees, 1), np.float64)
    needed = np.abs(matrix[:, :2]) @ np.array([width, height])
    matrix[:, 2] += (needed - [width, height]) / 2
    size = [int(side) for side in np.ceil(needed)]
    grey = (PADDING,) * 3
    return np.asarray(cv2.warpAffine(image, matrix, size, borderValue=grey)), mapped(boxes, matrix)


def hits(detector: Detector, photos: Sequence[tuple[Image, Floats]], degrees: float) -> int:
    """Faces that are found when the photos are turned so far."""
    count = 0
    for image, boxes in photos:
        picture, wanted = turned(image, boxes, degrees)
        (found,) = detector([picture])
        count += int((iou(wanted, found.boxes).max(axis=1, initial=0) >= MIN_IOU).sum())
    return count


def labelled(folder: Path, limit: int | None) -> list[tuple[Image, Floats]]:
    """Photos, or so many spread over them, with the boxes of faces that are large enough."""
    photos = []
    for record in val_records(folder, limit):
        image = read_image(record.path)
        boxes, _ = usable_labels(record, image, Counter())
        photos.append((image, boxes[np.sqrt(areas(boxes)) >= MIN_FACE_PX]))
    if not any(len(boxes) for _, boxes in photos):
        raise SystemExit(f"no face of {MIN_FACE_PX:g} px is labelled in {folder}.")
    return photos


def main() -> None:
    """Measure, print a table and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "detection" / "ilc")
    parser.add_argument("--detectors", default="onepass,onepass-fast,mtcnn,yunet,ultra,aizoo")
    parser.add_argument("--photos", type=int, help="so many of them only")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/turned.json"))
    args = parser.parse_args()
    photos = labelled(args.data, args.photos)
    faces = sum(len(boxes) for _, boxes in photos)
    rows: list[dict[str, Any]] = []
    print(f"| detector | {' | '.join(f'{d} degrees' for d in DEGREES)} |")
    print(f"| --- |{' ---: |' * len(DEGREES)}")
    with tempfile.TemporaryDirectory() as scratch:
        os.environ.setdefault("MASKWATCH_HOME", scratch)
        install_from_shared(("yunet", "yunet-n", "ssd", "ultra", "aizoo"))
        detectors = {name: load_detector(name) for name in args.detectors.split(",")}
        for name, detector in detectors.items():
            recall = {d: round(hits(detector, photos, d) / faces, 3) for d in DEGREES}
            rows.append({"detector": name, "recall": recall})
            print(f"| {name} | {' | '.join(f'{r:.2f}' for r in recall.values())} |", flush=True)
    result = {
        "machine": machine(),
        "maskwatch": __version__,
        "photos": {"data": f"{args.data.name} val", "count": len(photos), "faces": faces},
        "min_face_px": MIN_FACE_PX,
        "min_iou": MIN_IOU,
        "rows": rows,
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
