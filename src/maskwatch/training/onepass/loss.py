"""What the one-pass network learns from: which place stands for which face, and three losses.

A face is learnt by the places around its centre on the level of its size (Tian et al. 2019, FCOS,
arXiv:1904.01355). Such a place learns the IoU that its box reaches as its score of a face (Zhang et
al. 2021, "VarifocalNet", arXiv:2008.13367), its box by GIoU (Rezatofighi et al. 2019,
arXiv:1902.09630), and the state of its face by cross-entropy, where it is known.

Places were first chosen by how well they already do (Feng et al. 2021, TOOD, arXiv:2108.07755).
In trainings as short as ours that ranks chance: the best box at a face reached an IoU of 0.87 with
it, the one with the best score 0.67, on photos trained on as on others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from maskwatch.training.onepass.network import BOX, FACE, PLACE, STATES, STRIDES
from maskwatch.training.onepass.pack import IGNORED
from maskwatch.types import CLASSES

TARGET_COLUMNS = 6
"""Columns of a target: x0 y0 x1 y1 in pixels; the state, as of a `Scene`; 1 for a face, 0 where the
row is there only to make all pictures of a batch have equally many."""

RADIUS = 1.5
"""How far a place that learns a face may lie from the face's centre, in strides."""

SMALLEST, LARGEST = 2.5, 6.0
"""Square root of the area of faces that a level learns, in strides; the first level learns all
smaller ones, too, and the last all larger ones."""

_TINY = 1e-6


@dataclass(frozen=True, slots=True)
class Given:
    """Which place learns which face; B pictures, A places.

    Attributes:
        boxes: `(B, A, 4)` the face's box; anything where there is none.
        states: `(B, A)` its state.
        taken: `(B, A)` 1 where the place learns a face, else 0.
        quality: `(B, A)` what the place should score, 0 to 1; 0 where it learns none.
        free: `(B, A)` 0 where nothing should be learnt of whether there is a face, else 1.
    """

    boxes: Any
    states: Any
    taken: Any
    quality: Any
    free: Any


@keras.saving.register_keras_serializable(package="maskwatch")
class OnePassLoss(keras.losses.Loss):  # type: ignore[misc]
    """The sum of the losses of face, box and state, each a mean over the places that learn faces.

    That of the faces, which all places learn, is divided by the sum of the qualities.
    """

    def __init__(
        self,
        box_weight: float = 2.0,
        state_weight: float = 1.0,
        smoothing: float = 0.05,
        name: str = "onepass_loss",
        **kwargs: Any,
    ) -> None:
        """Choose.

        Args:
            box_weight: Of the loss of the boxes; that of the faces has 1.
            state_weight: Of the loss of the states.
            smoothing: Share of each state's label spread over all states.
            name: Of the loss.
            kwargs: Of Keras.
        """
        super().__init__(name=name, **kwargs)
        self.box_weight = box_weight
        self.state_weight = state_weight
        self.smoothing = smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss, a number.

        Args:
            y_true: `(B, M, TARGET_COLUMNS)`.
            y_pred: `(B, A, 11)`, see `network.BOX`.
        """
        ops = keras.ops
        y_pred = ops.cast(y_pred, "float32")
        given = give(y_true, ops.stop_gradient(y_pred))
        total = ops.maximum(ops.sum(given.quality), 1.0)
        face = ops.sum(face_losses(y_pred[..., FACE], given)) / total
        overlap = giou(y_pred[..., BOX], given.boxes)
        box = ops.sum((1 - overlap) * given.taken) / ops.maximum(ops.sum(given.taken), 1.0)
        return face + self.box_weight * box + self.state_weight * self._state(y_pred, given)

    def _state(self, y_pred: Any, given: Given) -> Any:
        ops = keras.ops
        count = len(CLASSES)
        known = given.taken * ops.cast(given.states >= 0, "float32")
        labels = ops.one_hot(ops.cast(ops.maximum(given.states, 0), "int32"), count)
        labels = labels * (1 - self.smoothing) + self.smoothing / count
        losses = -ops.sum(labels * ops.log_softmax(y_pred[..., STATES], axis=-1), axis=-1)
        return ops.sum(losses * known) / ops.maximum(ops.sum(known), 1.0)

    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes."""
        own = {key: getattr(self, key) for key in ("box_weight", "state_weight", "smoothing")}
        return {**super().get_config(), **own}


