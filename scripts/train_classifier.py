"""Train the embedded mask classifier and write it with its card.

python scripts/train_classifier.py --data DATA --weights BACKBONE.weights.h5 --out RUN

DATA holds `detection/{ilc,kaggle,wider}` (photos with VOC boxes) and
`classification/{crops12k,masktypes,prajnasb}` (folders of crops). YuNet finds the bare faces that
get a mask drawn on (`maskwatch models get yunet`). RUN receives `model.keras`, `classifier.onnx`
and its card `classifier.json`; the last two go into `src/maskwatch/models/`. A run that was cut
off goes on from its last checkpoint, a finished one is only exported and measured again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from maskwatch.classifier import OnnxClassifier
from maskwatch.datasets.folders import read_folders
from maskwatch.datasets.voc import read_all_voc, read_voc
from maskwatch.detectors import Detector, load_detector
from maskwatch.export import export_model
from maskwatch.export_crops import read_export_crops
from maskwatch.training.backbones import mobilenet_v2
from maskwatch.training.drawn import draw_on_crops, draw_on_photos
from maskwatch.training.evaluation import evaluate
from maskwatch.training.finetune import FinetuneRecipe, finetune
from maskwatch.training.samples import (
    Samples,
    from_crops_of_one_state,
    from_folders,
    from_photos,
)
from maskwatch.types import CLASSES, Floats, MaskState
from maskwatch.weights.disk import sha256

MIN_TRAIN_FACE_PX = 12.0
MIN_TEST_FACE_PX = 24.0
MIN_DRAWN_FACE_PX = 40.0
DRAWN_CROPS = 1500

TEST_SETS = {
    "ilc/val": "detection/ilc",
    "kaggle/val": "detection/kaggle",
    "crops12k/test": "classification/crops12k",
    "prajnasb/test": "classification/prajnasb",
}
CARD_FIGURES = ("count", "accuracy", "accuracy_interval", "balanced_accuracy", "confusion")

DATA_SOURCES = [
    "jolignier/face-mask-dataset-ilc-2021, photos with boxes, train split, faces from 12 px",
    "andrewmvd face-mask-detection (Kaggle), photos with boxes, train split, faces from 12 px",
    "Face Mask 12k (Kaggle), crops, train and validation splits",
    "prajnasb/observations, portraits with pasted masks, train and val splits",
    "smitdesai1010/COMP6721---Face-Mask-Classification, portraits with masks of three types",
    "Masks drawn by maskwatch on bare faces of the first and third set and of WIDER FACE",
]
LIMITS = [
    "The border between a mask at the chin and no mask is the noisiest: labels differ on it.",
    "Hands, scarves, microphones and beards before the mouth can be taken for masks.",
    "Only faces found upright were trained on; faces turned by more than 30 degrees are not.",
    "Scores are for faces of 24 px and more in hand-drawn boxes; a detector's boxes differ.",
    "Photos of a source that was not trained on are harder: see benchmarks/results/.",
]


def main() -> None:
    """Train, export, measure the exported file, write the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=FinetuneRecipe().steps)
    parser.add_argument("--leave-out", help="a source that is not trained on, such as ilc")
    args = parser.parse_args()
    recipe = FinetuneRecipe(steps=args.steps)
    model = trained(args.data, args.weights, args.out, recipe, args.leave_out)

    file = args.out / "classifier.onnx"
    crops = read_export_crops(args.data / "detection" / "ilc", recipe.size_px)
    half = args.out / "classifier-16.onnx"
    exported = export_model(model, file, crops, int8=True, reference=half)
    print(f"from Keras to 16 bits {exported.difference:.5f}, to 8 bits {exported.int8}", flush=True)
    print("in 16 bits:")
    measured(OnnxClassifier(half), args.data)
    print("in 8 bits:")
    scores = measured(OnnxClassifier(file), args.data)
    if args.leave_out is None:
        write_card(args.out / "classifier.json", file, recipe, scores)
    else:
        left = {"left_out": args.leave_out, "recipe": dataclasses.asdict(recipe), "scores": scores}
        (args.out / "leave_one_out.json").write_text(json.dumps(left, indent=1) + "\n")


def trained(
    data: Path, weights: Path, out: Path, recipe: FinetuneRecipe, leave_out: str | None
) -> keras.Model:
    """The trained model; trains it if that has not been done."""
    finished = out / "model.keras"
    if finished.exists():
        return keras.models.load_model(finished)
    sets = training_sets(data, recipe.seed, leave_out)
    for name, samples in sets.items():
        print(f"{name} {np.bincount(samples.labels, minlength=len(CLASSES))}", flush=True)
    train = Samples.join(list(sets.values()))
    start = mobilenet_v2(None, weights)
    free = finetune(start, train, recipe, out, log=lambda line: print(line, flush=True))
    model = mobilenet_v2(recipe.size_px, None)
    model.set_weights(free.get_weights())
    model.save(finished)
    return model


