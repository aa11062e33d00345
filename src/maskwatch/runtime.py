"""ONNX Runtime, arrays in and arrays out. The only file that imports it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from maskwatch.errors import ModelFileError, ModelNotFoundError, ModelOutputError
from maskwatch.types import Floats


class OnnxModel:
    """A network in an ONNX file.

    Attributes:
        path: The file.
        input_shape: Of the first input; None where a side is free.
        input_dtype: NumPy's name of the first input's type, such as `uint8`.
        output_shapes: Of each output; None where a side is free.
    """

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        """Load a file.

        Args:
            path: The ONNX file.
            threads: Threads for one call; None takes one for each core.

        Raises:
            ModelNotFoundError: No such file.
            ModelFileError: The file is corrupt, not ONNX, or takes no input.
        """
        # Its packages otherwise collect usage data to send, from the moment of the import on.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime as ort

        if not path.is_file():
            raise ModelNotFoundError(f"no model file {path}. Check the path.")
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = threads or os.cpu_count() or 1
        # Threads that wait actively would take the cores from decoding and encoding.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(
                str(path), options, providers=_providers(ort.get_available_providers())
            )
        except Exception as exc:  # ONNX Runtime's errors share no base but Exception
            reason = str(exc).splitlines()[0][:160]
            raise ModelFileError(
                f"cannot load {path} as an ONNX model: {reason}. Fetch or export it again."
            ) from exc
        if not self._session.get_inputs():
            raise ModelFileError(f"{path} is another kind of ONNX model: it takes no input.")
        first = self._session.get_inputs()[0]
        self.path = path
        self._input_name = first.name
        self.input_shape = _shape(first.shape)
        self.input_dtype = _dtype(first.type)
        self.output_shapes = [_shape(output.shape) for output in self._session.get_outputs()]

    def __call__(self, batch: Any) -> list[Floats]:
        """Run the network on one array.

        Returns:
            The outputs in the file's order.

        Raises:
            ModelOutputError: The network failed or returned NaN or infinity.
        """
        try:
            outputs = self._session.run(None, {self._input_name: batch})
        except Exception as exc:  # as above
            reason = str(exc).splitlines()[0][:160]
            raise ModelOutputError(
                f"{self.path} failed on an input of shape {np.shape(batch)}: {reason}"
            ) from exc
        for output in outputs:
            if not np.isfinite(output).all():
                raise ModelOutputError(
                    f"{self.path} returned NaN or infinity. The file is damaged or was badly "
                    "exported; fetch or export it again."
                )
        return list(outputs)


def _providers(available: list[str]) -> list[str]:
    """A GPU where the package has one, else the CPU; TensorRT would build engines for minutes."""
    return [name for name in available if name != "TensorrtExecutionProvider"]


def _shape(shape: list[Any]) -> tuple[int | None, ...]:
    return tuple(side if isinstance(side, int) else None for side in shape)


def _dtype(onnx_type: str) -> str:
    inner = onnx_type.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(inner, inner)
