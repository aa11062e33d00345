"""Rules of class names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from maskwatch.datasets.names import NameTable, parse_map
from maskwatch.datasets.records import Labelled
from maskwatch.errors import DatasetError, UnknownNameError, UsageError
from maskwatch.types import MaskState


def boxes(*names: str) -> Labelled:
    return Labelled(Path("a.png"), np.zeros((len(names), 4), np.float32), names)


@pytest.mark.parametrize(
    ("name", "state"),
    [
        *((n, "with_mask") for n in ("with_mask", "WithMask", "With Mask", "MASK", "masked")),
        *((n, "without_mask") for n in ("without_mask", "WithoutMask", "no-mask", "NoMask")),
        *((n, "without_mask") for n in ("unmasked", "bare", "no mask")),
        *((n, "incorrect_mask") for n in ("incorrect_mask", "mask_weared_incorrect")),
        *((n, "incorrect_mask") for n in ("with_incorrect_mask", "Incorrectly Worn")),
    ],
)
def test_spellings(name: str, state: str) -> None:
    """The usual spellings are known in any case, with spaces, hyphens or underscores."""
    assert NameTable().state(name) is MaskState(state)


def test_face() -> None:
    """`face` is a face without a state."""
    assert NameTable().knows("Face")
    assert NameTable().state("Face") is None


@pytest.mark.parametrize("name", ["0", "1", "2", "helmet", "", "with_hat"])
def test_unknown(name: str) -> None:
    """Numbers mean nothing by themselves, and neither does any other word."""
    assert not NameTable().knows(name)


def test_unknown_names_are_listed() -> None:
    """All unknown names are listed at once, and the error shows how to use --map."""
    with pytest.raises(DatasetError, match=r"'0', '1', 'hat'.*--map '0=without_mask'"):
        NameTable().resolve([boxes("1", "mask"), boxes("hat", "0")], "made")


def test_map() -> None:
    """The user's meanings come before the table's; `skip` leaves the label out."""
    mapping = parse_map("0=with_mask, 1=without_mask,mask=incorrect_mask,hat=skip")
    (record,) = NameTable(mapping).resolve([boxes("0", "hat", "1", "Mask")], "made")
    states = ["with_mask", "without_mask", "incorrect_mask"]
    assert [str(state) for state in record.states] == states
    assert record.boxes is not None
    assert len(record.boxes) == 3


def test_skipped_crop() -> None:
    """A crop of a class that is skipped is left out."""
    table = NameTable({"hat": "skip"})
    assert table.resolve([Labelled(Path("a.png"), None, ("hat",))], "made") == ()


@pytest.mark.parametrize("text", ["0", "=with_mask", "0=", "0=with_mask,1"])
def test_malformed_map(text: str) -> None:
    """A map that is not NAME=CLASS is wrong usage."""
    with pytest.raises(UsageError, match="NAME=CLASS"):
        parse_map(text)


def test_map_to_nothing() -> None:
    """A map to no class is refused with the list of classes."""
    with pytest.raises(UnknownNameError, match="unknown class 'masked'"):
        NameTable({"0": "masked"})
