"""How the one-pass detector is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class OnePassRecipe:
    """The choices of a training.

    Attributes:
        size_px: Side of the views in most batches.
        large_size_px: Side of those in the others: large faces and what stands around them.
        late_size_px: Side of large views late in the training: as large as photos are served.
        late_from: Share of the steps after which it is late.
        large_every: One batch of so many is of large views; 0 for none.
        steps: Batches trained on.
        batch: Views in a batch.
        large_batch: Large views in a batch.
        late_batch: Large views in a batch late in the training.
        peak_rate: Learning rate of AdamW after the warm-up; it falls as a cosine to 0.
        warmup_steps: Steps in which the rate rises from 0.
        weight_decay: Of AdamW.
        ema: Momentum of the running mean of the weights, which is what is kept.
        norm_momentum: Of batch normalisation's statistics.
        frozen_until: The backbone's layers before the one of this name are not trained: edges and
            colours are as good as they come, and their large maps cost most of the time.
        channels: Of the pyramid and the head.
        depth: Convolutions of each branch of the head.
        box_weight: Of the loss of the boxes.
        state_weight: Of the loss of the states.
        label_smoothing: Share of each state's label spread over all states.
        sources: How often views are taken from each source, in proportion; 1 for others.
        rare_weight: How much more often views are taken around `incorrect_mask`.
        mosaic: Share of the views that are put together from four.
        max_faces: Faces of a view that are learnt from; of more, the largest.
        seed: Of everything random.
    """

    size_px: int = 256
    large_size_px: int = 448
    late_size_px: int = 640
    late_from: float = 0.6
    large_every: int = 3
    steps: int = 7200
    batch: int = 16
    large_batch: int = 5
    late_batch: int = 3
    peak_rate: float = 1e-3
    warmup_steps: int = 200
    weight_decay: float = 0.02
    ema: float = 0.998
    norm_momentum: float = 0.97
    frozen_until: str = "block_3_expand"
    channels: int = 64
    depth: int = 2
    box_weight: float = 2.0
    state_weight: float = 1.0
    label_smoothing: float = 0.05
    sources: Mapping[str, float] = field(
        default_factory=lambda: {
            "ilc": 6.0,
            "kaggle": 2.0,
            "wider": 0.6,
            "negatives": 0.4,
            "rmfd": 1.0,
            "masktypes": 0.4,
        }
    )
    rare_weight: float = 2.5
    mosaic: float = 0.3
    max_faces: int = 32
    seed: int = 7

    def large(self, step: int) -> bool:
        """Whether the views of a step are large ones."""
        return bool(self.large_every) and step % self.large_every == self.large_every - 1

    def late(self, step: int) -> bool:
        """Whether it is late in the training."""
        return step >= self.late_from * self.steps

    def size_at(self, step: int) -> int:
        """Side of the views in a step."""
        if not self.large(step):
            return self.size_px
        return self.late_size_px if self.late(step) else self.large_size_px

    def batch_at(self, step: int) -> int:
        """Views in the batch of a step."""
        if not self.large(step):
            return self.batch
        return self.late_batch if self.late(step) else self.large_batch
