"""Train the one-pass detector; a training that was cut off goes on where it was."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import keras

from maskwatch.errors import UnknownNameError
from maskwatch.training.backbones import build_backbone
from maskwatch.training.checkpoints import Checkpoints
from maskwatch.training.faces import cores
from maskwatch.training.finetune import StepLog
from maskwatch.training.loop import Plan, run
from maskwatch.training.onepass.loss import OnePassLoss
from maskwatch.training.onepass.network import build_network
from maskwatch.training.onepass.pack import Pack
from maskwatch.training.onepass.recipe import OnePassRecipe
from maskwatch.training.onepass.views import batches
from maskwatch.training.optimizers import averaging_adamw


def fit(
    pack: Pack,
    weights: str | Path,
    recipe: OnePassRecipe,
    folder: Path,
    *,
    start: keras.Model | None = None,
    log: Callable[[str], None] = print,
    checkpoint_every: int = 100,
    stop: threading.Event | None = None,
) -> keras.Model | None:
    """Train a detector.

    Args:
        pack: To train on.
        weights: Of the MobileNetV2 to start from: a file as `load_backbone` takes it (also a
            classifier with that network inside), `imagenet`, or `none`.
        recipe: How.
        folder: Keeps the checkpoint.
        start: An earlier outcome to go on from, with the recipe's own rates, not where it was.
        log: Receives a line of progress now and then.
        checkpoint_every: Steps between checkpoints.
        stop: When set, the training is saved after the running step and left.

    Returns:
        The trained network, with the running mean of its weights; None if it was stopped before.
    """
    plan = Plan(1, recipe.steps, save_every=checkpoint_every, workers=cores())
    outcome = run(
        lambda: prepared(weights, recipe, start),
        batches(pack, recipe),
        None,
        plan,
        Checkpoints(folder),
        stop=stop,
        observer=StepLog(log, recipe.steps, recipe.batch),
    )
    return outcome.model if outcome.finished else None


def prepared(
    weights: str | Path, recipe: OnePassRecipe, start: keras.Model | None = None
) -> keras.Model:
    """A network ready to be trained; arguments as above.

    Raises:
        UnknownNameError: The backbone has no layer of the name that training begins at.
    """
    keras.utils.set_random_seed(recipe.seed)
    backbone = build_backbone("MobileNetV2", None, weights)
    network = build_network(backbone, channels=recipe.channels, depth=recipe.depth)
    if start is not None:
        network.set_weights(start.get_weights())
    freeze(network, recipe.frozen_until)
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = recipe.norm_momentum
    optimizer = averaging_adamw(
        recipe.peak_rate,
        recipe.steps,
        warmup_steps=recipe.warmup_steps,
        weight_decay=recipe.weight_decay,
        ema=recipe.ema,
        clipnorm=10.0,
    )
    loss = OnePassLoss(recipe.box_weight, recipe.state_weight, smoothing=recipe.label_smoothing)
    network.compile(optimizer=optimizer, loss=loss)
    optimizer.build(network.trainable_variables)
    return network


def freeze(network: keras.Model, until: str) -> None:
    """Keep the backbone's layers before the one of that name as they are; empty keeps none.

    Raises:
        UnknownNameError: There is no such layer.
    """
    layers = network.get_layer("features").layers
    names = [layer.name for layer in layers]
    if until and until not in names:
        raise UnknownNameError("layer", until, names)
    for layer in layers[: names.index(until) if until else 0]:
        # Normalisation, too, then keeps its statistics and computes as in serving.
        layer.trainable = False
