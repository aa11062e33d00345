"""Rules of devices: several train together what one would have."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

keras: Any = pytest.importorskip("keras", reason="keras is not installed (extra train)")
pytest.importorskip("tensorflow", reason="tensorflow is not installed (extra train)")

from maskwatch.errors import UnknownNameError  # noqa: E402
from maskwatch.training.devices import Devices, gpus, precision  # noqa: E402

PROGRAM = """
import json, sys
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
from pathlib import Path
from maskwatch.training.checkpoints import Checkpoints
from maskwatch.training.devices import Devices, predicted
from maskwatch.training.heads import compiled
from maskwatch.training.loop import Plan, loss_and_accuracy, run
from maskwatch.training.recipes import Recipe

recipe = Recipe("r", "", "", optimizer="rmsprop", rate=0.01, ema=0.5)
plan = Plan(epochs=2, steps=4, save_every=3)
held = np.random.default_rng(9).normal(size=(30, 5)).astype(np.float32)

def make():
    keras.utils.set_random_seed(4)
    layers = [keras.Input((5,)), keras.layers.Dense(6, activation="relu"), keras.layers.Dense(2)]
    return compiled(keras.Sequential(layers), recipe, 8)

def batch_at(step):
    rows = np.random.default_rng(step).normal(size=(8, 5)).astype(np.float32)
    return rows, np.eye(2, dtype=np.float32)[(rows.sum(axis=1) > 0).astype(int)]

def judge(model):
    return loss_and_accuracy(predicted(model, held), np.eye(2)[(held.sum(1) > 0).astype(int)])

def die(model):
    raise KeyboardInterrupt

def rows(folder, strategy, judge=judge):
    outcome = run(make, batch_at, judge, plan, Checkpoints(Path(folder)), devices=Devices(strategy))
    values = np.concatenate([np.ravel(value) for value in outcome.model.get_weights()])
    return [[row.loss, row.accuracy, row.val_loss] for row in outcome.rows], values.tolist()

one = rows(sys.argv[1] + "/one", None)
both = lambda: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
try:
    rows(sys.argv[1] + "/two", both(), die)
except KeyboardInterrupt:
    pass
two = rows(sys.argv[1] + "/two", both())
print("result:", json.dumps([Devices(both()).count, one, two]))
"""


def test_two_devices(tmp_path: Path) -> None:
    """Two devices that share each batch train as one does, also when killed and begun again."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    count, one, two = json.loads(done.stdout.splitlines()[-1].removeprefix("result:"))
    assert count == 2
    assert two[1] == pytest.approx(one[1], abs=1e-5)
    for mine, other in zip(two[0], one[0], strict=True):
        assert mine == pytest.approx(other, abs=1e-5)


def test_one_device() -> None:
    """Without several GPUs nothing is distributed."""
    if gpus() > 1:
        pytest.skip("this machine has several GPUs")
    assert Devices().count == 1


def test_precision() -> None:
    """A precision holds within and not after; `auto` is 32 bits without a GPU."""
    with precision("mixed_float16") as name:
        assert name == "mixed_float16"
        assert keras.config.dtype_policy().name == "mixed_float16"
    assert keras.config.dtype_policy().name == "float32"
    with precision("auto") as name:
        assert name == ("mixed_bfloat16" if gpus() else "float32")
    with pytest.raises(UnknownNameError, match="unknown precision 'float8'"), precision("float8"):
        pass
