"""Rules of showing: a page on this machine where OpenCV has no windows."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from maskwatch.errors import OutputError
from maskwatch.sinks.show import PageSink, WindowSink, open_show
from maskwatch.types import Image
from run_helpers import PATIENCE_S, grey, result_of

RESULT = result_of(grey())


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Showing leaves no thread behind."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def connect(page: PageSink, path: str) -> http.client.HTTPResponse:
    """Ask the page for something."""
    port = int(page.address.rstrip("/").rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.request("GET", path)
    return connection.getresponse()


def next_picture(stream: http.client.HTTPResponse) -> Image:
    """The next picture of a Motion JPEG stream, as a browser reads it."""
    assert stream.readline() == b"--frame\r\n"
    assert stream.readline() == b"Content-Type: image/jpeg\r\n"
    name, _, length = stream.readline().partition(b": ")
    assert name == b"Content-Length"
    assert stream.readline() == b"\r\n"
    data = stream.read(int(length))
    assert stream.readline() == b"\r\n"
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(image, np.uint8)


def test_page() -> None:
    """The address that is reported gives a page with the stream in it."""
    said: list[str] = []
    with PageSink(report=said.append) as page:
        assert page.address.startswith("http://127.0.0.1:")
        assert said == [f"this OpenCV has no windows; showing at {page.address}"]
        response = connect(page, "/")
        assert response.status == 200
        assert b'src="/stream"' in response.read()


def test_other_paths() -> None:
    """Nothing else is served."""
    with PageSink() as page:
        assert connect(page, "/../etc/passwd").status == 404


def test_stream_gives_each_new_picture() -> None:
    """A browser gets the newest picture, and each newer one when it comes."""
    with PageSink() as page:
        page.write(RESULT, lambda: grey(10))
        page.write(RESULT, lambda: grey(50))
        stream = connect(page, "/stream")
        assert stream.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=frame"
        assert next_picture(stream).mean() == pytest.approx(50, abs=3)
        page.write(RESULT, lambda: grey(150, 128, 96))
        image = next_picture(stream)
        assert image.shape == (96, 128, 3)
        assert image.mean() == pytest.approx(150, abs=3)
        stream.close()


def test_two_browsers() -> None:
    """Each browser gets every picture that is the newest when it looks."""
    with PageSink() as page:
        streams = [connect(page, "/stream") for _ in range(2)]
        for shade in (50, 100):
            page.write(RESULT, lambda shade=shade: grey(shade))  # type: ignore[misc]
            for stream in streams:
                assert next_picture(stream).mean() == pytest.approx(shade, abs=3)
        for stream in streams:
            stream.close()


def test_leaving_ends_the_stream() -> None:
    """A browser that looks on sees the stream end when the run does."""
    with PageSink() as page:
        stream = connect(page, "/stream")
        page.write(RESULT, lambda: grey(10))
        next_picture(stream)
    assert stream.read() == b""
    stream.close()


def test_a_browser_that_goes_away(capfd: pytest.CaptureFixture[str]) -> None:
    """A browser that leaves in the middle is nobody's news, and others go on."""
    with PageSink() as page:
        gone, stays = connect(page, "/stream"), connect(page, "/stream")
        page.write(RESULT, lambda: grey(10))
        next_picture(gone)
        gone.close()
        next_picture(stays)
        for shade in range(20, 60):
            page.write(RESULT, lambda shade=shade: grey(shade, 640, 480))  # type: ignore[misc]
            next_picture(stays)
        stays.close()
    assert capfd.readouterr() == ("", "")


def test_only_this_machine() -> None:
    """The page listens on the loopback address and on no other."""
    with PageSink() as page:
        port = int(page.address.rstrip("/").rpartition(":")[2])
        # An address of 127/8 that is not the one of the page: it would answer on a wildcard.
        with socket.socket() as other:
            other.settimeout(2)
            assert other.connect_ex(("127.0.0.2", port)) != 0


def test_port_in_use() -> None:
    """A port that is taken is an error that names it."""
    with PageSink() as first:
        port = int(first.address.rstrip("/").rpartition(":")[2])
        with pytest.raises(OutputError, match=f"^cannot serve at port {port}: [A-Z].*\\.$"):
            PageSink(port).__enter__()


def test_never_entered() -> None:
    """A page that is only prepared listens nowhere and can be thrown away."""
    page = PageSink()
    assert page.address == ""
    page.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("framework", "platform", "display", "expected"),
    [
        ("", "linux", ":0", PageSink),
        ("QT5", "linux", "", PageSink),
        ("QT5", "linux", ":0", WindowSink),
        ("WIN32", "win32", "", WindowSink),
        ("COCOA", "darwin", "", PageSink),
    ],
    ids=["headless-build", "no-display", "linux", "windows", "mac"],
)
def test_window_or_page(
    monkeypatch: pytest.MonkeyPatch,
    framework: str,
    platform: str,
    display: str,
    expected: type[Any],
) -> None:
    """A window where OpenCV can open one from another thread, else the page."""
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: framework)
    monkeypatch.setattr("maskwatch.sinks.show.sys.platform", platform)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", display)
    assert isinstance(open_show(lambda line: None, lambda: False), expected)


def test_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window is opened by the thread that shows in it, once, and closed at the end."""
    calls: list[str] = []

    def note(name: str) -> Callable[..., int]:
        def call(*args: object) -> int:
            calls.append(f"{name} in {threading.current_thread().name}")
            return 0

        return call

    for name in ("namedWindow", "imshow", "waitKey", "destroyAllWindows"):
        monkeypatch.setattr(cv2, name, note(name))
    said: list[str] = []
    with WindowSink(said.append) as sink:
        assert said == calls == []

        def write_two() -> None:
            for _ in range(2):
                sink.write(RESULT, grey)

        writer = threading.Thread(target=write_two, name="w")
        writer.start()
        writer.join()
    assert said == ["showing in a window"]
    assert calls == [
        *("namedWindow in w", "imshow in w", "waitKey in w", "imshow in w", "waitKey in w"),
        "destroyAllWindows in MainThread",
    ]


def test_window_that_was_never_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a picture there is no window to close."""
    monkeypatch.setattr(cv2, "destroyAllWindows", lambda: pytest.fail("closed"))
    with WindowSink():
        pass
