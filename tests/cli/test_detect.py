"""`maskwatch detect`: what it writes, prints and returns."""

from __future__ import annotations

import csv
import io
import json
import signal
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from detect_helpers import Done, call, face, finish, photo, read_lines, start
from PIL import Image as Pil

from maskwatch.images import read_image
from portraits import hopper
from run_helpers import PATIENCE_S, grey, read_video, write_video
from tiny_onnx import write_constant

Capture = pytest.CaptureFixture[str]


def test_a_photo_to_json(tmp_path: Path, capsys: Capture) -> None:
    """A photo of a bare face gives one line with that face, where it is, without a mask."""
    path = photo(tmp_path / "hopper.png", 600)
    done = call(capsys, "detect", path, "--json", "-")
    assert done.code == 0
    (line,) = done.lines
    assert list(line) == ["source", "frame", "time_s", "width", "height", "faces"]
    assert (line["source"], line["frame"], line["time_s"]) == (str(path), 0, 0.0)
    assert (line["width"], line["height"]) == (512, 600)
    (found,) = line["faces"]
    assert list(found) == ["box", "score", "state", "state_probs", "track_id"]
    assert found["box"] == pytest.approx(hopper().box[0].tolist(), abs=45)
    assert found["state"] == "without_mask"
    assert sum(found["state_probs"].values()) == pytest.approx(1, abs=1e-3)
    assert found["track_id"] is None


def test_annotated_photo(tmp_path: Path, capsys: Capture) -> None:
    """The copy has the name and size of the photo and something drawn on it; the photo stays."""
    path = photo(tmp_path / "hopper.png")
    before = path.read_bytes()
    done = call(capsys, "detect", path, "--out", tmp_path / "out")
    assert done.code == 0
    original, copy = read_image(path), read_image(tmp_path / "out" / "hopper.png")
    assert copy.shape == original.shape
    assert (copy != original).any()
    assert path.read_bytes() == before


def test_folder(tmp_path: Path, capsys: Capture) -> None:
    """Pictures in and below a folder are found, and their copies lie in the same folders."""
    for name in ("a.jpg", "x/b.png", "x/y/c.gif"):
        target = tmp_path / "in" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        Pil.fromarray(face()[:, :, ::-1]).save(target)
    done = call(capsys, "detect", tmp_path / "in", "--out", tmp_path / "out", "--json", "-")
    assert done.code == 0
    out = tmp_path / "out"
    names = sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file())
    assert names == ["a.jpg", "x/b.png", "x/y/c.gif.png"]
    assert [Path(line["source"]).name for line in done.lines] == ["a.jpg", "b.png", "c.gif"]


