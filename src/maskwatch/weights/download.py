"""Fetch one file over HTTP: resume it, verify it, and leave no half file under its name.

What has arrived waits in `NAME.part`. A transfer that breaks off is taken up from there, by the
next attempt or by the next run. Only when the hash is right does the file get its name.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskwatch.errors import DownloadError
from maskwatch.weights.disk import sha256, size, writing
from maskwatch.weights.registry import Model, ModelFile

Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes that are there, and the bytes it will have."""

TIMEOUT_S = 30.0
WAITS_S = (1.0, 3.0, 9.0)
"""Waits before the second, third and fourth attempt."""

_CHUNK_BYTES = 1 << 16


class _InterruptedError(Exception):
    """The transfer broke off in a way that another attempt may mend."""


@dataclass(frozen=True, slots=True)
class _Job:
    model: Model
    file: ModelFile
    url: str
    part: Path
    progress: Progress

    def error(self, what: str) -> DownloadError:
        """An error that says how to get the file without this download."""
        return DownloadError(
            f"{what}. Or fetch {public(self.url)} (its publisher: {self.model.origin}) "
            f"on a machine that can and run here: {self.model.by_hand}"
        )

    def failed(self, reason: str) -> DownloadError:
        """The error for a download that did not even begin."""
        return self.error(f"cannot download {self.file.name} from {host(self.url)}: {reason}")


