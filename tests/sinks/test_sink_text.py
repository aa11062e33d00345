"""Rules that JSON Lines and CSV share: the file, standard output, refusals."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from pathlib import Path, PurePath

import pytest

from maskwatch.errors import OutputError, OutputExistsError, UsageError
from maskwatch.sinks.csvfile import CsvSink
from maskwatch.sinks.jsonl import JsonLinesSink
from maskwatch.sinks.textfile import TextSink
from run_helpers import FakeSource, grey, result_of

SINKS = pytest.mark.parametrize("sink_type", [JsonLinesSink, CsvSink], ids=["json", "csv"])
RESULT = result_of(grey(), [(1, 2, 30, 40)])


@SINKS
def test_folder_is_made_and_lines_are_there_at_once(
    tmp_path: Path, sink_type: type[TextSink]
) -> None:
    """Missing folders are made, and a line can be read as soon as it was written."""
    path = tmp_path / "new" / "folder" / "out"
    with sink_type(path) as sink:
        sink.write(RESULT, grey)
        assert "a.jpg" in path.read_text(encoding="utf-8")


@SINKS
def test_dash_is_standard_output(
    sink_type: type[TextSink], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """`-` writes to standard output, which stays open, and to no file of that name."""
    with sink_type(Path("-")) as sink:
        sink.plan([])
        sink.write(RESULT, grey)
    print("still open")
    out = capsys.readouterr().out
    assert "a.jpg" in out
    assert out.endswith("still open\n")
    assert not Path("-").exists()


@SINKS
def test_existing_file_is_refused(tmp_path: Path, sink_type: type[TextSink]) -> None:
    """A file that is there is refused before any work and keeps its content."""
    path = tmp_path / "out"
    path.write_text("precious")
    with pytest.raises(OutputExistsError, match=r"output exists: .*out\. Give --overwrite"):
        sink_type(path).plan([])
    assert path.read_text() == "precious"


@SINKS
def test_overwrite(tmp_path: Path, sink_type: type[TextSink]) -> None:
    """With overwriting, the file is replaced as a whole."""
    path = tmp_path / "out"
    path.write_text("old" * 1000)
    sink = sink_type(path, overwrite=True)
    sink.plan([])
    with sink:
        sink.write(RESULT, grey)
    text = path.read_text()
    assert "a.jpg" in text
    assert "old" not in text


@SINKS
def test_a_source_is_never_replaced(tmp_path: Path, sink_type: type[TextSink]) -> None:
    """Also with overwriting, a file that is one of the sources is refused."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"pixels")
    other = FakeSource(str(tmp_path / "other.jpg"))
    with pytest.raises(UsageError, match="would replace a source"):
        sink_type(path, overwrite=True).plan([other, FakeSource(str(path))])


@SINKS
@pytest.mark.skipif(not Path("/dev/null").exists(), reason="needs /dev/null")
def test_a_device_is_no_file_to_be_lost(sink_type: type[TextSink]) -> None:
    """Devices and pipes are written to without being asked."""
    sink = sink_type(Path("/dev/null"))
    sink.plan([])
    with sink:
        sink.write(RESULT, grey)


@SINKS
@pytest.mark.parametrize("place", ["folder", "below-a-file"])
def test_place_that_cannot_be_written(
    tmp_path: Path, sink_type: type[TextSink], place: str
) -> None:
    """A place that is a folder, or lies below a file, is an error that names it and the reason."""
    (tmp_path / "file").write_bytes(b"")
    path = tmp_path if place == "folder" else tmp_path / "file" / "out"
    with pytest.raises(OutputError, match=f"^cannot write {path}: [A-Z][a-z ]+\\.$"):
        sink_type(path, overwrite=True).__enter__()


@SINKS
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk(sink_type: type[TextSink]) -> None:
    """A full disk is an error that says so."""
    with (
        pytest.raises(OutputError, match=r"^cannot write /dev/full: No space left on device\.$"),
        sink_type(Path("/dev/full")) as sink,
    ):
        sink.write(RESULT, grey)


class Full(io.StringIO):
    """A file on a disk that is full when it is closed."""

    def close(self) -> None:
        super().close()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@SINKS
@pytest.mark.parametrize("error", [None, OutputError("first.")], ids=["alone", "after-another"])
def test_disk_full_at_the_end(
    tmp_path: Path,
    sink_type: type[TextSink],
    error: OutputError | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What closing finds out is an error too, unless it would hide the first one."""
    monkeypatch.setattr(Path, "open", lambda *args, **options: Full())
    sink = sink_type(tmp_path / "out").__enter__()
    if error is None:
        with pytest.raises(OutputError, match=r"No space left on device\.$"):
            sink.__exit__(None, None, None)
    else:
        sink.__exit__(type(error), error, None)


@SINKS
def test_standard_output_without_the_letters(
    sink_type: type[TextSink], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that the encoding of standard output lacks is escaped and ends nothing."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    with sink_type(Path("-")) as sink:
        sink.write(result_of(grey(), [(1, 2, 30, 40)], source="fête-日本.jpg"), grey)
    assert b"f\\u00eate-\\u65e5\\u672c.jpg" in raw.getvalue() or b"f\\xeate-" in raw.getvalue()


def test_file_name_that_is_no_text(tmp_path: Path) -> None:
    """A file name of bytes that are no UTF-8 comes back from the JSON as Python has it."""
    name = os.fsdecode(b"\xff.jpg")
    path = tmp_path / "out.jsonl"
    with JsonLinesSink(path) as sink:
        sink.write(result_of(grey(), source=name), grey)
    assert json.loads(path.read_text(encoding="utf-8"))["source"] == name


def test_a_pure_path_is_enough_for_a_camera(tmp_path: Path) -> None:
    """An address or camera number among the sources is no file to compare with."""
    path = tmp_path / "out.jsonl"
    path.write_text("old")
    camera = FakeSource("rtsp://cam/1", (), "live")
    camera.relative = PurePath("cam-1")
    JsonLinesSink(path, overwrite=True).plan([camera, FakeSource("0", (), "live")])
    assert path.read_text() == "old"
