"""A text file that is never overwritten by accident."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO, cast

from maskwatch.errors import OutputError
from maskwatch.images import os_reason
from maskwatch.sinks.base import Origin, Sink, check_free, file_ids


class TextSink(Sink):
    """Base of the sinks that write lines to a file, or to standard output for `-`."""

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        """Remember the file; nothing is opened yet.

        Args:
            path: The file; `-` is standard output. Its folder is made.
            overwrite: Replace a file that is there (never a source).
        """
        self._path = path
        self._overwrite = overwrite
        self._file: TextIO | None = None

    def plan(self, origins: Sequence[Origin]) -> None:
        """See that the file may be written.

        Raises:
            OutputExistsError: It is there and overwriting was not asked for.
            UsageError: It is one of the sources.
        """
        if str(self._path) != "-":
            check_free(self._path, file_ids(origins), overwrite=self._overwrite)

    @property
    def targets(self) -> Collection[Path]:
        """The file; pipes and devices can be written to by several."""
        shared = str(self._path) == "-" or (self._path.exists() and not self._path.is_file())
        return () if shared else (self._path,)

    def __enter__(self) -> Self:
        """Open the file.

        Raises:
            OutputError: It cannot be opened.
        """
        if str(self._path) == "-":
            # Python has none where the caller closed it; its own annotation does not say so.
            self._file = cast("TextIO | None", sys.stdout)
            if self._file is None:
                raise OutputError("cannot write standard output: it is closed.")
            return self
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("w", encoding="utf-8", newline="")
        except OSError as exc:
            raise self._unwritable(exc) from exc
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file.

        Raises:
            OutputError: What was still held back cannot be written.
        """
        if self._file is None or self._file is sys.stdout:
            return
        try:
            self._file.close()
        except OSError as error:
            if kind is None:
                raise self._unwritable(error) from error

    def put(self, text: str) -> None:
        """Write text and hand it to the system, so that a reader of the file sees it at once.

        Raises:
            OutputError: The system refused it.
        """
        assert self._file is not None, "a sink is used inside `with`"
        try:
            self._file.write(encodable(text, self._file))
            self._file.flush()
        except OSError as exc:
            raise self._unwritable(exc) from exc

    def _unwritable(self, exc: OSError) -> OutputError:
        place = "standard output" if self._file is sys.stdout else self._path
        return OutputError(f"cannot write {place}: {os_reason(exc)}.")


def encodable(text: str, file: TextIO) -> str:
    r"""The text with `\udc80` and the like for what the encoding of `file` lacks.

    File names of other systems hold such characters, and a run should not end over a name.
    """
    encoding = file.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
