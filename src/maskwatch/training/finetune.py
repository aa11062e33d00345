"""Fine-tuning of a three-class classifier on crops in memory, by the recipe `best`.

`maskwatch.training.fit` trains by any recipe, from a data set on disk; this takes crops from
several sources, some with masks drawn on, as the embedded classifier needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from maskwatch.training.augment import augment
from maskwatch.training.checkpoints import Checkpoints
from maskwatch.training.faces import cores
from maskwatch.training.loop import Batch, Plan, run
from maskwatch.training.observer import Silent
from maskwatch.training.optimizers import averaging_adamw
from maskwatch.training.recipes import RECIPES
from maskwatch.training.samples import Samples
from maskwatch.types import CLASSES, MaskState

_BEST = RECIPES["best"]
_LOG_EVERY = 20


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
        ema: Momentum of the running mean of the weights, which is what is kept; less in trainings
            too short for it, see `mean_momentum`.
        norm_momentum: Of batch normalisation's statistics; Keras' 0.999 lags in short trainings.
        boxed_weight: How much more often faces from photos are drawn than ready-made crops.
        rare_weight: How much more often `incorrect_mask` is drawn, unless its mask is a drawing.
        seed: Of everything random.
    """

    size_px: int = _BEST.size_px
    first_size_px: int = 96
    first_share: float = _BEST.first_share
    steps: int = 3200
    batch: int = _BEST.batch
    peak_rate: float = _BEST.rate
    warmup_steps: int = _BEST.warmup_steps
    weight_decay: float = _BEST.weight_decay
    label_smoothing: float = _BEST.label_smoothing
    ema: float = 0.999
    norm_momentum: float = _BEST.norm_momentum
    boxed_weight: float = _BEST.boxed_weight
    rare_weight: float = _BEST.rare_weight
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


def batches(samples: Samples, recipe: FinetuneRecipe) -> Callable[[int], Batch]:
    """From a step to its augmented batch.

    Batch k depends on the seed and k alone, so a resumed training sees what it would have seen.

    Returns:
        A function that gives `(B, S, S, 3)` uint8, S by `size_at`, and smooth labels `(B, 3)`.
    """
    weights = draw_weights(samples, recipe)

    def batch_at(step: int) -> Batch:
        rng = np.random.default_rng([recipe.seed, step])
        chosen = rng.choice(len(samples), recipe.batch, p=weights)
        size_px = recipe.size_at(step)
        crops = np.stack([augment(samples.crops[i], size_px, rng) for i in chosen])
        labels = np.eye(len(CLASSES), dtype=np.float32)[samples.labels[chosen]]
        smooth = recipe.label_smoothing
        return crops, labels * (1 - smooth) + smooth / len(CLASSES)

    return batch_at


class StepLog(Silent):
    """Tells every few steps how far it is."""

    def __init__(
        self,
        log: Callable[[str], None],
        steps: int,
        batch: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare.

        Args:
            log: Receives the lines.
            steps: Of the training.
            batch: Pictures in a step.
            clock: Seconds.
        """
        self._log = log
        self._steps = steps
        self._batch = batch
        self._clock = clock
        self._first = 0
        self._began_s = clock()

    def begin(self, doing: str, total: int, done: int) -> None:
        """What was done before does not count as speed."""
        self._first, self._began_s = done, self._clock()

    def step(self, done: int, loss: float | None = None, accuracy: float | None = None) -> None:
        """A line with step, mean loss so far and speed."""
        if done % _LOG_EVERY == 0:
            seconds = max(self._clock() - self._began_s, 1e-9)
            speed = (done - self._first) * self._batch / seconds
            told = 0.0 if loss is None else loss
            self._log(f"step {done}/{self._steps} loss {told:.4f} {speed:.0f} images/s")


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
        folder: Keeps the checkpoint.
        log: Receives a line of progress now and then.
        checkpoint_every: Steps between checkpoints.

    Returns:
        The trained model, with the running mean of its weights.
    """
    plan = Plan(1, recipe.steps, save_every=checkpoint_every, workers=cores())
    outcome = run(
        lambda: _prepared(model, recipe),
        batches(samples, recipe),
        None,
        plan,
        Checkpoints(folder),
        observer=StepLog(log, recipe.steps, recipe.batch),
    )
    return outcome.model


def _prepared(model: keras.Model, recipe: FinetuneRecipe) -> keras.Model:
    keras.utils.set_random_seed(recipe.seed)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = recipe.norm_momentum
    optimizer = averaging_adamw(
        recipe.peak_rate,
        recipe.steps,
        warmup_steps=recipe.warmup_steps,
        weight_decay=recipe.weight_decay,
        ema=recipe.ema,
    )
    model.compile(optimizer=optimizer, loss="categorical_crossentropy")
    optimizer.build(model.trainable_variables)
    return model
