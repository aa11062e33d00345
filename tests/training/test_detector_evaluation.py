"""Rules of running detectors over labelled photos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from maskwatch.classifier import classify, load_classifier
from maskwatch.detectors import DETECTORS
from maskwatch.detectors.yunet import YuNetDetector
from maskwatch.errors import (
    DatasetError,
    ModelOutputError,
    SourceNotFoundError,
    UnknownNameError,
    UsageError,
)
from maskwatch.images import read_image, write_image
from maskwatch.metrics.detection import ANY, DetectionReport
from maskwatch.metrics.tally import Tally
from maskwatch.training.detection import evaluate_detectors, is_detector, parse_specs
from maskwatch.training.detection.sheets import KINDS, MAX_SHEETS, sheet_files, sheets, write_sheets
from maskwatch.types import Faces, Image
from painted import INCORRECT, WITH, PaintDetector, Painted, add_detectors, painted_set, some_photos
from tiny_onnx import write_constant


@pytest.fixture(autouse=True)
def _painted(monkeypatch: pytest.MonkeyPatch) -> None:
    add_detectors(monkeypatch)


def only(
    data: Path | Sequence[Path], spec: str = "paint", split: str | None = None
) -> DetectionReport:
    """The report of one detector."""
    (report,) = evaluate_detectors([spec], data, split=split).reports
    return report


def test_figures(tmp_path: Path) -> None:
    """Boxes, scores and states of every photo come together in one report."""
    done = only(painted_set(tmp_path, some_photos()))
    assert done.photos == 3
    assert done.min_score == 0.5
    assert done.scores[ANY].count == 4
    assert done.scores[ANY].shipped == Tally(hits=3, false_alarms=1, missed=1)
    assert done.scores["with_mask"].shipped == Tally(1, 1, 1)
    assert done.scores[ANY].ap50 == pytest.approx((1 + 1 + 1 + 4 / 5) / 4)
    assert done.states.confusion.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
    assert [path.name for path in done.paths] == ["0.png", "1.png", "2.png"]
    assert (done.times_ms > 0).all()


def test_shipped_and_low_scores(tmp_path: Path) -> None:
    """As shipped is what the detector gives by itself; curves go down to scores of 0.02."""
    box = (20, 20, 80, 80)
    photos = [[Painted(box, WITH, score)] for score in (0.01, 0.02, 0.49, 0.5, 0.9)]
    done = only(painted_set(tmp_path, photos))
    assert len(done.found) == 4
    assert len(done.shipped) == 2
    assert done.found.scores.min() == pytest.approx(0.02)


def test_several_detectors(tmp_path: Path) -> None:
    """Detectors come in the order asked for and see the same photos."""
    done = evaluate_detectors(["plain", "paint"], painted_set(tmp_path, some_photos()))
    assert [report.name for report in done.reports] == ["plain", "paint"]
    assert [report.tells_states for report in done.reports] == [False, True]
    plain, paint = done.reports
    assert plain.scores[ANY] == paint.scores[ANY]
    assert done.photos == 3
    assert done.faces == 4


def test_with_a_classifier(tmp_path: Path) -> None:
    """A classifier behind a detector tells the states, as in serving."""
    model = write_constant(tmp_path / "model.onnx")  # without_mask, always
    folder = painted_set(tmp_path / "set", some_photos())
    done = only(folder, f"plain+{model}")
    assert done.name == f"plain+{model}"
    assert done.states.confusion[:, 1].sum() == done.states.count == 3
    assert only(folder, "plain+default").tells_states
    fused = only(folder, f"paint+{model}")
    image = read_image(folder / "images" / "0.png")
    found = PaintDetector("paint", states=True)([image])
    ((faces, _),) = classify(load_classifier(str(model)), [image], found)
    own = fused.shipped.on(np.arange(3) == 0).state_probs
    assert own is not None
    assert faces.state_probs is not None
    np.testing.assert_allclose(own, faces.state_probs)


def test_nothing_found(tmp_path: Path) -> None:
    """A detector that tells states and finds nothing has an AP of 0 for each class."""
    photos = [[Painted((10, 10, 60, 60), None)]]
    done = only(painted_set(tmp_path, photos))
    assert done.scores["with_mask"].ap50 == 0
    assert done.scores["with_mask"].shipped == Tally(0, 0, 1)
    assert math.isnan(done.scores["without_mask"].ap50)
    assert not only(tmp_path, "plain").tells_states


@pytest.mark.parametrize(
    ("splits", "asked", "photos", "label"),
    [
        pytest.param(("train", "val", "test"), None, 1, "set (test)", id="test first"),
        pytest.param(("train", "val", "val"), None, 2, "set (val)", id="then val"),
        pytest.param(("train", "train", "train"), None, 3, "set (all)", id="then all"),
        pytest.param((), None, 3, "set", id="no splits"),
        pytest.param(("train", "val", "test"), "train", 1, "set (train)", id="asked for"),
        pytest.param(("train", "val", "test"), "valid", 1, "set (val)", id="by another name"),
        pytest.param(("train", "val", "test"), "all", 3, "set (all)", id="all"),
    ],
)
def test_splits(
    tmp_path: Path, splits: tuple[str, ...], asked: str | None, photos: int, label: str
) -> None:
    """The split asked for is looked at, else test, else val, else everything."""
    done = only(painted_set(tmp_path / "set", some_photos(), splits), split=asked)
    assert done.photos == photos
    assert done.sources[0].label == label


def test_missing_split(tmp_path: Path) -> None:
    """A split that is not there is an error that names those that are."""
    folder = painted_set(tmp_path / "set", some_photos(), ("train", "val", "val"))
    with pytest.raises(DatasetError, match=r"no photos in split 'test'.*train, val"):
        only(folder, split="test")
    with pytest.raises(UnknownNameError, match="unknown split 'tset'"):
        only(folder, split="tset")


def test_several_sets(tmp_path: Path) -> None:
    """Each data set is a source, given one by one or as the folder that holds them."""
    folders = [painted_set(tmp_path / name, some_photos()) for name in ("a", "b")]
    write_image(tmp_path / "none" / "x.png", np.zeros((50, 50, 3), np.uint8))
    for data in ([*folders, tmp_path / "none"], [tmp_path]):
        done = only(data)
        assert [source.label for source in done.sources] == ["a", "b", "none"]
        assert [part.photos for part in done.by_source] == [3, 3, 1]
        assert done.by_source[0].scores[ANY] == done.by_source[1].scores[ANY]


def test_sets_of_one_name(tmp_path: Path) -> None:
    """Data sets whose folders have one name are told apart by the folder above."""
    folders = [painted_set(tmp_path / name / "set", some_photos()) for name in ("a", "b")]
    assert [source.label for source in only(folders).sources] == ["a/set", "b/set"]


@pytest.mark.parametrize("place", [".", "images"])
def test_photos_without_labels(tmp_path: Path, place: str) -> None:
    """A folder of photos without labels has no faces: whatever is found is a false alarm.

    That holds whichever split is asked for.
    """
    write_image(tmp_path / place / "a.png", np.zeros((50, 50, 3), np.uint8))
    painted = painted_set(tmp_path / "other", [[Painted((5, 5, 45, 45))]]) / "images/0.png"
    write_image(tmp_path / place / "b.png", read_image(painted))
    (tmp_path / "other").rename(tmp_path.parent / f"{tmp_path.name}-other")
    for split in (None, "val"):
        done = only(tmp_path, split=split)
        assert done.photos == 2
        assert len(done.false_alarms) == 1
        assert math.isnan(done.scores[ANY].ap50)


def test_labels_that_are_not_understood(tmp_path: Path) -> None:
    """Photos beside labels of an unknown form are not taken for photos without faces."""
    write_image(tmp_path / "images/a.png", np.zeros((50, 50, 3), np.uint8))
    (tmp_path / "labels.csv").write_text("a.png,1,2,3,4\n")
    with pytest.raises(DatasetError, match=tmp_path.name):
        only(tmp_path)


def test_crops(tmp_path: Path) -> None:
    """Face crops have no boxes to be found."""
    write_image(tmp_path / "with_mask" / "a.png", np.zeros((50, 50, 3), np.uint8))
    with pytest.raises(DatasetError, match="detectors need photos with boxes"):
        only(tmp_path)


def test_unreadable_photo(tmp_path: Path) -> None:
    """A broken photo is named, and neither its faces nor its place are counted."""
    folder = painted_set(tmp_path, some_photos())
    (folder / "images" / "1.png").write_bytes(b"no picture")
    done = evaluate_detectors(["paint"], folder)
    assert len(done.unread) == 1
    assert "1.png" in done.unread[0]
    assert done.photos == 2
    assert done.faces == 3
    assert [path.name for path in done.reports[0].paths] == ["0.png", "2.png"]


def test_nothing_readable(tmp_path: Path) -> None:
    """Without one photo there is an error that says why."""
    folder = painted_set(tmp_path / "set", some_photos()[:1])
    (folder / "images" / "0.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"no photo can be read in set\..*0\.png"):
        only(folder)
    with pytest.raises(SourceNotFoundError, match="no such folder"):
        only(tmp_path / "gone")


def test_one_set_unreadable(tmp_path: Path) -> None:
    """One of several data sets that cannot be read is named, and the rest is looked at."""
    done = evaluate_detectors(
        ["paint"], [tmp_path / "gone", painted_set(tmp_path / "set", some_photos())]
    )
    assert done.photos == 3
    assert len(done.unread) == 1
    assert "gone" in done.unread[0]


def test_impossible_boxes(tmp_path: Path) -> None:
    """Boxes of no area, or outside the picture, are left out and counted."""
    photos = [
        [
            Painted((10, 10, 60, 60)),
            Painted((50, 50, 50, 90), None),
            Painted((900, 900, 950, 950), None),
        ]
    ]
    done = evaluate_detectors(["paint"], painted_set(tmp_path, photos))
    assert done.left_out == {"with an impossible box": 2}
    assert done.faces == 1


def test_faces_without_state(tmp_path: Path) -> None:
    """A face labelled as no more than a face counts as one."""
    done = only(painted_set(tmp_path, [[Painted((10, 10, 60, 60), label="face")]]))
    assert done.scores[ANY].shipped == Tally(1, 0, 0)
    assert done.scores["with_mask"].count == 0


def test_every_photo_in_order(tmp_path: Path) -> None:
    """More photos than fit one block of decoding keep their order, and progress sees each."""
    count = 70
    photos = [[Painted((0, 0, 30 + number, 30 + number))] for number in range(count)]
    seen: list[object] = []

    def track(items: Sequence[object], doing: str) -> Sequence[object]:
        seen.extend(items)
        return items

    (done,) = evaluate_detectors(["paint"], painted_set(tmp_path, photos), track=track).reports  # type: ignore[arg-type]
    order = sorted(range(count), key=str)
    assert len(seen) == done.photos == count
    assert done.found.sizes_px.tolist() == [30 + number for number in order]
    assert done.scores[ANY].ap50 == 1


def test_a_detector_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NaN from a detector is an error of the model that names it."""

    class Broken(PaintDetector):
        def __call__(self, images: Sequence[Image]) -> list[Faces]:
            nan = np.full((1, 4), np.nan, np.float32)
            return [Faces(nan, np.ones(1, np.float32)) for _ in images]

    monkeypatch.setitem(DETECTORS, "broken", lambda low: Broken("broken", low, states=False))
    with pytest.raises(ModelOutputError, match="broken returned NaN"):
        only(painted_set(tmp_path, some_photos()), "broken")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("haar", ["haar"], id="one"),
        pytest.param("haar+default", ["haar+default"], id="classifier"),
        pytest.param("yunet, haar + a/b.onnx", ["yunet", "haar+a/b.onnx"], id="list"),
        pytest.param("haar,haar+default", ["haar", "haar+default"], id="with and without"),
    ],
)
def test_specs(text: str, names: list[str]) -> None:
    """Detectors come with commas between them, a classifier behind a plus."""
    assert [spec.name for spec in parse_specs([text])] == names
    assert is_detector(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(
            "yunett+default", "unknown detector 'yunett'. Did you mean 'yunet'", id="name"
        ),
        pytest.param("default,haar", "unknown detector 'default'", id="classifier in a list"),
        pytest.param("haar+", "names no classifier", id="no classifier"),
        pytest.param("haar,haar", "named twice", id="twice"),
        pytest.param(",", "no detector was named", id="none"),
    ],
)
def test_wrong_specs(text: str, says: str) -> None:
    """What cannot be meant is refused, and is not taken for a classifier."""
    assert is_detector(text)
    with pytest.raises(UsageError, match=says):
        parse_specs([text])


