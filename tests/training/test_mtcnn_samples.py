"""Rules of the file of crops and of the batches that are drawn from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("keras", reason="Keras is not installed (extra train)")

from maskwatch.errors import DatasetError, ModelFileError
from maskwatch.training.mtcnn.batches import batches, drawn, groups
from maskwatch.training.mtcnn.crops import Rows, row_type
from maskwatch.training.mtcnn.recipe import NEGATIVE, PART, POSITIVE, MtcnnRecipe, StageRecipe
from maskwatch.training.mtcnn.samples import (
    SampleWriter,
    counts,
    counts_line,
    load_samples,
    preview,
)
from maskwatch.training.onepass.pack import NO_STATE

WITH, WITHOUT = 0, 1


def made(kinds: list[int], states: list[int], stage: str = "pnet", seed: int = 0) -> Rows:
    """Rows of noise."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(len(kinds), row_type(stage))
    rows["crop"] = rng.integers(0, 256, rows["crop"].shape)
    rows["kind"], rows["state"] = kinds, states
    rows["offsets"] = rng.normal(0, 0.2, (len(kinds), 4)) * (np.array(kinds) != NEGATIVE)[:, None]
    rows["landmarks"] = np.nan
    return rows


SOME = made(
    [POSITIVE] * 90 + [POSITIVE] * 10 + [PART] * 40 + [NEGATIVE] * 60,
    [WITH] * 90 + [WITHOUT] * 10 + [WITH] * 40 + [NO_STATE] * 60,
)


@pytest.mark.parametrize("stage", ["pnet", "rnet", "onet"])
def test_written_and_read(tmp_path: Path, stage: str) -> None:
    """Rows written bit by bit come back in order, and stay on the disk."""
    first, second = made([POSITIVE, PART], [0, 1], stage), made([NEGATIVE], [-1], stage, 1)
    with SampleWriter(tmp_path / "new" / "samples.npy", stage) as writer:
        writer.add(first)
        writer.add(second)
    rows = load_samples(tmp_path / "new" / "samples.npy", stage)
    assert isinstance(rows, np.memmap)
    assert rows.tobytes() == np.concatenate([first, second]).tobytes()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["samples.npy"]


def test_broken_off(tmp_path: Path) -> None:
    """A writing that fails leaves what was there before, and nothing else."""
    path = tmp_path / "samples.npy"
    path.write_bytes(b"before")
    with pytest.raises(TypeError), SampleWriter(path, "pnet") as writer:
        writer.add(np.concatenate([SOME, made([PART], [0], "rnet")]))
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_other_files(tmp_path: Path) -> None:
    """A file that is no such thing, and one of another network, are refused by name."""
    path = tmp_path / "samples.npy"
    path.write_bytes(b"no rows")
    with pytest.raises(ModelFileError, match=r"samples\.npy"):
        load_samples(path, "pnet")
    with SampleWriter(path, "pnet") as writer:
        writer.add(SOME)
    with pytest.raises(ModelFileError, match="no crops for the rnet"):
        load_samples(path, "rnet")


def test_counts() -> None:
    """Crops are counted by kind and state."""
    assert counts(SOME)["faces"].tolist() == [90, 10, 0, 0]
    assert counts_line(SOME) == "100 faces (masked 90, bare 10), 40 parts (masked 40), 60 no face"


def test_preview() -> None:
    """The sheet has a block a kind, at most five rows, and is there without any, too."""
    sheet = preview(SOME, "pnet")
    assert sheet.shape == (3 * 24 + (5 + 2 + 3) * 58, 24 * 58, 3)
    assert (sheet == (60, 220, 60)).all(axis=-1).any()
    assert preview(SOME[:0], "pnet").shape[0] == 3 * (24 + 58)


def test_shares() -> None:
    """Every batch has the recipe's shares of kinds, and of states among those that are there."""
    recipe = MtcnnRecipe(mix=(1, 1, 3), states=(0.35, 0.35, 0.15, 0.15))
    parts = groups(SOME, recipe)
    for seed in range(3):
        chosen = SOME[drawn(parts, 100, np.random.default_rng(seed))]
        kinds, states = chosen["kind"], chosen["state"]
        assert [int((kinds == kind).sum()) for kind in (POSITIVE, PART, NEGATIVE)] == [20, 20, 60]
        assert int(((kinds == POSITIVE) & (states == WITHOUT)).sum()) == 10
        assert int(((kinds == PART) & (states == WITH)).sum()) == 20


@pytest.mark.parametrize(
    ("kept", "says"), [(slice(100, None), "faces"), (slice(0, 100), "background")]
)
def test_nothing_to_learn(kept: slice, says: str) -> None:
    """Without faces, or with nothing else, the error says what is missing."""
    with pytest.raises(DatasetError, match=f"no crop of {says}"):
        groups(SOME[kept], MtcnnRecipe())


def test_batches() -> None:
    """The same step gives the same batch, another another, and the rows are left as they were."""
    recipe = MtcnnRecipe(stages={"pnet": StageRecipe(4, 50)})
    before = SOME.tobytes()
    batch_at = batches(SOME, "pnet", recipe)
    crops, targets = batch_at(3)
    again, targets_again = batch_at(3)
    assert crops.shape == (50, 12, 12, 3)
    assert crops.dtype == np.float32
    assert targets.shape == (50, 6)
    np.testing.assert_array_equal(crops, again)
    np.testing.assert_array_equal(targets, targets_again)
    assert not np.array_equal(crops, batch_at(4)[0])
    assert SOME.tobytes() == before
    assert (targets[targets[:, 0] == NEGATIVE, 1:5] == 0).all()
