from __future__ import annotations

import itertools
import threading
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import pytest
from source_helpers import PATIENCE_S, camera_threads, picture, shades, write_video

from maskwatch.errors import CameraError, UnreadableVideoError
from maskwatch.sources import LiveSettings, LiveSource, open_sources
from maskwatch.sources.stream import stream_frames

SETTINGS = LiveSettings(timeout_s=5, first_wait_s=0.05, longest_wait_s=0.1)


class MjpegCamera:
    """A network camera on this machine that sends JPEG pictures over HTTP until switched off."""

    def __init__(self) -> None:
        self.port = 0
        self._off = threading.Event()

    @property
    def url(self) -> str:
        return f"http://me:secret@127.0.0.1:{self.port}/video"

    def switch_on(self) -> None:
        """Start, on the same port as before."""
        self._off = off = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=cut")
                self.end_headers()
                jpeg = cv2.imencode(".jpg", picture(90))[1].tobytes()
                head = f"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                try:
                    while not off.wait(0.01):
                        self.wfile.write(head.encode() + jpeg + b"\r\n")
                except OSError:
                    pass

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def switch_off(self) -> None:
        """Stop and cut all connections."""
        self._off.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def camera() -> Iterator[MjpegCamera]:
    camera = MjpegCamera()
    camera.switch_on()
    yield camera
    camera.switch_off()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A web server for files of `tmp_path`; gives its address."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(tmp_path))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_camera_switched_off_and_on(camera: MjpegCamera, capfd: pytest.CaptureFixture[str]) -> None:
    """A camera that goes away and comes back is read on, with loss and return told once."""
    reports: list[str] = []
    is_off = threading.Event()

    def told(line: str) -> None:
        reports.append(line)
        if line.startswith("lost"):
            is_off.wait(PATIENCE_S)
            camera.switch_on()

    (source,) = open_sources(camera.url, SETTINGS, told)
    frames = source.frames()
    before = [next(frames) for _ in range(3)]
    camera.switch_off()
    is_off.set()
    after = []
    while len(reports) < 2:
        after.append(next(frames))
    after.append(next(frames))
    frames.close()

    seen = before + after
    assert abs(int(after[-1].image[0, 0, 0]) - 90) < 4
    for earlier, later in itertools.pairwise(seen):
        assert later.time_s > earlier.time_s
        assert later.index > earlier.index
    assert [line.split()[0] for line in reports] == ["lost", "camera"]
    assert "secret" not in "".join(reports) + source.name
    assert camera_threads() == []
    assert capfd.readouterr().err == ""


def test_frames_without_stamps_of_their_own(camera: MjpegCamera) -> None:
    """MJPEG has no time stamps, and those that FFmpeg makes up are not used."""
    frames = stream_frames(camera.url, 5)
    assert next(frames)[1] is None
    frames.close()


def test_only_sound_or_nothing(camera: MjpegCamera) -> None:
    """A connection that gives no picture for too long is lost, whatever else arrives."""
    now_s = iter(range(0, 1000, 6))
    frames = stream_frames(camera.url, 5, clock=lambda: float(next(now_s)))
    with pytest.raises(CameraError, match=r"lost camera .*\*\*\*.*: no picture for 5 s"):
        next(frames)


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_nobody_there(scheme: str, camera: MjpegCamera) -> None:
    """An address that does not answer is an error at once, and shows no password anywhere."""
    camera.switch_off()
    url = camera.url.replace("http", scheme)
    (source,) = open_sources(url)
    with pytest.raises(CameraError, match=r"cannot open camera .*me:\*\*\*@.*refused") as caught:
        next(source.frames())
    assert "secret" not in "".join(traceback.format_exception(caught.value))
    assert "\n" not in str(caught.value)
    camera.switch_on()


def test_page_instead_of_a_camera(web: str, tmp_path: Path) -> None:
    """An address that gives something else than pictures is an error."""
    (tmp_path / "page").write_text("<html>" * 500)
    with pytest.raises(CameraError, match=r"cannot open camera .* what it sends is no video"):
        next(stream_frames(f"{web}/page", 5))


def test_recording_as_a_camera(web: str, tmp_path: Path) -> None:
    """A recording under an address without an ending is not played again and again."""
    write_video(tmp_path / "a.mp4", shades(20)).rename(tmp_path / "download")
    with pytest.raises(CameraError, match="a recording of 2 s, not a live stream"):
        next(stream_frames(f"{web}/download", 5))


def test_video_on_a_web_server(web: str, tmp_path: Path) -> None:
    """A video file on a web server is read once, all of it."""
    write_video(tmp_path / "a.mp4", shades(20), options={"movflags": "faststart"})
    (source,) = open_sources(f"{web}/a.mp4")
    assert not isinstance(source, LiveSource)
    assert (source.kind, source.frame_count) == ("video", 20)
    assert [frame.index for frame in source.frames()] == list(range(20))
    assert source.relative.suffix == ".mp4"


def test_picture_on_a_web_server(web: str, tmp_path: Path) -> None:
    """A picture on a web server is one frame."""
    cv2.imwrite(str(tmp_path / "a.jpg"), picture(90))
    (source,) = open_sources(f"{web}/a.jpg")
    (frame,) = source.frames()
    assert source.kind == "image"
    assert frame.image.shape == (32, 64, 3)


def test_missing_on_a_web_server(web: str) -> None:
    """A video that is not on the web server is an error that gives the server's answer."""
    (source,) = open_sources(f"{web}/nothing.mp4")
    with pytest.raises(UnreadableVideoError, match="404 Not Found"):
        next(source.frames())
