"""MTCNN: three small networks, each looking closer at what the one before it found.

Zhang et al. 2016, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks" (arXiv:1604.02878). The way crops are cut and the way overlapping boxes are dropped are
those of the package `mtcnn` 1.0, so that its weights find here what they find there.
"""

from __future__ import annotations

from pathlib import Path

from maskwatch.detectors.mtcnn.cascade import MtcnnDetector
from maskwatch.detectors.mtcnn.stages import STOCK, TRAINED, Thresholds

__all__ = ["STOCK", "TRAINED", "MtcnnDetector", "Thresholds", "files_in"]


def files_in(folder: Path) -> list[Path]:
    """The three files of a run of `maskwatch mtcnn train`, whether they are there or not."""
    return [folder / f"{name}.onnx" for name in ("pnet", "rnet", "onet")]
