"""Make the files of `mtcnn-stock` from the weights that the package `mtcnn` carries.

Those are pickles, which can run any code: each is verified by its hash before it is opened, and
opened only here. Neither the package nor TensorFlow is imported.
"""

from __future__ import annotations

import hashlib
import io
from importlib import metadata
from pathlib import Path

import numpy as np

from maskwatch.errors import MissingExtraError, ModelFileError
from maskwatch.types import Floats
from maskwatch.weights.mtcnn_network import build

SOURCES: dict[str, str] = {
    "pnet": "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
    "rnet": "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
    "onet": "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
}
"""SHA-256 of the weights in version 1.0.0 of the package, by name of the network."""


def make() -> dict[str, bytes]:
    """The files `pnet.onnx`, `rnet.onnx` and `onet.onnx`, by name.

    Raises:
        MissingExtraError: The package, or what reads or writes such files, is not installed.
        ModelFileError: The package has other weights than in version 1.0.0.
    """
    return {f"{name}.onnx": build(name, read(name)) for name in SOURCES}


def read(name: str) -> list[Floats]:
    """The weights of one network, in the order of Keras.

    Args:
        name: `pnet`, `rnet` or `onet`.

    Raises:
        MissingExtraError: The package, or what reads the file, is not installed.
        ModelFileError: The package has another file, or none.
    """
    path = _path(name)
    try:
        import joblib
        import lz4.frame  # noqa: F401 (without it joblib fails late and says less)
    except ImportError as exc:
        raise _missing() from exc
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise _other_package(f"cannot read {path}: {exc.strerror or exc}") from exc
    got = hashlib.sha256(data).hexdigest()
    if got != SOURCES[name]:
        raise _other_package(f"{path} has sha256 {got}, expected {SOURCES[name]}")
    return [np.asarray(array, np.float32) for array in joblib.load(io.BytesIO(data))]


def _path(name: str) -> Path:
    """Where the package keeps a file; found without importing it, which would load TensorFlow."""
    try:
        package = metadata.distribution("mtcnn")
    except metadata.PackageNotFoundError as exc:
        raise _missing() from exc
    return Path(str(package.locate_file(f"mtcnn/assets/weights/{name}.lz4")))


def _missing() -> MissingExtraError:
    return MissingExtraError("model 'mtcnn-stock', made from the package mtcnn,", "mtcnn")


def _other_package(what: str) -> ModelFileError:
    return ModelFileError(
        f"the package mtcnn is not version 1.0.0: {what}. Run: pip install --force-reinstall "
        "mtcnn==1.0.0"
    )
