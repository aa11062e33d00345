"""Rules of measuring MTCNN before and after."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("keras", reason="Keras is not installed (extra train)")

from made_detections import contested, report_of
from maskwatch.detectors.mtcnn import TRAINED_THRESHOLDS
from maskwatch.errors import ModelError, UsageError
from maskwatch.images import read_image, write_image
from maskwatch.metrics.detection import NAMES
from maskwatch.metrics.found import NO_STATE, Found, Truths
from maskwatch.metrics.tally import Tally
from maskwatch.training.mtcnn import runs
from maskwatch.training.mtcnn.evaluate import (
    changed,
    evaluate_mtcnn,
    load_contenders,
    masked,
    of_state,
    sheet_files,
    write_sheets,
)
from painted import painted_set, some_photos
from tiny_mtcnn import write_mtcnn

FACE = [10.0, 10.0, 50.0, 50.0]
BARE = [100.0, 10.0, 140.0, 50.0]
SMALL = [200.0, 10.0, 215.0, 25.0]
NONE = [10.0, 100.0, 60.0, 150.0]


def truths() -> Truths:
    """A masked face, a bare one, a small one, and one without a state, on one photo."""
    boxes = np.array([FACE, BARE, SMALL, [300.0, 10.0, 340.0, 50.0]])
    return Truths(np.zeros(4, np.int64), boxes, np.array([0, 1, 0, NO_STATE]))


def found(*boxes: list[float]) -> Found:
    return Found(
        np.zeros(len(boxes), np.int64),
        np.array(boxes, float).reshape(-1, 4),
        np.linspace(0.9, 0.8, len(boxes)),
    )


def test_seed_counts() -> None:
    """Masked faces are found or missed; others that are found are no false alarms."""
    tally = masked(report_of(truths(), found(FACE, BARE, SMALL, NONE), 1))
    assert (tally.hits, tally.false_alarms, tally.missed) == (1, 1, 0)
    tally = masked(report_of(truths(), found(BARE, NONE), 1))
    assert (tally.hits, tally.false_alarms, tally.missed) == (0, 1, 1)


@pytest.mark.parametrize("seed", range(4))
def test_states_make_up_the_whole(seed: int) -> None:
    """Each state's faces are as many as are labelled so, and with one state nothing is ignored."""
    labelled, given = contested(seed, states=False)
    report = report_of(labelled, given, 12)
    large = labelled.sizes_px >= report.min_face_px
    for index, name in enumerate(NAMES):
        tally = Tally.of(of_state(report, name, 0.5))
        assert tally.hits + tally.missed == ((labelled.states == index) & large).sum()
    same = Truths(labelled.photo, labelled.boxes, np.zeros(len(labelled.photo), np.int64))
    report = report_of(same, given, 12)
    whole = Tally.of(report.ranking("any", 0.5, shipped=True))
    assert Tally.of(of_state(report, NAMES[0], 0.5)) == whole


def test_what_changed() -> None:
    """Faces and false alarms of the one that the other does not have; what both have is left."""
    before = report_of(truths(), found(FACE, NONE), 1, name="before")
    after = report_of(truths(), found(BARE, [200.0, 100.0, 240.0, 140.0]), 1, name="after")
    for report in (before, after):
        object.__setattr__(report, "paths", (Path("a.png"),))
    kinds = {
        kind: [cell.box.tolist() for cell in cells]
        for kind, (_, cells) in changed(before, after).items()
    }
    assert kinds == {
        "found-now": [BARE],
        "missed-now": [FACE],
        "false-alarms-now": [[200.0, 100.0, 240.0, 140.0]],
        "false-alarms-gone": [NONE],
    }
    assert all(not cells for _, cells in changed(before, before).values())


def made_run(folder: Path, seed: int) -> Path:
    """A run with networks drawn by lot."""
    folder.mkdir()
    write_mtcnn(folder, seed)
    runs.write_facts(folder, {"stages": {}, "thresholds": {}})
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return painted_set(tmp_path / "set", some_photos(), ["train", "val", "val"])


def test_default_and_run(tmp_path: Path) -> None:
    """The embedded networks and a run come with thresholds of their own."""
    run = made_run(tmp_path / "run", 0)
    runs.write_facts(run, {"stages": {}, "thresholds": {"onet": 0.35}})
    contenders = load_contenders(["default", str(run)], None)
    assert [each.name for each in contenders] == ["default", "run"]
    assert [each.min_score for each in contenders] == [TRAINED_THRESHOLDS.onet, 0.35]


def test_two_runs(tmp_path: Path, data: Path) -> None:
    """Runs are measured side by side: all parts are there, in text and as figures."""
    models = [str(made_run(tmp_path / name, seed)) for seed, name in enumerate(("old", "new"))]
    done = evaluate_mtcnn(models, [data], min_score=0.6)
    assert [report.min_score for report in done.detection.reports] == [0.6, 0.6]
    table = done.table()
    assert table.splitlines()[0].startswith("1 masked faces, IoU 0.3")
    for part in ("recall by state and IoU", "pnet, 2 faces", "onet, 2 faces", "AP50 by size"):
        assert part in table
    figures = done.json()
    assert [one["detector"] for one in figures["detectors"]] == ["old", "new"]
    assert figures["detectors"][0]["masked_iou30"]["missed"] <= 1
    for own in figures["detectors"]:
        by_state = own["by_state"]["iou 0.3"]
        assert by_state["with_mask"] == own["masked_iou30"]
        assert by_state["any"]["hits"] >= by_state["with_mask"]["hits"]
    assert [row["model"] for row in figures["recall_by_network"]["rnet"]] == ["old", "new"]
    assert not evaluate_mtcnn(models[:1], [data], by_network=False).recalls


def test_sheets(tmp_path: Path, data: Path) -> None:
    """Sheets show what a run changes, under names that are known before."""
    models = [str(made_run(tmp_path / name, seed)) for seed, name in enumerate(("old", "new"))]
    done = evaluate_mtcnn(models, [data], min_score=0.5, by_network=False).detection
    written = write_sheets(done, tmp_path / "sheets")
    assert set(written) <= set(sheet_files(["old", "new"], tmp_path / "sheets"))
    assert written
    assert read_image(written[0]).shape[1] > 500


def test_wrong_models(tmp_path: Path) -> None:
    """What is no run, an unfinished one, and two of one name are told apart."""
    with pytest.raises(ModelError, match=r"no mtcnn\.json"):
        load_contenders([str(tmp_path)], None)
    run = made_run(tmp_path / "run", 0)
    (run / "onet.onnx").unlink()
    with pytest.raises(ModelError, match=r"lacks onet\.onnx"):
        load_contenders([str(run)], None)
    (tmp_path / "a").mkdir()
    one, two = made_run(tmp_path / "same", 0), made_run(tmp_path / "a" / "same", 0)
    with pytest.raises(UsageError, match="two models are called same"):
        load_contenders([str(one), str(two)], None)
    with pytest.raises(UsageError, match="no model"):
        load_contenders([], None)


def test_empty_photos(tmp_path: Path) -> None:
    """Photos without labels tell false alarms alone, and no recall of networks."""
    write_image(tmp_path / "none" / "a.png", np.full((80, 80, 3), 90, np.uint8))
    done = evaluate_mtcnn([str(made_run(tmp_path / "run", 0))], [tmp_path / "none"])
    assert not done.recalls
    assert done.table().splitlines()[0].startswith("0 masked faces")
