"""Downloads, against a server on this machine that behaves and misbehaves as told."""

from __future__ import annotations

import errno
import hashlib
import http.client
import io
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from maskwatch import weights
from maskwatch.errors import DownloadError, OutputError
from maskwatch.weights import disk, download

BODY = bytes(range(256)) * 1000
NAME = "net.onnx"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.ranges.append(self.headers.get("Range"))
        self.server.paths.append(self.path)
        script = self.server.script
        (script.pop(0) if script else serve)(self)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


class Server(ThreadingHTTPServer):
    """Serves BODY; `script` holds the behaviours of the first requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Callable[[Handler], None]] = []
        self.ranges: list[str | None] = []
        self.paths: list[str] = []
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # A client that hung up is part of the tests.


def serve(handler: Handler, body: bytes = BODY, sent: int | None = None) -> None:
    """Answer properly, ranges included; of the bytes due send only the first `sent`."""
    start = int((handler.headers.get("Range") or "bytes=0-")[6:-1])
    if start >= len(body):
        handler.send_error(416)
        return
    handler.send_response(206 if start else 200)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
    handler.send_header("Content-Length", str(len(body) - start))
    handler.end_headers()
    handler.wfile.write(body[start:][:sent])


def ignore_range(handler: Handler) -> None:
    """A server that knows no ranges: 200 and everything."""
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(BODY)


def wrong_range(handler: Handler) -> None:
    """206, but from another byte on than was asked for."""
    handler.send_response(206)
    handler.send_header("Content-Range", f"bytes 0-{len(BODY) - 1}/{len(BODY)}")
    handler.end_headers()
    handler.wfile.write(BODY)


def truncate(handler: Handler) -> None:
    serve(handler, sent=100_000)


def lie(handler: Handler) -> None:
    serve(handler, body=b"<html>Please log in.</html>")


def flood(handler: Handler) -> None:
    serve(handler, body=BODY * 4)


def hang_up(handler: Handler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def say_nothing(handler: Handler) -> None:
    handler.server.released.wait(30)


def answer(code: int) -> Callable[[Handler], None]:
    return lambda handler: handler.send_error(code)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, no proxies, and one small model at an address set by `server`."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("MASKWATCH_HOME", str(tmp_path / "home"))
    publish(monkeypatch, "http://127.0.0.1:1")
    return tmp_path / "home"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.005,))
        thread.start()
        publish(monkeypatch, server.url)
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


def publish(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    content = weights.Content(hashlib.sha256(BODY).hexdigest(), len(BODY))
    file = weights.ModelFile(NAME, f"{url}/pub/{NAME}", content)
    model = weights.Model("tiny", "detector", "p", "MIT", "https://example.org", "l", (file,))
    monkeypatch.setitem(weights.MODELS, "tiny", model)


def no_wait(seconds: float) -> None:
    raise AssertionError("nothing here is worth another attempt")


def part() -> Path:
    return weights.folder("tiny") / f"{NAME}.part"


def get(waits: list[float] | None = None, **options: Any) -> bytes:
    sleep = no_wait if waits is None else waits.append
    (path,) = weights.get("tiny", sleep=sleep, **options)
    return path.read_bytes()


def left() -> list[str]:
    """What lies in the model's folder beside the lock."""
    return sorted(p.name for p in weights.folder("tiny").iterdir() if p.name != ".lock")


def test_get(server: Server) -> None:
    """A download brings the publisher's bytes under the file's name and leaves nothing else."""
    assert get() == BODY
    assert left() == [NAME]
    assert server.ranges == [None]
    assert weights.find("tiny") == (weights.folder("tiny") / NAME,)


def test_installed_is_kept(server: Server) -> None:
    """What is installed is not downloaded again, except by force."""
    get()
    get()
    assert len(server.paths) == 1
    get(force=True)
    assert len(server.paths) == 2


def test_progress(server: Server) -> None:
    """Progress begins at what is there, never falls, and ends with the size of the file."""
    steps: list[tuple[str, int, int]] = []
    get(progress=lambda *step: steps.append(step))
    assert {(name, total) for name, _, total in steps} == {(NAME, len(BODY))}
    done = [step[1] for step in steps]
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == len(BODY)


def test_base_url(server: Server) -> None:
    """With a base address, the file is asked for below it, by its name."""
    get(base_url=f"{server.url}/mirror/")
    assert server.paths == [f"/mirror/{NAME}"]


