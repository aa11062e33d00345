"""Rules of what all verbs share: lines to people, and signals."""

from __future__ import annotations

import io
import signal
import sys

import pytest

from maskwatch.cli.console import counted, error, stop_on_signals, tell


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["int", "term"])
def test_first_signal_asks_and_second_ends(number: signal.Signals) -> None:
    """The first signal sets the event; from then on the system ends the program at once."""
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with stop_on_signals() as stop:
        assert not stop.is_set()
        signal.raise_signal(number)
        assert stop.is_set()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def test_signals_come_back_after_an_error() -> None:
    """An error inside does not leave the event in charge of Ctrl-C."""
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), stop_on_signals():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 faces"), (1, "1 face"), (2, "2 faces")], ids=str
)
def test_counted(number: int, text: str) -> None:
    """One is one, and everything else is many."""
    assert counted(number, "face") == text


def test_where_lines_go(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines go to standard output, or to standard error where the other one holds data."""
    tell("one")
    tell("two", to_stderr=True)
    error("three")
    assert capsys.readouterr() == ("one\n", "two\nerror: three\n")


def test_letters_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A character that the encoding lacks is escaped."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    tell("fête")
    assert raw.getvalue() == b"f\\xeate\n"


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        pytest.param("cannot read a.jpg", "error: cannot read a.jpg\n", id="plain"),
        pytest.param("cannot read a\nb.jpg", "error: cannot read a\\nb.jpg\n", id="line-feed"),
        pytest.param("cannot read a\rb.jpg", "error: cannot read a\\rb.jpg\n", id="return"),
    ],
)
def test_an_error_is_one_line(text: str, printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An error takes one line even where a file's name has several."""
    error(text)
    assert capsys.readouterr().err == printed
