"""Rules of what a comparison trains."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskwatch.errors import SettingsError, UnknownNameError, UsageError
from maskwatch.training.recipes import RECIPES
from maskwatch.training.trials import parse_weights, plan_trials


def test_every_combination() -> None:
    """Every recipe with every optimiser and seed, all groups before the next seed."""
    trials = plan_trials(["mobilenetv2", "vgg19"], ["adam", "adamw"], seeds=2)
    groups = ["mobilenetv2", "mobilenetv2+adamw", "vgg19", "vgg19+adamw"]
    assert [trial.name for trial in trials] == [
        f"{group}-seed{seed}" for seed in (0, 1) for group in groups
    ]
    assert [trial.recipe.optimizer for trial in trials] == ["adam", "adamw"] * 4


def test_own_optimizer() -> None:
    """Without optimisers each recipe is trained as it is."""
    trials = plan_trials(["mobilenetv2", "resnet101v2"], seeds=1)
    assert [trial.recipe for trial in trials] == [RECIPES["mobilenetv2"], RECIPES["resnet101v2"]]
    assert [trial.group for trial in trials] == ["mobilenetv2", "resnet101v2"]


def test_epochs() -> None:
    """The number of epochs is for all, and nothing else of a recipe changes."""
    (trial,) = plan_trials(["vgg19"], seeds=1, epochs=2)
    assert trial.recipe.epochs == 2
    assert trial.settings["recipe"]["epochs"] == 2
    (own,) = plan_trials(["vgg19"], seeds=1)
    differing = {k for k, v in trial.settings["recipe"].items() if own.settings["recipe"][k] != v}
    assert differing == {"epochs"}


def test_weights_by_recipe() -> None:
    """A recipe takes its own weights, else those for all, else imagenet."""
    named = {"vgg19": "a.h5"}
    assert [t.weights for t in plan_trials(["vgg19", "resnet101"], seeds=1, weights=named)] == [
        "a.h5",
        "imagenet",
    ]
    named[""] = "none"
    assert [t.weights for t in plan_trials(["vgg19", "resnet101"], seeds=1, weights=named)] == [
        "a.h5",
        "none",
    ]


@pytest.mark.parametrize(
    ("recipes", "optimizers", "message"),
    [
        pytest.param(["mobilenetv3"], [], "unknown recipe 'mobilenetv3'", id="recipe"),
        pytest.param(["vgg19"], ["adma"], "unknown optimizer 'adma'", id="optimizer"),
    ],
)
def test_unknown_names(recipes: list[str], optimizers: list[str], message: str) -> None:
    """A name that is none is named with those that are."""
    with pytest.raises(UnknownNameError, match=message):
        plan_trials(recipes, optimizers)


@pytest.mark.parametrize(
    ("recipes", "optimizers", "weights", "message"),
    [
        pytest.param(["vgg19", "vgg19"], [], {}, "--recipes names 'vgg19' twice", id="recipe"),
        pytest.param(["vgg19"], ["adam"] * 2, {}, "--optimizers names 'adam'", id="optimizer"),
        pytest.param([], [], {}, "at least one recipe", id="none"),
        pytest.param(["vgg19"], [], {"best": "none"}, "--weights names 'best'", id="weights"),
    ],
)
def test_wrong_plans(
    recipes: list[str], optimizers: list[str], weights: dict[str, str], message: str
) -> None:
    """What cannot be meant is refused before anything is trained."""
    with pytest.raises(UsageError, match=message):
        plan_trials(recipes, optimizers, weights=weights)


def test_parse_weights(tmp_path: Path) -> None:
    """Weights are given for all, by recipe, or both; a file may have an equals sign."""
    file, odd = tmp_path / "w.h5", tmp_path / "a=b.h5"
    for path in (file, odd):
        path.write_bytes(b"")
    assert parse_weights("imagenet") == {"": "imagenet"}
    assert parse_weights(str(odd)) == {"": str(odd)}
    assert parse_weights(f"none, mobilenetv2={file},vgg19=imagenet") == {
        "": "none",
        "mobilenetv2": str(file),
        "vgg19": "imagenet",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("nowhere.h5", "no file nowhere.h5", id="file"),
        pytest.param("vgg19=nowhere.h5", "no file nowhere.h5", id="named file"),
        pytest.param("none,imagenet", "more than one for all recipes", id="two for all"),
        pytest.param("vgg19=none,vgg19=imagenet", "'vgg19' twice", id="twice"),
    ],
)
def test_wrong_weights(text: str, message: str) -> None:
    """A file that is not there, or two weights for one recipe, are refused."""
    with pytest.raises(SettingsError, match=message):
        parse_weights(text)
