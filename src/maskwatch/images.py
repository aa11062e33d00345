"""Read and write pictures: any common file in, `(H, W, 3)` uint8 BGR out.

Pillow reads, because it knows a picture's size before it decodes (so that a header that promises
gigabytes is refused), notices truncated files, and knows EXIF rotation and animations.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maskwatch.errors import OutputError, OutputRefusedError, UnreadableImageError
from maskwatch.types import Image

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"}
)
"""File name endings of pictures, lower case."""

MAX_PIXELS = 178_000_000
"""Larger pictures are refused unread: one takes 3 bytes a pixel, and several times that while it is
decoded, turned upright, drawn on and encoded again."""

_FALLBACK_FRAME_S = 0.1  # what browsers use for animations that name no frame time


def read_image(path: Path) -> Image:
    """Read a picture; of an animation, its first frame.

    EXIF rotation is applied, grey becomes BGR, 16 bits are scaled to 8, and transparent parts
    are laid on white.

    Returns:
        `(H, W, 3)` uint8 BGR.

    Raises:
        UnreadableImageError: The file is missing, not a picture, damaged, too large or protected.
    """
    with _open(path) as picture:
        return _to_bgr(picture, path)


def is_animated(path: Path) -> bool:
    """Whether the file is a picture with more than one frame (GIF, WebP, APNG)."""
    try:
        with _open(path) as picture:
            return int(getattr(picture, "n_frames", 1)) > 1
    except UnreadableImageError:
        return False


def read_animation(path: Path) -> Iterator[tuple[Image, float]]:
    """Read the frames of an animation one by one.

    Yields:
        Each frame as BGR and its time in seconds from the first.

    Raises:
        UnreadableImageError: As for `read_image`; frames before the damage have been given.
    """
    time_s = 0.0
    with _open(path) as picture:
        for index in range(int(getattr(picture, "n_frames", 1))):
            with _translated(path):
                picture.seek(index)
            image = _to_bgr(picture, path)
            yield image, time_s
            time_s += float(picture.info.get("duration") or 0) / 1000 or _FALLBACK_FRAME_S


def write_image(path: Path, image: Image) -> None:
    """Write a picture in the format that the ending of `path` names; folders are made.

    The file appears whole or not at all.

    Raises:
        OutputRefusedError: The name is too long, its ending unknown, or the picture too large
            for that format.
        OutputError: The place cannot be written.
    """
    import cv2

    options = {".jpg": [cv2.IMWRITE_JPEG_QUALITY, 92], ".webp": [cv2.IMWRITE_WEBP_QUALITY, 90]}
    suffix = path.suffix.lower()
    try:
        ok, data = cv2.imencode(suffix, image, options.get(suffix.replace("jpeg", "jpg"), []))
    except cv2.error as exc:
        raise OutputRefusedError(
            f"cannot write {path}: no picture format {suffix!r}. Use .png."
        ) from exc
    if not ok:
        size = f"{image.shape[1]} x {image.shape[0]}"
        raise OutputRefusedError(f"cannot write {path}: {suffix} cannot hold {size} pixels.")
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data.tobytes())
        part.replace(path)
    except OSError as exc:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise output_error(path, exc) from exc


def part_of(path: Path) -> Path:
    """Where a file is written before it gets its name; short, for names as long as can be."""
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    return path.with_name(f".{digest}.part")


def output_error(path: Path, exc: OSError) -> OutputError:
    """What to raise when the system refuses to write `path`."""
    of_this_file = exc.errno in (errno.ENAMETOOLONG, errno.EILSEQ, errno.EISDIR)
    error = OutputRefusedError if of_this_file else OutputError
    return error(f"cannot write {path}: {os_reason(exc)}.")


def os_reason(exc: OSError) -> str:
    """What the operating system said, without numbers and paths."""
    return os.strerror(exc.errno) if exc.errno else str(exc)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn what Pillow raises while it reads `path` into `UnreadableImageError`."""
    # Pillow warns of odd metadata, which does not keep a picture from being read. Pictures are
    # read in threads, where `warnings.catch_warnings` is not safe.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        yield
    except Exception as exc:
        raise UnreadableImageError(f"cannot read picture {path}: {_why(path, exc)}.") from exc


def _why(path: Path, exc: Exception) -> str:
    from PIL import Image as Pil
    from PIL import UnidentifiedImageError

    if isinstance(exc, Pil.DecompressionBombError):
        # Pillow says how many; the picture itself is out of reach.
        pixels = re.search(r"\d+", str(exc))
        return _too_large(f"{int(pixels[0]) // 1_000_000} million" if pixels else "too many")
    if isinstance(exc, UnidentifiedImageError):
        return "empty file" if path.stat().st_size == 0 else "not a picture, or damaged"
    if isinstance(exc, OSError) and exc.errno:
        return os_reason(exc)
    return f"damaged ({str(exc).strip() or type(exc).__name__})"


def _open(path: Path) -> PilImage:
    from PIL import Image as Pil

    with _translated(path):
        picture = Pil.open(path)
    width, height = picture.size
    if width * height > MAX_PIXELS:
        picture.close()
        raise UnreadableImageError(
            f"cannot read picture {path}: {_too_large(f'{width} x {height}')}."
        )
    return picture


def _too_large(size: str) -> str:
    limit = MAX_PIXELS // 1_000_000
    return f"{size} pixels are more than the limit of {limit} million; scale it down first"


def _to_bgr(picture: PilImage, path: Path) -> Image:
    from PIL import ImageOps

    with _translated(path):
        picture.load()
        upright = ImageOps.exif_transpose(picture) or picture
        if upright.mode.startswith("I") or upright.mode == "F":
            return _from_deep(upright)
        if upright.has_transparency_data:
            rgba = upright.convert("RGBA")
            flat = rgba.copy()
            flat.paste("white", (0, 0, *rgba.size))
            flat.alpha_composite(rgba)
            upright = flat
        rgb = np.asarray(upright.convert("RGB"))
    return np.ascontiguousarray(rgb[:, :, ::-1])


def _from_deep(picture: PilImage) -> Image:
    """Grey of more than 8 bits: integers are 16-bit values, floats scaled by their range."""
    deep = np.asarray(picture).astype(np.float32)
    top = 65535.0 if picture.mode.startswith("I") else float(deep.max() or 1.0)
    grey = np.clip(deep * (255.0 / top), 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)
