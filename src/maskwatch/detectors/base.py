"""What every face detector is: pictures in, faces out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from maskwatch.types import Faces, Image


class Detector(Protocol):
    """Finds faces.

    Attributes:
        name: As in the list of detectors.
        min_score: Faces scored lower are not returned.
        tells_states: Whether the faces come with `state_probs`.
    """

    name: str
    min_score: float
    tells_states: bool

    def __call__(self, images: Sequence[Image]) -> list[Faces]:
        """Find the faces of each picture, best score first, boxes inside the picture.

        Args:
            images: BGR pictures of any sizes.
        """
        ...
