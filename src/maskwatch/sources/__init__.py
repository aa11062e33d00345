"""Where frames come from: pictures, folders, globs, videos, webcams and network cameras.

`open_sources` turns the one string that a user gives into sources; `Source.frames` gives the
frames of one. Importing this loads neither PyAV nor OpenCV.
"""

from maskwatch.sources.base import Kind, Source
from maskwatch.sources.files import VIDEO_SUFFIXES
from maskwatch.sources.live import LiveSettings, LiveSource
from maskwatch.sources.parse import open_sources
from maskwatch.sources.url import mask_url

__all__ = [
    "VIDEO_SUFFIXES",
    "Kind",
    "LiveSettings",
    "LiveSource",
    "Source",
    "mask_url",
    "open_sources",
]
