"""Rules of looking at several pictures side by side."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest

from maskwatch.detectors.parallel import ParallelDetector
from maskwatch.errors import ModelOutputError
from maskwatch.types import Faces, Image


class WidthDetector:
    """Gives one face as wide as the picture, and notes who was asked."""

    name = "width"
    min_score = 0.5
    tells_states = True

    def __init__(self) -> None:
        self.threads: set[str] = set()
        self.seen = 0

    def __call__(self, images: Sequence[Image]) -> list[Faces]:
        self.threads.add(threading.current_thread().name)
        self.seen += len(images)
        if any(image.shape[1] == 13 for image in images):
            raise ModelOutputError("thirteen")
        boxes = [np.array([[0, 0, image.shape[1], 1]], np.float32) for image in images]
        return [Faces(box, np.ones(1, np.float32)) for box in boxes]


class Factory:
    """Makes detectors and keeps them."""

    def __init__(self) -> None:
        self.made: list[WidthDetector] = []

    def __call__(self) -> WidthDetector:
        self.made.append(WidthDetector())
        return self.made[-1]


def pictures(*widths: int) -> list[Image]:
    return [np.zeros((4, width, 3), np.uint8) for width in widths]


@pytest.mark.parametrize("count", range(8))
def test_order(count: int) -> None:
    """Results come in the order of the pictures, for any number of them."""
    detector = ParallelDetector(Factory(), 3)
    found = detector(pictures(*range(1, count + 1)))
    assert [faces.boxes[0, 2] for faces in found] == list(range(1, count + 1))


def test_a_single_picture_needs_one_instance() -> None:
    """More instances are made only when a call has several pictures, and no more than those."""
    factory = Factory()
    detector = ParallelDetector(factory, 4)
    detector(pictures(5))
    assert len(factory.made) == 1
    detector(pictures(5, 6, 7))
    assert [made.seen for made in factory.made] == [2, 1, 1]


def test_each_instance_works_in_a_thread_of_the_pool() -> None:
    """Several pictures are looked at outside the calling thread."""
    factory = Factory()
    ParallelDetector(factory, 2)(pictures(5, 6))
    names = set.union(*(made.threads for made in factory.made))
    assert all(name.startswith("detector") for name in names)


def test_errors_come_through() -> None:
    """An error in one share is raised to the caller."""
    with pytest.raises(ModelOutputError, match="thirteen"):
        ParallelDetector(Factory(), 2)(pictures(5, 13))


def test_it_has_the_name_of_what_it_makes() -> None:
    """Name and limit are those of the detector inside."""
    detector = ParallelDetector(Factory(), 2)
    assert (detector.name, detector.min_score, detector.tells_states) == ("width", 0.5, True)
