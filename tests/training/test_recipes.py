"""Rules of the recipes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from maskwatch.errors import UnknownNameError, UsageError
from maskwatch.training.recipes import RECIPES, Shifts, recipe_named

SEED_SHIFTS = Shifts(rotation_deg=20, zoom=0.15, shift=0.2, shear_deg=0.15, flip=True)


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        pytest.param(
            "mobilenetv2",
            {"backbone": "MobileNetV2", "size_px": 224, "dense": (128,), "dropout": 0.5}
            | {"optimizer": "adam", "rate": 1e-4, "batch": 32, "epochs": 20}
            | {"augmentation": SEED_SHIFTS, "trainable": "none", "output": "softmax"},
            id="mobilenetv2",
        ),
        pytest.param(
            "resnet101v2",
            {"backbone": "ResNet101V2", "size_px": 150, "dense": (64,), "output": "logit"}
            | {"optimizer": "rmsprop", "rate": 1e-4, "batch": 128, "epochs": 50}
            | {"validation": 0.33, "keep_best": True},
            id="resnet101v2",
        ),
        pytest.param(
            "vgg19",
            {"backbone": "VGG19", "size_px": 128, "scale": "unit", "pool": "flatten"}
            | {"augmentation": Shifts(zoom=0.2, shear_deg=0.2, flip=True), "epochs": 20},
            id="vgg19",
        ),
        pytest.param("resnet101", {"backbone": "ResNet101", "optimizer": "adam"}, id="resnet101"),
        pytest.param("mobilenetv2-adamw", {"optimizer": "adamw", "rate": 1e-4}, id="adamw"),
        pytest.param("resnet101-adamw", {"backbone": "ResNet101", "optimizer": "adamw"}, id="r-w"),
        pytest.param("best", {"trainable": "all", "augmentation": "strong"}, id="best"),
    ],
)
def test_choices(name: str, choices: dict[str, Any]) -> None:
    """Each recipe makes the choices of its source."""
    recipe = recipe_named(name)
    assert {key: getattr(recipe, key) for key in choices} == choices


@pytest.mark.parametrize("name", RECIPES)
def test_words(name: str) -> None:
    """Each recipe has a line for lists and says what it reproduces."""
    recipe = RECIPES[name]
    assert recipe.name == name
    assert 10 < len(recipe.summary) <= 90
    assert len(recipe.source) > 30


def test_corrections_are_told() -> None:
    """Recipes whose sources were wrong say what was put right."""
    assert "from_logits=False" in RECIPES["resnet101v2"].source
    assert "9 of 313" in RECIPES["vgg19"].source
    assert "augmented validation" in RECIPES["vgg19"].source


def test_unknown() -> None:
    """An unknown recipe is refused with the nearest one."""
    with pytest.raises(UnknownNameError, match="Did you mean 'mobilenetv2'"):
        recipe_named("mobilenetv3")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"optimizer": "adan"}, "unknown optimizer 'adan'", id="optimizer"),
        pytest.param({"scale": "x"}, "unknown scale 'x'", id="scale"),
        pytest.param({"output": "x"}, "unknown output 'x'", id="output"),
        pytest.param({"augmentation": "weak"}, "unknown augmentation 'weak'", id="augmentation"),
        pytest.param({"trainable": "some"}, "neither none, all nor a number", id="trainable"),
        pytest.param({"trainable": 0}, "at least 1", id="no blocks"),
        pytest.param({"epochs": 0}, "epochs is 0", id="epochs"),
        pytest.param({"rate": 0.0}, "learning rate is 0.0", id="rate"),
        pytest.param({"rate": float("nan")}, "learning rate is nan", id="rate nan"),
    ],
)
def test_variations_are_checked(changes: dict[str, Any], words: str) -> None:
    """A variation that makes no sense is refused where it is made."""
    with pytest.raises(UsageError, match=words):
        replace(RECIPES["mobilenetv2"], **changes)


def test_size_at() -> None:
    """The first share of the steps has the first size, a recipe without one its own size."""
    recipe = replace(RECIPES["best"], first_size_px=96, size_px=128, first_share=0.5)
    assert [recipe.size_at(step, 4) for step in range(4)] == [96, 96, 128, 128]
    assert replace(recipe, first_size_px=None).size_at(0, 4) == 128
