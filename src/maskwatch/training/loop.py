"""The loop of every training: batch by batch, epoch by epoch, stopped and resumed anywhere."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from maskwatch.errors import ModelOutputError
from maskwatch.training.checkpoints import Checkpoints, State, not_finite, step_of
from maskwatch.training.devices import Devices
from maskwatch.training.faces import ahead
from maskwatch.training.observer import SILENT, Observer, Row
from maskwatch.types import Floats

Batch = tuple[Any, Floats]

BatchAt = Callable[[int], Batch]
"""From the number of a step to its inputs and targets; the same for the same number."""

Validate = Callable[[keras.Model], tuple[float, float]]
"""Loss and accuracy of a model on the validation faces."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a training is, and when it is saved.

    Attributes:
        epochs: At most.
        steps: Batches in an epoch.
        save_every: Steps between checkpoints within an epoch; each epoch ends with one.
        keep_best: End with the weights of the best epoch, not of the last.
        patience: Stop after so many epochs that were not the best; None never does.
        workers: Threads that make batches ahead; 0 makes each when it is due.
    """

    epochs: int
    steps: int
    save_every: int = 100
    keep_best: bool = False
    patience: int | None = None
    workers: int = 0

    @property
    def keeps_best(self) -> bool:
        """Whether the best epoch is kept: also where a training may stop early."""
        return self.keep_best or self.patience is not None

    def ended(self, rows: list[Row], best: Row | None) -> bool:
        """Whether no more epochs follow."""
        if len(rows) >= self.epochs:
            return True
        return (
            self.patience is not None
            and best is not None
            and (len(rows) - best.epoch >= self.patience)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """How a training ended.

    Attributes:
        model: With the weights to keep, if finished.
        rows: The epochs done.
        kept: The epoch whose weights these are.
        finished: False where it was stopped and is to be resumed.
    """

    model: keras.Model
    rows: list[Row]
    kept: Row | None
    finished: bool


def run(
    make_model: Callable[[], keras.Model],
    batch_at: BatchAt,
    validate: Validate | None,
    plan: Plan,
    checkpoints: Checkpoints,
    *,
    devices: Devices | None = None,
    stop: threading.Event | None = None,
    observer: Observer = SILENT,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Train, or go on from the last checkpoint.

    Args:
        make_model: A compiled model with the metric `accuracy`; called where there is no
            checkpoint.
        batch_at: What each step is trained on.
        validate: Run at the end of every epoch; None leaves NaN in its place.
        plan: How long.
        checkpoints: Where it is kept.
        devices: To train on; None takes all.
        stop: When set, the training is saved after the running step and left.
        observer: Told of every step and epoch.
        clock: Seconds.

    Raises:
        ModelOutputError: Loss or weights became NaN or infinite.
        OutputError: A checkpoint cannot be written.
    """
    devices = devices or Devices()
    parts = _Parts(batch_at, plan, checkpoints, devices, stop, observer, clock)
    with devices.scope():
        model, state = checkpoints.load() or (make_model(), State())
        total = plan.epochs * plan.steps
        observer.begin("training", total, step_of(model))
        while not plan.ended(state.rows, state.best()):
            if not _epoch(model, state, parts):
                return Outcome(model, state.rows, None, finished=False)
            with averaged(model):
                val_loss, val_accuracy = validate(model) if validate else (math.nan, math.nan)
                row = _row(model, state, val_loss, val_accuracy)
                state.rows.append(row)
                if plan.keeps_best and state.best() is row:
                    checkpoints.save_best(model, row.epoch)
            state.loss_sum = state.accuracy_sum = state.seconds = 0.0
            state.faces = 0
            checkpoints.save(model, state)
            observer.epoch(row, plan.epochs)
        kept = state.best() if plan.keeps_best else state.rows[-1]
        if plan.keeps_best and kept is not None:
            checkpoints.load_best(model, kept.epoch)
        else:
            average(model)
    return Outcome(model, state.rows, kept, finished=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """What `run` was given."""

    batch_at: BatchAt
    plan: Plan
    checkpoints: Checkpoints
    devices: Devices
    stop: threading.Event | None
    observer: Observer
    clock: Callable[[], float]


def _epoch(model: keras.Model, state: State, parts: _Parts) -> bool:
    """Train to the end of an epoch; False where it was stopped and saved before."""
    plan, clock = parts.plan, parts.clock
    step, end = step_of(model), (len(state.rows) + 1) * plan.steps
    with closing(_batches(parts.batch_at, step, end, plan.workers)) as source:
        while step < end:
            if parts.stop is not None and parts.stop.is_set():
                parts.checkpoints.save(model, state)
                return False
            began_s = clock()
            inputs, wanted = next(source)
            loss, accuracy = parts.devices.step(model, inputs, wanted)
            if not math.isfinite(loss):
                raise ModelOutputError(not_finite(f"the loss of step {step + 1}"))
            step += 1
            state.loss_sum += loss * len(wanted)
            state.accuracy_sum += accuracy * len(wanted)
            state.faces += len(wanted)
            state.seconds += clock() - began_s
            means = state.loss_sum / state.faces, state.accuracy_sum / state.faces
            parts.observer.step(step, *means)
            if step < end and step % plan.save_every == 0:
                parts.checkpoints.save(model, state)
    return True


def _batches(batch_at: BatchAt, first: int, end: int, workers: int) -> Any:
    if workers:
        return ahead(range(first, end), batch_at, workers=workers)
    return (batch_at(step) for step in range(first, end))


def _row(model: keras.Model, state: State, val_loss: float, val_accuracy: float) -> Row:
    faces = max(state.faces, 1)
    return Row(
        epoch=len(state.rows) + 1,
        loss=state.loss_sum / faces,
        accuracy=state.accuracy_sum / faces,
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        rate=float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)),
        seconds=state.seconds,
    )


def average(model: keras.Model) -> None:
    """Give a model the running mean of its weights, where its optimizer keeps one."""
    model.optimizer.finalize_variable_values(model.trainable_variables)


@contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """The running mean within, the last weights again after."""
    # Scaling of the loss, for mixed_float16, wraps the optimizer that keeps the mean.
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if not getattr(optimizer, "use_ema", False):
        yield
        return
    last = [keras.ops.convert_to_numpy(value) for value in model.trainable_variables]
    average(model)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, last, strict=True):
            variable.assign(value)


def loss_and_accuracy(logits: Any, wanted: Any) -> tuple[float, float]:
    """Mean cross-entropy and accuracy.

    Args:
        logits: `(N, K)`, or `(N, 1)` of the first of two classes.
        wanted: One-hot, or 1 for the first class, of the same shape.
    """
    values = np.asarray(logits, np.float64)
    truth = np.asarray(wanted, np.float64)
    if values.shape[1] == 1:  # a softmax of z and 0 is the sigmoid of z
        values = np.hstack([values, np.zeros_like(values)])
        truth = np.hstack([truth, 1 - truth])
    logs = values - np.logaddexp.reduce(values, axis=1, keepdims=True)
    right = values.argmax(axis=1) == truth.argmax(axis=1)
    return float(-(logs * truth).sum(axis=1).mean()), float(right.mean())
