"""Rules of splitting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_sets import drawn

from maskwatch.datasets.formats import load_dataset
from maskwatch.datasets.split import assign, parse_ratios, split_records
from maskwatch.errors import UsageError
from maskwatch.images import write_image

RATIOS = (0.7, 0.15, 0.15)


@pytest.mark.parametrize("seed", range(20))
def test_groups_stay_together(seed: int) -> None:
    """No group is ever in two splits, whatever its size and classes."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 40, 120)
    groups = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    table = rng.integers(0, 3, (120, 4)).astype(float)
    chosen = assign(groups, table, RATIOS, seed=seed)
    for number in range(int(groups.max()) + 1):
        assert len(set(chosen[groups == number].tolist())) == 1


@pytest.mark.parametrize("seed", range(5))
def test_classes_keep_their_shares(seed: int) -> None:
    """Of every class, also a rare one, each split gets its share."""
    labels = np.repeat([0, 1, 2], [600, 340, 60])
    table = np.eye(3)[labels]
    chosen = assign(np.arange(1000), table, RATIOS, seed=seed)
    for label in range(3):
        shares = np.bincount(chosen[labels == label], minlength=3) / (labels == label).sum()
        assert np.allclose(shares, RATIOS, atol=0.035)


def test_seed() -> None:
    """The same seed gives the same split and another seed another."""
    table = np.ones((50, 1))
    first, again, other = (assign(np.arange(50), table, RATIOS, seed=s) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_copies_stay_together(tmp_path: Path) -> None:
    """Copies of a picture get the same split; a broken file is named and left out."""
    for index in range(20):
        place = tmp_path / ("mask" if index % 2 else "no_mask")
        write_image(place / f"{index}.png", drawn(index))
        write_image(place / f"{index}-copy.jpg", drawn(index))
    (tmp_path / "mask" / "broken.png").write_bytes(b"")
    records, unread = split_records(load_dataset(tmp_path).records, (0.5, 0.5), seed=3)
    assert len(records) == 40
    assert len(unread) == 1
    splits = {record.path.stem: record.split for record in records}
    assert all(splits[str(index)] == splits[f"{index}-copy"] for index in range(20))
    assert set(splits.values()) == {"train", "val"}


@pytest.mark.parametrize(
    "text", ["1", "0.5,0.6", "a,b", "0.5,0.5,0", "-1,2", "0.2,0.2,0.2,0.4", ""]
)
def test_bad_ratios(text: str) -> None:
    """Ratios are two or three positive numbers that add up to 1."""
    with pytest.raises(UsageError, match="add up to 1"):
        parse_ratios(text)


def test_ratios() -> None:
    """Two and three ratios are read."""
    assert parse_ratios("0.8,0.2") == (0.8, 0.2)
    assert parse_ratios("0.7, 0.15, 0.15") == RATIOS
