"""Train the embedded mask classifier and write it with its card.

python scripts/train_classifier.py --data DATA --weights BACKBONE.weights.h5 --out RUN

DATA holds `detection/{ilc,kaggle}` (photos with VOC boxes) and
`classification/{crops12k,masktypes,prajnasb}` (folders of crops). RUN receives `model.keras`,
`classifier.onnx` and its card `classifier.json`; the last two go into `src/maskwatch/models/`. A
run that was cut off goes on from its last checkpoint, a finished one is only exported and measured
again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np

from maskwatch.classifier import OnnxClassifier
from maskwatch.export import export_classifier
from maskwatch.metrics.classification import ClassificationReport
from maskwatch.training.augment import plain_view
from maskwatch.training.backbones import mobilenet_v2
from maskwatch.training.finetune import FinetuneRecipe, finetune
from maskwatch.training.samples import (
    Samples,
    from_crops_of_one_state,
    from_folders,
    from_photos,
)
from maskwatch.types import CLASSES, Image, MaskState
from maskwatch.weights.disk import sha256

MIN_TRAIN_FACE_PX = 12.0
MIN_TEST_FACE_PX = 24.0
CHECKED_CROPS = 64

DATA_SOURCES = [
    "jolignier/face-mask-dataset-ilc-2021, photos with boxes, train split, faces from 12 px",
    "andrewmvd face-mask-detection (Kaggle), photos with boxes, train split, faces from 12 px",
    "Face Mask 12k (Kaggle), crops, train split",
    "prajnasb/observations, portraits with drawn masks, train split",
    "smitdesai1010/COMP6721---Face-Mask-Classification, portraits with masks of three types",
]
LIMITS = [
    "The border between a mask at the chin and no mask is the noisiest: labels differ on it.",
    "Hands, scarves, microphones and beards before the mouth can be taken for masks.",
    "Only faces found upright were trained on; faces turned by more than 30 degrees are not.",
    "Scores are for faces of 24 px and more in hand-drawn boxes; a detector's boxes differ.",
]


def main() -> None:
    """Train, export, measure the exported file, write the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=FinetuneRecipe().steps)
    args = parser.parse_args()
    recipe = FinetuneRecipe(steps=args.steps)
    model = trained(args.data, args.weights, args.out, recipe)

    tests = {name: (views(s, recipe.size_px), s) for name, s in test_sets(args.data).items()}
    file = args.out / "classifier.onnx"
    check = next(iter(tests.values()))[0][:CHECKED_CROPS]
    print(f"largest difference from Keras: {export_classifier(model, file, check):.5f}")
    classifier = OnnxClassifier(file)
    scores = {}
    for name, (crops, samples) in tests.items():
        probs = np.concatenate([classifier(crops[i : i + 64]) for i in range(0, len(crops), 64)])
        report = ClassificationReport.of(samples.labels, probs.argmax(axis=1), CLASSES)
        print(f"{name}\n{report.table()}\n", flush=True)
        scores[name] = report.json()
    write_card(args.out / "classifier.json", file, recipe, scores)


def trained(data: Path, weights: Path, out: Path, recipe: FinetuneRecipe) -> keras.Model:
    """The trained model; trains it if that has not been done."""
    finished = out / "model.keras"
    if finished.exists():
        return keras.models.load_model(finished)
    train = Samples.join(list(training_sets(data).values()))
    print(f"{len(train)} crops: {np.bincount(train.labels, minlength=len(CLASSES))}", flush=True)
    start = mobilenet_v2(recipe.size_px, weights)
    model = finetune(start, train, recipe, out, log=lambda line: print(line, flush=True))
    model.save(finished)
    return model


def views(samples: Samples, size_px: int) -> Image:
    """The crops as serving sees them, `(N, size_px, size_px, 3)`."""
    return np.stack([plain_view(crop, size_px) for crop in samples.crops])


def write_card(
    path: Path, file: Path, recipe: FinetuneRecipe, scores: dict[str, dict[str, Any]]
) -> None:
    """Write what a user of the file should know."""
    choices = ", ".join(f"{k}={v}" for k, v in dataclasses.asdict(recipe).items() if k != "seed")
    size = recipe.size_px
    card = {
        "name": file.stem,
        "kind": "classifier",
        "file": file.name,
        "sha256": sha256(file),
        "bytes": file.stat().st_size,
        "classes": [state.value for state in CLASSES],
        "input": {
            "shape": ["N", size, size, 3],
            "dtype": "uint8",
            "layout": "NHWC, BGR, 0 to 255; scaling is inside",
            "crop": "square of 1.3 times the longer side of the face box, around its centre",
        },
        "data": DATA_SOURCES,
        "recipe": f"MobileNetV2 1.0 from ImageNet weights, all layers fine-tuned: {choices}. "
        "Stored with weights of 16 bits, computes in 32.",
        "seed": recipe.seed,
        "scores": scores,
        "limits": LIMITS,
        "licence": "Apache-2.0",
        "reproduce": "python scripts/train_classifier.py --data DATA --weights "
        "mobilenet_v2_1.0_imagenet_no_top.weights.h5 --out RUN",
    }
    path.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def training_sets(data: Path) -> dict[str, Samples]:
    """What the classifier learns from, by name."""
    detection, crops = data / "detection", data / "classification"
    return {
        "ilc/train": from_photos(detection / "ilc", "train", MIN_TRAIN_FACE_PX),
        "kaggle/train": from_photos(detection / "kaggle", "train", MIN_TRAIN_FACE_PX),
        "crops12k/train": from_folders(crops / "crops12k" / "train"),
        "prajnasb/train": from_folders(crops / "prajnasb" / "train"),
        "masktypes": from_crops_of_one_state(crops / "masktypes", MaskState.WITH_MASK),
    }


def test_sets(data: Path) -> dict[str, Samples]:
    """What it is measured on, by name."""
    detection, crops = data / "detection", data / "classification"
    return {
        "ilc/val": from_photos(detection / "ilc", "val", MIN_TEST_FACE_PX),
        "kaggle/val": from_photos(detection / "kaggle", "val", MIN_TEST_FACE_PX),
        "crops12k/test": from_folders(crops / "crops12k" / "test"),
        "prajnasb/test": from_folders(crops / "prajnasb" / "test"),
    }


if __name__ == "__main__":
    main()
