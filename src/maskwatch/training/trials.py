"""What a comparison trains: every recipe with every optimiser and seed. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from maskwatch.errors import SettingsError, UsageError
from maskwatch.training.recipes import Recipe, recipe_named

NO_FILE = ("imagenet", "none")


@dataclass(frozen=True, slots=True)
class Trial:
    """One training of a comparison.

    Attributes:
        group: What it shares with its other seeds: `mobilenetv2`, or `mobilenetv2+adamw` where
            the optimiser is not the recipe's own.
        recipe: With that optimiser.
        weights: Of the backbone: `imagenet`, `none` or a file.
        seed: Of the training.
    """

    group: str
    recipe: Recipe
    weights: str
    seed: int

    @property
    def name(self) -> str:
        """Of its folder: `mobilenetv2+adamw-seed0`."""
        return f"{self.group}-seed{self.seed}"

    @property
    def settings(self) -> dict[str, Any]:
        """All that its result depends on, as JSON reads it back."""
        recipe = asdict(self.recipe)
        for words in ("summary", "source"):
            recipe.pop(words, None)
        settings = {"recipe": recipe, "weights": self.weights, "seed": self.seed}
        plain: dict[str, Any] = json.loads(json.dumps(settings))
        return plain


def plan_trials(
    recipes: Sequence[str],
    optimizers: Sequence[str] = (),
    *,
    seeds: int = 3,
    epochs: int | None = None,
    weights: Mapping[str, str] | None = None,
) -> list[Trial]:
    """Every recipe with every optimiser and seed.

    All groups train their first seed before any trains its second, so that a comparison that is
    stopped early has something of each.

    Args:
        recipes: Names.
        optimizers: Names; none takes each recipe's own.
        seeds: How many; they are 0, 1, 2, …
        epochs: For all; None takes each recipe's own.
        weights: By recipe, and by the empty name for all others; default `imagenet`.

    Raises:
        UnknownNameError: No such recipe or optimiser.
        UsageError: A recipe is named twice, or there is nothing to train.
    """
    files = dict(weights or {})
    unknown = sorted(set(files) - set(recipes) - {""})
    if unknown:
        raise UsageError(f"--weights names {unknown[0]!r}, which --recipes does not.")
    for kind, names in (("recipes", recipes), ("optimizers", optimizers)):
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UsageError(f"--{kind} names {twice!r} twice.")
    if not recipes or seeds < 1:
        raise UsageError("a comparison needs at least one recipe and one seed.")
    groups = [
        (group, recipe, files.get(name, files.get("", "imagenet")))
        for name in recipes
        for group, recipe in _with_optimizers(recipe_named(name), optimizers, epochs)
    ]
    return [Trial(*group, seed) for seed in range(seeds) for group in groups]


def _with_optimizers(
    recipe: Recipe, optimizers: Sequence[str], epochs: int | None
) -> Iterator[tuple[str, Recipe]]:
    if epochs is not None:
        recipe = replace(recipe, epochs=epochs)
    for optimizer in optimizers or (recipe.optimizer,):
        own = optimizer == recipe.optimizer
        group = recipe.name if own else f"{recipe.name}+{optimizer}"
        yield group, recipe if own else replace(recipe, optimizer=optimizer)


def parse_weights(text: str) -> dict[str, str]:
    """The weights of each recipe from `imagenet`, `none`, `FILE` or `NAME=FILE,…`.

    One part without `NAME=` is for all recipes that are not named, and has the empty name.

    Raises:
        SettingsError: There are two such parts, a name is given twice, or a file is not there.
    """
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        whole = part in NO_FILE or Path(part).exists()
        name, equals, file = ("", "=", part) if whole else part.partition("=")
        if not equals:
            name, file = "", part
        if name in found:
            what = f"{name!r} twice" if name else "more than one for all recipes"
            raise SettingsError(f"--weights {text} gives {what}.")
        if file not in NO_FILE and not Path(file).is_file():
            raise SettingsError(f"--weights: no file {file}. Give imagenet, none or a file.")
        found[name] = file
    return found