def face_losses(logits: Any, given: Given) -> Any:
    """The varifocal loss of each place, `(B, A)`: alpha 0.75 and gamma 2, as in its paper."""
    ops = keras.ops
    score = ops.stop_gradient(ops.sigmoid(logits))
    crossed = ops.softplus(logits) - logits * given.quality
    weight = ops.where(given.taken > 0, given.quality, 0.75 * score**2 * given.free)
    return crossed * weight


def give(y_true: Any, y_pred: Any) -> Given:
    """Choose the places that learn each face.

    These are, on each level of its size, the places within `RADIUS` strides of its centre and in
    the middle half of it; of a face smaller than that at least those within 0.75 strides. A place
    wanted by several faces learns the smallest. It should score the IoU of its box with the face.
    """
    ops = keras.ops
    boxes, states = y_true[..., :4], y_true[..., 4]
    real = y_true[..., 5] * ops.cast(states > IGNORED + 0.5, "float32")
    x, y, stride = (y_pred[:, None, :, PLACE.start + i] for i in range(3))
    wide, high = (boxes[..., 2 + i, None] - boxes[..., i, None] for i in range(2))
    off_x = ops.abs(x - (boxes[..., 0] + boxes[..., 2])[..., None] / 2)
    off_y = ops.abs(y - (boxes[..., 1] + boxes[..., 3])[..., None] / 2)

    area = ops.maximum(wide * high, _TINY)
    side = ops.sqrt(area) / stride
    fits = (side >= SMALLEST) | (stride == STRIDES[0])
    fits = fits & ((side < LARGEST) | (stride == STRIDES[-1]))
    reach_x, reach_y = (
        ops.minimum(RADIUS * stride, ops.maximum(each / 4, 0.75 * stride)) for each in (wide, high)
    )
    near = fits & (off_x < reach_x) & (off_y < reach_y)
    wanted = ops.cast(near, "float32") * real[..., None]
    # One face a place.
    owner = ops.argmax(wanted / area, axis=1)
    chosen = wanted * ops.transpose(ops.one_hot(owner, boxes.shape[1]), (0, 2, 1))

    overlap = iou(boxes[:, :, None], y_pred[:, None, :, BOX])
    ignored = y_true[..., 5] * ops.cast(states < IGNORED + 0.5, "float32")
    inside = ops.cast((off_x < wide / 2) & (off_y < high / 2), "float32") * ignored[..., None]
    return Given(
        boxes=ops.einsum("bma,bmc->bac", chosen, boxes),
        states=ops.einsum("bma,bm->ba", chosen, states),
        taken=ops.max(chosen, axis=1),
        quality=ops.max(overlap * chosen, axis=1),
        free=1 - ops.max(inside, axis=1),
    )


def iou(first: Any, second: Any) -> Any:
    """Intersection over union of boxes `(..., 4)` that broadcast against each other."""
    shared, union = _shared_and_union(first, second)
    return shared / (union + _TINY)


def giou(first: Any, second: Any) -> Any:
    """Generalised intersection over union: less the share of the hull that neither covers."""
    ops = keras.ops
    shared, union = _shared_and_union(first, second)
    wide = ops.maximum(first[..., 2], second[..., 2]) - ops.minimum(first[..., 0], second[..., 0])
    high = ops.maximum(first[..., 3], second[..., 3]) - ops.minimum(first[..., 1], second[..., 1])
    hull = wide * high
    return shared / (union + _TINY) - (hull - union) / (hull + _TINY)


def _shared_and_union(first: Any, second: Any) -> tuple[Any, Any]:
    ops = keras.ops
    wide = ops.minimum(first[..., 2], second[..., 2]) - ops.maximum(first[..., 0], second[..., 0])
    high = ops.minimum(first[..., 3], second[..., 3]) - ops.maximum(first[..., 1], second[..., 1])
    shared = ops.maximum(wide, 0) * ops.maximum(high, 0)
    areas = [(b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1]) for b in (first, second)]
    return shared, areas[0] + areas[1] - shared
