"""Call the command line, in this process or in another."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from maskwatch.cli import main
from maskwatch.images import write_image
from maskwatch.types import Image
from portraits import hopper
from run_helpers import PATIENCE_S


@dataclass(frozen=True, slots=True)
class Done:
    """What a call of the command line left."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines on standard output."""
        return [json.loads(line) for line in self.out.splitlines()]


def call(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Done:
    """Call `maskwatch` in this process."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert isinstance(left.value.code, int | None)
    return Done(left.value.code or 0, out, err)


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start `maskwatch` as a program of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "maskwatch", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(program: subprocess.Popen[str]) -> Done:
    """Read what is left of its output and wait until it ends."""
    assert program.stdout is not None
    assert program.stderr is not None
    watchdog = threading.Timer(PATIENCE_S, program.kill)
    watchdog.start()
    try:
        # Not communicate(): it would miss what an earlier readline() has read ahead.
        with program.stdout, program.stderr:
            out, err = program.stdout.read(), program.stderr.read()
        return Done(program.wait(), out, err)
    finally:
        watchdog.cancel()
        watchdog.join()


def face(long_side_px: int = 240) -> Image:
    """A bare face."""
    image = hopper().image
    scale = long_side_px / max(image.shape[:2])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def photo(path: Path, long_side_px: int = 240) -> Path:
    """A picture file of a bare face."""
    write_image(path, face(long_side_px))
    return path


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON lines in a file, all complete."""
    text = path.read_text(encoding="utf-8")
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]
