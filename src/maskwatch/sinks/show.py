"""Show results while they come: in a window, or on a local browser page."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import cv2

from maskwatch.errors import OutputError
from maskwatch.images import os_reason
from maskwatch.sinks.base import Drawn, Origin, Sink
from maskwatch.types import FrameResult, Image

Report = Callable[[str], None]
Keep = Callable[[], bool]

_TITLE = "maskwatch"
_KEEP_LOOK_S = 0.05
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")
_LOOK_UP_S = 0.05  # how soon the page's thread sees that it should end
_PAGE = b"""<!doctype html><meta charset="utf-8"><title>maskwatch</title>
<style>body{margin:0;background:#111;height:100vh;display:grid;place-items:center}
img{max-width:100vw;max-height:100vh}</style><img src="/stream" alt="annotated video">
"""


def open_show(report: Report, keep: Keep) -> Sink:
    """A window where OpenCV can open one, else a page at an address on this machine.

    Args:
        report: Told which of the two it is, once it is there.
        keep: Asked again and again when all is shown whether the last picture should stay.
    """
    return WindowSink(report, keep) if has_windows() else PageSink(report=report, keep=keep)


def has_windows() -> bool:
    """Whether OpenCV can open a window here, from a thread that is not the main one."""
    if not cv2.currentUIFramework() or sys.platform == "darwin":
        return False
    # Without a display Qt would end the program.
    return sys.platform == "win32" or any(os.environ.get(name) for name in _DISPLAYS)


class _ShowSink(Sink):
    """Base of what shows pictures: the last one of a photo or video can stay."""

    def __init__(self, report: Report, keep: Keep) -> None:
        self._report = report
        self._keep = keep
        self._to_come = 0
        self._stays = False

    def plan(self, origins: Sequence[Origin]) -> None:
        """Count the sources, to know the last."""
        self._to_come = len(origins)

    def start(self, origin: Origin) -> None:
        """The source's pictures follow; of a camera, none stays."""
        self._to_come -= 1
        self._stays = self._to_come == 0 and origin.kind != "live"

    def finish(self) -> None:
        """Leave the last picture of all where it is for as long as is wanted."""
        if not self._stays or not self._keep():
            return
        self._report("all shown; press Ctrl-C to end")
        while self._keep():
            self._idle(_KEEP_LOOK_S)

    def _idle(self, wait_s: float) -> None:
        """Let time pass while the last picture stays."""
        raise NotImplementedError


class WindowSink(_ShowSink):
    """Shows each annotated picture in a window of OpenCV."""

    def __init__(self, report: Report = lambda line: None, keep: Keep = lambda: False) -> None:
        """Prepare to show; the window comes with the first picture.

        Args:
            report: Told that there is a window.
            keep: Asked again and again when all is shown whether the last picture should stay.
        """
        super().__init__(report, keep)
        self._open = False

    def write(self, result: FrameResult, drawn: Drawn) -> None:
        """Show one picture."""
        if not self._open:
            # Not earlier: a window belongs to the thread that opens it.
            cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL)
            self._open = True
            self._report("showing in a window")
        cv2.imshow(_TITLE, drawn())
        cv2.waitKey(1)

    def _idle(self, wait_s: float) -> None:
        cv2.waitKey(round(wait_s * 1000))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the window."""
        if self._open:
            cv2.destroyAllWindows()


class PageSink(_ShowSink):
    """Serves the newest annotated picture as a Motion JPEG stream, to this machine only.

    Attributes:
        address: Where a browser finds the page; known inside the context.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        report: Report = lambda line: None,
        keep: Keep = lambda: False,
    ) -> None:
        """Prepare to serve.

        Args:
            port: 0 takes a free one.
            report: Told the address.
            keep: Asked again and again when all is shown whether the last picture should stay.
        """
        super().__init__(report, keep)
        self.address = ""
        self._port = port
        self._newest = _Newest()
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        """Start to serve.

        Raises:
            OutputError: The port is not free.
        """
        handler = type("Handler", (_Handler,), {"newest": self._newest})
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        except OSError as exc:
            raise OutputError(f"cannot serve at port {self._port}: {os_reason(exc)}.") from exc
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_LOOK_UP_S,), name="page", daemon=True
        )
        self._thread.start()
        self._report(f"this OpenCV has no windows; showing at {self.address}")
        return self

    def write(self, result: FrameResult, drawn: Drawn) -> None:
        """Offer one picture to the browsers that look on."""
        self._newest.put(drawn())

    def _idle(self, wait_s: float) -> None:
        time.sleep(wait_s)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop serving."""
        self._newest.close()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


class _Newest:
    """The newest picture; it is encoded only when a browser asks."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._image: Image | None = None
        self._count = 0
        self._closed = False

    def put(self, image: Image) -> None:
        with self._changed:
            self._image = image
            self._count += 1
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Image]:
        """Each picture that is the newest when it is asked for, until closed."""
        seen = 0
        while True:
            with self._changed:
                while not self._closed and self._count == seen:
                    self._changed.wait()
                if self._closed:
                    return
                seen, image = self._count, self._image
            if image is not None:
                yield image


class _Handler(BaseHTTPRequestHandler):
    newest: _Newest

    def handle(self) -> None:
        """Answer; a browser that went away is nobody's news."""
        with suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        if self.path == "/":
            self._head("text/html; charset=utf-8", len(_PAGE))
            self.wfile.write(_PAGE)
        elif self.path == "/stream":
            self._head("multipart/x-mixed-replace; boundary=frame")
            for image in self.newest:
                self._part(image)
        else:
            self.send_error(404)

    def _head(self, kind: str, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-store")
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _part(self, image: Image) -> None:
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
        self.wfile.write(head.encode() + data + b"\r\n")
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet: requests of a browser are nobody's news."""