def test_truncated_is_resumed(server: Server) -> None:
    """A transfer that breaks off is resumed with Range from the bytes that arrived."""
    waits: list[float] = []
    server.script = [truncate]
    assert get(waits) == BODY
    assert server.ranges == [None, "bytes=100000-"]
    assert waits == [1.0]


def test_interrupted_run_is_resumed_by_the_next(server: Server) -> None:
    """A run that gives up keeps its part, says how much arrived, and the next run ends it."""
    waits: list[float] = []
    server.script = [truncate, hang_up, hang_up, hang_up]
    with pytest.raises(DownloadError, match=r"100000 of 256000 bytes arrived\. Run the same"):
        get(waits)
    assert waits == list(download.WAITS_S)
    assert left() == [f"{NAME}.part"]
    assert weights.find("tiny") is None
    assert get() == BODY
    assert server.ranges[-1] == "bytes=100000-"
    assert left() == [NAME]


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(ignore_range, id="200-instead-of-206"),
        pytest.param(wrong_range, id="206-from-elsewhere"),
    ],
)
def test_server_without_ranges(server: Server, behaviour: Callable[[Handler], None]) -> None:
    """A server that cannot resume makes the download start afresh, not append."""
    server.script = [truncate, behaviour]
    assert get([]) == BODY


def test_416_starts_afresh(server: Server) -> None:
    """A refused range makes the download start afresh."""
    server.script = [truncate, answer(416)]
    assert get([]) == BODY
    assert server.ranges == [None, "bytes=100000-", None]


@pytest.mark.parametrize(
    ("kept", "ranges"),
    [
        pytest.param(BODY, [], id="complete"),
        pytest.param(BODY + b"x", [None], id="too-long"),
        pytest.param(b"x" * 1000, ["bytes=1000-", None], id="of-another-version"),
        pytest.param(b"x" * len(BODY), [None], id="of-another-version-and-complete"),
    ],
)
def test_part_that_is_there(server: Server, kept: bytes, ranges: list[str | None]) -> None:
    """Whatever part an earlier run left, the download ends with the right bytes."""
    part().parent.mkdir(parents=True)
    part().write_bytes(kept)
    assert get() == BODY
    assert server.ranges == ranges


@pytest.mark.parametrize(
    ("behaviour", "got"),
    [
        pytest.param(lie, hashlib.sha256(b"<html>Please log in.</html>").hexdigest(), id="short"),
        pytest.param(flood, "more than 256000 bytes", id="long"),
    ],
)
def test_wrong_content(server: Server, behaviour: Callable[[Handler], None], got: str) -> None:
    """Wrong bytes are deleted; the error has both hashes and names --from."""
    server.script = [behaviour]
    with pytest.raises(DownloadError) as caught:
        get()
    text = str(caught.value)
    assert hashlib.sha256(BODY).hexdigest() in text
    assert got in text
    assert "maskwatch models get tiny --from FILE" in text
    assert left() == []


def test_wrong_content_keeps_what_is_installed(server: Server) -> None:
    """A forced download of wrong bytes leaves the installed file as it was."""
    get()
    server.script = [lie]
    with pytest.raises(DownloadError):
        get(force=True)
    assert get() == BODY


@pytest.mark.parametrize("code", [403, 404, 410])
def test_refused_by_the_server(server: Server, code: int) -> None:
    """A refusal is final: one line with the address, the code, the publisher and --from."""
    server.script = [answer(code)]
    with pytest.raises(DownloadError, match=f"the server answered {code}") as caught:
        get()
    text = str(caught.value)
    assert f"{server.url}/pub/{NAME}" in text
    assert "https://example.org" in text
    assert "--from FILE" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(answer(503), id="503"),
        pytest.param(answer(429), id="429"),
        pytest.param(hang_up, id="hang-up"),
    ],
)
def test_passing_faults_are_retried(server: Server, behaviour: Callable[[Handler], None]) -> None:
    """A busy server and a dropped connection are tried again after a wait that grows."""
    waits: list[float] = []
    server.script = [behaviour, behaviour]
    assert get(waits) == BODY
    assert waits == [1.0, 3.0]


