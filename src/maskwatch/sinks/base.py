"""What every sink is: a context manager that takes results one by one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from fractions import Fraction
from pathlib import Path, PurePath
from types import TracebackType
from typing import Protocol, Self

from maskwatch.errors import OutputExistsError, UsageError
from maskwatch.types import FrameResult, Image

Drawn = Callable[[], Image]
"""Gives the annotated picture, drawn on the first call and kept for the others."""


class Origin(Protocol):
    """What a sink wants to know of the source that results come from."""

    @property
    def name(self) -> str:
        """As in the results."""
        ...

    @property
    def relative(self) -> PurePath:
        """Where its annotated copy goes below the output folder."""
        ...

    @property
    def kind(self) -> str:
        """`image`, `video` or `live`."""
        ...

    @property
    def rate(self) -> Fraction | None:
        """Frames per second on average; None where there is none."""
        ...


class Sink:
    """Takes results. Leaving the context closes what was opened, whatever happened inside.

    Calls come in this order: `plan` once, then the context is entered, then for each source
    `start`, `write` for each result, `finish`. A sink overrides what it needs.
    """

    def plan(self, origins: Sequence[Origin]) -> None:
        """See all sources before any work, to refuse at once what could not be written later.

        Raises:
            UsageError: An output is in the way.
        """

    @property
    def targets(self) -> Collection[Path]:
        """The files that will be written, known after `plan`."""
        return ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def start(self, origin: Origin) -> None:
        """Results of this source follow."""

    def write(self, result: FrameResult, drawn: Drawn) -> None:
        """Take one result.

        Raises:
            OutputError: It cannot be written.
        """
        raise NotImplementedError

    def finish(self) -> None:
        """The source that was started last has no more results.

        Raises:
            OutputError: What is left cannot be written.
        """


FileId = tuple[int, int]
"""Device and number of a file: the same for all its names."""


def file_ids(origins: Sequence[Origin]) -> frozenset[FileId]:
    """The files among the sources."""
    found = (file_id(Path(origin.name)) for origin in origins)
    return frozenset(identity for identity in found if identity is not None)


def file_id(path: Path) -> FileId | None:
    """Which file a path leads to; None for an address, a camera, or what is not there."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def check_free(target: Path, sources: frozenset[FileId], *, overwrite: bool) -> None:
    """See that writing `target` destroys nothing that is still wanted.

    Args:
        target: The file to be written.
        sources: See `file_ids`.
        overwrite: Whether a file that is there may be replaced.

    Raises:
        UsageError: It is one of the sources.
        OutputExistsError: It is there and `overwrite` is not set.
    """
    # Pipes and devices are there to be written to.
    if not (target.is_file() or target.is_dir()):
        return
    if file_id(target) in sources:
        raise UsageError(f"output {target} would replace a source. Choose another place.")
    if not overwrite:
        raise OutputExistsError(target)
