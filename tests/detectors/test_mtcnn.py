"""Rules of MTCNN as a whole."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from maskwatch import weights
from maskwatch.boxes import iou
from maskwatch.datasets.synthetic import draw_mask, style_named
from maskwatch.detectors import load_detector
from maskwatch.detectors.mtcnn import (
    STOCK_THRESHOLDS,
    TRAINED_THRESHOLDS,
    MtcnnDetector,
    Networks,
    Thresholds,
    of_run,
)
from maskwatch.detectors.mtcnn.cascade import placed
from maskwatch.errors import ModelFileError, ModelOutputError
from maskwatch.images import read_image
from maskwatch.types import Faces
from portraits import Portrait
from tiny_mtcnn import lot, slow_network, some_networks, write_mtcnn

IMAGE = np.random.default_rng(5).integers(0, 256, (52, 67, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Networks:
    """Networks drawn by lot."""
    return some_networks(tmp_path_factory.mktemp("mtcnn"))


def test_placed() -> None:
    """Landmarks come as five x and five y, shares of the square; one point is x, y in pixels."""
    square = np.array([[100, 200, 199, 299]], np.float32)
    shares = np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]], np.float32)
    expected = [[109, 259], [119, 269], [129, 279], [139, 289], [149, 299]]
    assert placed(shares, square)[0] == pytest.approx(np.array(expected), abs=1e-3)


class Slow:
    """The paper's procedure on networks drawn by lot, box by box and layer by layer."""

    def __init__(self, landmarks: bool) -> None:
        self.arrays = {
            name: lot(name, face=0.5, landmarks=landmarks) for name in ("pnet", "rnet", "onet")
        }

    def find(self, image: Any, min_score: float) -> list[Any]:
        """Rows of box, score and ten landmarks, or none, best first."""
        squares = [square(row) for row in self.propose(image)]
        rows = [self.look("rnet", image, row, 24) for row in squares]
        rows = keep([row for row, _ in rows if row[4] > 0.7], 0.7, "union")
        looked = [self.look("onet", image, square(row), 48) for row in rows]
        likely = [np.append(row, points) for row, points in looked if row[4] >= min_score]
        return keep(likely, 0.7, "min")

    def propose(self, image: Any) -> list[Any]:
        found, scale = [], 0.6
        while int(min(image.shape[:2]) * scale) >= 12:
            size = int(image.shape[1] * scale), int(image.shape[0] * scale)
            level = cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_AREA)
            scores, offsets = (
                out[0] for out in slow_network("pnet", self.arrays["pnet"], level[None])
            )
            rows = []
            for y, x in zip(*np.nonzero(scores > 0.6), strict=True):
                window = np.array([2 * x + 1, 2 * y + 1, 2 * x + 12, 2 * y + 12])
                rows.append(np.append((window + 11 * offsets[y, x]) / scale, scores[y, x]))
            found += keep(rows, 0.5, "union")
            scale *= 0.709
        return keep(found, 0.7, "union")

    def look(self, name: str, image: Any, row: Any, side: int) -> tuple[Any, Any]:
        """A box moved, with its new score, and its landmarks."""
        from maskwatch.detectors.mtcnn.crops import cut  # told slowly in its own test

        crop = cut(image, np.array([row[:4]], np.float32), side)
        scores, offsets, *points = (out[0] for out in slow_network(name, self.arrays[name], crop))
        width, height = row[2] - row[0] + 1, row[3] - row[1] + 1
        box = row[:4] + offsets * [width, height, width, height]
        spread = [
            (row[0] + points[0][i] * width - 1, row[1] + points[0][i + 5] * height - 1)
            for i in range(5 if points else 0)
        ]
        return np.append(box, scores), np.array(spread).reshape(-1)


def square(row: Any) -> Any:
    x, y = (row[0] + row[2]) / 2, (row[1] + row[3]) / 2
    half = max(row[2] - row[0], row[3] - row[1]) / 2
    return np.array([x - half, y - half, x + half, y + half, row[4]])


def keep(rows: list[Any], limit: float, mode: str) -> list[Any]:
    """Rows that no better one overlaps too much, best first."""
    ranked, kept = sorted(rows, key=lambda row: -row[4]), []
    for index, row in enumerate(ranked):
        for better in ranked[:index]:
            sides = np.minimum(row[2:4], better[2:4]) - np.maximum(row[:2], better[:2])
            shared = np.prod(np.maximum(sides, 0))
            areas = [np.prod(each[2:4] - each[:2]) for each in (row, better)]
            whole = min(areas) if mode == "min" else sum(areas) - shared
            if shared / whole > limit:
                break
        else:
            kept.append(row)
    return kept


