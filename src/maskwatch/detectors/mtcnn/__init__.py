"""MTCNN: three small networks, each looking closer at what the one before it found.

Zhang et al. 2016, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks" (arXiv:1604.02878). Thresholds, the way crops are cut and the way overlapping boxes are
dropped are those of the package `mtcnn` 1.0, so that its weights find here what they find there.
"""

from __future__ import annotations

from maskwatch.detectors.mtcnn.cascade import MtcnnDetector

__all__ = ["MtcnnDetector"]
