"""What is wrong with an input, a model or an output is one line that says so, and an exit code."""

from __future__ import annotations

import builtins
import errno
import io
import os
import re
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detect_helpers import Done, call, photo, read_lines
from PIL import Image as Pil

from maskwatch.images import part_of
from run_helpers import PATIENCE_S, read_video, write_video
from tiny_onnx import write_constant

Capture = pytest.CaptureFixture[str]

FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


def refused(done: Done, code: int, *says: str) -> None:
    """Exactly one error line, with all of `says` in it in this order, and the exit code."""
    lines = done.err.splitlines()
    assert len(lines) == 1, done.err
    pattern = ".*".join(re.escape(part) for part in says)
    assert re.fullmatch(f"error: .*{pattern}.*", lines[0]), lines[0]
    assert lines[0].endswith((".", "get yunet", ")")), lines[0]
    assert "Traceback" not in done.out
    assert done.code == code


# ---- Sources


def test_missing_file(tmp_path: Path, capsys: Capture) -> None:
    """A file that is not there."""
    path = tmp_path / "nothing.jpg"
    done = call(capsys, "detect", path)
    refused(done, 1, "no such file or folder", repr(str(path)), "Give a file, a folder")
    assert done.out == ""


def test_empty_folder(tmp_path: Path, capsys: Capture) -> None:
    """A folder without pictures."""
    (tmp_path / "notes.txt").write_text("nothing to see")
    refused(call(capsys, "detect", tmp_path), 1, "no pictures or videos", str(tmp_path), "Looked")


def test_glob_without_matches(tmp_path: Path, capsys: Capture) -> None:
    """A glob that matches nothing."""
    done = call(capsys, "detect", tmp_path / "*.jpg")
    refused(done, 1, "no pictures or videos match", "*.jpg", "check the pattern")


def text(path: Path) -> None:
    path.write_text("this is no picture")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut_photo(path: Path) -> None:
    photo(path)
    path.write_bytes(path.read_bytes()[:2000])


