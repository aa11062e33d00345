"""Small things about files: hashes, locks, and errors in the user's words."""

from __future__ import annotations

import errno
import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from maskwatch.errors import OutputError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def sha256(path: Path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def size(path: Path) -> int:
    """Size of a file in bytes; 0 where there is none or it cannot be looked at."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what goes wrong when writing `path` into an OutputError.

    Raises:
        OutputError: The disk is full, the folder is not writable, or another fault of the disk.
    """
    try:
        yield
    except OSError as exc:
        reason = exc.strerror or str(exc)
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = "Free some space, or set MASKWATCH_HOME to a folder on another disk."
        else:
            advice = "Set MASKWATCH_HOME to a folder that can be written."
        raise OutputError(f"cannot write {path}: {reason}. {advice}") from exc


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; wait where another process holds it.

    The operating system gives the lock back when its holder ends, however it ends, so a killed
    download blocks nobody. The empty file stays: to remove it would be a race.

    Raises:
        OutputError: The lock file cannot be made.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("ab")
    with stream:
        with writing(path):
            _lock(stream)
        try:
            yield
        finally:
            _unlock(stream)


if sys.platform == "win32":

    def _lock(stream: IO[bytes]) -> None:
        while True:
            try:
                stream.seek(0)
                # Tries for ten seconds and then fails.
                return msvcrt.locking(stream.fileno(), msvcrt.LK_LOCK, 1)
            except OSError as exc:
                if exc.errno != errno.EDEADLK:
                    raise

    def _unlock(stream: IO[bytes]) -> None:
        stream.seek(0)
        msvcrt.locking(stream.fileno(), msvcrt.LK_UNLCK, 1)

else:

    def _lock(stream: IO[bytes]) -> None:
        fcntl.flock(stream, fcntl.LOCK_EX)

    def _unlock(stream: IO[bytes]) -> None:
        fcntl.flock(stream, fcntl.LOCK_UN)