def fetch(
    model: Model,
    file: ModelFile,
    target: Path,
    *,
    url: str | None = None,
    progress: Progress | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Download `file` of `model` to `target`.

    Only one process at a time may do so for one target; see `disk.locked`.

    Args:
        model: The model, named in errors.
        file: Which of its files.
        target: Where it goes; its folder exists.
        url: The address, where it is not the publisher's.
        progress: Told of every piece that arrives.
        sleep: Waits between attempts.

    Raises:
        DownloadError: The server cannot be reached, does not have the file, breaks off again and
            again, or serves other bytes than the publisher's.
        OutputError: The file cannot be written.
    """
    part = target.with_name(target.name + ".part")
    job = _Job(model, file, url or file.url, part, progress or _silent)
    resumed = size(part) > 0
    _complete(job, sleep)
    got = sha256(part)
    if got != file.content.sha256 and resumed:
        # The beginning may stem from another version of the file: once more, from nothing.
        _discard(part)
        _complete(job, sleep)
        got = sha256(part)
    if got != file.content.sha256:
        raise _wrong(job, f"{got} ({size(part)} bytes)")
    with writing(target):
        part.replace(target)


def _silent(name: str, done: int, total: int) -> None:
    pass


def _discard(part: Path) -> None:
    with writing(part):
        part.unlink(missing_ok=True)


def _complete(job: _Job, sleep: Callable[[float], None]) -> None:
    """Transfer, with some patience, until the part is complete."""
    for wait_s in (*WAITS_S, None):
        try:
            _transfer(job)
            break
        except _InterruptedError as exc:
            if wait_s is None:
                raise _broke_off(job, exc) from exc
            sleep(wait_s)


def _transfer(job: _Job) -> None:
    """Append to the part what is missing of it."""
    done, whole = size(job.part), job.file.content.bytes
    if done == whole:  # Ended between the last byte and the new name.
        return
    if done > whole:
        _discard(job.part)
        done = 0
    with _open(job, done) as response:
        done = _start(response, done)
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdecimal() else whole
        with writing(job.part), job.part.open("ab" if done else "wb") as stream:
            job.progress(job.file.name, done, whole)
            for chunk in _chunks(response):
                stream.write(chunk)
                done += len(chunk)
                if done > whole:
                    break
                job.progress(job.file.name, done, whole)
    if done > whole:
        raise _wrong(job, f"more than {whole} bytes")
    if done < total:
        raise _InterruptedError("the connection was closed")


def _open(job: _Job, done: int) -> Any:
    """Ask for the file from byte `done` on.

    Returns:
        The response, a context manager.
    """
    headers = {"User-Agent": "maskwatch"}
    if done:
        headers["Range"] = f"bytes={done}-"
    if urllib.parse.urlsplit(job.url).scheme not in ("http", "https"):
        raise job.failed("the address begins with neither http:// nor https://")
    try:
        # A new opener each time, so that the proxy variables are read now.
        opener = urllib.request.build_opener()
        return opener.open(
            urllib.request.Request(job.url, headers=headers),
            timeout=TIMEOUT_S,
        )
    except urllib.error.HTTPError as exc:
        exc.close()
        if exc.code == 416 and done:
            _discard(job.part)
            return _open(job, 0)
        reason = f"the server answered {exc.code} {exc.reason}"
        if exc.code >= 500 or exc.code in (408, 429):
            raise _InterruptedError(reason) from exc
        raise job.failed(reason) from exc
    except (OSError, http.client.HTTPException) as exc:
        cause = exc.reason if isinstance(exc, urllib.error.URLError) else exc
        if _passing(cause):
            raise _InterruptedError(_reason(job.url, cause)) from exc
        raise job.failed(_reason(job.url, cause)) from exc


def _start(response: Any, asked: int) -> int:
    """The byte at which the response begins: `asked`, or 0 where the server cannot resume."""
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if response.status == 206 and match and int(match[1]) == asked:
        return asked
    return 0


def _chunks(response: Any) -> Iterator[bytes]:
    """The pieces of a response's body as they arrive."""
    while True:
        try:
            chunk = response.read(_CHUNK_BYTES)
        except http.client.IncompleteRead as exc:
            chunk = exc.partial
        except TimeoutError as exc:
            raise _InterruptedError(f"nothing came for {TIMEOUT_S:.0f} s") from exc
        except (OSError, http.client.HTTPException) as exc:
            raise _InterruptedError("the connection was closed") from exc
        if not chunk:
            return
        yield chunk


def _passing(cause: Any) -> bool:
    """Whether a failed request is worth another attempt at once."""
    dropped = isinstance(cause, ConnectionError | http.client.HTTPException)
    return dropped and not isinstance(cause, ConnectionRefusedError | http.client.InvalidURL)


def _reason(url: str, cause: Any) -> str:
    """Why a request failed, in the user's words."""
    proxy = _proxy(url)
    through = f" (through the proxy {proxy})" if proxy else ""
    if isinstance(cause, socket.gaierror):
        return f"the host name cannot be resolved, perhaps there is no network{through}"
    if isinstance(cause, ConnectionRefusedError):
        return f"connection refused{through}"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted, {cause.verify_message}{through}"
    if isinstance(cause, TimeoutError):
        return f"no answer within {TIMEOUT_S:g} s{through}"
    if isinstance(cause, ConnectionError | http.client.RemoteDisconnected):
        return f"the server closed the connection{through}"
    return f"{getattr(cause, 'strerror', None) or cause}{through}"


def _proxy(url: str) -> str | None:
    """Host of the proxy that the environment prescribes for `url`, or None."""
    proxy = urllib.request.getproxies().get(urllib.parse.urlsplit(url).scheme)
    if not proxy or urllib.request.proxy_bypass(host(url)):
        return None
    return host(proxy if "//" in proxy else f"//{proxy}")


def _broke_off(job: _Job, exc: Exception) -> DownloadError:
    whole = job.file.content.bytes
    return job.error(
        f"the download of {job.file.name} from {host(job.url)} broke off: {exc}; "
        f"{size(job.part)} of {whole} bytes arrived. Run the same command again to resume"
    )


def _wrong(job: _Job, got: str) -> DownloadError:
    """Drop the part; return the error for bytes that are not the publisher's."""
    _discard(job.part)
    content = job.file.content
    return job.error(
        f"{job.file.name} from {host(job.url)} is not the expected file: expected sha256 "
        f"{content.sha256} ({content.bytes} bytes), got {got}; it was deleted. A proxy may have "
        "answered in the publisher's place, or the publisher changed the file"
    )


def host(url: str) -> str:
    """Host and port of an address, without user name and password."""
    return urllib.parse.urlsplit(url).netloc.rpartition("@")[2]


def public(url: str) -> str:
    """An address without its user name and password."""
    return urllib.parse.urlsplit(url)._replace(netloc=host(url)).geturl()
