"""Rules of progress: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from detect_helpers import call, photo

from maskwatch.cli import progress
from maskwatch.cli.progress import RunProgress
from maskwatch.errors import SourceError, UnreadableVideoError
from maskwatch.run import Failure
from maskwatch.types import FrameResult, MaskState
from run_helpers import FakeSource, grey, result_of

Capture = pytest.CaptureFixture[str]


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Terminal(io.StringIO):
    """A terminal that remembers what was written to it."""

    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make standard error a terminal. Not a fixture: pytest's own capture comes after those."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    made = Terminal()
    monkeypatch.setattr(sys, "stderr", made)
    return made


def photo_result(name: str, *states: MaskState) -> FrameResult:
    return result_of(grey(), [(0, 0, 9, 9)] * len(states), states, source=name)


def play(
    sources: Sequence[FakeSource], clock: Clock, *, each_photo: bool = False, step_s: float = 4.0
) -> RunProgress:
    """Tell progress of three frames of each source, with so much time between them."""
    with RunProgress(sources, 1, each_photo=each_photo, clock=clock) as shown:
        for source in sources:
            shown.start(source)
            for _ in range(3):
                clock.now_s += step_s
                shown.result(photo_result(source.name))
    return shown


def test_plain_lines_ten_seconds_apart(capsys: Capture) -> None:
    """Elsewhere than on a terminal there is a line every ten seconds and no control characters."""
    play([FakeSource(name) for name in "abc"], Clock())
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [f"{count} frames, 0.2 frames/s" for count in (3, 6, 9)]


def test_short_runs_say_nothing(capsys: Capture) -> None:
    """A run of less than ten seconds has no lines."""
    play([FakeSource("a")], Clock(), step_s=1.0)
    assert capsys.readouterr() == ("", "")


def test_first_frame_after_long(capsys: Capture) -> None:
    """One frame is not `1 frames`."""
    clock = Clock()
    with RunProgress([FakeSource("a")], 1, each_photo=False, clock=clock) as shown:
        clock.now_s += 20
        shown.result(photo_result("a"))
    assert capsys.readouterr().err == "1 frame, 0.1 frames/s\n"


def test_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """On a terminal there is a bar with name and count, which is gone at the end."""
    terminal = on_terminal(monkeypatch)
    play([FakeSource("clip.mp4", count=12)], Clock())
    text = terminal.getvalue()
    assert "clip.mp4" in text
    assert "3/12" in text
    assert "0.2 frames/s" in text
    assert text.rstrip().endswith("\x1b[2K"), "the line of the bar is wiped"
    assert capsys.readouterr().out == ""


def test_several_sources_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several sources are counted in sources, not in frames."""
    terminal = on_terminal(monkeypatch)
    with RunProgress(
        [FakeSource(name) for name in "abc"], 1, each_photo=False, clock=Clock()
    ) as shown:
        for name in "abc":
            shown.start(FakeSource(name))
            shown.result(photo_result(name))
            shown.result(photo_result(name))
        assert shown._bar is not None
        shown._bar.refresh()
    assert "2/3" in terminal.getvalue()
    assert "6/" not in terminal.getvalue()


def test_cursor_stays_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever the program is ended, the terminal still has its cursor."""
    terminal = on_terminal(monkeypatch)
    shown = RunProgress([FakeSource("a")], 1, each_photo=False, clock=Clock())
    shown.__enter__()
    text = terminal.getvalue()
    shown.__exit__()
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l")


@pytest.mark.parametrize(
    ("count", "every", "total"), [(12, 1, 12), (12, 5, 3), (10, 5, 2), (None, 5, None)]
)
def test_total(count: int | None, every: int, total: int | None) -> None:
    """Of one source the frames are counted that will be looked at."""
    shown = RunProgress([FakeSource("a", count=count)], every, each_photo=False, clock=Clock())
    assert shown._total == total


class Broken(FakeSource):
    """A video that cannot be opened."""

    @property
    def frame_count(self) -> int | None:
        raise UnreadableVideoError("cannot read video a.mp4: empty file.")


def test_total_of_a_broken_file() -> None:
    """A file that cannot be opened has no total; it says so itself when it is read."""
    assert RunProgress([Broken("a.mp4")], 1, each_photo=False)._total is None


def test_a_line_a_photo(capsys: Capture) -> None:
    """Where asked for, each photo's states are printed; frames of videos are not."""
    sources = [FakeSource("a.jpg", (), "image"), FakeSource("b.mp4")]
    with RunProgress(sources, 1, each_photo=True, clock=Clock()) as shown:
        shown.start(sources[0])
        shown.result(photo_result("a.jpg", MaskState.WITH_MASK, MaskState.UNKNOWN))
        shown.start(sources[1])
        shown.result(photo_result("b.mp4", MaskState.WITH_MASK))
    assert capsys.readouterr().out == "a.jpg: mask, cannot tell\n"


@pytest.mark.parametrize("name", ["[bold]a.mp4", "x" * 300 + ".mp4", "fête.mp4"])
def test_failures(capsys: Capture, name: str) -> None:
    """A failure is one plain line as it is, whatever is in its name."""
    with RunProgress([FakeSource(name)], 1, each_photo=False, clock=Clock()) as shown:
        shown.failure(Failure(name, SourceError(f"cannot read {name}: empty file.")))
    assert capsys.readouterr().err == f"error: cannot read {name}: empty file.\n"


def test_a_name_that_the_terminal_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo whose name cannot be encoded is printed escaped."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    source = FakeSource(os.fsdecode(b"\xff.jpg"), (), "image")
    with RunProgress([source], 1, each_photo=True, clock=Clock()) as shown:
        shown.start(source)
        shown.result(photo_result(source.name))
    sys.stdout.flush()
    assert raw.getvalue() == b"\\udcff.jpg: no faces\n"


def test_lines_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where both streams are the terminal, lines of photos do not run into the bar."""
    terminal = on_terminal(monkeypatch)
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    source = FakeSource("a.jpg", (), "image", count=1)
    with RunProgress([source], 1, each_photo=True, clock=Clock()) as shown:
        shown.start(source)
        shown.result(photo_result("a.jpg", MaskState.WITHOUT_MASK))
    assert out.getvalue() == ""
    assert "a.jpg: no mask" in terminal.getvalue()


def test_whole_run_without_a_terminal(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run into a pipe has no bar and no control characters."""
    monkeypatch.setattr(progress, "_LINE_EVERY_S", 0.0)
    for number in range(3):
        photo(tmp_path / f"{number}.png", 60)
    done = call(capsys, "detect", tmp_path)
    assert "\x1b" not in done.out + done.err
    lines = done.err.splitlines()
    assert [line.split(", ")[0] for line in lines] == ["1 frame", "2 frames", "3 frames"]
