"""How a training tells what it does. The command line shows it; the library keeps silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Row:
    """One epoch.

    Attributes:
        epoch: From 1.
        loss: Mean over the training batches, with whatever label smoothing the recipe has.
        accuracy: Of the training batches, augmented as they were.
        val_loss: Cross-entropy on the validation faces.
        val_accuracy: On the validation faces.
        rate: Learning rate at the end.
        seconds: Time taken to train, without validation.
    """

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    rate: float
    seconds: float


class Observer(Protocol):
    """Told what goes on."""

    def note(self, line: str) -> None:
        """Something that the user should know."""

    def begin(self, doing: str, total: int, done: int) -> None:
        """A long work begins, or goes on, with `done` of `total` behind it."""

    def step(self, done: int, loss: float | None = None, accuracy: float | None = None) -> None:
        """So much is done; loss and accuracy so far in this epoch."""

    def epoch(self, row: Row, epochs: int) -> None:
        """An epoch of at most `epochs` is done."""


class Silent:
    """Says nothing."""

    def note(self, line: str) -> None:
        """Nothing."""

    def begin(self, doing: str, total: int, done: int) -> None:
        """Nothing."""

    def step(self, done: int, loss: float | None = None, accuracy: float | None = None) -> None:
        """Nothing."""

    def epoch(self, row: Row, epochs: int) -> None:
        """Nothing."""


SILENT = Silent()
