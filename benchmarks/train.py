"""How fast training is, against loops that are plain but reasonably written.

python benchmarks/train.py [--data FOLDER] [--weights FILE] [--epochs N] [--images N] [--out FILE]

1. The recipe `mobilenetv2`: `maskwatch.training` with cached features, against Keras' `fit` with
   `tf.data`: pictures decoded once and kept in memory, augmented by Keras' layers in parallel,
   the whole network run forwards in every epoch. Both are measured from nothing to a trained
   model, validation after each epoch included, and judged on the same test pictures.
2. Fine-tuning all layers: images per second of our loop, which augments strongly meanwhile,
   against `train_on_batch` on arrays that lie ready. Rounds alternate and the best of each counts.

The machine may be shared: ratios say more than seconds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from machine import SHARED, machine

from maskwatch import __version__
from maskwatch.datasets.formats import load_dataset
from maskwatch.errors import UnreadableImageError
from maskwatch.training.checkpoints import Checkpoints
from maskwatch.training.faces import FaceSet, ahead, cores, cut_faces, list_faces
from maskwatch.training.fit import train
from maskwatch.training.heads import build_network, compiled
from maskwatch.training.loop import Plan, run
from maskwatch.training.observer import Silent
from maskwatch.training.recipes import MOBILENETV2, RECIPES, Recipe, Shifts
from maskwatch.training.views import Views

ROUNDS = 3


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    own = SHARED / "weights" / "mobilenet_v2_1.0_imagenet_no_top.weights.h5"
    data = SHARED / "data" / "classification" / "crops12k"
    parser.add_argument("--data", type=Path, default=data)
    parser.add_argument("--weights", default=str(own) if own.exists() else "imagenet")
    parser.add_argument("--epochs", type=int, default=MOBILENETV2.epochs)
    parser.add_argument("--images", type=int, help="of each split, at most")
    parser.add_argument("--steps", type=int, default=40, help="of fine-tuning, a round")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/train.json"))
    args = parser.parse_args()
    if not args.data.is_dir():
        raise SystemExit(f"no data in {args.data}: give a folder with --data.")
    tuning = fine_tuning(args.data, args.weights, args.steps)
    print(f"fine-tuning, images/s: {tuning}", flush=True)
    recipe = replace(MOBILENETV2, epochs=args.epochs)
    frozen = frozen_base(args.data, args.weights, recipe, args.images)
    print(f"frozen base, {args.epochs} epochs: {frozen}", flush=True)
    result = {
        "machine": machine() | {"keras": keras.__version__, "tensorflow": tf.__version__},
        "maskwatch": __version__,
        "frozen_base": frozen,
        "fine_tuning": tuning,
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n")


def faces_of(data: Path, split: str, limit: int | None) -> FaceSet:
    """The faces of a split, or some of them, spread over all."""
    records = [record for record in load_dataset(data).records if record.split == split]
    faces = list_faces(records, 24)
    chosen = np.arange(len(faces.pictures))
    if limit is not None and limit < len(chosen):
        chosen = np.linspace(0, len(chosen) - 1, limit).astype(int)
    return FaceSet(tuple(faces.pictures[i] for i in chosen))


def pixels(faces: FaceSet, size_px: int) -> Any:
    """All crops, `(N, S, S, 3)`."""
    cut = Views(size_px).cut
    crops = list(ahead(faces.pictures, lambda p: cut_faces(p, cut), workers=cores()))
    return np.concatenate([c for c in crops if not isinstance(c, UnreadableImageError)])


def frozen_base(data: Path, weights: str, recipe: Recipe, limit: int | None) -> dict[str, Any]:
    """Seconds and test accuracy of both ways."""
    splits = {name: faces_of(data, name, limit) for name in ("train", "val", "test")}
    test = pixels(splits["test"], recipe.size_px)
    truth = splits["test"].labels
    scores: dict[str, Any] = {
        "epochs": recipe.epochs,
        "images": {name: len(faces) for name, faces in splits.items()},
    }
    with tempfile.TemporaryDirectory() as scratch:
        chosen = linked(splits, Path(scratch) / "data")
        loops: dict[str, Callable[[], keras.Model]] = {
            "maskwatch": lambda: ours(chosen, weights, recipe, Path(scratch)),
            "plain": lambda: plain(splits, weights, recipe),
        }
        for name, work in loops.items():
            began_s = time.perf_counter()
            model = work()
            seconds = time.perf_counter() - began_s
            probs = model.predict(test, verbose=0)[:, :2]
            accuracy = float((probs.argmax(axis=1) == truth).mean())
            scores[name] = {"seconds": round(seconds, 1), "test_accuracy": round(accuracy, 4)}
            print(f"{name}: {scores[name]}", flush=True)
    scores["times_faster"] = round(scores["plain"]["seconds"] / scores["maskwatch"]["seconds"], 1)
    return scores


def linked(splits: dict[str, FaceSet], folder: Path) -> Path:
    """The chosen pictures as a data set of links."""
    names = ("with_mask", "without_mask", "incorrect_mask")
    for split, faces in splits.items():
        for index, picture in enumerate(faces.pictures):
            place = folder / split / names[int(picture.labels[0])]
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{index:06}{picture.path.suffix}").symlink_to(picture.path.resolve())
    return folder


def ours(data: Path, weights: str, recipe: Recipe, scratch: Path) -> keras.Model:
    """From nothing to a trained model: nothing is cached before."""
    run_ = train(data, recipe, scratch / "run", weights=weights, cache=scratch / "cache")
    print(f"  of these for features: {run_.facts['features_seconds']} s", flush=True)
    return run_.load_model()


def plain(splits: dict[str, FaceSet], weights: str, recipe: Recipe) -> keras.Model:
    """Keras' `fit`, the network run forwards in every epoch."""
    keras.utils.set_random_seed(0)
    network = build_network(recipe, [0, 1], weights)
    network.model.compile(
        keras.optimizers.Adam(recipe.rate), "categorical_crossentropy", metrics=["accuracy"]
    )
    sets = []
    for name in ("train", "val"):
        faces = splits[name]
        labels = np.eye(3, dtype=np.float32)[faces.labels]
        # Kept at the size of the files and scaled when they are used: as fast, and fits in memory.
        rows = tf.data.Dataset.from_tensor_slices((pixels(faces, 128), labels))
        if name == "train":
            rows = rows.shuffle(len(faces), seed=0)
        step = keras_augmentation(recipe) if name == "train" else keras_scaling(recipe)
        sets.append(
            rows.batch(recipe.batch)
            .map(step, num_parallel_calls=tf.data.AUTOTUNE)
            .prefetch(tf.data.AUTOTUNE)
        )
    network.model.fit(
        sets[0], validation_data=sets[1], epochs=recipe.epochs, shuffle=False, verbose=2
    )
    return network.model


