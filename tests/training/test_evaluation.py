"""Rules of judging data sets."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from judged_sets import (
    INCORRECT,
    WITH,
    WITHOUT,
    ColourJudge,
    colour,
    crop,
    photo,
    picture,
    three_classes,
    two_classes,
)
from maskwatch.errors import (
    DatasetError,
    MissingExtraError,
    ModelError,
    ModelOutputError,
    SourceNotFoundError,
    UnknownNameError,
)
from maskwatch.images import read_image, write_image
from maskwatch.preprocess import as_box, face_crops
from maskwatch.training.evaluation import ALL, evaluate, load_judge
from maskwatch.types import Floats, Image

T = TypeVar("T")

BOX = (100.0, 60.0, 150.0, 110.0)
BLUE, GREEN, RED = colour(WITH), colour(WITHOUT), colour(INCORRECT)


class Recorder(ColourJudge):
    """A judge that keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Image] = []

    def __call__(self, crops: Image) -> Floats:
        self.shown.append(crops)
        return super().__call__(crops)


def test_crops_of_three_classes(tmp_path: Path) -> None:
    """Ready-made crops are judged, and the counts are those of the pictures drawn."""
    done = evaluate(ColourJudge(), three_classes(tmp_path), model="colours")
    assert done.model == "colours"
    assert done.report.confusion.tolist() == [[2, 1, 0], [0, 3, 0], [0, 1, 2]]
    assert done.accuracy == pytest.approx(7 / 9)
    assert [mistake.place.path.name for mistake in done.mistakes()] == ["2.png", "2.png"]
    assert done.mistakes()[0].truth is WITH


def test_crops_of_two_classes(tmp_path: Path) -> None:
    """Without incorrect_mask in the data nobody is held to be it."""
    done = evaluate(ColourJudge(), two_classes(tmp_path))
    assert done.accuracy == 0.75
    assert done.called_incorrect == 0.5


def test_a_face_is_seen_as_in_serving(tmp_path: Path) -> None:
    """The judge gets `face_crops` of the photo and, of a ready-made crop, all of it."""
    rng = np.random.default_rng(3)
    path = photo(tmp_path / "boxed", "p", BLUE, [("with_mask", BOX), ("face", (5, 5, 90, 90))])
    write_image(path, rng.integers(0, 256, (200, 300, 3), np.uint8))
    whole = tmp_path / "crops" / "with_mask" / "c.png"
    write_image(whole, rng.integers(0, 256, (40, 31, 3), np.uint8))
    judge = Recorder()
    done = evaluate(judge, [tmp_path / "boxed", tmp_path / "crops"])
    image, ready = read_image(path), read_image(whole)
    expected = [
        face_crops(image, np.array([BOX], np.float32), judge.size_px),
        face_crops(ready, as_box(ready), judge.size_px),
    ]
    np.testing.assert_array_equal(np.concatenate(judge.shown), np.concatenate(expected))
    assert done.faces.sizes_px.tolist() == [50, 40]
    assert [(place.path, place.index) for place in done.faces.places] == [(path, 0), (whole, 0)]
    assert done.faces.places[0].box.tolist() == list(BOX)
    assert dict(done.left_out) == {"without a mask state": 1}


def test_small_faces_are_left_out(tmp_path: Path) -> None:
    """Faces under the least size are left out and counted; at the size they are judged."""
    boxes = [("with_mask", (10.0, 10.0, 10.0 + side, 10.0 + side)) for side in (23.9, 24.0, 80.0)]
    photo(tmp_path / "boxed", "p", BLUE, boxes)
    crop(tmp_path / "crops", "with_mask", "small", BLUE, side=20)
    crop(tmp_path / "crops", "with_mask", "large", BLUE, side=24)
    done = evaluate(ColourJudge(), [tmp_path / "boxed", tmp_path / "crops"])
    assert done.faces.sizes_px.tolist() == [24, 80, 24]
    assert dict(done.left_out) == {"under 24 px": 2}
    all_faces = evaluate(ColourJudge(), [tmp_path / "boxed", tmp_path / "crops"], min_face_px=0)
    assert len(all_faces.faces) == 5
    assert all_faces.by_size[0].name == "under 24 px"


def test_impossible_boxes_are_left_out(tmp_path: Path) -> None:
    """A box that cannot be a face in this picture is counted and not judged."""
    boxes = {
        "usual": BOX,
        "reaches out": (-30.0, -30.0, 30.0, 30.0),
        "no area": (50.0, 50.0, 50.0, 90.0),
        "turned": (90.0, 50.0, 50.0, 90.0),
        "no number": (50.0, 50.0, float("nan"), 90.0),
        "endless": (50.0, 50.0, float("inf"), 90.0),
        "outside": (400.0, 50.0, 450.0, 90.0),
        "huge": (0.0, 0.0, 1e9, 1e9),
    }
    photo(tmp_path, "p", BLUE, [("with_mask", box) for box in boxes.values()])
    done = evaluate(ColourJudge(), tmp_path, min_face_px=0)
    assert [place.index for place in done.faces.places] == [0, 1]
    assert dict(done.left_out) == {"with an impossible box": 6}


