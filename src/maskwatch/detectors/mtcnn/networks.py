"""The three networks, the scores that belong to their weights, and the runs that hold them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from maskwatch.errors import ModelFileError
from maskwatch.weights.mtcnn_network import PLANS

FACTS = "mtcnn.json"
"""What tells a run of `maskwatch mtcnn train` from other folders."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What candidates must score; each belongs to the weights of one network.

    Attributes:
        pnet: What a candidate of the P-Net must exceed.
        rnet: What one of the R-Net must exceed.
        onet: What a face must score at the least.
    """

    pnet: float
    rnet: float
    onet: float


STOCK_THRESHOLDS = Thresholds(0.6, 0.7, 0.8)
"""Of the package `mtcnn` 1.0."""

TRAINED_THRESHOLDS = Thresholds(0.4, 0.4, 0.7)
"""Of networks that `maskwatch mtcnn train` trained; on the training photos of the embedded ones no
other setting that was tried has an F1 more than 0.005 higher at an IoU of 0.5. Faces are a fixed
share of what is learnt from, so that the scores of other trainings should be alike."""


@dataclass(frozen=True, slots=True)
class Networks:
    """P-Net, R-Net and O-Net, or the first ones of them.

    Attributes:
        files: Their ONNX files, as `maskwatch.weights.mtcnn_network` describes them.
        thresholds: Scores that belong to them.
    """

    files: tuple[Path, ...]
    thresholds: Thresholds

    def first(self, count: int) -> Networks:
        """So many of them."""
        return Networks(self.files[:count], self.thresholds)


def onnx_file(folder: Path, stage: str) -> Path:
    """A network of a run, whether it is there or not."""
    return folder / f"{stage}.onnx"


def files_in(folder: Path) -> tuple[Path, ...]:
    """All three, whether they are there or not."""
    return tuple(onnx_file(folder, stage) for stage in PLANS)


def is_run(folder: Path) -> bool:
    """Whether a folder is a run, finished or not."""
    try:
        return (folder / FACTS).is_file()
    except OSError:  # such as a name too long
        return False


def of_run(folder: Path) -> Networks:
    """The networks of a finished run.

    Raises:
        ModelFileError: The folder is no run, its training has not come to an end, or what it
            tells is damaged.
    """
    if not is_run(folder):
        raise ModelFileError(
            f"{folder} is no run: it has no {FACTS}. maskwatch mtcnn train makes one."
        )
    for path in files_in(folder):
        if not path.is_file():
            raise ModelFileError(
                f"{folder} lacks {path.name}. Give the command of its training again to go on."
            )
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        return Networks(files_in(folder), thresholds_of(facts))
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as exc:
        raise ModelFileError(
            f"{folder / FACTS} tells no thresholds: {exc!r}. Train the networks anew."
        ) from exc


def thresholds_of(facts: dict[str, Any]) -> Thresholds:
    """The thresholds that a run tells of; of networks it does not have yet the trained ones.

    Raises:
        TypeError, ValueError, AttributeError: They are of other networks, or no numbers.
        KeyError: It tells none.
    """
    told: dict[str, Any] = facts["thresholds"]
    return Thresholds(**{**asdict(TRAINED_THRESHOLDS), **{k: float(v) for k, v in told.items()}})
