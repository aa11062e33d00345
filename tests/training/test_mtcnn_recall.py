"""Rules of the recall of each network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("keras", reason="Keras is not installed (extra train)")

from maskwatch.detectors.mtcnn import STOCK_THRESHOLDS, MtcnnDetector, Networks
from maskwatch.images import write_image
from maskwatch.training.mtcnn import recall
from maskwatch.training.mtcnn.photos import Photo
from maskwatch.training.mtcnn.recall import BUDGETS, all_recalls, recall_of, table
from maskwatch.training.onepass.pack import IGNORED
from maskwatch.types import Floats, Image
from portraits import Portrait
from tiny_mtcnn import some_networks

FACES = np.array([[0, 0, 40, 40], [100, 0, 140, 40], [50, 50, 60, 60]], np.float32)


def photo(path: Path, boxes: Floats, states: list[int]) -> Photo:
    write_image(path, np.zeros((200, 200, 3), np.uint8))
    return Photo(path, boxes, np.array(states, np.int64), "a")


def test_budgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A face counts as covered by the best so many candidates; small and ignored ones do not."""
    loose, tight = [0, 0, 40, 24], [100, 0, 140, 34]
    far = np.full((60, 4), 500, np.float32)
    candidates = np.concatenate([[tight], far, [loose]]).astype(np.float32)

    class Look:
        def __init__(self, *args: object) -> None:
            pass

        def __call__(self, image: Image) -> Floats:
            return candidates

    monkeypatch.setattr(recall, "_Look", Look)
    photos = [
        photo(tmp_path / "a.png", FACES, [0, 1, 0]),
        photo(tmp_path / "b.png", FACES[:1], [IGNORED]),
    ]
    found = recall_of("pnet", Networks((), STOCK_THRESHOLDS), photos, "new")
    assert (found.faces, found.candidates) == (2, 62)
    assert [found.recall(0.5, budget) for budget in BUDGETS] == [0.5, 1.0, 1.0]
    assert [found.recall(0.65, budget) for budget in BUDGETS] == [0.5, 0.5, 0.5]
    low, high = found.interval(0.65, 50)
    assert low < 0.5 < high
    lines = table("pnet", [found]).splitlines()
    assert lines[0].startswith("pnet, 2 faces")
    assert lines[1].split() == ["new", "0.500", "1.000", "1.000", "0.500", "0.500", "0.500", "62"]


def test_networks(tmp_path: Path, astronaut: Portrait) -> None:
    """Candidates of the last network are the faces found, those of others come before it."""
    path = tmp_path / "a.png"
    write_image(path, np.ascontiguousarray(astronaut.image[20:220, 140:320]))
    boxes = astronaut.box - np.array([140, 20, 140, 20], np.float32)
    photos = [Photo(path, boxes, np.array([1]), "a")]
    networks = some_networks(tmp_path)
    rows = all_recalls({"one": networks, "two": networks}, photos)
    assert list(rows) == ["pnet", "rnet", "onet"]
    for same in rows.values():
        assert [row.name for row in same] == ["one", "two"]
        assert same[0].hits == same[1].hits
    image = np.ascontiguousarray(astronaut.image[20:220, 140:320])
    (found,) = MtcnnDetector(networks, recall.LOW_SCORE)([image])
    assert rows["onet"][0].candidates == len(found)
    assert rows["pnet"][0].candidates > rows["rnet"][0].candidates > 0
    few = replace(networks, thresholds=replace(STOCK_THRESHOLDS, pnet=0.999999))
    assert recall_of("rnet", few.first(2), photos, "few").candidates < rows["rnet"][0].candidates
