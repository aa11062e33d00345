"""Train the embedded mask classifier and write it with its card.

python scripts/train_classifier.py --data DATA --weights BACKBONE.weights.h5 --out RUN

DATA holds `detection/{ilc,kaggle}` (photos with VOC boxes) and
`classification/{crops12k,masktypes,prajnasb}` (folders of crops). A run that was cut off goes on
from its last checkpoint.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from maskwatch.metrics.classification import ClassificationReport
from maskwatch.training.backbones import mobilenet_v2
from maskwatch.training.finetune import FinetuneRecipe, finetune, predict
from maskwatch.training.samples import (
    Samples,
    from_crops_of_one_state,
    from_folders,
    from_photos,
)
from maskwatch.types import CLASSES, MaskState

MIN_TRAIN_FACE_PX = 12.0
MIN_TEST_FACE_PX = 24.0


def main() -> None:
    """Train, measure, export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=FinetuneRecipe().steps)
    args = parser.parse_args()
    recipe = FinetuneRecipe(steps=args.steps)

    train = Samples.join(list(training_sets(args.data).values()))
    print(f"{len(train)} crops: {np.bincount(train.labels, minlength=len(CLASSES))}", flush=True)
    model = finetune(
        mobilenet_v2(recipe.size_px, args.weights),
        train,
        recipe,
        args.out,
        log=lambda line: print(line, flush=True),
    )
    model.save(args.out / "model.keras")
    scores = {}
    for name, samples in test_sets(args.data).items():
        probs = predict(model, samples, recipe.size_px)
        report = ClassificationReport.of(samples.labels, probs.argmax(axis=1), CLASSES)
        print(f"{name}\n{report.table()}\n", flush=True)
        scores[name] = report.json()
    (args.out / "scores.json").write_text(json.dumps(scores, indent=1))


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
