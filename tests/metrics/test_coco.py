"""Average precision is that of faster-coco-eval on the same boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from made_detections import contested, report_of
from maskwatch.metrics.average_precision import COCO_POINTS, average_precision
from maskwatch.metrics.detection import ANY, IOU, KEYS, LOOSE_IOU, NAMES, DetectionReport
from maskwatch.metrics.found import NO_STATE, Flags, Found, Truths

PHOTOS = 12


def coco_precision(
    truths: Truths, found: Found, key: str, range_px: tuple[float, float]
) -> np.ndarray:
    """Precision by threshold and recall, `(11, 101)`: at IoU 0.3, and at 0.5 to 0.95."""
    fce = pytest.importorskip("faster_coco_eval", reason="faster-coco-eval is in extra dev")
    counted = _counted(truths, key)
    # What is ignored for a class alone is put outside the range of sizes, which COCO ignores.
    sizes = truths.sizes_px
    ignored = (truths.states == NO_STATE) | (sizes < range_px[0])
    kept = counted | (ignored if key != ANY else np.zeros(len(truths), np.bool_))
    annotations = [
        {
            "id": index + 1,
            "image_id": int(truths.photo[index]) + 1,
            "category_id": 1,
            "bbox": _bbox(truths.boxes[index]),
            "area": float(sizes[index] ** 2) if counted[index] else -1.0,
            "iscrowd": 0,
        }
        for index in np.nonzero(kept)[0].tolist()
    ]
    scores = found.scores
    if key != ANY and found.state_probs is not None:
        scores = scores * found.state_probs[:, NAMES.index(key)]
    results = [
        {
            "image_id": int(found.photo[index]) + 1,
            "category_id": 1,
            "bbox": _bbox(found.boxes[index]),
            "score": float(scores[index]),
        }
        for index in range(len(found))
    ]
    gt = fce.COCO(
        {
            "images": [{"id": number + 1, "width": 200, "height": 200} for number in range(PHOTOS)],
            "categories": [{"id": 1, "name": "face"}],
            "annotations": annotations,
        }
    )
    evaluator: Any = fce.COCOeval_faster(gt, gt.loadRes(results), "bbox")
    evaluator.params.iouThrs = np.concatenate([[LOOSE_IOU], np.linspace(0.5, 0.95, 10)])
    evaluator.params.areaRng = [[range_px[0] ** 2, range_px[1] ** 2]]
    evaluator.params.areaRngLbl = ["all"]
    evaluator.params.maxDets = [1000]
    evaluator.evaluate()
    evaluator.accumulate()
    return np.asarray(evaluator.eval["precision"][:, :, 0, 0, 0], np.float64)


def _counted(truths: Truths, key: str) -> Flags:
    if key == ANY:
        return np.ones(len(truths), np.bool_)
    return np.asarray(truths.states == NAMES.index(key), np.bool_)


def _bbox(box: np.ndarray) -> list[float]:
    x0, y0, x1, y1 = box.tolist()
    return [x0, y0, x1 - x0, y1 - y0]


def ours(report: DetectionReport, key: str, iou: float) -> float:
    """Average precision read at COCO's points."""
    ranking = report.ranking(key, iou)
    return average_precision(ranking.hit, ranking.count, COCO_POINTS)


@pytest.mark.parametrize("min_face_px", [0, 24, 40])
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("seed", range(3))
def test_same_as_coco(seed: int, key: str, min_face_px: float) -> None:
    """AP at 0.3, at 0.5 and over 0.5:0.95 are COCO's, the least size as its range of areas."""
    truths, found = contested(seed, PHOTOS)
    report = report_of(truths, found, PHOTOS, min_face_px=min_face_px)
    expected = coco_precision(truths, found, key, (min_face_px, 1e4))
    assert ours(report, key, LOOSE_IOU) == pytest.approx(expected[0].mean(), abs=1e-6)
    assert ours(report, key, IOU) == pytest.approx(expected[1].mean(), abs=1e-6)
    assert report.scores[key].ap == pytest.approx(expected[1:].mean(), abs=1e-6)
    # All points and 101 of them lie near each other, and neither is trivial.
    assert 0.02 < report.scores[key].ap < 0.9
    assert report.scores[key].ap50 == pytest.approx(expected[1].mean(), abs=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_sizes_same_as_coco(seed: int) -> None:
    """The figures by size are COCO's for those ranges of areas."""
    truths, found = contested(seed, PHOTOS)
    report = report_of(truths, found, PHOTOS)
    for part in report.by_size:
        # COCO takes the upper end of the range in.
        range_px = part.low_px, min(part.high_px, 1e4) - 1e-9
        ranking = report.ranking(ANY, IOU, range_px=(part.low_px, part.high_px))
        expected = coco_precision(truths, found, ANY, range_px)[1].mean()
        found_ap = average_precision(ranking.hit, ranking.count, COCO_POINTS)
        if part.count:
            assert found_ap == pytest.approx(expected, abs=1e-6)
            assert part.ap50 == average_precision(ranking.hit, ranking.count)
    assert sum(part.count > 3 for part in report.by_size) >= 3
