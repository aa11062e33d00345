"""What every source is: something with a name that gives frames one by one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from fractions import Fraction
from pathlib import PurePath
from typing import Literal

from maskwatch.types import Frame

Kind = Literal["image", "video", "live"]
"""One picture; a recording with an end; a camera without one."""


class Source(ABC):
    """A picture, a video or a camera.

    Making one opens nothing, so a list of ten thousand costs nothing. The file or camera is
    opened by `frames`, or by asking for a property that only it can tell.

    Attributes:
        name: The source as the user gave it or as it was found; passwords in URLs are masked.
        relative: Where a result belongs below an output folder: the path below the folder or
            the fixed part of the glob that was given, the file name of a single file, or a name
            made for a camera.
    """

    def __init__(self, name: str, relative: PurePath) -> None:
        self.name = name
        self.relative = relative
        self._stopped = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """Whether it is a picture, a recording or a camera."""

    @property
    def live(self) -> bool:
        """Whether it is a camera, which never ends by itself."""
        return self.kind == "live"

    @property
    def frame_count(self) -> int | None:
        """Number of frames as far as known beforehand, else None.

        Good for a progress bar: containers do not all say it exactly.

        Raises:
            SourceError: It has to be opened for that and cannot be.
        """
        return None

    @property
    def rate(self) -> Fraction | None:
        """Average frames in a second; None for pictures, animations and cameras.

        Raises:
            SourceError: It has to be opened for that and cannot be.
        """
        return None

    @abstractmethod
    def frames(self) -> Generator[Frame, None, None]:
        """Open the source and give its frames; closing the generator releases everything.

        Yields:
            Frames with index counting from 0 and time in seconds from the first frame.

        Raises:
            SourceError: It cannot be read, or only to a point; frames before it were given.
        """

    def stop(self) -> None:
        """Make `frames` end soon. May be called from another thread or a signal handler."""
        self._stopped = True
