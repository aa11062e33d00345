"""How MTCNN is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

POSITIVE, PART, NEGATIVE, UNUSED = 1, 2, 0, -1
"""Kinds of crops: a face, part of one, none, and those in between, of which nothing is learnt."""


@dataclass(frozen=True, slots=True)
class StageRecipe:
    """How long one network is trained.

    Attributes:
        steps: Batches.
        batch: Crops in a batch.
        peak_rate: Learning rate of AdamW after the warm-up; it falls as a cosine to 0.
    """

    steps: int
    batch: int
    peak_rate: float = 1e-3


@dataclass(frozen=True, slots=True)
class MtcnnRecipe:
    """The choices of a training; numbers of the paper where it gives them (arXiv:1604.02878).

    Attributes:
        stages: How long each network is trained.
        positive_iou: From which a crop is a face.
        part_iou: From which it is part of one.
        negative_iou: Below which it is none.
        ignored_iou: A crop that overlaps an ignored region more is not used as none.
        mix: Share of each kind in a batch, in proportion.
        states: Share of each state among the faces and parts of a batch, in proportion: of
            `CLASSES`, and of faces without a state. A state that is not there gives up its share.
        hardest: Share of the class losses of a batch that count, the highest.
        box_weight: Of the box loss; the class loss has 1.
        landmark_weight: Of the loss of landmarks.
        warmup: Share of the steps in which the rate rises from 0.
        weight_decay: Of AdamW.
        ema: Momentum of the running mean of the weights, which is what is kept.
        min_face_px: Square root of the area of faces that are learnt; smaller ones are ignored.
        smallest_px: Side of the smallest faces that are looked for in photos.
        views: Times that each photo is cut, every second time damaged as by a camera.
        near: Squares cut around each face by chance, a time; of the P-Net, a size of the photo.
        faces: Crops of a face, and parts, that are kept of one photo, each at most.
        others: Crops without a face that are kept of one photo, at most.
        max_samples: Crops of one network, at most.
        min_proposal_score: Of the P-Net's candidates from which R-Net and O-Net learn.
        min_refined_score: Of the R-Net's from which the O-Net learns.
        seed: Of everything random.
    """

    stages: Mapping[str, StageRecipe] = field(
        default_factory=lambda: {
            "pnet": StageRecipe(12000, 512),
            "rnet": StageRecipe(12000, 384),
            "onet": StageRecipe(12000, 192),
        }
    )
    positive_iou: float = 0.65
    part_iou: float = 0.4
    negative_iou: float = 0.3
    ignored_iou: float = 0.1
    mix: tuple[float, float, float] = (1.0, 1.0, 3.0)
    states: tuple[float, float, float, float] = (0.35, 0.35, 0.15, 0.15)
    hardest: float = 0.7
    box_weight: float = 0.5
    landmark_weight: float = 0.5
    warmup: float = 0.03
    weight_decay: float = 1e-4
    ema: float = 0.998
    min_face_px: float = 16.0
    smallest_px: float = 16.0
    views: int = 2
    near: int = 10
    faces: int = 60
    others: int = 60
    max_samples: int = 400_000
    min_proposal_score: float = 0.3
    min_refined_score: float = 0.3
    seed: int = 7
