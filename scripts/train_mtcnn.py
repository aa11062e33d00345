"""Train the embedded MTCNN on masked faces and write it with its card.

python scripts/train_mtcnn.py --data DATA --out RUN

DATA holds `detection/{ilc,kaggle,wider,negatives}` (photos with VOC boxes; the last without faces).
Training begins with the stock weights, which are measured beside the outcome (`pip install
'.[train,mtcnn]'`, `maskwatch models get mtcnn-stock`), and faces that nobody labelled are found by
`yunet-n` and ignored (`maskwatch models get yunet-n`). It is what `maskwatch mtcnn train` does with
`--finder yunet-n --steps 10000,6000,5000`; a run that was cut off goes on, a finished one is only
measured again. RUN receives the networks and `card/` with the files for `src/maskwatch/models/`.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from maskwatch import weights
from maskwatch.detectors import load_detector
from maskwatch.detectors.mtcnn import of_run
from maskwatch.metrics.detection import ANY, LOOSE_IOU, DetectionReport
from maskwatch.training.mtcnn import runs
from maskwatch.training.mtcnn.evaluate import by_state, evaluate_mtcnn
from maskwatch.training.mtcnn.networks import STAGES
from maskwatch.training.mtcnn.recipe import MtcnnRecipe
from maskwatch.training.mtcnn.train import train
from maskwatch.training.observer import Silent
from maskwatch.types import CLASSES
from maskwatch.weights.disk import sha256

SOURCES = ("ilc", "kaggle", "wider")
STEPS = {"pnet": 10_000, "rnet": 6_000, "onet": 5_000}
FINDER = "yunet-n"
TEST_SETS = ("ilc", "kaggle")
NAME = "mtcnn"

DATA_SOURCES = [
    "jolignier/face-mask-dataset-ilc-2021, photos with boxes and states, train split",
    "andrewmvd face-mask-detection (Kaggle), photos with boxes and states, train split",
    "WIDER FACE, 200 photos with boxes, train split",
    "Weights to begin with: the package mtcnn 1.0 (MIT)",
]
LIMITS = [
    "Faces under 20 px are not looked for; the time goes with the square of the smallest face.",
    "Boxes are those of ilc: from the forehead to the chin. WIDER FACE has larger ones.",
    "It tells no mask states, and is slower than the one-pass detector, which finds more.",
    "No landmarks: masked faces have none to learn from. mtcnn-stock gives them.",
    "kaggle val has 18 bare faces and 3 wrongly worn masks of 24 px and more: too few to tell.",
]


def main() -> None:
    """Train, measure beside the stock weights, write the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    weights.require("mtcnn-stock")
    base = MtcnnRecipe()
    stages = {name: replace(each, steps=STEPS[name]) for name, each in base.stages.items()}
    recipe = replace(base, stages=stages)
    detection = args.data / "detection"
    finished = train(
        [detection / name for name in SOURCES],
        args.out,
        recipe,
        finder=load_detector(FINDER),
        observer=Lines(),
    )
    if not finished:
        raise SystemExit("stopped; the same command goes on.")
    folder = args.out / "card"
    write_files(args.out, folder)
    write_card(folder, recipe, measured(str(args.out), detection))


class Lines(Silent):
    """Prints what is noted."""

    def note(self, line: str) -> None:
        """Print a line."""
        print(line, flush=True)


def write_files(run: Path, folder: Path) -> None:
    """Copy the networks under the names that they are embedded with."""
    folder.mkdir(exist_ok=True)
    for stage, path in zip(STAGES, of_run(run).files, strict=True):
        shutil.copyfile(path, folder / f"{NAME}-{stage}.onnx")


def measured(run: str, detection: Path) -> dict[str, Any]:
    """The figures of a card, by test set and model."""
    scores: dict[str, Any] = {}
    for name in TEST_SETS:
        done = evaluate_mtcnn([runs.STOCK, run], [detection / name], split="val")
        print(f"{name}/val\n{done.table()}\n", flush=True)
        stock, ours = done.detection.reports
        scores[f"{name}/val"] = {"stock": figures(stock), NAME: figures(ours)}
    done = evaluate_mtcnn(
        [runs.STOCK, run], [detection / "negatives"], split="all", by_network=False
    )
    stock, ours = done.detection.reports
    scores["negatives"] = {
        "photos": ours.photos,
        "stock": {"false_alarms": len(stock.false_alarms)},
        NAME: {"false_alarms": len(ours.false_alarms)},
    }
    return scores


def figures(report: DetectionReport) -> dict[str, Any]:
    """What a card tells of one model on one data set."""
    whole = report.scores[ANY].json()
    tallies = by_state(report, LOOSE_IOU)
    states = {str(state): tallies[state].json() for state in CLASSES}
    return {"any": whole, "by_state_iou30": states}


def write_card(folder: Path, recipe: MtcnnRecipe, scores: dict[str, Any]) -> None:
    """Write what a user of the files should know."""
    files = [folder / f"{NAME}-{stage}.onnx" for stage in STAGES]
    choices = ", ".join(f"{key}={value}" for key, value in asdict(recipe).items())
    card = {
        "name": NAME,
        "kind": "detector",
        "files": [
            {"name": path.name, "sha256": sha256(path), "bytes": path.stat().st_size}
            for path in files
        ],
        "classes": [],
        "input": {
            "dtype": "float32",
            "layout": "NHWC, BGR, 0 to 255; scaling is inside",
            "size": "P-Net any from 12 px, R-Net 24 px, O-Net 48 px",
        },
        "data": DATA_SOURCES,
        "recipe": f"maskwatch mtcnn train from stock, without landmarks, {FINDER} as finder: "
        f"{choices}",
        "seed": recipe.seed,
        "scores": scores,
        "limits": LIMITS,
        "licence": "Apache-2.0 (begun with weights under the MIT licence, see NOTICE)",
        "reproduce": "python scripts/train_mtcnn.py --data DATA --out RUN",
    }
    (folder / f"{NAME}.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
