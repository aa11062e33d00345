"""Train the embedded one-pass detector and write it with its card.

python scripts/train_detector.py --data DATA --weights CLASSIFIER.keras --out RUN

DATA holds `detection/{ilc,kaggle,wider,negatives}` (photos with VOC boxes; the last without faces),
`classification/masktypes` (portraits with masks) and `unlabelled/rmfd` (photos that YuNet and the
embedded classifier label where they are sure: `maskwatch models get yunet-n`). The backbone starts
from the classifier that `scripts/train_classifier.py` trained, and a second training from the
outcome of the first. RUN receives the packed photos, both outcomes, `onepass.onnx` and its card
`onepass.json`; the last two go into `src/maskwatch/models/`. A run that was cut off goes on from
its last checkpoint, a finished one is only exported and measured again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from maskwatch.boxes import areas, iou
from maskwatch.classifier import Classifier, load_classifier
from maskwatch.datasets.records import pictures_in
from maskwatch.datasets.voc import read_voc
from maskwatch.detectors import load_detector
from maskwatch.images import read_image
from maskwatch.metrics.detection import DetectionReport
from maskwatch.preprocess import DETECTOR_LONG_SIDE_PX, DETECTOR_MULTIPLE_PX, shrunk_and_padded
from maskwatch.training.detection import evaluate_detectors
from maskwatch.training.onepass.export import export_onepass, quantize_onepass
from maskwatch.training.onepass.fit import fit
from maskwatch.training.onepass.pack import NO_STATE, Pack, Scene, scene
from maskwatch.training.onepass.recipe import OnePassRecipe
from maskwatch.training.onepass.teachers import (
    Teacher,
    TwoStageTeacher,
    sure_states,
)
from maskwatch.types import CLASSES, Floats, Image, MaskState
from maskwatch.weights.disk import sha256

DOUBTFUL_FACE = 0.25
"""Score from which a face that the teacher finds is at least ignored."""

MIN_STATE_PX = 20.0
"""Square root of the area of faces of WIDER FACE that get a state from the classifier."""

SAME_FACE = 0.3
"""Intersection over union from which a found face is a known one."""

FIRST = OnePassRecipe()
SECOND = OnePassRecipe(
    steps=5000,
    peak_rate=7e-4,
    warmup_steps=50,
    late_from=0.0,
    large_every=2,
    mosaic=0.1,
    sources={**FIRST.sources, "negatives": 2.0},
    seed=8,
)
"""From the outcome of the first: photos as they are served, and more without faces."""

NAME = "onepass"
MASKTYPES = 500
CALIBRATION_PHOTOS = 100
NOTHING: tuple[Floats, list[int]] = np.zeros((0, 4), np.float32), []
CORRECTIONS = Path(__file__).with_name("corrections.json")
NAMES = {state.value: index for index, state in enumerate(CLASSES)}

TEST_SETS = {"ilc/val": "detection/ilc", "kaggle/val": "detection/kaggle"}

DATA_SOURCES = [
    "jolignier/face-mask-dataset-ilc-2021, photos with boxes and states, train split",
    "andrewmvd face-mask-detection (Kaggle), photos with boxes and states, train split",
    "WIDER FACE, 200 photos with boxes; faces that the classifier is sure are bare have that state",
    "Real-World Masked Face Dataset, photos without labels; YuNet and the classifier gave them",
    "smitdesai1010/COMP6721---Face-Mask-Classification, portraits with masks, boxes by YuNet",
    "Every second photo of animals of datitran/raccoon_dataset and imagenet-sample-images",
]
LIMITS = [
    "Sources box faces differently: boxes are a compromise, good at an IoU of 0.5, not of 0.75.",
    "The border between a mask at the chin and no mask is the noisiest: labels differ on it.",
    "Faces under 16 px, at a longer side of 640 px of the picture, are found unreliably.",
    "Hands, scarves, microphones and beards before the mouth can be taken for masks.",
    "Of the faces of 32 px and more of 120 photos of ilc val 0.95 are found upright (IoU 0.3), "
    "turned by 30 degrees 0.81, by 45 degrees 0.49, by 90 degrees 0.06: benchmarks/turned.py.",
    "Animals, shells and hands near the camera are taken for faces now and then: see negatives.",
    "The first training had its photos as JPEGs, and its first 2,200 steps the rates of 9,000.",
]


def main() -> None:
    """Train, export, measure the exported file, write the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    pack = packed(args.data, args.out / "pack.npz")
    first = trained(pack, args.weights, args.out / "first", FIRST, None)
    model = trained(pack, args.weights, args.out / "second", SECOND, first)

    half, file = args.out / "onepass-32.onnx", args.out / "onepass.onnx"
    photos = calibration_photos(args.data)
    check = [
        shrunk_and_padded(p, DETECTOR_LONG_SIDE_PX, DETECTOR_MULTIPLE_PX)[0] for p in photos[:4]
    ]
    print(f"from Keras to ONNX {export_onepass(model, half, check):.5f}", flush=True)
    quantize_onepass(half, file, photos, DETECTOR_LONG_SIDE_PX)
    scores = measured([str(half), str(file)], args.data)
    write_card(args.out / "onepass.json", file, pack, scores[str(file)])


