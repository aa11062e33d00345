"""Find faces and tell whether their masks are worn, worn incorrectly, or not worn.

    import maskwatch
    pipeline = maskwatch.Pipeline.default()
    result = pipeline(maskwatch.read_image("photo.jpg"))
    for box, state in zip(result.faces.boxes, result.states):
        print(box, state)

All parts are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maskwatch.errors import MaskwatchError
    from maskwatch.images import read_image, write_image
    from maskwatch.pipeline import Pipeline
    from maskwatch.sources import open_sources
    from maskwatch.types import CLASSES, Faces, Frame, FrameResult, MaskState

__version__ = "0.1.0"

__all__ = [
    "CLASSES",
    "Faces",
    "Frame",
    "FrameResult",
    "MaskState",
    "MaskwatchError",
    "Pipeline",
    "open_sources",
    "read_image",
    "write_image",
]

_HOMES = {
    "CLASSES": "maskwatch.types",
    "Faces": "maskwatch.types",
    "Frame": "maskwatch.types",
    "FrameResult": "maskwatch.types",
    "MaskState": "maskwatch.types",
    "MaskwatchError": "maskwatch.errors",
    "Pipeline": "maskwatch.pipeline",
    "open_sources": "maskwatch.sources",
    "read_image": "maskwatch.images",
    "write_image": "maskwatch.images",
}


def __getattr__(name: str) -> Any:
    """Load a part of the library when it is first asked for."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'maskwatch' has no attribute {name!r}")
