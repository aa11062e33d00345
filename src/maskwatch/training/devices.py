"""Which devices a training uses, and in what precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from maskwatch.errors import UnknownNameError

PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")


def gpus() -> int:
    """Number of GPUs that Keras' backend sees."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return len(tf.config.list_physical_devices("GPU"))
    if backend == "jax":
        return sum(not name.startswith("cpu") for name in keras.distribution.list_devices())
    from importlib import import_module

    return int(import_module("torch").cuda.device_count())


@contextmanager
def precision(name: str) -> Iterator[str]:
    """Build networks in a precision; `auto` is mixed on a GPU and 32 bits elsewhere.

    `mixed_bfloat16` has the range of 32 bits, so losses need no scaling.

    Yields:
        The precision in use.

    Raises:
        UnknownNameError: No such precision.
    """
    if name not in PRECISIONS:
        raise UnknownNameError("precision", name, PRECISIONS)
    if name == "auto":
        name = "mixed_bfloat16" if gpus() else "float32"
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield name
    finally:
        keras.config.set_dtype_policy(before)


def predicted(model: keras.Model, inputs: Any) -> Any:
    """A model's outputs for one batch.

    Mirrored, Keras' `predict_on_batch` gives every replica the whole batch, and all their answers.
    """
    return np.asarray(model.predict_on_batch(inputs))[: len(inputs)]


class Devices:
    """All GPUs, or the one device there is.

    TensorFlow mirrors the network (`tf.distribute.MirroredStrategy`) and JAX shards the batch
    (`keras.distribution.DataParallel`); with PyTorch Keras uses one GPU.
    """

    def __init__(self, strategy: Any = None, *, shared: bool = True) -> None:
        """Look for devices.

        Args:
            strategy: A `tf.distribute` strategy to use; None chooses.
            shared: Whether all GPUs share the work; else Keras' own choice of one does it, also
                with a network that was built outside of `scope`.
        """
        self._strategy = strategy
        self._shared = shared
        if shared and strategy is None and keras.backend.backend() == "tensorflow" and gpus() > 1:
            import tensorflow as tf

            self._strategy = tf.distribute.MirroredStrategy()

    @property
    def count(self) -> int:
        """How many work together."""
        if self._strategy is not None:
            return int(self._strategy.num_replicas_in_sync)
        if not self._shared or keras.backend.backend() != "jax":
            return 1
        return max(gpus(), 1)

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Build, load, compile and train networks in here."""
        if self._strategy is not None:
            with self._strategy.scope():
                yield
        elif self.count > 1:
            before = keras.distribution.distribution()
            keras.distribution.set_distribution(keras.distribution.DataParallel())
            try:
                yield
            finally:
                keras.distribution.set_distribution(before)
        else:
            yield

    def step(self, model: keras.Model, inputs: Any, targets: Any) -> tuple[float, float]:
        """Train on one batch; gives its loss and accuracy."""
        if self._strategy is None:
            if self.count > 1:  # JAX wants every device to get as many
                whole = len(inputs) // self.count * self.count or len(inputs)
                inputs, targets = inputs[:whole], targets[:whole]
            figures = np.ravel(model.train_on_batch(inputs, targets))
            return float(figures[0]), float(figures[1]) if len(figures) > 1 else float("nan")
        return self._mirrored_step(model, inputs, targets)

    def _mirrored_step(self, model: keras.Model, inputs: Any, targets: Any) -> tuple[float, float]:
        # Keras' own train_on_batch would give every replica the whole batch.
        count = self.count
        shares = [np.array_split(values, count) for values in (inputs, targets)]
        if len(inputs) < count:
            shares = [[values] * count for values in (inputs, targets)]

        def share(context: Any) -> Any:
            own = context.replica_id_in_sync_group
            return shares[0][own], shares[1][own], None

        model.make_train_function()
        model.reset_metrics()
        batch = self._strategy.experimental_distribute_values_from_function(share)
        logs = model.train_function(iter([batch]))
        return float(logs["loss"]), float(logs["accuracy"])
