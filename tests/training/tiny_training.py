"""A network of a few weights under a name of its own, and data sets to train it on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from maskwatch.images import write_image
from maskwatch.training.recipes import Recipe, Shifts

SIZE = 32
SHADES = {"with_mask": 60, "without_mask": 190, "incorrect_mask": 120}

RECIPE = Recipe(
    name="tiny",
    summary="",
    source="",
    backbone="Tiny",
    size_px=SIZE,
    dense=(8,),
    dropout=0.2,
    rate=0.02,
    batch=8,
    epochs=3,
    augmentation=Shifts(shift=0.1, flip=True),
)


def tiny_backbone(
    input_shape: Any = None, include_top: bool = True, weights: Any = None, name: str = "tiny"
) -> Any:
    """Two blocks, named as those of keras.applications; `imagenet` is not to be had."""
    import keras

    assert not include_top
    if weights == "imagenet":
        raise Exception("URL fetch failure on http://x.invalid/w.h5: None -- [Errno -2] no name")
    layers = keras.layers
    pixels = keras.Input(input_shape)
    values = pixels
    for block in (1, 2):
        values = layers.Conv2D(4, 3, strides=4, name=f"block{block}_conv")(values)
        values = layers.BatchNormalization(name=f"block{block}_bn")(values)
        values = layers.ReLU(name=f"block{block}_relu")(values)
    return keras.Model(pixels, values, name=name)


def made_crops(
    folder: Path, count: int = 10, states: tuple[str, ...] = ("with_mask", "without_mask")
) -> Path:
    """Crops of a shade by class with noise, in `train` and `val`."""
    for split, number in (("train", count), ("val", max(count // 2, 2))):
        for state in states:
            for index in range(number):
                rng = np.random.default_rng([index, SHADES[state], len(split)])
                pixels = SHADES[state] + rng.integers(-40, 40, (24, 24, 3))
                write_image(folder / split / state / f"{index}.png", pixels.astype(np.uint8))
    return folder
