"""Train one network; a training that was cut off goes on where it was."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import keras

from maskwatch.training.checkpoints import Checkpoints
from maskwatch.training.faces import cores
from maskwatch.training.loop import Plan, run
from maskwatch.training.mtcnn.batches import batches
from maskwatch.training.mtcnn.crops import Rows
from maskwatch.training.mtcnn.loss import MtcnnLoss, accuracy
from maskwatch.training.mtcnn.networks import build_network, load_arrays
from maskwatch.training.mtcnn.recipe import MtcnnRecipe
from maskwatch.training.observer import SILENT, Observer
from maskwatch.training.optimizers import averaging_adamw
from maskwatch.types import Floats


def fit(
    stage: str,
    rows: Rows,
    start: Sequence[Floats] | None,
    recipe: MtcnnRecipe,
    folder: Path,
    *,
    landmarks: bool = False,
    checkpoint_every: int = 200,
    stop: threading.Event | None = None,
    observer: Observer = SILENT,
) -> keras.Model | None:
    """Train a network.

    Args:
        stage: One of `networks.STAGES`.
        rows: Its crops.
        start: Weights to begin with; None begins with random ones.
        recipe: How.
        folder: Keeps the checkpoint.
        landmarks: Whether the O-Net gives them.
        checkpoint_every: Steps between checkpoints.
        stop: When set, the training is saved after the running step and left.
        observer: Told of every step.

    Returns:
        The network with the running mean of its weights; None if it was stopped before.

    Raises:
        DatasetError: There are no crops of faces, or no others.
        ModelOutputError: Loss or weights became NaN or infinite.
        OutputError: A checkpoint cannot be written.
    """
    plan = Plan(1, recipe.stages[stage].steps, save_every=checkpoint_every, workers=cores())
    outcome = run(
        lambda: prepared(stage, start, recipe, landmarks=landmarks),
        batches(rows, stage, recipe, landmarks=landmarks),
        None,
        plan,
        Checkpoints(folder),
        stop=stop,
        observer=observer,
    )
    return outcome.model if outcome.finished else None


def prepared(
    stage: str, start: Sequence[Floats] | None, recipe: MtcnnRecipe, *, landmarks: bool = False
) -> keras.Model:
    """A network ready to be trained; arguments as above."""
    keras.utils.set_random_seed(recipe.seed)
    network = build_network(stage, landmarks=landmarks)
    if start is not None:
        load_arrays(network, start)
    how = recipe.stages[stage]
    optimizer = averaging_adamw(
        how.peak_rate,
        how.steps,
        warmup_steps=max(round(recipe.warmup * how.steps), 1),
        weight_decay=recipe.weight_decay,
        ema=recipe.ema,
        clipnorm=5.0,
    )
    loss = MtcnnLoss(recipe.box_weight, recipe.landmark_weight, recipe.hardest)
    network.compile(optimizer=optimizer, loss=loss, metrics=[accuracy])
    optimizer.build(network.trainable_variables)
    return network
