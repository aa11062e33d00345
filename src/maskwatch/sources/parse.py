"""From the one string that a user gives to the sources it stands for."""

from __future__ import annotations

import glob
import os
import re
from functools import partial
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from maskwatch.errors import SourceError, SourceNotFoundError, UnreadableImageError
from maskwatch.images import IMAGE_SUFFIXES, os_reason, read_image
from maskwatch.sources.base import Source
from maskwatch.sources.files import VIDEO_SUFFIXES, in_folder, matching
from maskwatch.sources.image import ImageSource
from maskwatch.sources.live import LIVE_DEFAULTS, LiveSettings, LiveSource, Report, to_stderr
from maskwatch.sources.stream import stream_frames
from maskwatch.sources.url import SCHEMES, mask_url, safe_name, scheme_of, suffix_of
from maskwatch.sources.video import VideoSource
from maskwatch.sources.webcam import webcam_frames

# OpenCV reads numbers from 100 on as the choice of a driver.
_WEBCAM = re.compile(r"(?:/dev/video)?(\d{1,2})", re.ASCII)

# On the web these endings mean a live stream more often than a file.
_LIVE_SUFFIXES = frozenset({".mjpg", ".mjpeg", ".ts", ".flv"})


def open_sources(
    spec: str, live: LiveSettings = LIVE_DEFAULTS, report: Report = to_stderr
) -> list[Source]:
    """Read one SOURCE string; nothing is opened yet.

    What exists under the name is taken first, whatever its name looks like: a folder with all
    pictures and videos in it and below, or a file. Otherwise it is an address (`rtsp://`,
    `rtsps://`, `http://`, `https://`), a webcam number, or a glob such as `photos/**/*.jpg`.
    An http address whose path ends like a video or picture file is read once from start to end,
    any other as a camera.

    Args:
        spec: The string.
        live: How patient to be with cameras.
        report: Is told when a camera is lost and when it is back.

    Raises:
        SourceNotFoundError: Nothing answers to it.
        SourceError: It is there but cannot be listed, or is neither a picture nor a video.
    """
    path = Path(os.path.expanduser(spec))  # noqa: PTH111 - Path.expanduser raises on ~nobody
    try:
        if spec and path.is_dir():
            return [_of_file(*found) for found in in_folder(path)]
        if path.is_file():
            return [_of_single(path)]
        if spec and path.exists() and not _WEBCAM.fullmatch(spec):
            raise SourceError(f"cannot read {path}: neither a file nor a folder.")
    except OSError as exc:
        raise SourceNotFoundError(f"cannot look up {spec!r}: {os_reason(exc)}.") from exc
    if scheme_of(spec):
        return [_of_url(spec, live, report)]
    if webcam := _WEBCAM.fullmatch(spec):
        number = int(webcam.group(1))
        connect = partial(webcam_frames, number)
        return [LiveSource(spec, PurePath(f"camera-{number}"), connect, live, report=report)]
    if glob.has_magic(spec):
        return [_of_file(*found) for found in matching(str(path))]
    raise SourceNotFoundError(
        f"no such file or folder: {spec!r}. Give a file, a folder, a glob, a webcam number or an "
        f"address ({', '.join(SCHEMES)})."
    )


def _of_file(path: Path, relative: PurePath) -> Source:
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return VideoSource.of_file(path, relative)
    return ImageSource(path, relative)


def _of_single(path: Path) -> Source:
    """The source in one file, by its content where its ending says nothing."""
    relative = PurePath(path.name)
    if path.suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES:
        return _of_file(path, relative)
    try:
        read_image(path)
    except UnreadableImageError as no_image:
        video = VideoSource.of_file(path, relative)
        try:
            # Opens it.
            _ = video.rate
        except SourceError:
            raise SourceError(
                f"cannot read {path}: neither a picture nor a video that is known."
            ) from no_image
        return video
    return ImageSource(path, relative)


def _of_url(url: str, live: LiveSettings, report: Report) -> Source:
    scheme, name = scheme_of(url), mask_url(url)
    if scheme not in SCHEMES:
        raise SourceNotFoundError(
            f"cannot read {name}: addresses start with {', '.join(f'{s}://' for s in SCHEMES)}."
        )
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    if not host:
        raise SourceNotFoundError(f"cannot read {name}: the address names no host.")
    relative, suffix = PurePath(safe_name(url)), suffix_of(url)
    if scheme.startswith("http") and suffix not in _LIVE_SUFFIXES:
        if suffix in VIDEO_SUFFIXES:
            return VideoSource(url, name, relative, timeout_s=live.timeout_s)
        if suffix in IMAGE_SUFFIXES:
            return VideoSource(url, name, relative, kind="image", timeout_s=live.timeout_s)
    connect = partial(stream_frames, url, live.timeout_s)
    return LiveSource(name, relative, connect, live, report=report)
