"""The exception tree.

Every error that a user can meet is one of these; its text says what failed, the value received
and what to do, in one line.

    MaskwatchError
    ├── UsageError                 the request itself is wrong (exit code 2)
    │   ├── UnknownNameError       a name that is not in the list
    │   ├── SettingsError          a settings file or value that does not fit
    │   ├── OutputExistsError      an output is there and --overwrite was not given
    │   └── MissingExtraError      an optional dependency is not installed
    ├── SourceError                an input cannot be read (exit code 1)
    │   ├── SourceNotFoundError    no such file, folder, camera or address
    │   ├── UnreadableImageError   a picture that does not decode
    │   ├── UnreadableVideoError   a video that does not decode, or only to a point
    │   └── CameraError            a live source that cannot be opened or has gone away
    ├── ModelError                 a model cannot be used (exit code 1)
    │   ├── ModelNotFoundError     its file is not there
    │   ├── ModelFileError         its file is corrupt or is another kind of model
    │   ├── ModelOutputError       it returned something impossible, such as NaN
    │   └── DownloadError          its file could not be fetched or failed verification
    ├── DatasetError               labels or folders that cannot be understood (exit code 1)
    └── OutputError                a result cannot be written (exit code 1)
        └── OutputRefusedError     this one cannot, but others of the same run can
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MaskwatchError(Exception):
    """Base of all errors that maskwatch raises on purpose."""

    exit_code = 1


class UsageError(MaskwatchError):
    """The request itself is wrong."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that is not in the list of known names."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Compose the message.

        Args:
            kind: What the name should name, for example `detector`.
            name: The name received.
            known: The names that would have been accepted.
        """
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        super().__init__(f"unknown {kind} {name!r}.{hint} Choose one of: {', '.join(names)}.")


class SettingsError(UsageError):
    """A settings file or value that does not fit."""


class OutputExistsError(UsageError):
    """An output is already there and overwriting was not asked for."""

    def __init__(self, path: object) -> None:
        """Compose the message for the output `path`."""
        super().__init__(
            f"output exists: {path}. Give --overwrite to replace it, or choose another place."
        )


class MissingExtraError(UsageError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        """Compose the message.

        Args:
            what: The thing that was asked for.
            extra: The extra of the package that brings what it needs.
        """
        super().__init__(f"{what} needs more packages: pip install 'maskwatch[{extra}]'")


class SourceError(MaskwatchError):
    """An input cannot be read."""


class SourceNotFoundError(SourceError):
    """No such file, folder, camera or address."""


class UnreadableImageError(SourceError):
    """A picture that does not decode."""


class UnreadableVideoError(SourceError):
    """A video that does not decode, or only to a point."""


class CameraError(SourceError):
    """A live source that cannot be opened or has gone away."""


class ModelError(MaskwatchError):
    """A model cannot be used."""


class ModelNotFoundError(ModelError):
    """The file of a model is not there."""


class ModelFileError(ModelError):
    """The file of a model is corrupt or holds another kind of model."""


class ModelOutputError(ModelError):
    """A model returned something impossible, such as NaN."""


class DownloadError(ModelError):
    """The file of a model could not be fetched or failed verification."""


class DatasetError(MaskwatchError):
    """Labels or folders that cannot be understood."""


class OutputError(MaskwatchError):
    """A result cannot be written."""


class OutputRefusedError(OutputError):
    """This result cannot be written, for its name or size; others of the same run can."""
