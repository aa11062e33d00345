"""Pictures in, results out: a detector, a classifier and a chain of stages."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from maskwatch.classifier import Classifier, classify, load_classifier, share_of
from maskwatch.detectors import Detector, load_detector
from maskwatch.distance import parse_distance
from maskwatch.errors import UsageError
from maskwatch.settings import DetectSettings
from maskwatch.types import Frame, FrameResult, Image

NO_CLASSIFIER = "none"
"""What is written to leave the mask states to the detector."""

Stage = Callable[[FrameResult], FrameResult]
"""Anything that takes a result and returns a changed copy."""


class Pipeline:
    """Finds faces, judges their masks, and hands the result through the stages.

    Attributes:
        detector: Finds the faces.
        classifier: Judges them; None leaves that to the detector.
        stages: Applied in order to the result of every frame.
        share: Weight of the classifier's answer where the detector tells states itself, see
            `maskwatch.classifier.classify`.
    """

    def __init__(
        self,
        detector: Detector,
        classifier: Classifier | None,
        stages: Sequence[Stage] = (),
        *,
        share: float = 1.0,
    ) -> None:
        """Put the parts together."""
        self.share = share
        self.detector = detector
        self.classifier = classifier
        self.stages = tuple(stages)

    @classmethod
    def default(cls) -> Pipeline:
        """The best detector that is installed and the embedded classifier."""
        return cls.from_settings(DetectSettings())

    @classmethod
    def from_settings(cls, settings: DetectSettings) -> Pipeline:
        """Build what the settings name.

        Raises:
            UsageError: A setting names nothing that exists, or there is no classifier and the
                detector tells no states.
            ModelError: A model is missing or damaged.
        """
        stages = [parse_distance(settings.distance)] if settings.distance else []
        workers = min(settings.batch, os.cpu_count() or 1)
        detector = load_detector(settings.detector, settings.min_score, workers=workers)
        classifier = _classifier(settings.classifier, detector)
        return cls(detector, classifier, stages, share=share_of(settings.classifier))

    def __call__(self, picture: Image | Frame) -> FrameResult:
        """Look at one picture: `(H, W, 3)` uint8 BGR, or a frame."""
        frame = picture if isinstance(picture, Frame) else Frame(picture)
        return self.batch([frame])[0]

    def batch(self, frames: Sequence[Frame]) -> list[FrameResult]:
        """Look at several frames; the faces of all are judged in one call.

        Stages see the frames in order.
        """
        images = [frame.image for frame in frames]
        judged = classify(self.classifier, images, self.detector(images), share=self.share)
        results = []
        for frame, (faces, states) in zip(frames, judged, strict=True):
            result = FrameResult(frame, faces, states)
            for stage in self.stages:
                result = stage(result)
            results.append(result)
        return results


def _classifier(name: str, detector: Detector) -> Classifier | None:
    if name != NO_CLASSIFIER:
        return load_classifier(name)
    if not detector.tells_states:
        raise UsageError(
            f"detector {detector.name} tells no mask states, so it needs a classifier. Leave out "
            f"--classifier {NO_CLASSIFIER}."
        )
    return None
