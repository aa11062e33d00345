"""What is judged: an embedded classifier, one in an ONNX file, or the model of a training run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from maskwatch.classifier import load_classifier
from maskwatch.errors import MissingExtraError
from maskwatch.types import CLASSES, Floats, Image


class Judge(Protocol):
    """Gives the probabilities of the three classes for face crops."""

    size_px: int
    """Side of the crops it takes."""

    def __call__(self, crops: Image) -> Floats:
        """Probabilities `(N, 3)`, in the order of `CLASSES`, for `(N, S, S, 3)` uint8 BGR."""
        ...


class RunJudge:
    """The model of a training run."""

    def __init__(self, model: Any, size_px: int) -> None:
        """Take a `keras.Model` from uint8 crops to `(N, 3)` probabilities, and its input side."""
        self._model = model
        self.size_px = size_px

    def __call__(self, crops: Image) -> Floats:
        """Probabilities `(N, 3)` for `(N, S, S, 3)` uint8 BGR."""
        if not len(crops):
            return np.zeros((0, len(CLASSES)), np.float32)
        return np.asarray(self._model.predict_on_batch(crops), np.float32)


def load_judge(name: str) -> Judge:
    """The model of a name.

    Args:
        name: Folder of a training run, path of an ONNX file, `default`, or the name of an
            embedded classifier.

    Raises:
        UnknownNameError: It is none of these.
        ModelError: The file or folder cannot be used.
        MissingExtraError: It is a run, and Keras is not installed.
    """
    folder = Path(name)
    if name == "default" or not folder.is_dir():
        return load_classifier(name)
    # TensorFlow tells of every instruction set it found before it says anything useful.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        from maskwatch.training.runs import load_run

        run = load_run(folder)
        return RunJudge(run.load_model(), run.size_px)
    except ImportError as exc:
        raise MissingExtraError(f"the run {name}", "train") from exc