@pytest.mark.parametrize("text", ["default", "classifier", "model.onnx", "runs/first"])
def test_classifiers_are_no_detectors(text: str) -> None:
    """Anything else is left to those who know classifiers."""
    assert not is_detector(text)


def test_run_of_mtcnn(tmp_path: Path) -> None:
    """The folder of a run of `maskwatch mtcnn train` is a detector, alone and with a classifier."""
    (tmp_path / "mtcnn.json").write_text("{}")
    for text in (str(tmp_path), f"{tmp_path}+default"):
        assert is_detector(text)
        assert [spec.name for spec in parse_specs([text])] == [text]


def test_file_with_a_comma(tmp_path: Path) -> None:
    """A classifier's file may have a comma or a plus in its name."""
    path = tmp_path / "a,b+c.onnx"
    assert is_detector(str(path))
    path.touch()
    assert not is_detector(str(path))
    assert is_detector("a," * 9000)


def test_unknown_classifier(tmp_path: Path) -> None:
    """An unknown classifier is told before any photo is read."""
    with pytest.raises(UnknownNameError, match="unknown classifier 'defualt'"):
        only(tmp_path / "gone", "haar+defualt")


ORANGE, GREEN = (0, 130, 255), (70, 190, 60)


def count_of(sheet: Image, bgr: tuple[int, int, int]) -> int:
    """Pixels of nearly one colour below the title."""
    return int((np.abs(sheet[28:].astype(int) - bgr).max(axis=2) < 12).sum())