def half_photo(path: Path) -> None:
    photo(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def bomb(path: Path) -> None:
    """A PNG of 3 kB whose header promises 20,000 x 20,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(2_000_000))
    signature = b"\x89PNG\r\n\x1a\n"
    path.write_bytes(
        signature + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def without_index(path: Path) -> None:
    """An MP4 cut before its index, which lies at the end."""
    write_video(path, noise(20))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


BAD_FILES: list[tuple[str, Callable[[Path], None], str]] = [
    ("text.jpg", text, "not a picture"),
    ("empty.jpg", empty, "empty file"),
    ("empty.png", empty, "empty file"),
    ("cut.jpg", cut_photo, "damaged"),
    ("half.jpg", half_photo, "damaged"),
    ("half.png", half_photo, "damaged"),
    ("bomb.png", bomb, "400 million pixels"),
    ("text.mp4", text, "not a video"),
    ("empty.mp4", empty, "empty file"),
    ("no-index.mp4", without_index, "not a video, or damaged or cut short"),
    ("text.unknown", text, "neither a picture nor a video"),
]


@pytest.mark.parametrize(
    ("name", "make", "says"), BAD_FILES, ids=[name for name, _, _ in BAD_FILES]
)
def test_bad_file(
    tmp_path: Path, capsys: Capture, name: str, make: Callable[[Path], None], says: str
) -> None:
    """A file that cannot be read is named with what is wrong with it, and leaves no output."""
    path, out = tmp_path / name, tmp_path / "out"
    make(path)
    begin_s = time.monotonic()
    refused(call(capsys, "detect", path, "--out", out), 1, "cannot read", str(path), says)
    assert time.monotonic() - begin_s < 5
    assert not list(out.rglob("*"))


def noise(count: int) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Pictures that do not compress, so that bytes of a file are spread over its frames."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (96, 128, 3), np.uint8) for _ in range(count)]


def test_video_cut_in_its_middle(tmp_path: Path, capsys: Capture) -> None:
    """Of an MP4 with its index at the start that was cut, the frames that are there are kept."""
    whole, cut = tmp_path / "whole.mp4", tmp_path / "cut.mp4"
    write_video(whole, noise(30))
    program = [sys.executable, "-c", FASTSTART, str(whole), str(cut)]
    subprocess.run(program, check=True, timeout=PATIENCE_S)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    done = call(capsys, "detect", cut, "--out", tmp_path / "out", "--json", tmp_path / "a.jsonl")
    refused(done, 1, str(cut), "is cut short", "frames were read")
    lines = read_lines(tmp_path / "a.jsonl")
    assert 5 < len(lines) < 25
    assert len(read_video(tmp_path / "out" / "cut.mp4").images) == len(lines)
    assert f"is cut short: {len(lines)} frames" in done.err


FASTSTART = """
import sys, av
options = {"movflags": "faststart"}
with av.open(sys.argv[1]) as old, av.open(sys.argv[2], "w", options=options) as new:
    stream = new.add_stream_from_template(old.streams.video[0])
    for packet in old.demux(video=0):
        if packet.size:
            packet.stream = stream
            new.mux(packet)
"""


def test_one_bad_file_among_good_ones(tmp_path: Path, capsys: Capture) -> None:
    """In a folder the bad ones are reported and skipped, the others done, and the code is 1."""
    folder = tmp_path / "in"
    for name in ("a.jpg", "c.jpg", "e.jpg"):
        photo(folder / name, 120)
    cut_photo(folder / "b.jpg")
    text(folder / "d.mp4")
    done = call(capsys, "detect", folder, "--out", tmp_path / "out", "--json", tmp_path / "j")
    assert done.code == 1
    errors = done.err.splitlines()
    assert len(errors) == 2
    assert errors[0].startswith(f"error: cannot read picture {folder / 'b.jpg'}: damaged")
    assert errors[1].startswith(f"error: cannot read video {folder / 'd.mp4'}: not a video")
    assert [Path(line["source"]).name for line in read_lines(tmp_path / "j")] == [
        *("a.jpg", "c.jpg", "e.jpg"),
    ]
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["a.jpg", "c.jpg", "e.jpg"]
    assert "failed: 2 sources, named above" in done.out


def test_one_missing_source_among_good_ones(tmp_path: Path, capsys: Capture) -> None:
    """A source that is not there is reported, the others are done, and the code is 1."""
    good = photo(tmp_path / "a.png", 120)
    done = call(capsys, "detect", tmp_path / "none.png", good, "--json", tmp_path / "j")
    refused(done, 1, "no such file or folder", "none.png")
    assert len(read_lines(tmp_path / "j")) == 1


@pytest.mark.parametrize("name", ["a.png", "a.mp4"])
def test_file_that_may_not_be_read(
    tmp_path: Path, capsys: Capture, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system refuses to open a file, its reason is given."""
    path = tmp_path / name
    photo(path) if name.endswith("png") else write_video(path, noise(3))
    _forbid(monkeypatch, path)
    refused(call(capsys, "detect", path), 1, "cannot read", str(path), "Permission denied")


def _forbid(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Let no one open the file; its mode would not keep the superuser from it."""
    opened = open

    def guarded(file: Any, *args: Any, **options: Any) -> Any:
        if not isinstance(file, int) and os.fspath(file) == str(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(file, *args, **options)

    monkeypatch.setattr(builtins, "open", guarded)
    monkeypatch.setattr(io, "open", guarded)


def test_webcam_that_is_not_there(capsys: Capture) -> None:
    """A webcam number without a camera."""
    if Path("/dev/video42").exists():
        pytest.skip("there is a camera 42")
    refused(call(capsys, "detect", "42"), 1, "cannot open webcam 42", "plugged in")


@pytest.fixture
def closed_port() -> int:
    """A port on this machine at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_camera_that_cannot_be_reached(closed_port: int, capsys: Capture, scheme: str) -> None:
    """A camera where nobody answers is given up at once, and its password stays secret."""
    begin_s = time.monotonic()
    url = f"{scheme}://user:secret@127.0.0.1:{closed_port}/live"
    done = call(capsys, "detect", url)
    refused(done, 1, "cannot open camera", f"{scheme}://user:***@127.0.0.1", "refused", "Check the")
    assert "secret" not in done.err + done.out
    assert time.monotonic() - begin_s < 5


def test_unknown_address(capsys: Capture) -> None:
    """A kind of address that cannot be read."""
    refused(
        call(capsys, "detect", "ftp://host/a.mp4"), 1, "cannot read ftp://host/a.mp4", "rtsp://"
    )


# ---- Outputs


def test_out_is_a_file(tmp_path: Path, capsys: Capture) -> None:
    """A file in the place of the output folder."""
    (tmp_path / "out").write_text("precious")
    done = call(capsys, "detect", photo(tmp_path / "a.png"), "--out", tmp_path / "out")
    refused(done, 1, f"cannot write into {tmp_path / 'out'}: File exists")
    assert (tmp_path / "out").read_text() == "precious"


@pytest.mark.parametrize("option", ["--json", "--csv"])
def test_text_below_a_file(tmp_path: Path, capsys: Capture, option: str) -> None:
    """A text output below a file."""
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "out"
    done = call(capsys, "detect", photo(tmp_path / "a.png"), option, place)
    refused(done, 1, f"cannot write {place}: ")


@pytest.mark.parametrize(
    "outputs",
    [("--out", "out"), ("--json", "out/a.png"), ("--csv", "out/a.png")],
    ids=["out", "json", "csv"],
)
def test_output_exists(tmp_path: Path, capsys: Capture, outputs: tuple[str, str]) -> None:
    """An output that is there is kept, and nothing is done."""
    kept = tmp_path / "out" / "a.png"
    kept.parent.mkdir()
    kept.write_text("precious")
    option, place = outputs
    done = call(capsys, "detect", photo(tmp_path / "a.png"), option, tmp_path / place)
    refused(done, 2, f"output exists: {kept}", "--overwrite")
    assert kept.read_text() == "precious"


def test_source_as_output(tmp_path: Path, capsys: Capture) -> None:
    """Annotated copies into the folder of the sources are refused, whatever is given."""
    path = photo(tmp_path / "a.png")
    before = path.read_bytes()
    done = call(capsys, "detect", path, "--out", tmp_path, "--overwrite")
    refused(done, 2, f"output {path} would replace a source", "Choose another place")
    assert path.read_bytes() == before


def test_two_texts_in_one_place(tmp_path: Path, capsys: Capture) -> None:
    """JSON and CSV into the same file."""
    done = call(capsys, "detect", photo(tmp_path / "a.png"), "--json", "-", "--csv", "-")
    refused(done, 2, "--json and --csv both write to -", "Name two")


@FULL
@pytest.mark.parametrize("option", ["--json", "--csv"])
def test_full_disk_for_text(tmp_path: Path, capsys: Capture, option: str) -> None:
    """A disk that is full."""
    done = call(capsys, "detect", photo(tmp_path / "a.png"), option, "/dev/full")
    refused(done, 1, "cannot write /dev/full: No space left on device")


@FULL
@pytest.mark.parametrize("kind", ["photo", "video"])
def test_full_disk_for_pictures(tmp_path: Path, capsys: Capture, kind: str) -> None:
    """A disk that is full ends the run at the first output that does not fit."""
    out = tmp_path / "out"
    out.mkdir()
    if kind == "photo":
        path = photo(tmp_path / "a.png")
        part_of(out / "a.png").symlink_to("/dev/full")
    else:
        path = write_video(tmp_path / "a.mp4", noise(40))
        (out / "a.mp4").symlink_to("/dev/full")
    done = call(capsys, "detect", path, "--out", out)
    refused(done, 1, f"cannot write {out / path.name}: No space left on device")


@FULL
@pytest.mark.parametrize("options", [(), ("--json", "-")], ids=["lines", "json"])
def test_full_disk_behind_standard_output(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Standard output that leads to a full disk."""
    path = photo(tmp_path / "a.png", 120)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "maskwatch", "detect", str(path), *options],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    assert done.stderr == "error: cannot write standard output: No space left on device.\n"
    assert done.returncode == 1


# ---- Models


def test_missing_model(tmp_path: Path, capsys: Capture) -> None:
    """A classifier file that is not there."""
    path = tmp_path / "none.onnx"
    done = call(capsys, "detect", photo(tmp_path / "a.png"), "--classifier", path)
    refused(done, 1, f"no model file {path}", "Check the path")


@pytest.mark.parametrize("content", [b"", b"no model" * 100], ids=["empty", "text"])
def test_corrupt_model(tmp_path: Path, capsys: Capture, content: bytes) -> None:
    """A classifier file that is no model."""
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    done = call(capsys, "detect", photo(tmp_path / "a.png"), "--classifier", path)
    refused(done, 1, f"cannot load {path} as an ONNX model")


def test_foreign_model(tmp_path: Path, capsys: Capture) -> None:
    """A model of another kind is refused with what it takes and what was expected."""
    path = write_constant(tmp_path / "net.onnx", shape=("n", 3, 224, 224), dtype="FLOAT")
    done = call(capsys, "detect", photo(tmp_path / "a.png"), "--classifier", path)
    refused(done, 1, f"{path} is not a mask classifier", "float32", "expected uint8 (N, S, S, 3)")


@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=["nan", "inf"])
def test_model_that_returns_nonsense(tmp_path: Path, capsys: Capture, value: float) -> None:
    """NaN or infinity from a model ends the run and never reaches an output."""
    path = write_constant(tmp_path / "net.onnx", (0.5, value, 0.5))
    arguments = ("detect", photo(tmp_path / "a.png"), "--classifier", path)
    done = call(capsys, *arguments, "--json", tmp_path / "j", "--out", tmp_path / "out")
    refused(done, 1, f"{path} returned NaN or infinity", "again")
    assert read_lines(tmp_path / "j") == []
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("name", ["yunet", "ssd"])
def test_detector_that_is_not_installed(tmp_path: Path, capsys: Capture, name: str) -> None:
    """A detector without its weights says how to get them."""
    done = call(capsys, "detect", photo(tmp_path / "a.png"), "--detector", name)
    refused(done, 1, f"model '{name}' is not installed", f"maskwatch models get {name}")


# ---- Usage


WRONG_VALUES = {
    "detector-typo": (("--detector", "yunett"), ("unknown detector 'yunett'", "mean 'yunet'")),
    "detector": (("--detector", "retina"), ("unknown detector 'retina'", "Choose one of:", "haar")),
    "classifier": (("--classifier", "best"), ("unknown classifier 'best'", "Choose one of: ")),
    "distance-bare": (("--distance", "6"), ("distance is '6'", "write pixels:N or faces:N")),
    "distance-unit": (("--distance", "metres:2"), ("distance is 'metres:2'", "write pixels:N")),
    "distance-below-0": (("--distance", "faces:-1"), ("distance is 'faces:-1'", "above 0")),
    "distance-nan": (("--distance", "faces:nan"), ("distance is 'faces:nan'", "above 0")),
    "score-above-1": (("--min-score", "1.5"), ("min_score is 1.5", "between 0 and 1")),
    "score-below-0": (("--min-score", "-0.1"), ("min_score is -0.1", "between 0 and 1")),
    "score-nan": (("--min-score", "nan"), ("min_score is nan", "between 0 and 1")),
}


@pytest.mark.parametrize(("options", "says"), WRONG_VALUES.values(), ids=WRONG_VALUES)
def test_wrong_value(
    tmp_path: Path, capsys: Capture, options: tuple[str, str], says: tuple[str, ...]
) -> None:
    """A value that makes no sense is named, with those that would, and nothing is written."""
    out = tmp_path / "out"
    done = call(capsys, "detect", photo(tmp_path / "a.png"), "--out", out, *options)
    refused(done, 2, *says)
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("detect",), "Missing argument"),
        (("detect", "a.jpg", "--every", "0"), "--every"),
        (("detect", "a.jpg", "--every", "two"), "--every"),
        (("detect", "a.jpg", "--min-score", "high"), "--min-score"),
        (("detect", "a.jpg", "--detektor", "haar"), "--detektor"),
        (("detekt", "a.jpg"), "detekt"),
    ],
    ids=["no-source", "every-0", "every-text", "min-score-text", "no-such-option", "no-such-verb"],
)
def test_wrong_arguments(capsys: Capture, arguments: tuple[str, ...], says: str) -> None:
    """Arguments that do not fit are exit code 2, with the usage, the argument and the help."""
    done = call(capsys, *arguments)
    assert done.code == 2
    assert done.err.startswith("Usage: ")
    assert says in done.err
    assert "--help" in done.err
    assert done.out == ""


def test_no_arguments(capsys: Capture) -> None:
    """Without any argument there is the help."""
    done = call(capsys)
    assert done.code in (0, 2)
    assert "detect" in done.out + done.err
    assert "Usage" in done.out + done.err


def test_pipe_in_a_folder(tmp_path: Path, capsys: Capture) -> None:
    """A named pipe in a folder or glob is no source: opening it could wait for ever."""
    photo(tmp_path / "a.png")
    os.mkfifo(tmp_path / "b.jpg")
    for spec in (tmp_path, f"{tmp_path}/*.[pj]*g"):
        done = call(capsys, "detect", spec, "--json", "-")
        assert done.code == 0
        assert [line["source"] for line in done.lines] == [str(tmp_path / "a.png")]


def test_one_copy_refused_among_good_ones(tmp_path: Path, capsys: Capture) -> None:
    """A copy that cannot exist is named, and the others are written."""
    photo(tmp_path / "in" / "a.png")
    photo(tmp_path / "in" / "c.png")
    Pil.new("L", (17_000, 4)).save(
        tmp_path / "in" / "b.gif", save_all=True, append_images=[Pil.new("L", (17_000, 4), 9)]
    )
    done = call(capsys, "detect", tmp_path / "in", "--out", tmp_path / "out")
    refused(done, 1, "b.gif.mp4", "17000 x 4", "16384")
    assert (tmp_path / "out" / "a.png").exists()
    assert (tmp_path / "out" / "c.png").exists()


def test_longest_name(tmp_path: Path, capsys: Capture) -> None:
    """A picture with the longest name that a file can have gets its copy."""
    name = "n" * 251 + ".png"
    done = call(capsys, "detect", photo(tmp_path / name), "--out", tmp_path / "out")
    assert done.code == 0, done.err
    assert (tmp_path / "out" / name).exists()


@pytest.mark.parametrize(
    ("json", "csv"),
    [
        pytest.param("out/a.png", "t.csv", id="copy-and-text"),
        pytest.param("t", "out/../t", id="one-text-two-spellings"),
    ],
)
def test_two_outputs_in_one_place(tmp_path: Path, capsys: Capture, json: str, csv: str) -> None:
    """Outputs that would replace each other are refused before any work."""
    path = photo(tmp_path / "a.png")
    out = tmp_path / "out"
    (tmp_path / "out").mkdir()
    outputs = ("--json", tmp_path / json, "--csv", tmp_path / csv)
    refused(call(capsys, "detect", path, "--out", out, *outputs), 2, "two outputs")
    assert not any(out.iterdir())


def test_copies_of_an_earlier_run_are_no_sources(tmp_path: Path, capsys: Capture) -> None:
    """A folder with the output folder in it can be done again and again."""
    photo(tmp_path / "a.png")
    for _ in range(2):
        outputs = ("--out", tmp_path / "out", "--overwrite", "--json", "-")
        done = call(capsys, "detect", tmp_path, *outputs)
        assert done.code == 0, done.err
        assert [line["source"] for line in done.lines] == [str(tmp_path / "a.png")]


def test_name_with_control_characters(tmp_path: Path, capsys: Capture) -> None:
    """Letters that steer a terminal are spelled out in errors and lines."""
    (tmp_path / "bad\x1b[31m\n.jpg").write_bytes(b"no picture")
    photo(tmp_path / "good\x1b[31m\n.png")
    done = call(capsys, "detect", tmp_path)
    refused(done, 1, r"bad\x1b[31m\n.jpg")
    assert r"good\x1b[31m\n.png: no mask" in done.out.splitlines()[0]


@pytest.mark.parametrize("options", [(), ("--json", "-")], ids=["lines", "json"])
def test_closed_standard_output(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Without a standard output, that is said in one line."""
    command = [sys.executable, "-m", "maskwatch", "detect", str(photo(tmp_path / "a.png"))]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command, *options],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "error: cannot write standard output: it is closed.\n"


def test_without_a_home(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no folder for models, what needs none still works."""

    def refuse() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("MASKWATCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", refuse)
    assert call(capsys, "detect", photo(tmp_path / "a.png")).code == 0