@pytest.mark.parametrize("batch", [1, 2, 4, 9, 64])
def test_batches(tmp_path: Path, batch: int) -> None:
    """Faces are judged in full batches and a rest, and the answers do not depend on them."""
    judge = ColourJudge()
    done = evaluate(judge, three_classes(tmp_path), batch=batch)
    assert judge.batches == [batch] * (9 // batch) + ([9 % batch] if 9 % batch else [])
    assert done.report.confusion.tolist() == [[2, 1, 0], [0, 3, 0], [0, 1, 2]]


def splits(folder: Path, names: Sequence[str]) -> Path:
    """A photo in each of some splits; those in `test` are taken for something else."""
    for name in names:
        photo(folder, name, GREEN if name == "test" else BLUE, [("with_mask", BOX)], name)
    return folder


@pytest.mark.parametrize(
    ("names", "asked", "judged", "named"),
    [
        pytest.param("train val test", None, "test", "test", id="test first"),
        pytest.param("train val", None, "val", "val", id="then val"),
        pytest.param("train", None, "train", ALL, id="then all"),
        pytest.param("train val test", "train", "train", "train", id="as asked"),
        pytest.param("train val test", "valid", "val", "val", id="as others spell it"),
        pytest.param("train val test", ALL, "test train val", ALL, id="all"),
    ],
)
def test_splits(tmp_path: Path, names: str, asked: str | None, judged: str, named: str) -> None:
    """The split asked for is judged; else test, else val, else everything; and it is named."""
    done = evaluate(ColourJudge(), splits(tmp_path, names.split()), split=asked)
    assert " ".join(sorted(place.path.stem for place in done.faces.places)) == judged
    assert done.sources[0].split == named


def test_a_set_without_splits(tmp_path: Path) -> None:
    """Where there are no splits everything is judged, and no split is named."""
    done = evaluate(ColourJudge(), three_classes(tmp_path))
    assert done.sources[0].split == ""
    assert done.sources[0].label == tmp_path.name


@pytest.mark.parametrize("name", ["tset", ""], ids=["misspelt", "empty"])
def test_unknown_split(tmp_path: Path, name: str) -> None:
    """A word that names no split is refused at once."""
    with pytest.raises(UnknownNameError, match=f"unknown split '{name}'"):
        evaluate(ColourJudge(), tmp_path / "nowhere", split=name)


def test_absent_split(tmp_path: Path) -> None:
    """A split that a set lacks is an error that names those it has."""
    with pytest.raises(DatasetError, match=r"split 'test' of .*Its splits: train, val"):
        evaluate(ColourJudge(), splits(tmp_path, ["train", "val"]), split="test")


def test_several_sets(tmp_path: Path) -> None:
    """Each set is a source with figures of its own; the two-class rule holds for each alone."""
    sets = [three_classes(tmp_path / "three"), two_classes(tmp_path / "two")]
    done = evaluate(ColourJudge(), sets)
    assert [source.name for source in done.sources] == ["three", "two"]
    assert [part.report.count for part in done.by_source] == [9, 4]
    assert [part.report.accuracy for part in done.by_source] == pytest.approx([7 / 9, 3 / 4])


def test_a_folder_of_sets(tmp_path: Path) -> None:
    """A folder that holds data sets stands for all of them; what is none in it is named."""
    three_classes(tmp_path / "b")
    two_classes(tmp_path / "a")
    write_image(tmp_path / "c" / "pictures" / "1.png", picture(BLUE))
    done = evaluate(ColourJudge(), tmp_path)
    assert [source.name for source in done.sources] == ["a", "b"]
    assert len(done.unread) == 1
    assert "'pictures'" in done.unread[0]


def test_parts_of_a_set_are_not_sets(tmp_path: Path) -> None:
    """A set of which one split has an unknown class is refused, not judged on the others."""
    crop(tmp_path / "train", "with_mask", "a", BLUE)
    crop(tmp_path / "test", "whatever", "a", BLUE)
    with pytest.raises(DatasetError, match="'whatever'"):
        evaluate(ColourJudge(), tmp_path)


def test_sets_of_the_same_name(tmp_path: Path) -> None:
    """Sets that share a name are told apart by the folder they are in."""
    done = evaluate(
        ColourJudge(), [two_classes(tmp_path / "x" / "data"), two_classes(tmp_path / "y" / "data")]
    )
    assert [source.name for source in done.sources] == ["x/data", "y/data"]


def test_one_set_of_several_cannot_be_read(tmp_path: Path) -> None:
    """The rest is judged, and what is wrong is said."""
    photo(tmp_path / "faces", "p", BLUE, [("face", BOX)])
    done = evaluate(
        ColourJudge(), [tmp_path / "gone", two_classes(tmp_path / "two"), tmp_path / "faces"]
    )
    assert len(done.faces) == 4
    assert [source.name for source in done.sources] == ["two"]
    assert "gone" in done.unread[0]
    assert "labelled with a mask state" in done.unread[1]


def test_no_set_can_be_read(tmp_path: Path) -> None:
    """Without any data the first reason is raised."""
    with pytest.raises(SourceNotFoundError, match="gone"):
        evaluate(ColourJudge(), [tmp_path / "gone", tmp_path / "lost"])


def test_unreadable_pictures_are_skipped(tmp_path: Path) -> None:
    """A broken picture is named, and the rest is judged."""
    three_classes(tmp_path)
    (tmp_path / "with_mask" / "broken.png").write_bytes(b"no picture")
    done = evaluate(ColourJudge(), tmp_path)
    assert len(done.faces) == 9
    assert len(done.unread) == 1
    assert "broken.png" in done.unread[0]


def test_no_face_is_left(tmp_path: Path) -> None:
    """Data without a single face to judge is an error that says why."""
    three_classes(tmp_path)
    with pytest.raises(DatasetError, match=r"no face of 500 px or more .* in test_no_face"):
        evaluate(ColourJudge(), tmp_path, min_face_px=500)


def test_mapping(tmp_path: Path) -> None:
    """Class names that mean nothing by themselves are given a meaning."""
    crop(tmp_path, "0", "a", BLUE)
    crop(tmp_path, "1", "b", GREEN)
    mapping = {"0": "with_mask", "1": "without_mask"}
    assert evaluate(ColourJudge(), tmp_path, mapping=mapping).accuracy == 1


def test_track(tmp_path: Path) -> None:
    """Progress is shown over all pictures that are judged, once."""
    seen: list[object] = []

    def track(items: Sequence[T], doing: str) -> Iterable[T]:
        for item in items:
            seen.append(item)
            yield item

    evaluate(ColourJudge(), three_classes(tmp_path), track=track)
    assert len(seen) == 9


def test_unknown_is_what_serving_says(tmp_path: Path) -> None:
    """Faces of one plain colour are too blurred for serving to name a state."""
    done = evaluate(ColourJudge(), three_classes(tmp_path))
    assert done.unknown_share == 1
    assert done.told.count == 0


class Broken(ColourJudge):
    """Gives what no classifier may."""

    def __init__(self, answer: float, columns: int) -> None:
        super().__init__()
        self._answer, self._columns = answer, columns

    def __call__(self, crops: Image) -> Floats:
        return np.full((len(crops), self._columns), self._answer, np.float32)


@pytest.mark.parametrize(
    "judge",
    [
        pytest.param(Broken(np.nan, 3), id="NaN"),
        pytest.param(Broken(0.5, 2), id="two columns"),
        pytest.param(Broken(-2.5, 3), id="logits"),
    ],
)
def test_impossible_answers(tmp_path: Path, judge: Broken) -> None:
    """A model that gives something else than three probabilities is an error, not a figure."""
    with pytest.raises(ModelOutputError, match="the model gave"):
        evaluate(judge, three_classes(tmp_path))


def test_load_embedded() -> None:
    """`default` is the embedded classifier."""
    judge = load_judge("default")
    assert judge(np.zeros((2, judge.size_px, judge.size_px, 3), np.uint8)).shape == (2, 3)


def test_load_default_beside_its_namesake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`default` is the embedded classifier, whatever folders there are."""
    (tmp_path / "default").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_judge("default").size_px == load_judge("classifier").size_px


def test_load_unknown(tmp_path: Path) -> None:
    """A name that is nothing is refused with the names known."""
    with pytest.raises(UnknownNameError, match="Choose one of"):
        load_judge("defualt")


def test_load_a_folder_that_is_no_run(tmp_path: Path) -> None:
    """A folder without a run in it is an error of the model."""
    pytest.importorskip("keras", reason="keras is in extra train")
    with pytest.raises(ModelError, match=tmp_path.name):
        load_judge(str(tmp_path))


def test_load_a_run_without_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Keras a run cannot be judged, and the error says what to install."""
    monkeypatch.setitem(sys.modules, "maskwatch.training.runs", None)
    with pytest.raises(MissingExtraError, match=r"maskwatch\[train\]"):
        load_judge(str(tmp_path))


def test_load_run(tmp_path: Path) -> None:
    """The model of a run judges as Keras does."""
    keras = pytest.importorskip("keras", reason="keras is in extra train")
    inputs = keras.Input((8, 8, 3), dtype="uint8")
    floats = keras.layers.Rescaling(1 / 255)(inputs)
    outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(floats))
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "model.keras")
    facts = {"finished": True, "recipe": {"name": "tiny", "size_px": 8}, "size_px": 8}
    (tmp_path / "run.json").write_text(json.dumps(facts))
    judge = load_judge(str(tmp_path))
    crops = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
    assert judge.size_px == 8
    np.testing.assert_allclose(judge(crops), np.asarray(model(crops)), atol=1e-6)
    assert judge(crops[:0]).shape == (0, 3)


def test_real_photos(shared: Path) -> None:
    """On hand-labelled photos the figures of the embedded classifier are those of its card."""
    done = evaluate(load_judge("default"), shared / "data/detection/ilc", split="val")
    assert len(done.faces) == 546
    assert done.accuracy >= 0.945
    assert done.two_class_sources == ()
    assert done.with_without.accuracy >= 0.98