def test_sheets(tmp_path: Path) -> None:
    """Misses show labelled boxes, false alarms found ones, and states both."""
    done = only(painted_set(tmp_path, some_photos()))
    misses, alarms, states = (sheets(done, kind) for kind in KINDS)
    assert len(misses) == len(alarms) == len(states) == 1
    assert count_of(misses[0], GREEN) > 300
    assert count_of(misses[0], ORANGE) == 0
    assert count_of(alarms[0], ORANGE) > 300
    assert count_of(alarms[0], GREEN) == 0
    assert count_of(states[0], ORANGE) > 300
    # The labelled box lies beneath the found one.
    assert all(sheet.shape == misses[0].shape for sheet in (*alarms, *states))


def test_sheet_cells(tmp_path: Path) -> None:
    """The face is in the middle of its cell, in its surroundings, and the worst comes first."""
    big, small = (40, 40, 140, 140), (200, 20, 250, 70)
    faces = [Painted(small, INCORRECT, 0.3), Painted(big, WITH, 0.3)]
    (sheet,) = sheets(only(painted_set(tmp_path, [faces])), "misses")
    first, second = (sheet[28 + 90, 6 + 186 * i + 90] for i in range(2))
    assert first.tolist() == [60, 40, 255]
    assert second.tolist() == [60, 200, 255]
    # Towards the corner lies the photo around the face, and then what is no photo.
    assert sheet[28 + 40, 6 + 40].tolist() == [0, 0, 0]
    assert sheet[28 + 4, 6 + 4].tolist() == [228, 226, 224]


