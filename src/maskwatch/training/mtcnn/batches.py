"""Batches of crops in fixed shares of kinds and states, mirrored and lit by chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskwatch.errors import DatasetError
from maskwatch.training.augment import colour, light
from maskwatch.training.mtcnn.crops import Rows
from maskwatch.training.mtcnn.loss import TARGET_COLUMNS
from maskwatch.training.mtcnn.networks import LANDMARKS
from maskwatch.training.mtcnn.recipe import NEGATIVE, POSITIVE, MtcnnRecipe
from maskwatch.training.mtcnn.samples import KINDS, STATES
from maskwatch.types import Floats

_MIRRORED = 0.5
_LIT, _COLOURED = 0.5, 0.25

_MIRRORED_LANDMARKS = np.array([1, 0, 2, 4, 3, 6, 5, 7, 9, 8])
"""Left and right eye and mouth corner change places, x and then y."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Rows that a fixed number of each batch is drawn from.

    Attributes:
        rows: Their indices.
        share: Of a batch.
    """

    rows: NDArray[np.int64]
    share: float


def groups(rows: Rows, recipe: MtcnnRecipe) -> list[Group]:
    """Rows by kind and state, with the shares of the recipe; shares of what is not there go over.

    Raises:
        DatasetError: There are no faces, or nothing else.
    """
    kinds, states = np.asarray(rows["kind"]), np.asarray(rows["state"])
    for kind, what in ((POSITIVE, "faces"), (NEGATIVE, "background")):
        if not (kinds == kind).any():
            raise DatasetError(
                f"no crop of {what} can be cut from these photos. Give photos whose faces are of "
                f"{recipe.min_face_px:g} px and more."
            )
    found: list[Group] = []
    for kind, share in zip(KINDS.values(), recipe.mix, strict=True):
        if kind == NEGATIVE:
            found.append(Group(np.nonzero(kinds == kind)[0], share))
            continue
        inner = [
            Group(np.nonzero((kinds == kind) & (states == state))[0], part)
            for state, part in zip(STATES, recipe.states, strict=True)
        ]
        inner = [group for group in inner if len(group.rows)]
        whole = sum(group.share for group in inner)
        found += [Group(group.rows, share * group.share / whole) for group in inner]
    whole = sum(group.share for group in found)
    return [Group(group.rows, group.share / whole) for group in found]


def batches(
    rows: Rows, stage: str, recipe: MtcnnRecipe, *, landmarks: bool = False
) -> Callable[[int], tuple[Floats, Floats]]:
    """From the number of a step to crops `(B, side, side, 3)` and targets, see `MtcnnLoss`.

    Args:
        rows: The crops.
        stage: Network.
        recipe: How.
        landmarks: Whether targets have them.

    Raises:
        DatasetError: There are no faces, or nothing else.
    """
    parts, batch = groups(rows, recipe), recipe.stages[stage].batch

    def batch_at(step: int) -> tuple[Floats, Floats]:
        rng = np.random.default_rng((recipe.seed, step))
        chosen = rows[drawn(parts, batch, rng)]
        crops, targets = np.array(chosen["crop"]), targets_of(chosen, landmarks=landmarks)
        turned = rng.random(len(crops)) < _MIRRORED
        crops[turned] = crops[turned, :, ::-1]
        targets[turned] = mirrored(targets[turned], stage)
        for index in np.nonzero(rng.random(len(crops)) < _LIT)[0]:
            crops[index] = light(crops[index], rng)
        for index in np.nonzero(rng.random(len(crops)) < _COLOURED)[0]:
            crops[index] = colour(crops[index], rng)
        return crops.astype(np.float32), targets

    return batch_at


def drawn(parts: list[Group], batch: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of the rows of a batch; each group has its share, to a row."""
    ends = np.rint(np.cumsum([group.share for group in parts]) * batch).astype(int)
    sizes = np.diff(ends, prepend=0)
    picked = [rng.choice(group.rows, size) for group, size in zip(parts, sizes, strict=True)]
    return np.concatenate(picked)


def targets_of(rows: Rows, *, landmarks: bool) -> Floats:
    """What is learnt of rows, `(N, TARGET_COLUMNS)`, or ten more; see `MtcnnLoss`."""
    known = np.isfinite(rows["landmarks"]).all(axis=1)
    columns = [rows["kind"][:, None], rows["offsets"], known[:, None]]
    if landmarks:
        columns.append(np.where(known[:, None], rows["landmarks"], 0))
    return np.hstack(columns).astype(np.float32)


def mirrored(targets: Floats, stage: str) -> Floats:
    """Targets of the same crops with left and right exchanged."""
    turned = targets.copy()
    # A window of the P-Net is read from its second pixel to behind its last; mirrored, that is
    # from its first to its last but one.
    shift = 1 / 11 if stage == "pnet" else 0.0
    face = (targets[:, 0] != NEGATIVE).astype(np.float32)
    turned[:, 1] = (-targets[:, 3] - shift) * face
    turned[:, 3] = (-targets[:, 1] - shift) * face
    if targets.shape[1] > TARGET_COLUMNS:
        points = targets[:, TARGET_COLUMNS:][:, _MIRRORED_LANDMARKS]
        points[:, : LANDMARKS // 2] = 1 - points[:, : LANDMARKS // 2]
        turned[:, TARGET_COLUMNS:] = points * targets[:, 5:6]
    return turned
