"""What the one-pass network learns from: which place stands for which face, and three losses.

Places are given to faces by how well they already do (Feng et al. 2021, "TOOD: Task-aligned
One-stage Object Detection", arXiv:2108.07755). A place learns the IoU that its box reaches as its
score of a face (Zhang et al. 2021, "VarifocalNet", arXiv:2008.13367), its box by GIoU (Rezatofighi
et al. 2019, arXiv:1902.09630), and the state of its face by cross-entropy, where it is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from maskwatch.training.onepass.network import BOX, FACE, PLACE, STATES
from maskwatch.training.onepass.pack import IGNORED
from maskwatch.types import CLASSES

TARGET_COLUMNS = 6
"""Columns of a target: x0 y0 x1 y1 in pixels; the state, as of a `Scene`; 1 for a face, 0 where the
row is there only to make all pictures of a batch have equally many."""

_TINY = 1e-6


@dataclass(frozen=True, slots=True)
class Given:
    """Which place stands for which face; B pictures, A places.

    Attributes:
        boxes: `(B, A, 4)` the face's box; anything where there is none.
        states: `(B, A)` its state.
        quality: `(B, A)` what the place should score, 0 to 1; 0 where it stands for none.
        free: `(B, A)` 0 where nothing should be learnt of whether there is a face, else 1.
    """

    boxes: Any
    states: Any
    quality: Any
    free: Any


@keras.saving.register_keras_serializable(package="maskwatch")
class OnePassLoss(keras.losses.Loss):  # type: ignore[misc]
    """The sum of the losses of face, box and state, each divided by the sum of the qualities."""

    def __init__(
        self,
        box_weight: float = 2.0,
        state_weight: float = 1.0,
        places: int = 10,
        smoothing: float = 0.05,
        name: str = "onepass_loss",
        **kwargs: Any,
    ) -> None:
        """Choose.

        Args:
            box_weight: Of the loss of the boxes; that of the faces has 1.
            state_weight: Of the loss of the states.
            places: That stand for a face, at most.
            smoothing: Share of each state's label spread over all states.
            name: Of the loss.
            kwargs: Of Keras.
        """
        super().__init__(name=name, **kwargs)
        self.box_weight = box_weight
        self.state_weight = state_weight
        self.places = places
        self.smoothing = smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss, a number.

        Args:
            y_true: `(B, M, TARGET_COLUMNS)`.
            y_pred: `(B, A, 11)`, see `network.BOX`.
        """
        ops = keras.ops
        y_pred = ops.cast(y_pred, "float32")
        given = give(y_true, ops.stop_gradient(y_pred), self.places)
        total = ops.maximum(ops.sum(given.quality), 1.0)
        face = ops.sum(face_losses(y_pred[..., FACE], given)) / total
        overlap = giou(y_pred[..., BOX], given.boxes)
        box = ops.sum((1 - overlap) * given.quality) / total
        return face + self.box_weight * box + self.state_weight * self._state(y_pred, given)

    def _state(self, y_pred: Any, given: Given) -> Any:
        ops = keras.ops
        count = len(CLASSES)
        known = given.quality * ops.cast(given.states >= 0, "float32")
        labels = ops.one_hot(ops.cast(ops.maximum(given.states, 0), "int32"), count)
        labels = labels * (1 - self.smoothing) + self.smoothing / count
        losses = -ops.sum(labels * ops.log_softmax(y_pred[..., STATES], axis=-1), axis=-1)
        return ops.sum(losses * known) / ops.maximum(ops.sum(known), 1.0)

    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes."""
        own = {key: getattr(self, key) for key in ("box_weight", "state_weight", "places")}
        return {**super().get_config(), **own, "smoothing": self.smoothing}


def face_losses(logits: Any, given: Given) -> Any:
    """The varifocal loss of each place, `(B, A)`: alpha 0.75 and gamma 2, as in its paper."""
    ops = keras.ops
    score = ops.stop_gradient(ops.sigmoid(logits))
    crossed = ops.softplus(logits) - logits * given.quality
    weight = ops.where(given.quality > 0, given.quality, 0.75 * score**2 * given.free)
    return crossed * weight


def give(y_true: Any, y_pred: Any, places: int) -> Given:
    """Choose the places that stand for each face.

    These are, among the places within the face (or within a stride of its centre, where it is
    smaller than that), the `places` best by score^0.5 * IoU^6, TOOD's measure with the exponents
    of YOLOv8. A place wanted by several faces goes to the one it overlaps most. The best place of
    a face should score the best IoU that the face has, others less in proportion of the measure.
    """
    ops = keras.ops
    boxes, states = y_true[..., :4], y_true[..., 4]
    real = y_true[..., 5] * ops.cast(states > IGNORED + 0.5, "float32")
    x, y, stride = (y_pred[:, None, :, PLACE.start + i] for i in range(3))
    centre_x = (boxes[..., 0] + boxes[..., 2])[..., None] / 2
    centre_y = (boxes[..., 1] + boxes[..., 3])[..., None] / 2
    half_w = (boxes[..., 2] - boxes[..., 0])[..., None] / 2
    half_h = (boxes[..., 3] - boxes[..., 1])[..., None] / 2
    off_x, off_y = ops.abs(x - centre_x), ops.abs(y - centre_y)
    near = (off_x < ops.maximum(half_w, stride)) & (off_y < ops.maximum(half_h, stride))
    near = ops.cast(near, "float32") * real[..., None]

    overlap = iou(boxes[:, :, None], y_pred[:, None, :, BOX]) * near
    score = ops.sigmoid(y_pred[:, None, :, FACE])
    measure = ops.sqrt(score) * overlap**6
    least = ops.top_k(measure, places)[0][..., -1:]
    chosen = ops.cast((measure >= least) & (measure > 0), "float32")
    # One face a place.
    wanted = overlap * chosen
    owner = ops.argmax(wanted, axis=1)
    chosen = chosen * ops.transpose(ops.one_hot(owner, boxes.shape[1]), (0, 2, 1))

    measure, overlap = measure * chosen, overlap * chosen
    best = ops.max(measure, axis=-1, keepdims=True)
    quality = measure / ops.maximum(best, 1e-30) * ops.max(overlap, axis=-1, keepdims=True)
    ignored = y_true[..., 5] * ops.cast(states < IGNORED + 0.5, "float32")
    inside = ops.cast((off_x < half_w) & (off_y < half_h), "float32") * ignored[..., None]
    return Given(
        boxes=ops.einsum("bma,bmc->bac", chosen, boxes),
        states=ops.einsum("bma,bm->ba", chosen, states),
        quality=ops.max(quality, axis=1),
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
