"""How well detectors find faces on labelled photos, alone or with a classifier behind them.

    comparison = evaluate_detectors(["yunet+default", "haar"], Path("photos"), split="val")
    print(comparison.table())

Needs the base install only, unless a classifier is a run of a training.
"""

from __future__ import annotations

from maskwatch.metrics.detector_comparison import DetectorComparison
from maskwatch.training.detection.evaluate import evaluate_detectors
from maskwatch.training.detection.specs import Spec, is_detector, parse_specs

__all__ = ["DetectorComparison", "Spec", "evaluate_detectors", "is_detector", "parse_specs"]
