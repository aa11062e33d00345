from __future__ import annotations

from pathlib import PurePath
from typing import Any

import pytest
from source_helpers import picture

from maskwatch.errors import CameraError
from maskwatch.sources import open_sources
from maskwatch.sources.webcam import webcam_frames


class FakeCapture:
    """Two pictures, then none, like a webcam that is pulled out."""

    made: FakeCapture

    def __init__(self, number: int) -> None:
        self.number = number
        self.left = 2
        self.released = False
        FakeCapture.made = self

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def read(self) -> tuple[bool, Any]:
        self.left -= 1
        return (True, picture(9)) if self.left >= 0 else (False, None)

    def release(self) -> None:
        self.released = True


def test_absent(capfd: pytest.CaptureFixture[str]) -> None:
    """A webcam that is not there is one clear line, and OpenCV adds none of its own."""
    (source,) = open_sources("97")
    with pytest.raises(CameraError, match=r"^cannot open webcam 97\. Check that"):
        next(source.frames())
    assert capfd.readouterr() == ("", "")
    assert source.relative == PurePath("camera-97")


def test_pulled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A webcam that stops to deliver is lost, and released."""
    monkeypatch.setattr("cv2.VideoCapture", FakeCapture)
    frames = webcam_frames(3)
    assert [next(frames)[1], next(frames)[1]] == [None, None]
    with pytest.raises(CameraError, match="lost webcam 3"):
        next(frames)
    assert FakeCapture.made.released
    assert FakeCapture.made.number == 3


def test_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing the generator releases the webcam."""
    monkeypatch.setattr("cv2.VideoCapture", FakeCapture)
    frames = webcam_frames(3)
    next(frames)
    frames.close()
    assert FakeCapture.made.released