@pytest.mark.parametrize("landmarks", [True, False], ids=["landmarks", "no-landmarks"])
def test_cascade(landmarks: bool, tmp_path: Path) -> None:
    """What is found at once for all boxes is what a loop over levels and boxes finds."""
    detector = MtcnnDetector(some_networks(tmp_path, landmarks=landmarks), 0.3, threads=1)
    (faces,) = detector([IMAGE])
    rows = Slow(landmarks).find(IMAGE, 0.3)
    assert len(faces) == len(rows) > 3
    high, wide = IMAGE.shape[:2]
    boxes = np.clip([row[:4] for row in rows], 0, [wide, high, wide, high])
    assert faces.boxes == pytest.approx(boxes, abs=0.01)
    assert faces.scores == pytest.approx(np.array([row[4] for row in rows]), abs=1e-4)
    if landmarks:
        points = np.array([row[5:] for row in rows]).reshape(-1, 5, 2)
        assert faces.landmarks == pytest.approx(points, abs=0.01)
    else:
        assert faces.landmarks is None
    assert faces.state_probs is None


def test_min_score(networks: Networks) -> None:
    """Faces scored lower are dropped, and at the limit they stay."""
    faces = MtcnnDetector(networks, 0.3)([IMAGE])[0]
    limit = float(np.median(faces.scores))
    kept = MtcnnDetector(networks, limit)([IMAGE])[0].scores
    assert kept.tolist() == [score for score in faces.scores if score >= limit]
    assert 0 < len(kept) < len(faces)


@pytest.mark.parametrize("stage", ["pnet", "rnet"])
def test_thresholds(networks: Networks, stage: str) -> None:
    """With a higher threshold of an earlier network there is less to find."""
    usual = MtcnnDetector(networks, 0.3)([IMAGE])[0]
    strict = replace(networks, thresholds=replace(STOCK_THRESHOLDS, **{stage: 0.99}))
    assert len(MtcnnDetector(strict, 0.3)([IMAGE])[0]) < len(usual)


def test_lowest_score(networks: Networks) -> None:
    """Where no lowest score is given, it is that of the networks."""
    own = replace(networks, thresholds=Thresholds(0.1, 0.2, 0.3))
    assert MtcnnDetector(own).min_score == 0.3
    assert MtcnnDetector(own, 0.5).min_score == 0.5


def made_run(folder: Path, facts: object) -> Path:
    """A run of networks drawn by lot that tells these facts."""
    folder.mkdir()
    write_mtcnn(folder)
    (folder / "mtcnn.json").write_text(json.dumps(facts))
    return folder


def test_run(tmp_path: Path) -> None:
    """The folder of a run is a detector, named as its path, with the thresholds it tells."""
    folder = made_run(tmp_path / "run", {"thresholds": {"pnet": 0.6, "rnet": 0.7, "onet": 0.2}})
    detector = load_detector(str(folder))
    assert (detector.name, detector.min_score) == (str(folder), 0.2)
    same = Networks(of_run(folder).files, Thresholds(0.6, 0.7, 0.2))
    assert of_run(folder) == same
    assert len(detector([IMAGE])[0]) == len(MtcnnDetector(same)([IMAGE])[0]) > 0


def test_run_without_thresholds(tmp_path: Path) -> None:
    """Networks of which a run tells nothing have those of trained ones."""
    run = made_run(tmp_path / "run", {"thresholds": {"pnet": 0.6}})
    assert of_run(run).thresholds == replace(TRAINED_THRESHOLDS, pnet=0.6)


@pytest.mark.parametrize(
    "facts", [[], {}, {"thresholds": {"qnet": 0.5}}, {"thresholds": {"pnet": "high"}}], ids=str
)
def test_damaged_run(tmp_path: Path, facts: object) -> None:
    """A run that tells no thresholds, or none that are, is refused by the name of the file."""
    run = made_run(tmp_path / "run", facts)
    with pytest.raises(ModelFileError, match=r"mtcnn\.json tells no thresholds"):
        load_detector(str(run))


def test_unfinished_run(tmp_path: Path) -> None:
    """A run that lacks a network says how to go on."""
    run = made_run(tmp_path / "run", {"thresholds": {}})
    (run / "onet.onnx").unlink()
    with pytest.raises(ModelFileError, match=r"lacks onet\.onnx\. Give the command"):
        load_detector(str(run))


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 640), (640, 1), (19, 19), (20, 20)], ids=str)
def test_odd_sizes(networks: Networks, size_hw: tuple[int, int]) -> None:
    """A small or narrow picture is no error."""
    (faces,) = MtcnnDetector(networks, 0.99999)([np.full((*size_hw, 3), 99, np.uint8)])
    assert isinstance(faces, Faces)


def test_pictures_one_by_one(networks: Networks) -> None:
    """No pictures give nothing; several in one call give what each gives alone."""
    detector = MtcnnDetector(networks, 0.3)
    assert detector([]) == []
    images = [IMAGE, IMAGE[:40, ::-1], np.zeros((5, 5, 3), np.uint8)]
    for image, faces in zip(images, detector(images), strict=True):
        assert faces.boxes.tolist() == detector([image])[0].boxes.tolist()


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 2, 1), (0, 1, 1), (2, 1, 2)], ids=str)
def test_wrong_order(networks: Networks, order: tuple[int, ...]) -> None:
    """Files in another order are refused by name, with what they take."""
    with pytest.raises(ModelFileError, match=r"net\.onnx is not the network .* in this order\."):
        MtcnnDetector(replace(networks, files=tuple(networks.files[index] for index in order)))