def test_many_errors_make_several_sheets(tmp_path: Path) -> None:
    """Errors go on over sheets, up to a limit; the title counts all."""
    photos = [[Painted((10, 10, 50, 50), None)] for _ in range(130)]
    done = only(painted_set(tmp_path / "set", photos))
    assert len(sheets(done, "misses")) == MAX_SHEETS == 3
    assert len(sheets(done, "misses", 1)) == 1
    assert sheets(done, "false-alarms") == []


def test_sheet_files(tmp_path: Path) -> None:
    """The files written are among those announced; a path in a name makes no folder."""
    (tmp_path / "deep").mkdir()
    model = write_constant(tmp_path / "deep" / "model.onnx")
    done = evaluate_detectors(["paint", f"plain+{model}"], painted_set(tmp_path, some_photos()))
    out = tmp_path / "sheets"
    written = write_sheets(done, out)
    assert sorted(out.iterdir()) == sorted(written)
    assert set(written) <= set(sheet_files([report.name for report in done.reports], out))
    assert out / "paint-misses-1.png" in written
    assert all(cv2.imread(str(path)) is not None for path in written)


def test_sheet_of_a_photo_that_has_gone(tmp_path: Path) -> None:
    """A photo that cannot be read any more leaves an empty cell."""
    folder = painted_set(tmp_path, some_photos())
    done = only(folder)
    (before,) = sheets(done, "misses")
    (folder / "images" / "2.png").unlink()
    (sheet,) = sheets(done, "misses")
    assert count_of(sheet, GREEN) == 0
    assert (sheet != before).any()


def test_real_photos(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On hand-labelled photos YuNet finds what it was measured to find."""
    file = shared / "weights" / "yunet_s_640.onnx"

    def make(low: float | None) -> YuNetDetector:
        return YuNetDetector(file) if low is None else YuNetDetector(file, low)

    monkeypatch.setitem(DETECTORS, "yunet", make)
    done = only(shared / "data/detection/kaggle", "yunet", "val")
    assert done.photos == 62
    assert done.scores[ANY].count == 138
    assert done.scores[ANY].ap50 == pytest.approx(0.93, abs=0.015)
    assert done.scores[ANY].shipped.recall == pytest.approx(0.92, abs=0.02)
