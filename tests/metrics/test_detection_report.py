"""Rules of the figures of a detector, on scenes small enough to count by hand."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from made_detections import contested, report_of
from maskwatch.metrics.detection import ANY, IOU, KEYS, NAMES, DetectionReport
from maskwatch.metrics.detector_comparison import DetectorComparison
from maskwatch.metrics.found import NO_STATE, Found, Truths
from maskwatch.metrics.tally import Tally
from maskwatch.types import CLASSES, Faces, MaskState

WITH, WITHOUT, INCORRECT = range(3)
SURE = ((0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8))
"""Probabilities that mean a class."""


def at(place: int, size_px: float) -> list[float]:
    """A square box at one of several places that do not overlap."""
    return [200.0 * place, 0, 200.0 * place + size_px, size_px]


def scenes(
    labelled: Sequence[tuple[int, list[float], int]],
    found: Sequence[tuple[int, list[float], float, Sequence[float]]],
    photos: int = 2,
    **options: float,
) -> DetectionReport:
    """A report of labelled (photo, box, state) and found (photo, box, score, probabilities)."""
    truths = Truths(
        np.array([photo for photo, _, _ in labelled], np.int64),
        np.array([box for _, box, _ in labelled], np.float64).reshape(-1, 4),
        np.array([state for _, _, state in labelled], np.int64),
    )
    faces = Found(
        np.array([photo for photo, *_ in found], np.int64),
        np.array([box for _, box, _, _ in found], np.float64).reshape(-1, 4),
        np.array([score for _, _, score, _ in found], np.float64),
        np.array([probs for *_, probs in found], np.float64).reshape(-1, 3),
    )
    return report_of(truths, faces, photos, **options)  # type: ignore[arg-type]


@pytest.fixture
def small() -> DetectionReport:
    """Two photos: one face right, one told wrong, one missed as shipped, and a false alarm."""
    return scenes(
        [(0, at(0, 50), WITH), (0, at(1, 60), WITHOUT), (1, at(0, 100), INCORRECT)],
        [
            (0, at(0, 50), 0.9, SURE[WITH]),
            (0, at(1, 60), 0.8, SURE[WITH]),
            (0, at(2, 30), 0.7, SURE[WITHOUT]),
            (1, at(0, 100), 0.3, SURE[INCORRECT]),
        ],
    )


def test_any_face(small: DetectionReport) -> None:
    """A face is found whatever is said of its state; all that is found counts for the AP."""
    scores = small.scores[ANY]
    assert scores.count == 3
    assert scores.ap50 == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert scores.shipped == Tally(hits=2, false_alarms=1, missed=1)


def test_class_score(small: DetectionReport) -> None:
    """For a class faces are ranked by score times probability, others of its faces being wrong."""
    # with: 0.72 hits, 0.64 is of another class.
    assert small.scores["with_mask"].ap50 == 1
    # without: 0.56 the false alarm, 0.09 a wrong face, 0.08 the face, 0.03 another wrong one.
    assert small.scores["without_mask"].ap50 == pytest.approx(1 / 3)
    # incorrect: 0.24 hits.
    assert small.scores["incorrect_mask"].ap50 == 1
    assert small.mean("ap50") == pytest.approx((1 + 1 / 3 + 1) / 3)


def test_shipped_by_class(small: DetectionReport) -> None:
    """As shipped a face is of the class that it most probably has, and of no other."""
    tallies = [small.scores[name].shipped for name in NAMES]
    assert tallies == [Tally(1, 1, 0), Tally(0, 1, 1), Tally(0, 0, 1)]


def test_states_of_matched_faces(small: DetectionReport) -> None:
    """States are counted among faces that are found as shipped."""
    assert small.states.confusion.tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert small.wrong_states.tolist() == [[1, 1]]


def test_errors(small: DetectionReport) -> None:
    """Misses are labelled faces, false alarms found ones."""
    assert small.misses.tolist() == [2]
    assert small.false_alarms.tolist() == [2]
    assert small.false_alarms_a_photo == 0.5
    assert small.photos_with_false_alarms == 1


def test_worst_errors_first() -> None:
    """The largest miss and the best scored false alarm come first."""
    done = scenes(
        [(0, at(0, 40), WITH), (0, at(1, 90), WITH), (1, at(0, 60), WITH)],
        [(0, at(3, 50), 0.6, SURE[0]), (1, at(3, 50), 0.9, SURE[0]), (1, at(4, 50), 0.7, SURE[0])],
    )
    assert done.misses.tolist() == [1, 2, 0]
    assert done.false_alarms.tolist() == [1, 2, 0]


def test_small_faces() -> None:
    """Small faces are not missed; a found face on one or as small as one is no false alarm."""
    done = scenes(
        [(0, at(0, 23.9), WITH), (0, at(1, 24), WITH), (0, at(2, 23), WITH)],
        [
            (0, at(0, 24.5), 0.9, SURE[WITHOUT]),
            (0, at(3, 20), 0.8, SURE[WITHOUT]),
            (0, at(4, 24), 0.7, SURE[WITH]),
        ],
    )
    assert done.scores[ANY].shipped == Tally(hits=0, false_alarms=1, missed=1)
    # Also for the class that the small face does not have.
    assert done.scores["without_mask"].shipped == Tally(0, 0, 0)


def test_faces_without_state() -> None:
    """A face whose state nobody wrote down counts as a face and is ignored for every class."""
    done = scenes([(0, at(0, 50), NO_STATE)], [(0, at(0, 50), 0.9, SURE[WITH])])
    assert done.scores[ANY].shipped == Tally(1, 0, 0)
    assert done.scores["with_mask"].shipped == Tally(0, 0, 0)
    assert math.isnan(done.scores["with_mask"].ap50)
    assert math.isnan(done.mean("ap50"))
    assert done.states.count == 0


def test_mean_of_classes_that_are_there() -> None:
    """Classes without labelled faces are left out of the mean."""
    done = scenes([(0, at(0, 50), WITH)], [(0, at(0, 50), 0.9, SURE[WITH])])
    assert done.mean("ap50") == 1
    assert done.mean_ap50_interval == (1, 1)


def test_faces_alone() -> None:
    """A detector that tells no states has figures of any face alone."""
    truths, found = contested(0, states=False)
    done = report_of(truths, found, 12)
    assert not done.tells_states
    assert set(done.scores) == {ANY}
    assert math.isnan(done.mean("ap50"))
    assert done.json()["classes"] == {}
    with pytest.raises(ValueError, match="tells no states"):
        _ = done.states


def test_nothing_found_at_all() -> None:
    """Of a detector that finds nothing every face is missed and no figure is made up."""
    empty = Found.of([Faces.empty(), Faces.empty()])
    truths = Truths(np.array([0]), np.array([at(0, 50)]), np.array([WITH]))
    done = report_of(truths, empty, 2)
    assert done.scores[ANY].ap50 == 0
    assert done.scores[ANY].shipped == Tally(0, 0, 1)
    assert math.isnan(done.scores[ANY].shipped.precision)


def test_states_told_only_of_low_scores() -> None:
    """Where nothing is found as shipped the classes have recall 0 and no precision."""
    done = scenes([(0, at(0, 50), WITH)], [(0, at(0, 50), 0.2, SURE[WITH])])
    shipped = replace(done, shipped=Found.of([Faces.empty(), Faces.empty()]))
    assert shipped.scores["with_mask"].ap50 == 1
    assert shipped.scores["with_mask"].shipped == Tally(0, 0, 1)
    assert shipped.states.count == 0


def test_photos_without_faces() -> None:
    """Without labelled faces there are false alarms and nothing else."""
    done = scenes([], [(1, at(0, 50), 0.9, SURE[0]), (1, at(1, 50), 0.8, SURE[0])], photos=4)
    assert math.isnan(done.scores[ANY].ap50)
    assert len(done.false_alarms) == 2
    assert done.photos_with_false_alarms == 1
    assert done.false_alarms_a_photo == 0.5
    assert done.curve(ANY)[0].size == 0


def test_by_size() -> None:
    """Each face is of one size, from its lower end to below its upper one; others are ignored."""
    sizes = [15.9, 16, 23.9, 24, 47, 48, 95, 96, 500]
    done = scenes(
        [(0, [400.0 * i, 0, 400.0 * i + size / 2, 2 * size], 0) for i, size in enumerate(sizes)],
        [(0, [2000.0, 0, 2024, 96], 0.9, SURE[0])],
    )
    assert [part.name for part in done.by_size] == ["16-24 px", "24-48 px", "48-96 px", "96+ px"]
    assert [part.count for part in done.by_size] == [2, 2, 2, 2]
    assert [part.shipped.recall for part in done.by_size] == [0, 0, 0.5, 0]
    assert [part.ap50 for part in done.by_size] == [0, 0, 0.5, 0]


def test_by_source() -> None:
    """Each data set has the figures that it has alone."""
    truths, found = contested(3)
    done = report_of(truths, found, 12, sources=2)
    for index, part in enumerate(done.by_source):
        photos = np.arange(12) % 2 == index
        alone = report_of(truths.on(photos), found.on(photos), 6)
        assert part.sources[0].name == f"set{index}"
        assert part.photos == 6
        for key in KEYS:
            assert part.scores[key] == alone.scores[key]
    counts = [part.scores[ANY].count for part in done.by_source]
    assert sum(counts) == done.scores[ANY].count
    assert min(counts) > 0


def test_intervals() -> None:
    """An interval holds its figure, is the same each time and shrinks with more photos."""
    widths = []
    for photos in (12, 120):
        done = report_of(*contested(5, photos), photos)
        scores = done.scores[ANY]
        low, high = scores.ap50_interval
        assert low < scores.ap50 < high
        assert report_of(*contested(5, photos), photos).scores[ANY] == scores
        mean_low, mean_high = done.mean_ap50_interval
        assert mean_low < done.mean("ap50") < mean_high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_curve() -> None:
    """The curve at 0.5 belongs to the average precision, and ends where recall does."""
    truths, found = contested(1)
    done = report_of(truths, found, 12)
    for key in KEYS:
        precision, recall = done.curve(key)
        ranking = done.ranking(key, IOU)
        assert recall[-1] == pytest.approx(ranking.hit.sum() / ranking.count)
        told = done.json()["curves"][key]
        assert len(told) == 101
        assert told[0] == pytest.approx(precision.max(), abs=1e-4)
        assert np.mean(told) == pytest.approx(done.scores[key].ap50, abs=0.02)


def test_other_least_size() -> None:
    """A larger least size leaves faces out."""
    truths, found = contested(2)
    counts = [
        report_of(truths, found, 12, min_face_px=size).scores[ANY].count for size in (0, 24, 48)
    ]
    assert counts[0] == len(truths)
    assert counts[0] > counts[1] > counts[2] > 0


def test_json(small: DetectionReport) -> None:
    """All figures are JSON, undefined ones null; the worst errors are named."""
    text = json.dumps(DetectorComparison((small,)).json(), allow_nan=False)
    (told,) = json.loads(text)["detectors"]
    assert told["any"]["ap50"] == 0.9167
    assert told["any"]["shipped"]["hits"] == 2
    assert told["ms_a_photo"] == 7
    assert told["by_size"][0]["recall"] is None
    assert told["states"]["confusion"][1] == [1, 0, 0]
    assert told["false_alarms"] == {"count": 1, "a_photo": 0.5, "photos": 1}
    errors = told["errors"]
    assert errors["misses"][0]["labelled"] == "incorrect_mask"
    assert errors["misses"][0]["box"] == at(0, 100)
    assert errors["false_alarms"][0]["score"] == 0.7
    assert errors["states"][0]["told"] == "with_mask"
    assert errors["states"][0]["labelled"] == "without_mask"


def test_table(small: DetectionReport) -> None:
    """The table has a line a detector, and a dash where a figure does not exist."""
    alone = replace(
        small,
        name="faces",
        found=replace(small.found, state_probs=None),
        shipped=replace(small.shipped, state_probs=None),
    )
    lines = DetectorComparison((small, alone)).table().splitlines()
    assert lines[0].split() == [
        *("detector", "any", "with", "without", "incorrect", "mean", "AP30", "AP"),
        *("precision", "recall", "false", "ms"),
    ]
    shipped = ["0.667", "0.667", "1", "7.0"]
    assert lines[1].split() == [
        *("made", "0.917", "1.000", "0.333", "1.000", "0.778", "0.917", "0.916"),
        *shipped,
    ]
    assert lines[2].split() == ["faces", "0.917", *"----", "0.917", "0.916", *shipped]
    assert any(line.startswith("recall by size") for line in lines)
    assert sum(line.startswith("states of faces") for line in lines) == 1


def test_table_of_several_sources() -> None:
    """Several data sets have a table each."""
    truths, found = contested(3)
    done = DetectorComparison((report_of(truths, found, 12, sources=2),))
    assert "set0 (val)" in done.table()
    assert "set1 (val)" in done.table()
    assert done.photos == 12


def test_truths_and_found_of_photos() -> None:
    """Faces of photos are put one behind another; a photo may have none."""
    box = np.array([[1, 2, 3, 4]], np.float32)
    truths = Truths.of([(box, [MaskState.WITHOUT_MASK]), (box[:0], []), (box, [None])])
    assert truths.photo.tolist() == [0, 2]
    assert truths.states.tolist() == [CLASSES.index(MaskState.WITHOUT_MASK), NO_STATE]
    faces = Faces(box, np.array([0.5], np.float32), np.array([[0.2, 0.3, 0.5]], np.float32))
    found = Found.of([Faces.empty(), faces])
    assert found.photo.tolist() == [1]
    assert found.state_probs == pytest.approx(np.array([[0.2, 0.3, 0.5]]))
    assert Found.of([Faces.empty()]).state_probs is None
    with pytest.raises(ValueError, match="state_probs"):
        Found.of([faces, Faces(box, np.array([0.5], np.float32))])


@pytest.mark.parametrize(
    ("tally", "figures"),
    [
        pytest.param(Tally(3, 1, 2), (0.75, 0.6, 2 / 3), id="some"),
        pytest.param(Tally(0, 1, 1), (0, 0, 0), id="no hits"),
    ],
)
def test_tally(tally: Tally, figures: tuple[float, float, float]) -> None:
    """Precision, recall and F1 follow from the counts, and intervals hold them."""
    assert (tally.precision, tally.recall, tally.f1) == pytest.approx(figures)
    assert tally.precision_interval[0] <= tally.precision <= tally.precision_interval[1]
    assert tally.recall_interval[0] <= tally.recall <= tally.recall_interval[1]


def test_tally_of_nothing() -> None:
    """Without faces nothing is defined, and JSON has null."""
    told = Tally(0, 0, 0).json()
    assert told["precision"] is None
    assert told["recall"] is None
    assert told["f1"] is None


def test_fast_enough() -> None:
    """300 photos with thousands of faces are judged within a few seconds, also on a busy machine.

    It takes about half a second; going through pairs one by one would take a minute.
    """
    truths, found = contested(0, 300)
    start_s = time.process_time()
    done = report_of(truths, found, 300)
    DetectorComparison((replace(done, sources=(done.sources[0],)),)).json()
    assert len(found) == 4200
    assert time.process_time() - start_s < 4


def test_paths_of_a_source() -> None:
    """The photos of a data set go with it."""
    truths, found = contested(3)
    paths = tuple(Path(f"{number}.png") for number in range(12))
    done = replace(report_of(truths, found, 12, sources=3), paths=paths)
    assert done.by_source[1].paths == paths[1::3]
