"""The whole classifier: a backbone, and the layers that turn its features into states."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from maskwatch.errors import UsageError
from maskwatch.training.backbones import BgrInput, build_backbone, input_form, unfreeze
from maskwatch.training.optimizers import mean_momentum
from maskwatch.training.recipes import Recipe
from maskwatch.types import CLASSES


@keras.saving.register_keras_serializable(package="maskwatch")
class StateProbs(keras.layers.Layer):  # type: ignore[misc]
    """Logits of the classes trained on to probabilities of all of `CLASSES`.

    K logits go through a softmax; a single one, z, through a sigmoid: p = sigmoid(z) is the
    probability of the first of two classes and 1 - p that of the second. A class that was not
    trained on gets 0.

    Attributes:
        columns: Index into `CLASSES` of each class trained on.
    """

    def __init__(self, columns: list[int], **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.columns = list(columns)

    def call(self, inputs: Any) -> Any:
        """`(N, K)` or `(N, 1)` to `(N, 3)`."""
        logits = keras.ops.cast(inputs, "float32")
        if logits.shape[-1] == 1:
            first = keras.ops.sigmoid(logits)
            probs = keras.ops.concatenate([first, 1.0 - first], axis=-1)
        else:
            probs = keras.ops.softmax(logits, axis=-1)
        return keras.ops.matmul(probs, np.eye(len(CLASSES), dtype=np.float32)[self.columns])

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Three columns."""
        return (*input_shape[:-1], len(CLASSES))

    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes."""
        return {**super().get_config(), "columns": self.columns}


@dataclass(frozen=True, slots=True)
class Network:
    """A classifier and its parts, which share their weights.

    Attributes:
        model: `(N, S, S, 3)` uint8 BGR to `(N, 3)` probabilities.
        logits: The same without the last step, which is what is trained.
        features: From crops to the rows of features `(N, D)` that the head takes.
        backbone: Within `features`.
        head: Features to logits.
    """

    model: keras.Model
    logits: keras.Model
    features: keras.Model
    backbone: keras.Model
    head: keras.Model


def output_of(recipe: Recipe, columns: list[int]) -> str:
    """`logit` where the recipe has one and there are two classes, else `softmax`."""
    return "logit" if recipe.output == "logit" and len(columns) == 2 else "softmax"


def build_network(
    recipe: Recipe,
    columns: list[int],
    weights: str | Path,
    *,
    seed: int = 0,
    any_size: bool = False,
) -> Network:
    """The network of a recipe.

    Args:
        recipe: How.
        columns: Index into `CLASSES` of each class trained on, at least two.
        weights: Of the backbone, see `build_backbone`.
        seed: Of random weights. A frozen base has the same for every seed, so that its features
            can be shared.
        any_size: Take pictures of any size, where the head allows it.

    Raises:
        UsageError: A head on flat features cannot take any size.
    """
    if any_size and recipe.pool == "flatten":
        raise UsageError("flattened features need pictures of one size.")
    side = None if any_size else recipe.size_px
    keras.utils.set_random_seed(0 if recipe.trainable == "none" else seed)
    backbone = build_backbone(recipe.backbone, side, weights)
    keras.utils.set_random_seed(seed)
    unfreeze(backbone, recipe.backbone, recipe.trainable, recipe.norm_momentum)
    crops = keras.Input((side, side, 3), dtype="uint8", name="crops")
    form = input_form(recipe.backbone) if recipe.scale == "own" else recipe.scale
    maps = backbone(BgrInput(form, name="scale")(crops))
    pool = keras.layers.GlobalAveragePooling2D if recipe.pool == "avg" else keras.layers.Flatten
    # Features are kept for many epochs, so they leave half precision.
    rows = pool(name="features", dtype="float32")(maps)
    features = keras.Model(crops, rows, name="features")
    head = _head(recipe, int(rows.shape[-1]), output_of(recipe, columns), len(columns))
    outputs = head(rows)
    probs = StateProbs(columns, name="state_probs")(outputs)
    return Network(
        keras.Model(crops, probs, name="mask_classifier"),
        keras.Model(crops, outputs, name="mask_logits"),
        features,
        backbone,
        head,
    )


def _head(recipe: Recipe, width: int, output: str, classes: int) -> keras.Model:
    rows = keras.Input((width,), name="rows")
    values = rows
    for index, units in enumerate(recipe.dense):
        values = keras.layers.Dense(units, activation="relu", name=f"dense_{index}")(values)
    if recipe.dropout:
        values = keras.layers.Dropout(recipe.dropout, name="dropout")(values)
    outputs = 1 if output == "logit" else classes
    return keras.Model(
        rows, keras.layers.Dense(outputs, dtype="float32", name="logits")(values), name="head"
    )


def compiled(model: keras.Model, recipe: Recipe, steps: int) -> keras.Model:
    """A model of logits, ready to be trained: optimizer, loss on logits, accuracy.

    Args:
        model: Gives `(N, K)` or, for one logit, `(N, 1)`.
        recipe: How.
        steps: Batches of the whole training, for schedules.
    """
    smoothing = recipe.label_smoothing
    if model.output_shape[-1] == 1:
        loss: Any = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing)
        accuracy: Any = keras.metrics.BinaryAccuracy("accuracy", threshold=0.0)
    else:
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
        accuracy = keras.metrics.CategoricalAccuracy("accuracy")
    optimizer = _optimizer(recipe, steps)
    model.compile(optimizer=optimizer, loss=loss, metrics=[accuracy])
    model.optimizer.build(model.trainable_variables)
    return model


def _optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    rate: Any = recipe.rate
    if recipe.schedule == "cosine":
        warmup = min(recipe.warmup_steps, steps // 10)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, max(steps - warmup, 1), warmup_target=recipe.rate, warmup_steps=warmup
        )
        if not warmup:
            rate = keras.optimizers.schedules.CosineDecay(recipe.rate, max(steps, 1))
    options: dict[str, Any] = {"learning_rate": rate}
    if recipe.ema is not None:
        options |= {"use_ema": True, "ema_momentum": mean_momentum(recipe.ema, steps)}
    if recipe.optimizer == "adamw":
        options["weight_decay"] = recipe.weight_decay
    kinds = {
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "rmsprop": keras.optimizers.RMSprop,
    }
    return kinds[recipe.optimizer](**options)


def targets(labels: Any, columns: list[int], output: str) -> Any:
    """Labels as the loss takes them: one-hot `(N, K)`, or for one logit `(N, 1)`.

    Args:
        labels: `(N,)` index into `CLASSES`, each one of `columns`.
        columns: The classes trained on.
        output: `softmax` or `logit`.
    """
    hot = (np.asarray(labels)[:, None] == np.asarray(columns)).astype(np.float32)
    return hot[:, :1] if output == "logit" else hot