def packed(data: Path, path: Path) -> Pack:
    """The photos to train on; packs them if that has not been done."""
    if not path.exists():
        scenes = list(training_scenes(data))
        counts = Counter(each.source for each in scenes)
        Pack(tuple(scenes), {"photos": dict(counts)}).save(path)
    pack = Pack.load(path)
    print(f"{path}: {path.stat().st_size / 1e6:.0f} MB, {pack.facts}", flush=True)
    return pack


def training_scenes(data: Path) -> Iterator[Scene]:
    """All photos with what is known of their faces."""
    detection = data / "detection"
    classifier = load_classifier()
    for source in ("ilc", "kaggle", "wider"):
        for photo in read_voc(detection / source, "train"):
            states = [NAMES.get(name, NO_STATE) for name in photo.names]
            made = scene(read_image(photo.path), photo.boxes, states, source)
            yield with_bare_faces(made, classifier) if source == "wider" else made
    doubtful = load_detector("yunet-n", DOUBTFUL_FACE)
    teacher = TwoStageTeacher(doubtful, classifier)
    yield from taught(pictures_in(data / "unlabelled" / "rmfd"), teacher, "rmfd")
    portraits = pictures_in(data / "classification" / "masktypes")
    chosen = np.random.default_rng(0).permutation(len(portraits))[:MASKTYPES]
    masked = TwoStageTeacher(doubtful, classifier, MaskState.WITH_MASK)
    yield from taught([portraits[i] for i in chosen], masked, "masktypes")
    people = corrections("negatives")
    # The others are left to measure false alarms on.
    for path in pictures_in(detection / "negatives")[1::2]:
        yield scene(read_image(path), *people.get(path.stem, NOTHING), "negatives")


def with_bare_faces(made: Scene, classifier: Classifier) -> Scene:
    """The same photo; faces that the classifier is sure are bare have that state."""
    large = np.sqrt(areas(made.boxes)) >= MIN_STATE_PX
    states = made.states.copy()
    states[large] = sure_states(made.image(), made.boxes[large], classifier)
    bare = states == NAMES[MaskState.WITHOUT_MASK]
    return dataclasses.replace(made, states=np.where(bare, states, NO_STATE))


def corrections(name: str) -> dict[str, tuple[Floats, list[int]]]:
    """Faces that the labels of a set lack, by photo, from `corrections.json` beside this file.

    Each was looked at. In `negatives` they are the people beside the animals.
    """
    faces: dict[str, tuple[Floats, list[int]]] = {}
    for each in json.loads(CORRECTIONS.read_text()):
        if each["set"] == name:
            boxes, states = faces.get(each["photo"], NOTHING)
            boxes = np.concatenate([boxes, np.array([each["box"]], np.float32)])
            faces[each["photo"]] = boxes, [*states, NAMES[each["state"]]]
    return faces


def taught(paths: Sequence[Path], teacher: Teacher, source: str) -> Iterator[Scene]:
    """Photos in which the teacher is sure of at least one face."""
    for path in paths:
        image = read_image(path)
        boxes, states = teacher(image)
        if (states >= 0).any():
            yield scene(image, boxes, states, source)


