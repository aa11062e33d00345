"""What a benchmark ran on, and the files of other publishers that lie at hand."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

from maskwatch import weights

SHARED = Path(__file__).resolve().parents[2] / "shared"

_FILES = {
    "yunet": ("yunet_s_640.onnx",),
    "yunet-n": ("yunet_n_640.onnx",),
    "ssd": ("opencv_face_detector_uint8.pb", "opencv_face_detector.pbtxt"),
    "ultra": ("ultra_rfb_640_masked_v2.onnx",),
    "aizoo": ("aizoo.caffemodel", "aizoo.prototxt"),
}


def machine() -> dict[str, Any]:
    """Processor, cores and versions."""
    model = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [row for row in info.read_text().splitlines() if row.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "opencv": cv2.__version__,
    }


def install_from_shared(names: Sequence[str] = ("yunet", "ssd")) -> None:
    """Install detectors whose files lie in `../shared/weights` and are not installed yet."""
    for name in names:
        paths = [SHARED / "weights" / file for file in _FILES[name]]
        if weights.find(name) is None and all(path.exists() for path in paths):
            weights.install_from(name, paths)
