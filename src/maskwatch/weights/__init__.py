"""Other people's models: find them, download them, verify them by hash, keep them in a cache."""

from __future__ import annotations

from maskwatch.weights.download import Progress
from maskwatch.weights.registry import MODELS, Content, Model, ModelFile, model
from maskwatch.weights.store import cache_dir, find, folder, get, install_from, paths, require

__all__ = [
    "MODELS",
    "Content",
    "Model",
    "ModelFile",
    "Progress",
    "cache_dir",
    "find",
    "folder",
    "get",
    "install_from",
    "model",
    "paths",
    "require",
]