def measured(judge: OnnxClassifier, data: Path) -> dict[str, dict[str, Any]]:
    """The figures of `maskwatch evaluate` that a card holds, by test set."""
    scores = {}
    for name, folder in TEST_SETS.items():
        split = name.rsplit("/", 1)[1]
        done = evaluate(judge, data / folder, split=split, min_face_px=MIN_TEST_FACE_PX)
        print(f"{name}\n{done.table()}\n", flush=True)
        figures = done.json()
        scores[name] = {key: figures[key] for key in CARD_FIGURES}
        scores[name]["with_without"] = figures["with_without"]["accuracy"]
        for figure in ("recall", "precision"):
            scores[name][figure] = {k: v[figure] for k, v in figures["classes"].items()}
    return scores


def write_card(
    path: Path, file: Path, recipe: FinetuneRecipe, scores: dict[str, dict[str, Any]]
) -> None:
    """Write what a user of the file should know."""
    choices = ", ".join(f"{k}={v}" for k, v in dataclasses.asdict(recipe).items() if k != "seed")
    size = recipe.size_px
    card = {
        "name": file.stem,
        "kind": "classifier",
        "files": [{"name": file.name, "sha256": sha256(file), "bytes": file.stat().st_size}],
        "classes": [state.value for state in CLASSES],
        "input": {
            "shape": ["N", size, size, 3],
            "dtype": "uint8",
            "layout": "NHWC, BGR, 0 to 255; scaling is inside",
            "crop": "square of 1.3 times the longer side of the face box, around its centre",
        },
        "data": DATA_SOURCES,
        "recipe": f"MobileNetV2 1.0 from ImageNet weights, all layers fine-tuned: {choices}. "
        "Weights and activations of 8 bits, calibrated on 512 faces of the first set.",
        "seed": recipe.seed,
        "scores": scores,
        "limits": LIMITS,
        "licence": "Apache-2.0",
        "reproduce": "python scripts/train_classifier.py --data DATA --weights "
        "mobilenet_v2_1.0_imagenet_no_top.weights.h5 --out RUN",
    }
    path.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def training_sets(data: Path, seed: int, leave_out: str | None = None) -> dict[str, Samples]:
    """What the classifier learns from, by name."""
    detection, crops = data / "detection", data / "classification"
    wider, crops12k, prajnasb = detection / "wider", crops / "crops12k", crops / "prajnasb"
    masktypes = crops / "masktypes"
    # Without their landmarks, masks could not be drawn where they belong.
    yunet = load_detector("yunet")
    ilc = detection / "ilc"
    makers: dict[str, Callable[[], Samples]] = {
        "ilc/train": lambda: from_photos(ilc, "train", MIN_TRAIN_FACE_PX),
        "kaggle/train": lambda: from_photos(detection / "kaggle", "train", MIN_TRAIN_FACE_PX),
        "crops12k/train": lambda: from_folders(crops12k / "train"),
        "crops12k/val": lambda: from_folders(crops12k / "val"),
        "prajnasb/train": lambda: from_folders(prajnasb / "train"),
        "prajnasb/val": lambda: from_folders(prajnasb / "val"),
        "masktypes": lambda: from_crops_of_one_state(masktypes, MaskState.WITH_MASK),
        "ilc/drawn": lambda: drawn_on(bare(ilc, "train", "without_mask"), yunet, seed),
        "wider/drawn": lambda: drawn_on(bare(wider, None, "face"), yunet, seed + 1),
        "crops12k/drawn": lambda: draw_on_crops(
            bare_crops(crops12k / "train", seed), yunet, seed + 2
        ),
    }
    return {name: make() for name, make in makers.items() if name.split("/")[0] != leave_out}


def drawn_on(photos: list[tuple[Path, Floats]], detector: Detector, seed: int) -> Samples:
    """Masks on the bare faces of photos."""
    return draw_on_photos(photos, detector, MIN_DRAWN_FACE_PX, seed)


def bare(folder: Path, split: str | None, name: str) -> list[tuple[Path, Floats]]:
    """Photos with the boxes of that name."""
    photos = read_voc(folder, split) if split else read_all_voc(folder)
    return [
        (photo.path, photo.boxes[[each == name for each in photo.names]])
        for photo in photos
        if photo.boxes is not None
    ]


def bare_crops(folder: Path, seed: int) -> list[Path]:
    """Some of the crops of bare faces."""
    paths = [path for path, state in read_folders(folder) if state is MaskState.WITHOUT_MASK]
    chosen = np.random.default_rng(seed).permutation(len(paths))[:DRAWN_CROPS]
    return [paths[index] for index in chosen]


if __name__ == "__main__":
    main()
