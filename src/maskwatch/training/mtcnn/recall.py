"""How many faces are still there after each network, within a number of candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from maskwatch.boxes import areas, iou
from maskwatch.datasets.records import Track, silently
from maskwatch.detectors.mtcnn import MtcnnDetector, Networks
from maskwatch.detectors.mtcnn.stages import proposals, refined
from maskwatch.images import read_image
from maskwatch.metrics.detector_comparison import aligned
from maskwatch.metrics.intervals import wilson
from maskwatch.metrics.judged import text
from maskwatch.runtime import OnnxModel
from maskwatch.training.detection.evaluate import MIN_FACE_PX
from maskwatch.training.mtcnn.networks import STAGES
from maskwatch.training.mtcnn.photos import Photo
from maskwatch.training.onepass.pack import IGNORED
from maskwatch.types import Floats, Image

BUDGETS = (50, 100, 200)
IOUS = (0.5, 0.65)

LOW_SCORE = 0.1
"""Candidates down to this score are ranked, so that a budget is used up."""


@dataclass(frozen=True, slots=True, eq=False)
class StageRecall:
    """Faces that the candidates of a network cover.

    Attributes:
        name: Of what was measured.
        faces: Labelled faces that count.
        candidates: Mean number on a photo.
        hits: Faces with a candidate of at least an IoU among the best so many, by both.
    """

    name: str
    faces: int
    candidates: float
    hits: Mapping[tuple[float, int], int]

    def recall(self, min_iou: float, budget: int) -> float:
        """Share of the faces; NaN without any."""
        return self.hits[min_iou, budget] / self.faces if self.faces else float("nan")

    def interval(self, min_iou: float, budget: int) -> tuple[float, float]:
        """95% interval of it, see `wilson`."""
        return wilson(self.hits[min_iou, budget], self.faces)


def recall_of(
    stage: str,
    networks: Networks,
    photos: Sequence[Photo],
    name: str,
    *,
    min_face_px: float = MIN_FACE_PX,
    smallest_px: float = 20.0,
    track: Track = silently,
) -> StageRecall:
    """Measure one network behind those before it, which work at their usual thresholds.

    Candidates are squares, and a square covers a narrow face only in part; of the O-Net these are
    the faces found.

    Args:
        stage: The network.
        networks: It and those before it.
        photos: With labelled faces.
        name: Of what is measured.
        min_face_px: Faces whose box has a smaller square root of its area do not count.
        smallest_px: Side of the smallest faces that are looked for.
        track: Shows how far it is.
    """
    look = _Look(stage, networks, smallest_px)
    hits = {(min_iou, budget): 0 for min_iou in IOUS for budget in BUDGETS}
    faces = candidates = 0
    for photo in track(photos, f"{name}: recall of the {stage}"):
        found = look(read_image(photo.path))
        counted = (photo.states != IGNORED) & (np.sqrt(areas(photo.boxes)) >= min_face_px)
        faces += int(counted.sum())
        candidates += len(found)
        for (min_iou, budget), already in hits.items():
            best = iou(photo.boxes[counted], found[:budget]).max(axis=1, initial=0)
            hits[min_iou, budget] = already + int((best >= min_iou).sum())
    return StageRecall(name, faces, candidates / max(len(photos), 1), hits)


class _Look:
    """Gives the boxes of a network's candidates, best first."""

    def __init__(self, stage: str, networks: Networks, smallest_px: float) -> None:
        self._stage, self._smallest_px = stage, smallest_px
        self._thresholds = networks.thresholds
        if stage == "onet":
            self._whole = MtcnnDetector(networks, LOW_SCORE, min_face_px=smallest_px)
        else:
            self._networks = [OnnxModel(path) for path in networks.files]

    def __call__(self, image: Image) -> Floats:
        if self._stage == "onet":
            return self._whole([image])[0].boxes
        if self._stage == "pnet":
            return self._proposals(image, LOW_SCORE)
        before = self._proposals(image, self._thresholds.pnet)
        return refined(self._networks[1], image, before, LOW_SCORE)

    def _proposals(self, image: Image, min_score: float) -> Floats:
        return proposals(self._networks[0], image, self._smallest_px, min_score)


def table(stage: str, rows: Sequence[StageRecall]) -> str:
    """Recalls of one network side by side, a line each."""
    heads = [f"IoU {min_iou:g} of {budget}" for min_iou in IOUS for budget in BUDGETS]
    cells = [
        (
            row.name,
            [
                *(text(row.recall(*key)) for key in row.hits),
                f"{row.candidates:.0f}",
            ],
        )
        for row in rows
    ]
    title = f"{stage}, {rows[0].faces} faces"
    return "\n".join(aligned(title, [*heads, "candidates"], cells))


def all_recalls(
    models: Mapping[str, Networks], photos: Sequence[Photo], track: Track = silently
) -> dict[str, list[StageRecall]]:
    """Recalls of all networks of several models, by network.

    Args:
        models: By name: all three networks.
        photos: With labelled faces.
        track: Shows how far it is.
    """
    return {
        stage: [
            recall_of(stage, networks.first(number + 1), photos, name, track=track)
            for name, networks in models.items()
        ]
        for number, stage in enumerate(STAGES)
    }
