"""What is evaluated: `DETECTOR`, or `DETECTOR+CLASSIFIER` for one with a classifier behind it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maskwatch.classifier import classify, share_of
from maskwatch.detectors import DETECTORS, Detector, is_known, load_detector
from maskwatch.detectors.mtcnn import is_run
from maskwatch.detectors.onepass import is_onepass
from maskwatch.errors import UnknownNameError, UsageError
from maskwatch.training.judges import Judge, load_judge
from maskwatch.types import Faces, Image

LOW_SCORE = 0.02
"""Faces down to this score are ranked; what comes below adds next to nothing to the curves."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A detector and perhaps a classifier.

    Attributes:
        detector: As `load_detector` takes it.
        classifier: As `load_judge` takes it; None for none.
    """

    detector: str
    classifier: str | None = None

    @property
    def name(self) -> str:
        """As it is written."""
        return self.detector if self.classifier is None else f"{self.detector}+{self.classifier}"


def is_detector(text: str) -> bool:
    """Whether a text, as the user gave it, is meant for detectors and not for a classifier."""
    heads = {part.partition("+")[0].strip() for part in text.split(",")}
    if any(is_onepass(Path(head)) or is_run(Path(head)) for head in heads):
        return True
    # A list or a sum can mean nothing else, unless there is a file of that very name.
    return bool(heads & set(DETECTORS)) or (bool(re.search("[,+]", text)) and not _exists(text))


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except OSError:  # such as a name too long
        return False


def parse_spec(text: str) -> Spec:
    """Read `DETECTOR` or `DETECTOR+CLASSIFIER`.

    Raises:
        UnknownNameError: No such detector.
        UsageError: There is a plus and no classifier behind it.
    """
    detector, plus, classifier = (part.strip() for part in text.partition("+"))
    if not is_known(detector):
        raise UnknownNameError("detector", detector, DETECTORS)
    if plus and not classifier:
        raise UsageError(f"{text!r} names no classifier after '+'. Write {detector}+default.")
    return Spec(detector, classifier or None)


def parse_specs(texts: Sequence[str]) -> list[Spec]:
    """Read several, each of which may hold several with commas between them.

    Raises:
        UnknownNameError: No such detector.
        UsageError: One comes twice, or there is none.
    """
    parts = [part.strip() for text in texts for part in text.split(",") if part.strip()]
    specs = [parse_spec(part) for part in parts]
    if not specs:
        raise UsageError(f"no detector was named. Choose from: {', '.join(sorted(DETECTORS))}.")
    for spec in specs:
        if specs.count(spec) > 1:
            raise UsageError(f"{spec.name} is named twice. Name each detector once.")
    return specs


class Contender:
    """A detector as shipped and one that gives all it has, with their classifier."""

    def __init__(self, spec: Spec, classifier: Judge | None) -> None:
        """Load it.

        Args:
            spec: What.
            classifier: The one that the spec names.

        Raises:
            ModelError: A file is missing or damaged.
        """
        self.name = spec.name
        self._shipped = load_detector(spec.detector)
        self.min_score = self._shipped.min_score
        self._all = load_detector(spec.detector, min(LOW_SCORE, self.min_score))
        self._classifier = classifier
        self._share = share_of(spec.classifier or "")
        self.tells_states = classifier is not None or self._shipped.tells_states

    def as_shipped(self, image: Image) -> Faces:
        """What serving finds."""
        return self._look(self._shipped, image)

    def down_to_low_scores(self, image: Image) -> Faces:
        """What it finds when it returns faces that it hardly believes in, too."""
        return self._look(self._all, image)

    def _look(self, detector: Detector, image: Image) -> Faces:
        found = detector([image])
        if self._classifier is None:
            return found[0]
        return classify(self._classifier, [image], found, share=self._share)[0][0]


def load_contenders(specs: Sequence[Spec]) -> list[Contender]:
    """Load all; a classifier that several name is loaded once.

    Raises:
        UnknownNameError: No such classifier.
        ModelError: A file is missing or damaged.
        MissingExtraError: A classifier is a run, and Keras is not installed.
    """
    names = {spec.classifier for spec in specs if spec.classifier is not None}
    judges = {name: load_judge(name) for name in sorted(names)}
    return [Contender(spec, judges.get(spec.classifier or "")) for spec in specs]
