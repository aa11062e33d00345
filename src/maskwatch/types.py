"""The words that every part speaks: mask states, frames, faces and results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maskwatch.errors import MissingExtraError

if TYPE_CHECKING:
    import supervision

Image = NDArray[np.uint8]
"""A picture, `(H, W, 3)` uint8 in BGR order."""

Floats = NDArray[np.float32]
"""An array of float32."""


class MaskState(StrEnum):
    """What is known about the mask of one face.

    A model gives probabilities for the first three; `UNKNOWN` is a decision taken where the
    picture does not allow one (see `maskwatch.classifier`), never a class.
    """

    WITH_MASK = "with_mask"
    WITHOUT_MASK = "without_mask"
    INCORRECT_MASK = "incorrect_mask"
    UNKNOWN = "unknown"


CLASSES = (MaskState.WITH_MASK, MaskState.WITHOUT_MASK, MaskState.INCORRECT_MASK)
"""The three classes, in the order of every `state_probs` column."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a source.

    Attributes:
        image: `(H, W, 3)` uint8 BGR.
        source: Name of the source, as the user gave it.
        index: Number of the frame in its source, from 0.
        time_s: Time in seconds by the source's own clock; 0.0 for a photo.
    """

    image: Image
    source: str = ""
    index: int = 0
    time_s: float = 0.0

    def __post_init__(self) -> None:
        image = self.image
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(
                f"a frame's image is (H, W, 3) uint8, got {image.shape} {image.dtype}. "
                "maskwatch.images.read_image gives that form for any file."
            )
        if 0 in image.shape:
            raise ValueError(f"a frame's image has pixels, got {image.shape}.")

    @property
    def height_px(self) -> int:
        """Height in pixels."""
        return int(self.image.shape[0])

    @property
    def width_px(self) -> int:
        """Width in pixels."""
        return int(self.image.shape[1])


def _shaped(name: str, value: Any, shape: tuple[int, ...], dtype: type = np.float32) -> Any:
    """Return `value` as an array of `shape`, or raise."""
    array: NDArray[Any] = np.asarray(value, dtype=dtype)
    if array.size == 0 and shape[0] == 0:
        array = array.reshape(shape)
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape}.")
    return array


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """N faces of one picture as parallel arrays; N may be 0.

    Attributes:
        boxes: `(N, 4)` float32, x0 y0 x1 y1 in pixels of the frame.
        scores: `(N,)` float32, confidence 0 to 1 that this is a face.
        state_probs: `(N, 3)` float32 in the order of `CLASSES`, or None before classification.
        landmarks: `(N, 5, 2)` float32, x y in pixels: the eye, nose and mouth points in the order
            eye on the picture's left, eye on its right, nose, mouth corner left, mouth corner
            right; or None where the detector gives none.
        track_ids: `(N,)` int64, or None without tracking.
    """

    boxes: Floats
    scores: Floats
    state_probs: Floats | None = None
    landmarks: Floats | None = None
    track_ids: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        count = len(self.boxes)
        put = object.__setattr__
        put(self, "boxes", _shaped("boxes", self.boxes, (count, 4)))
        put(self, "scores", _shaped("scores", self.scores, (count,)))
        if self.state_probs is not None:
            put(self, "state_probs", _shaped("state_probs", self.state_probs, (count, 3)))
        if self.landmarks is not None:
            put(self, "landmarks", _shaped("landmarks", self.landmarks, (count, 5, 2)))
        if self.track_ids is not None:
            put(self, "track_ids", _shaped("track_ids", self.track_ids, (count,), np.int64))

    @classmethod
    def empty(cls) -> Faces:
        """No faces: boxes of shape `(0, 4)`."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Any) -> Faces:
        """Pick faces by a slice, a boolean mask or an array of indices."""

        def pick(array: Any) -> Any:
            return None if array is None else np.atleast_1d(array[index])

        if isinstance(index, int | np.integer):
            index = [int(index)]
        return Faces(
            pick(self.boxes),
            pick(self.scores),
            pick(self.state_probs),
            pick(self.landmarks),
            pick(self.track_ids),
        )

    def with_state_probs(self, state_probs: Floats) -> Faces:
        """A copy that carries `(N, 3)` state probabilities."""
        return replace(self, state_probs=state_probs)

    def to_supervision(self) -> supervision.Detections:
        """The same faces as an `sv.Detections`, for use with supervision's annotators.

        `class_id` is the most probable of the three classes (index into `CLASSES`), and
        `data["class_name"]` its name; both are left out before classification.

        Raises:
            MissingExtraError: supervision is not installed.
        """
        try:
            import supervision as sv
        except ImportError as exc:
            raise MissingExtraError("Faces.to_supervision()", "supervision") from exc
        class_id = None
        data: dict[str, Any] = {}
        if self.state_probs is not None:
            class_id = self.state_probs.argmax(axis=1).astype(int)
            data["class_name"] = np.array([CLASSES[i].value for i in class_id], dtype="<U16")
        return sv.Detections(
            xyxy=self.boxes.copy(),
            confidence=self.scores.copy(),
            class_id=class_id,
            tracker_id=None if self.track_ids is None else self.track_ids.copy(),
            data=data,
        )


@dataclass(frozen=True, slots=True)
class ClosePair:
    """Two faces nearer to each other than allowed.

    Attributes:
        first: Index of one face.
        second: Index of the other, greater than `first`.
        distance: Their distance in the unit of the rule (pixels or face heights).
    """

    first: int
    second: int
    distance: float


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """A frame, its faces, and what the stages added.

    A stage returns a changed copy, made with `dataclasses.replace`.

    Attributes:
        frame: The frame itself.
        faces: Its faces.
        states: One decision a face.
        too_close: Pairs of faces too near to each other; None where no distance was asked for.
        extras: Anything else a stage wants in the JSON line, by key.
    """

    frame: Frame
    faces: Faces
    states: tuple[MaskState, ...] = ()
    too_close: tuple[ClosePair, ...] | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.states) != len(self.faces):
            raise ValueError(f"{len(self.faces)} faces but {len(self.states)} states.")
