"""Several pictures at once for detectors that take them one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from maskwatch.detectors.base import Detector
from maskwatch.types import Faces, Image


class ParallelDetector:
    """Instances of one detector that share the pictures of a call, each in a thread.

    Networks as small as these gain little from several cores working on one picture, and almost
    the full number from a picture a core. A single picture goes to the first instance, which may
    then use all cores itself.
    """

    def __init__(self, make: Callable[[], Detector], count: int) -> None:
        """Make the first instance; the others come when a call has several pictures.

        Args:
            make: Makes an instance.
            count: Instances at most.
        """
        self._make = make
        self._count = count
        self._instances = [make()]
        self._pool: ThreadPoolExecutor | None = None
        self.name = self._instances[0].name
        self.min_score = self._instances[0].min_score
        self.tells_states = self._instances[0].tells_states

    def __call__(self, images: Sequence[Image]) -> list[Faces]:
        """Find the faces of each picture."""
        shares = min(self._count, len(images))
        if shares < 2:
            return self._instances[0](images)
        while len(self._instances) < shares:
            self._instances.append(self._make())
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._count, thread_name_prefix="detector")
        work = [images[start::shares] for start in range(shares)]
        found = [Faces.empty()] * len(images)
        done = self._pool.map(lambda find, share: find(share), self._instances[:shares], work)
        for start, faces in enumerate(done):
            found[start::shares] = faces
        return found