def test_several_sources(tmp_path: Path, capsys: Capture) -> None:
    """Files, folders and globs are taken in the order in which they are given."""
    for name in ("in/b.png", "in/a.png", "glob/c1.png", "glob/c2.png", "z.png"):
        photo(tmp_path / name)
    sources = [tmp_path / "z.png", tmp_path / "in", tmp_path / "glob" / "c*.png"]
    done = call(capsys, "detect", *sources, "--json", "-")
    names = [Path(line["source"]).name for line in done.lines]
    assert names == ["z.png", "a.png", "b.png", "c1.png", "c2.png"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve frames of a bare face at ten a second."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return write_video(path, [face()[:240, :204]] * 12)


def test_video(clip: Path, tmp_path: Path, capsys: Capture) -> None:
    """A video gives an H.264 video of the same size, frames and times, and a line a frame."""
    done = call(capsys, "detect", clip, "--out", tmp_path, "--json", tmp_path / "out.jsonl")
    assert done.code == 0
    before, after = read_video(clip), read_video(tmp_path / "clip.mp4")
    assert (after.codec, after.pixels) == ("h264", "yuv420p")
    assert (after.width, after.height) == (before.width, before.height)
    assert after.times_s == pytest.approx(before.times_s, abs=1e-3)
    lines = read_lines(tmp_path / "out.jsonl")
    assert [line["frame"] for line in lines] == list(range(12))
    assert [line["time_s"] for line in lines] == pytest.approx([i / 10 for i in range(12)])
    assert all(len(line["faces"]) == 1 for line in lines)


def test_every(clip: Path, tmp_path: Path, capsys: Capture) -> None:
    """With --every 5 each fifth frame has a line and is in the video, at its time."""
    done = call(capsys, "detect", clip, "--every", "5", "--out", tmp_path, "--json", "-")
    assert [line["frame"] for line in done.lines] == [0, 5, 10]
    assert read_video(tmp_path / "clip.mp4").times_s == pytest.approx([0, 0.5, 1.0], abs=1e-3)


def test_min_score(tmp_path: Path, capsys: Capture) -> None:
    """Faces scored lower than --min-score are left out, others stay."""
    path = photo(tmp_path / "a.png")

    def scores(least: float) -> list[float]:
        done = call(capsys, "detect", path, "--min-score", str(least), "--json", "-")
        return [found["score"] for found in done.lines[0]["faces"]]

    best = max(scores(0))
    assert best in scores(round(best - 0.01, 3))
    assert scores(min(1, round(best + 0.01, 3))) == []


def test_csv_on_standard_output(tmp_path: Path, capsys: Capture) -> None:
    """--csv - prints nothing but the table; the summary goes to standard error."""
    done = call(capsys, "detect", photo(tmp_path / "a.png"), "--csv", "-")
    (row,) = csv.DictReader(io.StringIO(done.out))
    assert row["source"] == str(tmp_path / "a.png")
    assert row["state"] in ("with_mask", "without_mask", "incorrect_mask", "unknown")
    assert "1 frame, 1 face" in done.err


def test_json_and_csv_together(tmp_path: Path, capsys: Capture) -> None:
    """Several outputs hold the same faces."""
    places = {kind: tmp_path / f"out.{kind}" for kind in ("json", "csv")}
    path = photo(tmp_path / "a.png")
    done = call(capsys, "detect", path, "--json", places["json"], "--csv", places["csv"])
    (line,) = read_lines(places["json"])
    (row,) = csv.DictReader(places["csv"].read_text(encoding="utf-8").splitlines())
    assert [float(row[side]) for side in ("x0", "y0", "x1", "y1")] == line["faces"][0]["box"]
    assert f"written: {places['json']}, {places['csv']}" in done.out


def test_classifier_from_a_file(tmp_path: Path, capsys: Capture) -> None:
    """--classifier FILE judges with that file."""
    model = write_constant(tmp_path / "net.onnx", (0.125, 0.125, 0.75))
    path = photo(tmp_path / "a.png")
    done = call(capsys, "detect", path, "--classifier", model, "--json", "-")
    (found,) = done.lines[0]["faces"]
    assert found["state"] == "incorrect_mask"
    probs = {"with_mask": 0.125, "without_mask": 0.125, "incorrect_mask": 0.75}
    assert found["state_probs"] == probs


def test_distance(tmp_path: Path, capsys: Capture) -> None:
    """--distance adds the pairs that are too close to the lines and to the summary."""
    two = np.concatenate([face(), face()], axis=1)
    cv2.imwrite(str(tmp_path / "two.png"), two)
    arguments = ("detect", tmp_path / "two.png", "--distance", "faces:6")
    done = call(capsys, *arguments, "--json", tmp_path / "out.jsonl")
    (line,) = read_lines(tmp_path / "out.jsonl")
    ((first, second, distance),) = line["too_close"]
    assert (first, second) == (0, 1)
    assert 1 < distance < 6
    assert "1 frame, 2 faces" in done.out
    assert "; 1 pair too close" in done.out


def test_no_faces(tmp_path: Path, capsys: Capture) -> None:
    """A photo without faces is no error."""
    cv2.imwrite(str(tmp_path / "a.png"), grey(100))
    done = call(capsys, "detect", tmp_path / "a.png")
    assert done.code == 0
    assert done.out.splitlines()[:2] == [f"{tmp_path / 'a.png'}: no faces", "1 frame, 0 faces"]


def test_a_line_a_photo_where_no_output_is_asked_for(tmp_path: Path, capsys: Capture) -> None:
    """Without outputs the states in each photo are printed, then the summary."""
    model = write_constant(tmp_path / "net.onnx", (0.9, 0.05, 0.05))
    for name in ("a.png", "b.png"):
        photo(tmp_path / "in" / name)
    done = call(capsys, "detect", tmp_path / "in", "--classifier", model)
    *lines, found, speed = done.out.splitlines()
    assert lines == [f"{tmp_path / 'in' / name}: mask" for name in ("a.png", "b.png")]
    assert found == "2 frames, 2 faces: 2 mask"
    assert speed.endswith("frames/s, detector onepass")
    assert done.err == ""


def test_named_detector(tmp_path: Path, capsys: Capture) -> None:
    """The detector that was asked for is used, and named in the summary."""
    done = call(capsys, "detect", photo(tmp_path / "a.png"), "--detector", "haar")
    assert done.out.splitlines()[-1].endswith("detector haar")


def test_states_by_the_detector(tmp_path: Path, capsys: Capture) -> None:
    """--classifier none leaves the states to a one-pass detector; another one needs a judge."""
    path = photo(tmp_path / "a.png")
    done = call(capsys, "detect", path, "--classifier", "none", "--json", "-")
    (found,) = done.lines[0]["faces"]
    assert found["state"] == "without_mask"
    done = call(capsys, "detect", path, "--classifier", "none", "--detector", "haar")
    assert done.code == 2
    assert "detector haar tells no mask states" in done.err


def test_show_says_where(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """--show without windows says at which address the page is, and ends with the run."""
    monkeypatch.setattr("maskwatch.sinks.show.has_windows", lambda: False)
    done = call(capsys, "detect", photo(tmp_path / "a.png"), "--show")
    assert done.code == 0
    assert "this OpenCV has no windows; showing at http://127.0.0.1:" in done.err
    assert all(thread.name != "page" for thread in threading.enumerate())


def test_overwrite(tmp_path: Path, capsys: Capture) -> None:
    """The same call twice is refused the second time, and done with --overwrite."""
    outputs = ("--out", tmp_path / "out", "--json", tmp_path / "a.jsonl")
    arguments = ("detect", photo(tmp_path / "a.png"), *outputs)
    assert call(capsys, *arguments).code == 0
    assert call(capsys, *arguments).code == 2
    assert call(capsys, *arguments, "--overwrite").code == 0
    assert len(read_lines(tmp_path / "a.jsonl")) == 1


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video that takes much longer than a test may."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    picture = np.tile(face(), (1, 2, 1))[:240, :400]
    pictures = (np.roll(picture, shift, axis=1) for shift in range(1000))
    return write_video(path, pictures, rate=25)


def signalled(arguments: tuple[str | Path, ...], number: signal.Signals) -> tuple[Done, int]:
    """Start a run with `--json -`, send a signal after the third line, and wait for the end.

    Returns:
        What it left, and the number of JSON lines.
    """
    program = start(*arguments, "--json", "-")
    assert program.stdout is not None
    first = [program.stdout.readline() for _ in range(3)]
    program.send_signal(number)
    done = finish(program)
    lines = [json.loads(line) for line in [*first, *done.out.splitlines()]]
    assert [line["frame"] for line in lines] == sorted({line["frame"] for line in lines})
    return done, len(lines)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["int", "term"])
def test_signal_in_a_video(long_video: Path, tmp_path: Path, number: signal.Signals) -> None:
    """A stopped run leaves complete lines and a playable video of the same frames, and says so."""
    done, lines = signalled(("detect", long_video, "--out", tmp_path), number)
    assert done.code == 1
    assert 3 <= lines < 1000
    assert len(read_video(tmp_path / "long.mp4").times_s) == lines
    stopped = f"error: stopped by signal after {lines} frames; what was written is complete."
    assert done.err.splitlines()[-1] == stopped


@pytest.fixture
def mjpeg_camera() -> Iterator[str]:
    """Address of a camera that sends pictures until its viewer leaves."""
    data = cv2.imencode(".jpg", face())[1].tobytes()
    end = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            try:
                while not end.wait(0.02):  # the camera's frame rate
                    self.wfile.write(head.encode() + data + b"\r\n")
            except ConnectionError:
                pass

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/live"
        end.set()
        server.shutdown()
        thread.join(PATIENCE_S)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_signal_at_a_camera(mjpeg_camera: str, tmp_path: Path) -> None:
    """Ctrl-C is how a camera ends: exit code 0, with a playable video of all lines."""
    done, lines = signalled(("detect", mjpeg_camera, "--out", tmp_path), signal.SIGINT)
    assert done.code == 0, done.err
    (video,) = tmp_path.iterdir()
    assert video.suffix == ".mp4"
    assert len(read_video(video).times_s) == lines
    assert "error" not in done.err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_two_cameras_are_cut_short(mjpeg_camera: str, tmp_path: Path) -> None:
    """Ctrl-C at a camera that others would have followed says that something is undone."""
    following = photo(tmp_path / "a.png")
    done, lines = signalled(("detect", mjpeg_camera, following), signal.SIGINT)
    assert done.code == 1
    assert f"error: stopped by signal after {lines} frames" in done.err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_reader_of_standard_output_leaves(long_video: Path) -> None:
    """`... --json - | head -1` ends the run with one error line and no traceback."""
    program = start("detect", long_video, "--json", "-")
    assert program.stdout is not None
    assert program.stderr is not None
    program.stdout.readline()
    program.stdout.close()
    err = program.stderr.read()
    program.stderr.close()
    assert program.wait(PATIENCE_S) == 1
    *_, last = err.splitlines()  # on a slow machine after lines of progress
    assert last == "error: cannot write standard output: Broken pipe."


def test_settings_of_the_signals_come_back(tmp_path: Path, capsys: Capture) -> None:
    """After a run, Ctrl-C does what it did before."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    call(capsys, "detect", photo(tmp_path / "a.png", 60))
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
