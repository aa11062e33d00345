"""Cameras plugged into this machine, read with OpenCV."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from maskwatch.errors import CameraError
from maskwatch.types import Image


def webcam_frames(number: int) -> Generator[tuple[Image, None], None, None]:
    """Open a webcam and give its pictures.

    Raises:
        CameraError: It is not there, or stops to deliver.
    """
    capture = _open(number)
    try:
        while True:
            ok, image = capture.read()
            if not ok or image is None:
                raise CameraError(f"lost webcam {number}: it gives no pictures any more.")
            yield np.asarray(image, dtype=np.uint8), None
    finally:
        capture.release()


def _open(number: int) -> Any:
    import cv2

    with _quiet():
        capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        capture.release()
        raise CameraError(
            f"cannot open webcam {number}. Check that it is plugged in, that no other program "
            "uses it and that you may read it."
        )
    return capture


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenCV from printing a warning for each of the drivers it tries."""
    from cv2.utils import logging as log

    before = log.getLogLevel()
    log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        log.setLogLevel(before)
