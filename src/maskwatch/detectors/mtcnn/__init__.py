"""MTCNN: three small networks, each looking closer at what the one before it found.

Zhang et al. 2016, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks" (arXiv:1604.02878). The way crops are cut and the way overlapping boxes are dropped are
those of the package `mtcnn` 1.0, so that its weights find here what they find there.
"""

from __future__ import annotations

from maskwatch.detectors.mtcnn.cascade import MtcnnDetector
from maskwatch.detectors.mtcnn.networks import (
    STOCK_THRESHOLDS,
    TRAINED_THRESHOLDS,
    Networks,
    Thresholds,
    is_run,
    of_run,
)

__all__ = [
    "STOCK_THRESHOLDS",
    "TRAINED_THRESHOLDS",
    "MtcnnDetector",
    "Networks",
    "Thresholds",
    "is_run",
    "of_run",
]