def trained(
    pack: Pack, weights: Path, out: Path, recipe: OnePassRecipe, start: keras.Model | None
) -> keras.Model:
    """The trained network; trains it if that has not been done."""
    finished = out / "model.keras"
    if finished.exists():
        return keras.models.load_model(finished)
    model = fit(pack, weights, recipe, out, start=start, log=lambda line: print(line, flush=True))
    if model is None:
        raise SystemExit("stopped; the same command goes on.")
    model.save(finished)
    return model


def calibration_photos(data: Path) -> list[Image]:
    """Photos of the first set, evenly chosen."""
    photos = list(read_voc(data / "detection" / "ilc", "train"))
    step = max(1, len(photos) // CALIBRATION_PHOTOS)
    return [read_image(photo.path) for photo in photos[::step][:CALIBRATION_PHOTOS]]


def measured(files: Sequence[str], data: Path) -> dict[str, dict[str, Any]]:
    """The figures of `maskwatch evaluate` that a card holds, by file and test set."""
    scores: dict[str, dict[str, Any]] = {file: {} for file in files}
    for name, folder in TEST_SETS.items():
        done = evaluate_detectors(files, data / folder, split="val")
        print(f"{name}\n{done.table()}\n", flush=True)
        for report in done.reports:
            scores[report.name][name] = report.json() | {"detector": NAME}
    done = evaluate_detectors(files, data / "detection" / "negatives", split="all")
    people = corrections("negatives")
    for report in done.reports:
        alarms = Counter(false_alarms(report, people))
        held_out = [path.stem for path in report.paths[0::2]]
        scores[report.name]["negatives"] = {
            "photos": report.photos,
            "false_alarms": alarms.total(),
            "held_out_photos": len(held_out),
            "held_out_false_alarms": sum(alarms[stem] for stem in held_out),
        }
        print(report.name, scores[report.name]["negatives"], dict(alarms), flush=True)
    return scores


def false_alarms(
    report: DetectionReport, people: dict[str, tuple[Floats, list[int]]]
) -> Iterator[str]:
    """The photo of each face found as shipped that is none of these people."""
    for index in report.false_alarms:
        stem = report.paths[report.shipped.photo[index]].stem
        own = report.shipped.boxes[index : index + 1].astype(np.float32)
        known, _ = people.get(stem, NOTHING)
        if not (iou(own, known) >= SAME_FACE).any():
            yield stem


def write_card(path: Path, file: Path, pack: Pack, scores: dict[str, Any]) -> None:
    """Write what a user of the file should know."""
    first, second = (dataclasses.asdict(recipe) for recipe in (FIRST, SECOND))
    choices = ", ".join(f"{k}={v}" for k, v in first.items())
    changed = ", ".join(f"{k}={v}" for k, v in second.items() if v != first[k])
    card = {
        "name": file.stem,
        "kind": "detector",
        "files": [{"name": file.name, "sha256": sha256(file), "bytes": file.stat().st_size}],
        "classes": [state.value for state in CLASSES],
        "input": {
            "shape": ["N", "H", "W", 3],
            "dtype": "uint8",
            "layout": "NHWC, BGR, 0 to 255; scaling is inside",
            "size": f"longer side {DETECTOR_LONG_SIDE_PX} px (fast: 320), filled up with grey to "
            f"multiples of {DETECTOR_MULTIPLE_PX}",
        },
        "data": [*DATA_SOURCES, f"photos: {pack.facts['photos']}"],
        "recipe": f"MobileNetV2 1.0 from the embedded classifier, feature pyramid, anchor-free "
        f"head, places by centre and size of the face: {choices}. Then once more from there: "
        f"{changed}. Weights and activations of 8 bits, calibrated on {CALIBRATION_PHOTOS} photos "
        f"of the first set.",
        "seed": FIRST.seed,
        "scores": scores,
        "limits": LIMITS,
        "licence": "Apache-2.0",
        "reproduce": "python scripts/train_detector.py --data DATA --weights RUN/model.keras "
        "--out DETECTOR_RUN, with RUN of scripts/train_classifier.py",
    }
    path.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
