"""Fine-tuning of a whole classifier, batch by batch, from memory."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from maskwatch.training.augment import augment
from maskwatch.training.samples import Samples
from maskwatch.types import CLASSES, Floats, Image, MaskState

Batch = tuple[Image, Floats]


@dataclass(frozen=True, slots=True)
class FinetuneRecipe:
    """How a classifier is fine-tuned.

    Attributes:
        size_px: Side of the input.
        first_size_px: Side of the input in the first part of the training: small pictures are
            faster and teach as well until the end (Tan and Le 2021, arXiv:2104.00298).
        first_share: Share of the steps with `first_size_px`.
        steps: Batches trained on.
        batch: Crops in a batch.
        peak_rate: Learning rate of AdamW after the warm-up; it falls as a cosine to 0.
        warmup_steps: Steps in which the rate rises from 0.
        weight_decay: Of AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101).
        label_smoothing: Share of each label spread over all classes.
        ema: Momentum of the running mean of the weights, which is what is kept.
        norm_momentum: Of batch normalisation's statistics; Keras' 0.999 lags in short trainings.
        boxed_weight: How much more often faces from photos are drawn than ready-made crops.
        rare_weight: How much more often `incorrect_mask` is drawn, unless its mask is a drawing.
        seed: Of everything random.
    """

    size_px: int = 128
    first_size_px: int = 96
    first_share: float = 0.55
    steps: int = 3200
    batch: int = 64
    peak_rate: float = 6e-4
    warmup_steps: int = 100
    weight_decay: float = 0.01
    label_smoothing: float = 0.05
    ema: float = 0.999
    norm_momentum: float = 0.99
    boxed_weight: float = 2.0
    rare_weight: float = 3.0
    seed: int = 7

    def size_at(self, step: int) -> int:
        """Side of the input in a step."""
        return self.first_size_px if step < self.first_share * self.steps else self.size_px


def draw_weights(samples: Samples, recipe: FinetuneRecipe) -> NDArray[np.float64]:
    """Probability of each sample to be drawn, `(N,)`, sums to 1."""
    weights = np.where(samples.boxed, recipe.boxed_weight, 1.0)
    rare = samples.labels == CLASSES.index(MaskState.INCORRECT_MASK)
    weights[rare & ~samples.drawn] *= recipe.rare_weight
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def batches(samples: Samples, recipe: FinetuneRecipe, first_step: int = 0) -> Iterator[Batch]:
    """Augmented batches `(B, S, S, 3)` uint8, S by `size_at`, and smooth labels `(B, 3)`, for ever.

    Batch k depends on the seed and k alone, so a resumed training sees what it would have seen.
    """
    weights = draw_weights(samples, recipe)
    step = first_step
    while True:
        rng = np.random.default_rng([recipe.seed, step])
        chosen = rng.choice(len(samples), recipe.batch, p=weights)
        size_px = recipe.size_at(step)
        crops = np.stack([augment(samples.crops[i], size_px, rng) for i in chosen])
        labels = np.eye(len(CLASSES), dtype=np.float32)[samples.labels[chosen]]
        smooth = recipe.label_smoothing
        yield crops, labels * (1 - smooth) + smooth / len(CLASSES)
        step += 1


def ahead(source: Iterator[Batch], depth: int = 4) -> Generator[Batch, None, None]:
    """The same batches, made in a thread ahead of their use; what fails there is raised here."""
    ready: queue.Queue[Batch | Exception | None] = queue.Queue(depth)
    done = threading.Event()

    def put(item: Batch | Exception | None) -> None:
        while not done.is_set():
            try:
                ready.put(item, timeout=0.5)
                return
            except queue.Full:
                continue

    def fill() -> None:
        try:
            for batch in source:
                put(batch)
                if done.is_set():
                    return
            put(None)
        except Exception as exc:  # whatever it is, the training must not wait for ever
            put(exc)

    threading.Thread(target=fill, name="batches", daemon=True).start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        done.set()


def finetune(
    model: keras.Model,
    samples: Samples,
    recipe: FinetuneRecipe,
    folder: Path,
    *,
    log: Callable[[str], None] = print,
    checkpoint_every: int = 100,
) -> keras.Model:
    """Train all layers of a classifier; a training that was cut off goes on where it was.

    Args:
        model: From `maskwatch.training.backbones`, for pictures of any size.
        samples: To train on.
        recipe: How.
        folder: Keeps `checkpoint.keras`.
        log: Receives a line of progress now and then.
        checkpoint_every: Steps between checkpoints.

    Returns:
        The trained model, with the running mean of its weights.
    """
    checkpoint = folder / "checkpoint.keras"
    if checkpoint.exists():
        model = keras.models.load_model(checkpoint)
    else:
        _prepare(model, recipe)
    step = int(model.optimizer.iterations.numpy())
    started, first, losses = time.monotonic(), step, []
    with closing(ahead(batches(samples, recipe, step))) as source:
        while step < recipe.steps:
            losses.append(float(model.train_on_batch(*next(source))))
            step += 1
            if step % 20 == 0:
                speed = (step - first) * recipe.batch / (time.monotonic() - started)
                log(f"step {step}/{recipe.steps} loss {np.mean(losses):.4f} {speed:.0f} images/s")
                losses.clear()
            if step % checkpoint_every == 0:
                _save(model, checkpoint)
    model.optimizer.finalize_variable_values(model.trainable_variables)
    return model


def _prepare(model: keras.Model, recipe: FinetuneRecipe) -> None:
    keras.utils.set_random_seed(recipe.seed)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = recipe.norm_momentum
    rate = keras.optimizers.schedules.CosineDecay(
        0.0,
        max(recipe.steps - recipe.warmup_steps, 1),
        warmup_target=recipe.peak_rate,
        warmup_steps=recipe.warmup_steps,
    )
    optimizer = keras.optimizers.AdamW(
        rate, weight_decay=recipe.weight_decay, use_ema=True, ema_momentum=recipe.ema
    )
    model.compile(optimizer=optimizer, loss="categorical_crossentropy")
    optimizer.build(model.trainable_variables)


def _save(model: keras.Model, path: Path) -> None:
    """Write beside and rename, so that a kill leaves the old or the new, never a torn file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"part-{path.name}")
    model.save(part)
    part.replace(path)