def keras_scaling(recipe: Recipe) -> Any:
    """Pictures of a batch in the size of the network."""
    side = (recipe.size_px, recipe.size_px)

    def scale(crops: Any, labels: Any) -> Any:
        return tf.cast(tf.image.resize(crops, side), tf.uint8), labels

    return scale


def keras_augmentation(recipe: Recipe) -> Any:
    """The recipe's augmentation by Keras' layers."""
    shifts = recipe.augmentation
    assert isinstance(shifts, Shifts)
    layers = [
        keras.layers.RandomFlip("horizontal"),
        keras.layers.RandomRotation(shifts.rotation_deg / 360, fill_mode="nearest"),
        keras.layers.RandomZoom(shifts.zoom, fill_mode="nearest"),
        keras.layers.RandomTranslation(shifts.shift, shifts.shift, fill_mode="nearest"),
    ]
    scale = keras_scaling(recipe)

    def augment(crops: Any, labels: Any) -> Any:
        views = tf.cast(scale(crops, labels)[0], tf.float32)
        for layer in layers:
            views = layer(views, training=True)
        return tf.cast(tf.clip_by_value(views, 0, 255), tf.uint8), labels

    return augment


class StepTimes(Silent):
    """Notes when each step ended."""

    def __init__(self) -> None:
        self.times_s: list[float] = []

    def step(self, done: int, loss: float | None = None, accuracy: float | None = None) -> None:
        """A step is done."""
        self.times_s.append(time.perf_counter())

    def images_per_s(self, batch: int) -> float:
        """Speed from the first step's end to the last one's."""
        return batch * (len(self.times_s) - 1) / (self.times_s[-1] - self.times_s[0])


def fine_tuning(data: Path, weights: str, steps: int) -> dict[str, Any]:
    """Images per second of our loop and of a bare one, at the recipe's full size."""
    recipe = replace(RECIPES["best"], first_size_px=None)
    faces = faces_of(data, "train", 1000)
    views = Views(recipe.size_px, recipe.augmentation)
    crops = list(ahead(faces.pictures, lambda p: cut_faces(p, views.cut), workers=cores()))
    stored = np.concatenate([c for c in crops if not isinstance(c, UnreadableImageError)])
    wanted = np.eye(2, dtype=np.float32)[faces.labels]
    model = compiled(build_network(recipe, [0, 1], weights).logits, recipe, 10_000)

    def batch_at(step: int) -> Any:
        rng = np.random.default_rng(step)
        chosen = rng.integers(0, len(stored), recipe.batch)
        return np.stack([views.draw(stored[i], rng) for i in chosen]), wanted[chosen]

    ready = batch_at(0)
    model.train_on_batch(*ready)
    speeds: dict[str, list[float]] = {"maskwatch": [], "bare": []}
    for _ in range(ROUNDS):
        speeds["bare"].append(bare(model, ready, steps))
        speeds["maskwatch"].append(looped(model, batch_at, steps, recipe.batch))
    best = {name: max(found) for name, found in speeds.items()}
    return {
        "size_px": recipe.size_px,
        "batch": recipe.batch,
        "images_per_s": {name: round(speed, 1) for name, speed in best.items()},
        "share_of_bare": round(best["maskwatch"] / best["bare"], 3),
    }


def bare(model: keras.Model, ready: Any, steps: int) -> float:
    """`train_on_batch` on the same arrays again and again."""
    times = StepTimes()
    for done in range(steps):
        model.train_on_batch(*ready)
        times.step(done)
    return times.images_per_s(len(ready[0]))


def looped(model: keras.Model, batch_at: Any, steps: int, batch: int) -> float:
    """Our loop, for one epoch."""
    times = StepTimes()
    model.optimizer.iterations.assign(0)
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(1, steps, save_every=steps, workers=cores())
        checkpoints = Checkpoints(Path(folder))
        run(lambda: model, batch_at, None, plan, checkpoints, observer=times)
    return times.images_per_s(batch)


if __name__ == "__main__":
    main()
