"""The loss of MTCNN: of the class by the hardest crops, and of the box."""

from __future__ import annotations

from typing import Any

import keras

from maskwatch.training.mtcnn.recipe import NEGATIVE, POSITIVE

TARGET_COLUMNS = 6
"""Columns of a target: the kind of the crop, four offsets, and 1 where landmarks follow that are
known."""


@keras.saving.register_keras_serializable(package="maskwatch")
class MtcnnLoss(keras.losses.Loss):  # type: ignore[misc]
    """Cross-entropy of the hardest crops, and squared error of boxes and landmarks.

    Faces and crops without one are judged by class, faces and parts of one by box, as in the paper
    (Zhang et al. 2016, arXiv:1604.02878, section II C).
    """

    def __init__(
        self,
        box_weight: float = 0.5,
        landmark_weight: float = 0.5,
        hardest: float = 0.7,
        name: str = "mtcnn_loss",
        **kwargs: Any,
    ) -> None:
        """Choose.

        Args:
            box_weight: Of the box loss; the class loss has 1.
            landmark_weight: Of the loss of landmarks.
            hardest: Share of the class losses that count, the highest.
            name: Of the loss.
            kwargs: Of Keras.
        """
        super().__init__(name=name, **kwargs)
        self.box_weight = box_weight
        self.landmark_weight = landmark_weight
        self.hardest = hardest

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss, a number.

        Args:
            y_true: `(N, TARGET_COLUMNS)`, or ten more with landmarks.
            y_pred: `(N, 6)`, or ten more, see `networks.build_network`.
        """
        ops = keras.ops
        y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        boxed = ops.cast(y_true[:, 0] > NEGATIVE + 0.5, "float32")
        box = mean_square(y_pred[:, :4], y_true[:, 1:5], boxed)
        loss = class_loss(y_true, y_pred, self.hardest) + self.box_weight * box
        if y_pred.shape[-1] > 6:
            points = mean_square(y_pred[:, 4:-2], y_true[:, TARGET_COLUMNS:], y_true[:, 5])
            loss = loss + self.landmark_weight * points
        return loss

    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes."""
        own = ("box_weight", "landmark_weight", "hardest")
        return {**super().get_config(), **{key: getattr(self, key) for key in own}}


def class_loss(y_true: Any, y_pred: Any, hardest: float) -> Any:
    """Mean cross-entropy of the hardest of the faces and crops without one; 0 without any."""
    ops = keras.ops
    face, judged = _face_and_judged(y_true)
    ahead = y_pred[:, -1] - y_pred[:, -2]
    losses = ops.softplus(ahead) - ahead * face
    count = ops.ceil(hardest * ops.sum(judged) - 1e-4)
    # Parts, of which there is no loss, come last.
    order = ops.argsort(-ops.stop_gradient(ops.where(judged > 0, losses, -1.0)))
    rank = ops.cast(ops.argsort(order), "float32")
    kept = ops.cast(rank < count, "float32")
    return ops.sum(losses * kept) / ops.maximum(ops.sum(kept), 1.0)


def mean_square(found: Any, wanted: Any, used: Any) -> Any:
    """Mean over the used rows of the squared distance between rows; 0 where none is."""
    ops = keras.ops
    distance = ops.sum((found - wanted) ** 2, axis=-1)
    return ops.sum(distance * used) / ops.maximum(ops.sum(used), 1.0)


@keras.saving.register_keras_serializable(package="maskwatch")  # type: ignore[untyped-decorator]
def accuracy(y_true: Any, y_pred: Any) -> Any:
    """Share of the faces and crops without one that are told right, a number."""
    ops = keras.ops
    face, judged = _face_and_judged(ops.cast(y_true, "float32"))
    told = ops.cast(y_pred[:, -1] > y_pred[:, -2], "float32")
    right = ops.cast(ops.equal(told, face), "float32") * judged
    return ops.sum(right) / ops.maximum(ops.sum(judged), 1.0)


def _face_and_judged(y_true: Any) -> tuple[Any, Any]:
    ops = keras.ops
    kind = y_true[:, 0]
    face = ops.cast(ops.abs(kind - POSITIVE) < 0.5, "float32")
    return face, ops.maximum(face, ops.cast(ops.abs(kind - NEGATIVE) < 0.5, "float32"))
