"""Rules of the faces that training and validation see."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from maskwatch.datasets.records import Dataset, Record
from maskwatch.errors import DatasetError, UnreadableImageError
from maskwatch.images import write_image
from maskwatch.training.faces import (
    FaceSet,
    ahead,
    class_line,
    cut_faces,
    list_faces,
    rows_of,
    split_faces,
)
from maskwatch.training.views import Views
from maskwatch.types import CLASSES, MaskState

WITH, WITHOUT, INCORRECT = CLASSES


def photo(
    name: str, boxes: Sequence[Sequence[float]], states: Sequence[MaskState | None]
) -> Record:
    return Record(Path(name), np.array(boxes, np.float32).reshape(-1, 4), tuple(states))


def crop(name: str, state: MaskState | None, split: str = "") -> Record:
    return Record(Path(name), None, (state,), "s", split)


def crops(split: str, **counts: int) -> list[Record]:
    return [
        crop(f"{split}{state}{i}", MaskState(state), split)
        for state, count in counts.items()
        for i in range(count)
    ]


def dataset(*records: Record) -> Dataset:
    return Dataset("made", "folders", records)


def test_list_faces() -> None:
    """Faces without a state or too small are left out, crops are all taken, order is kept."""
    faces = list_faces(
        [
            photo("a", [[0, 0, 24, 24], [0, 0, 23, 24], [0, 0, 30, 30]], [WITHOUT, WITH, None]),
            crop("b", INCORRECT),
            photo("c", [[0, 0, 9, 9]], [WITH]),
            crop("d", None),
        ],
        24,
    )
    assert [p.path.name for p in faces.pictures] == ["a", "b"]
    assert faces.labels.tolist() == [1, 2]
    assert faces.boxed.tolist() == [True, False]
    assert faces.columns == [1, 2]
    assert class_line(faces) == "1 without_mask, 1 incorrect_mask"
    assert rows_of(faces.pictures).tolist() == [0, 1, 2]


def test_splits_are_used() -> None:
    """The splits train and val are used as they are; test is not touched."""
    records = [*crops("train", with_mask=3, without_mask=3), *crops("test", with_mask=9)]
    train, val, origin = split_faces(dataset(*records, *crops("val", with_mask=2)), 0.5, 24)
    assert (len(train), len(val), origin) == (6, 2, "split val")


@pytest.mark.parametrize("split", ["train", ""])
def test_share(split: str) -> None:
    """Without val, each class gives its share; nothing is in both; the same each time."""
    records = crops(split, with_mask=20, without_mask=10, incorrect_mask=2)
    train, val, origin = split_faces(dataset(*records), 0.2, 24)
    assert np.bincount(val.labels).tolist() == [4, 2, 1]
    assert np.bincount(train.labels).tolist() == [16, 8, 1]
    paths = [{p.path for p in part.pictures} for part in (train, val)]
    assert not paths[0] & paths[1]
    assert origin == "20% of the training pictures"
    _, again, _ = split_faces(dataset(*records), 0.2, 24)
    assert {p.path for p in again.pictures} == paths[1]


@pytest.mark.parametrize(
    ("records", "words"),
    [
        pytest.param(crops("test", with_mask=2), "no split 'train' to learn from: test", id="none"),
        pytest.param([crop("a", None)], "no face with a mask state", id="no state"),
        pytest.param(crops("", with_mask=5), "one class only, 'with_mask'", id="one class"),
        pytest.param(crops("", with_mask=5, without_mask=1), "too few pictures of", id="too few"),
    ],
)
def test_unfit_data(records: list[Record], words: str) -> None:
    """Data that nothing can be learnt from are refused with the reason."""
    with pytest.raises(DatasetError, match=words):
        split_faces(dataset(*records), 0.2, 24)


def test_class_lost_in_the_share() -> None:
    """A class whose only photo goes to validation is refused, not left untaught."""
    both = photo("a", [[0, 0, 30, 30]] * 7, [WITH] * 5 + [WITHOUT] * 2)
    one = photo("b", [[0, 0, 30, 30]] * 2, [WITHOUT] * 2)
    with pytest.raises(DatasetError, match="too few pictures of 'with_mask'"):
        split_faces(dataset(both, one), 0.2, 24)


def test_val_without_known_classes() -> None:
    """A val of classes that are not trained on is not used."""
    records = [*crops("train", with_mask=5, without_mask=5), *crops("val", incorrect_mask=3)]
    _, val, origin = split_faces(dataset(*records), 0.2, 24)
    assert origin.startswith("20%")
    assert set(val.labels) == {0, 1}


def test_fingerprint(tmp_path: Path) -> None:
    """The fingerprint follows pixels and boxes, in order, and neither labels nor names."""
    for name, shade in (("a", 1), ("b", 2), ("c", 1)):
        write_image(tmp_path / f"{name}.png", np.full((8, 8, 3), shade, np.uint8))
    box, other = [[0, 0, 30, 30]], [[0, 0, 31, 30]]

    def of(*items: tuple[str, list[list[int]] | None, MaskState]) -> str:
        records = [
            Record(tmp_path / f"{n}.png", None if b is None else np.array(b, np.float32), (s,))
            for n, b, s in items
        ]
        return list_faces(records, 1).fingerprint()

    base = of(("a", None, WITH), ("b", None, WITH))
    assert base == of(("c", None, WITHOUT), ("b", None, WITH))
    assert base != of(("b", None, WITH), ("a", None, WITH))
    assert base != of(("a", None, WITH), ("a", None, WITH))
    assert of(("a", box, WITH)) not in (of(("a", None, WITH)), of(("a", other, WITH)))


def test_unreadable(tmp_path: Path) -> None:
    """A picture that cannot be read is its own error, not raised: the others go on."""
    (tmp_path / "a.png").write_bytes(b"no")
    (picture,) = list_faces([Record(tmp_path / "a.png", None, (WITH,))], 1).pictures
    result = cut_faces(picture, Views(8).cut)
    assert isinstance(result, UnreadableImageError)
    assert "a.png" in str(result)


@pytest.mark.parametrize("box", [[50, 50, 90, 90], [0, 0, 1e7, 1e7], [0, 0, np.inf, 30]])
def test_impossible_boxes(tmp_path: Path, box: list[float]) -> None:
    """A box outside of its picture, or absurdly large, is no face and breaks nothing."""
    write_image(tmp_path / "a.png", np.zeros((40, 40, 3), np.uint8))
    faces = list_faces([photo(str(tmp_path / "a.png"), [[1, 1, 31, 31], box], [WITH, WITH])], 24)
    result = cut_faces(faces.pictures[0], Views(8).cut)
    if len(faces) == 1:
        assert not isinstance(result, UnreadableImageError)
        assert result.shape == (1, 8, 8, 3)
    else:
        assert "a.png: a box lies outside" in str(result)


def test_ahead() -> None:
    """Results come in the order of the items, whichever is done first; endless items do."""

    def slow_first(item: int) -> int:
        if item == 0:
            late.wait(5)
        else:
            late.set()
        return item * 2

    late = threading.Event()
    assert list(ahead(range(7), slow_first, workers=3)) == [0, 2, 4, 6, 8, 10, 12]
    source = ahead(iter(int, 1), lambda item: item, workers=2)
    assert next(source) == 0
    source.close()


def test_ahead_errors() -> None:
    """What fails in a thread is raised where its result was due, and nothing waits."""
    source = ahead([1, 0, 1], lambda item: 1 // item, workers=2)
    assert next(source) == 1
    with pytest.raises(ZeroDivisionError):
        next(source)


def test_ahead_ends_its_threads() -> None:
    """Closed early, all threads end and what had not begun never does."""
    before = set(threading.enumerate())
    begun: list[int] = []
    source = ahead(range(1000), lambda item: begun.append(item), workers=2, depth=4)
    next(source)
    source.close()
    assert not set(threading.enumerate()) - before
    assert len(begun) <= 6


def test_empty_set() -> None:
    """No pictures are an empty set in the right shapes."""
    faces = FaceSet(())
    assert len(faces) == 0
    assert faces.columns == []
