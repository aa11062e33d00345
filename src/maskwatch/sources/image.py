"""Picture files, animated ones included."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from functools import cached_property
from pathlib import Path, PurePath

from maskwatch.images import is_animated, read_animation, read_image
from maskwatch.sources.base import Kind, Source
from maskwatch.types import Frame

_MAY_MOVE = frozenset({".gif", ".webp", ".png", ""})


class ImageSource(Source):
    """A picture file; an animation (GIF, WebP, APNG) is a short video."""

    def __init__(self, path: Path, relative: PurePath) -> None:
        super().__init__(str(path), relative)
        self._path = path

    @property
    def kind(self) -> Kind:
        """`image`, or `video` for an animation."""
        return self._kind

    @cached_property
    def _kind(self) -> Kind:
        suffix = self._path.suffix.lower()
        return "video" if suffix in _MAY_MOVE and is_animated(self._path) else "image"

    @property
    def frame_count(self) -> int | None:
        """1, or None for an animation, which would have to be read through."""
        return 1 if self.kind == "image" else None

    def frames(self) -> Generator[Frame, None, None]:
        """Give the picture, or the frames of the animation with their times.

        Raises:
            UnreadableImageError: The file cannot be read as a picture.
        """
        if self._stopped:
            return
        if self.kind == "image":
            yield Frame(read_image(self._path), self.name)
            return
        # read_animation is a generator, and closing it closes the file.
        with closing(read_animation(self._path)) as pictures:  # type: ignore[type-var]
            for index, (image, time_s) in enumerate(pictures):
                if self._stopped:
                    return
                yield Frame(image, self.name, index, time_s)
