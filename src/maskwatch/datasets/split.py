"""Split a data set so that copies of a picture stay together and classes keep their shares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from maskwatch.datasets.duplicates import find_pairs, fingerprint_files, group
from maskwatch.datasets.records import Record, Track, silently, state_name
from maskwatch.errors import UsageError

SPLIT_NAMES = ("train", "val", "test")
"""The splits, in the order of the ratios."""


def parse_ratios(text: str) -> tuple[float, ...]:
    """Read `0.7,0.15,0.15` (train, val, test) or `0.8,0.2` (train, val).

    Raises:
        UsageError: It is not two or three positive numbers that add up to 1.
    """
    try:
        ratios = tuple(float(part) for part in text.split(","))
    except ValueError:
        ratios = ()
    good = len(ratios) in (2, 3) and all(ratio > 0 for ratio in ratios)
    if not good or abs(sum(ratios) - 1) > 1e-6:
        raise UsageError(
            f"--ratios has {text!r}. Give two or three positive numbers that add up to 1, "
            "for train, val and test."
        )
    return ratios


def split_records(
    records: Sequence[Record],
    ratios: Sequence[float],
    *,
    seed: int = 0,
    track: Track = silently,
) -> tuple[list[Record], list[str]]:
    """Give every record a new split; copies of a picture get the same one.

    Returns:
        The records, in the order given, and a line for each picture that could not be read and
        is left out.
    """
    prints, kept, unread = fingerprint_files([record.path for record in records], track)
    pairs = [(pair.first, pair.second) for pair in find_pairs(prints, track)]
    readable = [records[index] for index in kept]
    groups = group(len(readable), pairs)
    chosen = assign(groups, class_table(readable), ratios, seed=seed)
    named = zip(readable, chosen, strict=True)
    return [record.in_split(SPLIT_NAMES[index]) for record, index in named], unread


def class_table(records: Sequence[Record]) -> NDArray[np.float64]:
    """Faces of each class in each picture, `(N, C + 1)`; the last column is 1 for nobody."""
    names = sorted({state_name(state) for record in records for state in record.states})
    table = np.zeros((len(records), len(names) + 1))
    for row, record in zip(table, records, strict=True):
        for state in record.states:
            row[names.index(state_name(state))] += 1
        row[-1] = not record.states
    return table


def assign(
    groups: NDArray[np.int64], table: NDArray[np.float64], ratios: Sequence[float], *, seed: int
) -> NDArray[np.int64]:
    """Choose a split for every picture, `(N,)`.

    Groups are dealt one by one, the ones with most of what is rare first, each to the split that
    still lacks most of what the group has (iterative stratification, after Sechidis et al. 2011).

    Args:
        groups: `(N,)` number of the group of each picture.
        table: `(N, C)` what each picture counts for each class.
        ratios: Share of each split.
        seed: Order of equal groups.
    """
    count = int(groups.max()) + 1 if len(groups) else 0
    amounts = np.zeros((count, table.shape[1]))
    np.add.at(amounts, groups, table / np.maximum(table.sum(axis=0), 1))
    order = np.random.default_rng(seed).permutation(count)
    order = order[np.argsort(-amounts[order].sum(axis=1).round(12), kind="stable")]
    lacking = np.asarray(ratios, np.float64)[:, None] * np.ones(table.shape[1])
    chosen = np.zeros(count, np.int64)
    for index in order:
        chosen[index] = int((lacking @ amounts[index]).argmax())
        lacking[chosen[index]] -= amounts[index]
    return chosen[groups]
