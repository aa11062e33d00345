"""Rules of the exception tree and of the texts it composes."""

from __future__ import annotations

import inspect

import pytest

from maskwatch import errors
from maskwatch.errors import (
    MaskwatchError,
    MissingExtraError,
    OutputExistsError,
    UnknownNameError,
    UsageError,
)

ALL = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and issubclass(kind, MaskwatchError)
]


def tree(kind: type[Exception], depth: int = 0) -> list[tuple[str, int]]:
    """Names and depths of a class and all below it, each parent before its children."""
    found = [(kind.__name__, depth)]
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            found += tree(child, depth + 1)
    return found


def test_tree_is_as_drawn() -> None:
    """The tree in the module's docstring is the tree of the classes, in the same order."""
    lines = (errors.__doc__ or "").splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip() == "MaskwatchError")
    drawn = []
    for line in lines[start:]:
        if name := line.lstrip(" │├└─").split(" ")[0]:
            drawn.append((name, line.index(name) // 4 - 1))
    assert drawn == tree(MaskwatchError)
    assert len(drawn) == len(ALL)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_exit_code(kind: type[MaskwatchError]) -> None:
    """A wrong request ends with 2, anything else that fails with 1."""
    assert kind.exit_code == (2 if issubclass(kind, UsageError) else 1)


def test_unknown_name() -> None:
    """An unknown name is answered with the nearest one and with all, sorted."""
    error = UnknownNameError("detector", "harr", ["yunet", "haar", "ssd"])
    assert str(error) == (
        "unknown detector 'harr'. Did you mean 'haar'? Choose one of: haar, ssd, yunet."
    )


def test_unknown_name_unlike_any() -> None:
    """Without a name nearby there is no guess."""
    error = UnknownNameError("detector", "retina", ["yunet", "haar"])
    assert str(error) == "unknown detector 'retina'. Choose one of: haar, yunet."


def test_output_exists() -> None:
    """An output that exists is named, with the option that replaces it."""
    assert "out/a.jpg" in str(OutputExistsError("out/a.jpg"))
    assert "--overwrite" in str(OutputExistsError("out/a.jpg"))


def test_missing_extra() -> None:
    """A missing extra names its install command."""
    text = str(MissingExtraError("`maskwatch train`", "train"))
    assert text.startswith("`maskwatch train` needs")
    assert "pip install 'maskwatch[train]'" in text