def test_nothing_listens() -> None:
    """A refused connection is final and named."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(DownloadError, match="connection refused") as caught:
        get(base_url=url)
    assert f"{url}/{NAME}" in str(caught.value)


def test_timeout(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that accepts and says nothing is given up on, not waited for again."""
    monkeypatch.setattr(download, "TIMEOUT_S", 0.05)
    server.script = [say_nothing]
    with pytest.raises(DownloadError, match=r"no answer within 0\.05 s"):
        get()


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        pytest.param(socket.gaierror(-2, "unknown"), "host name cannot be resolved", id="dns"),
        pytest.param(OSError(errno.ENETUNREACH, "Network is unreachable"), "unreachable", id="net"),
        pytest.param(ssl.SSLCertVerificationError("bad"), "not trusted", id="certificate"),
    ],
)
def test_network_faults(monkeypatch: pytest.MonkeyPatch, fault: OSError, text: str) -> None:
    """A fault of the network is final and told in the user's words."""
    if isinstance(fault, ssl.SSLCertVerificationError):
        fault.verify_message = "self-signed certificate"

    def connect(*args: Any, **kwargs: Any) -> Any:
        raise fault

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(DownloadError, match=text):
        get(base_url="http://models.example.org")


@pytest.mark.parametrize("url", ["ftp://example.org", "file:///tmp", "example.org"])
def test_address_that_is_none(url: str) -> None:
    """Only http and https addresses are opened."""
    with pytest.raises(DownloadError, match="neither http:// nor https://"):
        get(base_url=url)


def test_errors_hide_passwords() -> None:
    """An address in an error has lost its user name and password."""
    with pytest.raises(DownloadError) as caught:
        get(base_url="ftp://user:secret@example.org")
    assert "secret" not in str(caught.value)
    assert f"ftp://example.org/{NAME}" in str(caught.value)


def test_proxy_is_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy variables are honoured."""
    monkeypatch.setenv("http_proxy", server.url)
    assert get(base_url="http://models.example.org") == BODY
    assert server.paths == [f"http://models.example.org/{NAME}"]


def test_proxy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that cannot be reached is named, without its password."""
    monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:1")
    with pytest.raises(DownloadError, match=r"through the proxy 127\.0\.0\.1:1") as caught:
        get(base_url="http://models.example.org")
    assert "secret" not in str(caught.value)


def test_two_at_once(server: Server) -> None:
    """Two downloads of one model: one fetches, the other waits and takes the same file."""
    held = threading.Event()

    def slowly(handler: Handler) -> None:
        held.set()
        server.released.wait(30)
        serve(handler)

    server.script = [slowly]
    results: list[bytes] = []
    threads = [threading.Thread(target=lambda: results.append(get())) for _ in range(2)]
    threads[0].start()
    assert held.wait(30)
    threads[1].start()
    server.released.set()
    for thread in threads:
        thread.join(30)
    assert results == [BODY, BODY]
    assert len(server.paths) == 1


def test_disk_full(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is an OutputError that names the file, the reason and the way out."""

    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    opened = Path.open

    def open_full(path: Path, *args: Any, **kwargs: Any) -> Any:
        return Full() if path.suffix == ".part" else opened(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(OutputError, match=r"net\.onnx\.part: No space left.*Free some space"):
        get()


def test_folder_that_cannot_be_written(home: Path) -> None:
    """A cache folder that cannot be made is an OutputError that names MASKWATCH_HOME."""
    home.write_text("a file where the folder should be")
    with pytest.raises(OutputError, match=r"cannot write .*MASKWATCH_HOME"):
        get()


def test_lock_is_freed_by_errors(home: Path) -> None:
    """The lock is given back when its holder fails."""
    path = home / ".lock"

    def fail() -> None:
        with disk.locked(path):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with disk.locked(path):
        pass


class Broken:
    """A response that gives some bytes and then fails."""

    def __init__(self, *steps: bytes | Exception) -> None:
        self.steps = list(steps)

    def read(self, amount: int) -> bytes:
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(TimeoutError(), id="stalled"),
        pytest.param(ConnectionResetError(), id="reset"),
        pytest.param(http.client.BadStatusLine("x"), id="protocol"),
    ],
)
def test_faults_while_reading(fault: Exception) -> None:
    """However reading fails, the bytes before it are kept and it counts as broken off."""
    chunks = download._chunks(Broken(b"abc", fault))
    assert next(chunks) == b"abc"
    with pytest.raises(download._InterruptedError):
        next(chunks)


def test_incomplete_read_gives_its_bytes() -> None:
    """The bytes within an IncompleteRead are used."""
    response = Broken(b"abc", http.client.IncompleteRead(b"de"), b"")
    assert b"".join(download._chunks(response)) == b"abcde"
