"""Face detectors by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypedDict

from maskwatch import weights
from maskwatch.detectors.base import Detector
from maskwatch.detectors.parallel import ParallelDetector
from maskwatch.errors import UnknownNameError
from maskwatch.models import embedded_path, embedded_paths

__all__ = ["DETECTORS", "Detector", "is_known", "load_detector"]

EMBEDDED = "onepass"
"""The one-pass detector that comes with maskwatch."""

FAST = "onepass-fast"
"""The same network, looking at smaller pictures."""


class _MinScore(TypedDict, total=False):
    min_score: float


def _haar(min_score: float | None) -> Detector:
    from maskwatch.detectors.haar import HaarDetector

    return HaarDetector(**_given(min_score))


def _ssd(min_score: float | None) -> Detector:
    from maskwatch.detectors.ssd import SsdDetector

    files = weights.find("ssd-caffe") or weights.require("ssd")
    return SsdDetector(files, **_given(min_score))


def _yunet(name: str, min_score: float | None) -> Detector:
    from maskwatch.detectors.yunet import YuNetDetector

    detector = YuNetDetector(weights.require(name)[0], **_given(min_score))
    detector.name = name
    return detector


def _ultra(min_score: float | None) -> Detector:
    from maskwatch.detectors.ultra import UltraDetector

    return UltraDetector(weights.require("ultra")[0], **_given(min_score))


def _aizoo(min_score: float | None) -> Detector:
    from maskwatch.detectors.aizoo import AizooDetector

    return AizooDetector(weights.require("aizoo"), **_given(min_score))


def _mtcnn(min_score: float | None) -> Detector:
    from maskwatch.detectors.mtcnn import TRAINED_THRESHOLDS, MtcnnDetector, Networks

    return MtcnnDetector(Networks(embedded_paths("mtcnn"), TRAINED_THRESHOLDS), min_score)


def _mtcnn_stock(min_score: float | None) -> Detector:
    from maskwatch.detectors.mtcnn import STOCK_THRESHOLDS, MtcnnDetector, Networks

    networks = Networks(weights.require("mtcnn-stock"), STOCK_THRESHOLDS)
    detector = MtcnnDetector(networks, min_score)
    detector.name = "mtcnn-stock"
    return detector


def _onepass(name: str, min_score: float | None) -> Detector:
    from maskwatch.detectors.onepass import FAST_LONG_SIDE_PX, OnePassDetector

    path = embedded_path(EMBEDDED)
    if name == FAST:
        detector = OnePassDetector(path, **_given(min_score), long_side_px=FAST_LONG_SIDE_PX)
    else:
        detector = OnePassDetector(path, **_given(min_score))
    detector.name = name
    return detector


def _from_file(path: str, min_score: float | None) -> Detector:
    from maskwatch.detectors.onepass import OnePassDetector

    detector = OnePassDetector(Path(path), **_given(min_score))
    detector.name = path
    return detector


def _from_run(folder: str, min_score: float | None) -> Detector:
    from maskwatch.detectors.mtcnn import MtcnnDetector, of_run

    detector = MtcnnDetector(of_run(Path(folder)), min_score)
    detector.name = folder
    return detector


DETECTORS: dict[str, Callable[[float | None], Detector]] = {
    "aizoo": _aizoo,
    "auto": partial(_onepass, EMBEDDED),
    "haar": _haar,
    "mtcnn": _mtcnn,
    "mtcnn-stock": _mtcnn_stock,
    EMBEDDED: partial(_onepass, EMBEDDED),
    FAST: partial(_onepass, FAST),
    "ssd": _ssd,
    "ultra": _ultra,
    "yunet": partial(_yunet, "yunet"),
    "yunet-n": partial(_yunet, "yunet-n"),
}
"""From name to factory. `auto` is the best that there is: the embedded one-pass detector."""


def is_known(name: str) -> bool:
    """Whether a name is one that `load_detector` takes; its files may be missing or damaged."""
    from maskwatch.detectors.mtcnn import is_run

    return name in DETECTORS or name.endswith(".onnx") or is_run(Path(name))


def load_detector(
    name: str = "auto", min_score: float | None = None, *, workers: int = 1
) -> Detector:
    """Make a detector.

    Args:
        name: One of `DETECTORS`, the path of the `.onnx` file of a one-pass detector, or the folder
            of a run of `maskwatch mtcnn train`.
        min_score: Faces scored lower are not returned; None takes the detector's own default.
        workers: Pictures of one call that are looked at side by side.

    Raises:
        UnknownNameError: No such detector.
        ModelNotFoundError: Its files are not installed; the message says how to get them.
        ModelFileError: Its files are damaged.
    """
    if not is_known(name):
        raise UnknownNameError("detector", name, DETECTORS)
    if name in DETECTORS:
        make = partial(DETECTORS[name], min_score)
    elif name.endswith(".onnx"):
        make = partial(_from_file, name, min_score)
    else:
        make = partial(_from_run, name, min_score)
    return make() if workers < 2 else ParallelDetector(make, workers)


def _given(min_score: float | None) -> _MinScore:
    return {} if min_score is None else {"min_score": min_score}