def test_number_of_files(networks: Networks) -> None:
    """Two files are not enough."""
    with pytest.raises(ModelFileError, match=r"three files, P-, R- and O-Net; got 2\."):
        MtcnnDetector(networks.first(2))


def test_nan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NaN is an error and not a result."""
    arrays = lot("pnet")
    arrays[3][0, 0, 0, 0] = np.nan
    monkeypatch.setattr(
        "tiny_mtcnn.lot", lambda name, *_, **__: arrays if name == "pnet" else lot(name)
    )
    networks = some_networks(tmp_path)
    with pytest.raises(ModelOutputError, match=r"pnet\.onnx returned NaN"):
        MtcnnDetector(networks)([IMAGE])


@pytest.mark.parametrize("masked", [False, True], ids=["bare", "masked"])
def test_embedded(portrait: Portrait, masked: bool) -> None:
    """Without installing anything a real face is found, bare or behind a drawn mask."""
    image = portrait.image
    if masked:
        style = style_named("surgical-blue")
        rng = np.random.default_rng(0)
        image, _ = draw_mask(image, portrait.landmarks, style, rng=rng)
    detector = load_detector("mtcnn")
    assert (detector.name, detector.min_score) == ("mtcnn", TRAINED_THRESHOLDS.onet)
    (faces,) = detector([image])
    assert len(faces) == 1
    assert iou(faces.boxes, portrait.box)[0, 0] >= 0.5
    assert faces.landmarks is None


has_package = any(each.metadata["Name"] == "mtcnn" for each in metadata.distributions())
needs_package = pytest.mark.skipif(not has_package, reason="mtcnn is not installed (extra mtcnn)")


@needs_package
def test_by_name(portrait: Portrait) -> None:
    """Once made, it is had by its name; it finds a real face and its landmarks."""
    weights.get("mtcnn-stock")
    detector = load_detector("mtcnn-stock", 0.5)
    assert (detector.name, detector.min_score, detector.tells_states) == ("mtcnn-stock", 0.5, False)
    (faces,) = load_detector("mtcnn-stock")([portrait.image])
    assert len(faces) == 1
    assert iou(faces.boxes, portrait.box)[0, 0] >= 0.5
    assert faces.landmarks is not None
    side = portrait.box[0, 2] - portrait.box[0, 0]
    assert np.abs(faces.landmarks[0] - portrait.landmarks).max() < 0.15 * side


@pytest.fixture(scope="module")
def package() -> Any:
    """The package itself, which runs on TensorFlow."""
    pytest.importorskip("tensorflow", reason="tensorflow is not installed (extra train)")
    return pytest.importorskip("mtcnn", reason="mtcnn is not installed (extra mtcnn)").MTCNN()


def photos(shared: Path, count: int) -> list[Path]:
    """Photos spread over `ilc` val."""
    folder = shared / "data" / "detection" / "ilc"
    if not folder.is_dir():
        pytest.skip("no photos in ../shared/data")
    names = (folder / "val.txt").read_text(encoding="utf-8").split()
    return [
        next((folder / "images").glob(f"{Path(n).stem}.*")) for n in names[:: len(names) // count]
    ]


@needs_package
def test_networks_of_the_package(package: Any) -> None:
    """The files compute what the package's own networks compute, to 1e-5."""
    from maskwatch.runtime import OnnxModel

    rng = np.random.default_rng(0)
    sizes = ((45, 58), (24, 24), (48, 48))
    for path, stage, size in zip(weights.get("mtcnn-stock"), package.stages, sizes, strict=True):
        crops = rng.uniform(0, 255, (20, *size, 3)).astype(np.float32)
        *others, classes = (out.numpy() for out in stage.model((crops[..., ::-1] - 127.5) / 128))
        for found, right in zip(OnnxModel(path)(crops), [classes[..., 1], *others], strict=True):
            assert found == pytest.approx(right, abs=1e-5)


@needs_package
def test_same_as_the_package(package: Any, shared: Path) -> None:
    """On real photos it finds what the package finds: within 1 px and 0.01 of score."""
    weights.get("mtcnn-stock")
    detector, count = load_detector("mtcnn-stock"), 0
    for path in photos(shared, 12):
        image = read_image(path)
        (faces,) = detector([image])
        rgb = np.ascontiguousarray(image[..., ::-1])
        rows = np.asarray(package.detect_faces(rgb, output_type="numpy", box_format="xyxy"))
        rows = rows.reshape(-1, 16)
        assert len(faces) == len(rows), path.name
        assert faces.landmarks is not None
        for row in rows:
            nearest = int(np.abs(faces.boxes - row[1:5]).max(axis=1).argmin())
            assert faces.boxes[nearest] == pytest.approx(row[1:5], abs=1), path.name
            assert faces.scores[nearest] == pytest.approx(row[5], abs=0.01), path.name
            points = np.stack([row[6:11], row[11:16]], axis=1)
            assert faces.landmarks[nearest] == pytest.approx(points, abs=1), path.name
        count += len(rows)
    assert count > 12
