"""Rules of `maskwatch train`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("typer", reason="typer is not installed")

from maskwatch.cli import main
from maskwatch.cli.train import TrainProgress, _time, _varied
from maskwatch.images import write_image
from maskwatch.training.observer import Row
from maskwatch.training.recipes import RECIPES

Capsys = pytest.CaptureFixture[str]

SMALL = ("--weights", "none", "--size", "32", "--batch", "4", "--unfreeze", "all")
"""Quick: 32 px, all from random weights."""


def data(folder: Path, count: int = 8) -> Path:
    for state, shade in (("with_mask", 60), ("without_mask", 190)):
        for index in range(count):
            rng = np.random.default_rng([index, shade])
            pixels = shade + rng.integers(-40, 40, (24, 24, 3))
            write_image(folder / state / f"{index}.png", pixels.astype(np.uint8))
    return folder


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main(["train", *map(str, arguments)])
    return int(left.value.code or 0)


def test_list(capsys: Capsys) -> None:
    """--list prints every recipe with its summary and what it reproduces."""
    assert call("--list") == 0
    printed = capsys.readouterr().out
    for recipe in RECIPES.values():
        assert f"{recipe.name}: {recipe.summary}" in printed
        assert recipe.source.split(":")[0][:60] in " ".join(printed.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param([], "DATA is missing", id="nothing"),
        pytest.param(["in", "--out", "o"], "--recipe NAME is missing", id="recipe"),
        pytest.param(["in", "--recipe", "best"], "--out DIR is missing", id="out"),
        pytest.param(["in", "--recipe", "bst", "--out", "o"], "Did you mean 'best'", id="unknown"),
        pytest.param(
            ["in", "--recipe", "best", "--out", "o", "--optimizer", "sgd"],
            "unknown optimizer 'sgd'",
            id="optimizer",
        ),
        pytest.param(
            ["in", "--recipe", "best", "--out", "o", "--unfreeze", "some"],
            "neither none, all nor a number",
            id="unfreeze",
        ),
        pytest.param(
            ["in", "--recipe", "best", "--out", "o", "--rate", "0"], "must be above 0", id="rate"
        ),
    ],
)
def test_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys, arguments: Any, words: str
) -> None:
    """What cannot be done is refused with its reason, exit code 2, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    assert call(*arguments) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys) -> None:
    """Without the extra one line says what to install, exit code 2."""
    for name in [name for name in sys.modules if name.startswith("maskwatch.training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "keras", None)
    assert call(tmp_path, "--recipe", "best", "--out", tmp_path / "run") == 2
    assert capsys.readouterr().err == (
        "error: maskwatch train needs more packages: pip install 'maskwatch[train]'\n"
    )


def test_varied() -> None:
    """Options replace the recipe's choices, those not given stay; a first size keeps its share."""
    best = RECIPES["best"]
    varied = _varied(best, 64, epochs=3, optimizer=None, trainable=2)
    assert (varied.size_px, varied.first_size_px, varied.epochs) == (64, 48, 3)
    assert (varied.optimizer, varied.trainable) == ("adamw", 2)
    assert _varied(best, None) == best


def row(epoch: int) -> Row:
    return Row(epoch, 0.5, 0.75, 0.25, 0.875, 1e-4, 2.0)


def test_lines(capsys: Capsys) -> None:
    """Off a terminal there is a line every ten seconds, with the time left, and one an epoch."""
    now = [0.0]
    with TrainProgress(lambda: now[0]) as progress:
        progress.note("so many faces")
        progress.begin("training", 100, 40)
        for done in range(41, 61):
            now[0] += 1
            progress.step(done, 0.5, 0.75)
        progress.epoch(row(2), 5)
    assert capsys.readouterr().err.splitlines() == [
        "so many faces",
        "training: 50 of 100, loss 0.5000, accuracy 0.7500, 50 s left",
        "training: 60 of 100, loss 0.5000, accuracy 0.7500, 40 s left",
        "epoch 2/5: loss 0.5000, accuracy 0.7500; validation: loss 0.2500, accuracy 0.8750",
    ]


def test_bar(monkeypatch: pytest.MonkeyPatch, capsys: Capsys) -> None:
    """On a terminal a bar shows loss and accuracy, and an epoch leaves its line."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "140")
    with TrainProgress() as progress:
        progress.begin("reading pictures", 10, 0)
        progress.step(10)
        progress.begin("training", 100, 0)
        progress.step(50, 0.5, 0.75)
        progress._bar.refresh()
        progress.epoch(row(1), 5)
    shown = capsys.readouterr().err
    assert "loss 0.5000, accuracy 0.7500" in shown
    assert "50/100" in shown
    assert "epoch 1/5" in shown


@pytest.mark.parametrize(
    ("seconds", "text"), [(7.4, "7 s"), (99, "99 s"), (300, "5 min"), (9000, "2.5 h")]
)
def test_time(seconds: float, text: str) -> None:
    """Times left have one unit."""
    assert _time(seconds) == text


def tensorflow() -> None:
    pytest.importorskip("tensorflow", reason="tensorflow is not installed (extra train)")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra train)")


def test_trained(tmp_path: Path, capsys: Capsys) -> None:
    """A training ends with its validation accuracy and its place; again, it is kept as it is."""
    tensorflow()
    arguments = [data(tmp_path / "in"), "--recipe", "mobilenetv2", "--out", tmp_path / "run"]
    arguments += [*SMALL, "--epochs", "1"]
    assert call(*arguments) == 0
    first = capsys.readouterr()
    assert first.out.startswith("validation accuracy ")
    assert first.out.rstrip().endswith(f"written: {tmp_path / 'run'}")
    assert "training: 6 with_mask, 6 without_mask" in first.err
    stamp = (tmp_path / "run" / "model.keras").stat().st_mtime_ns
    assert call(*arguments) == 0
    assert (tmp_path / "run" / "model.keras").stat().st_mtime_ns == stamp
    other = [*arguments, "--seed", "1"]
    assert call(*other) == 2
    assert "Give --overwrite" in capsys.readouterr().err
    assert call(*other, "--overwrite") == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["seed"] == 1


def test_judged_in_another_process(tmp_path: Path) -> None:
    """A run can be judged by a process that has not trained it."""
    tensorflow()
    faces, out = data(tmp_path / "in"), tmp_path / "run"
    assert call(faces, "--recipe", "mobilenetv2", "--out", out, *SMALL, "--epochs", "1") == 0
    command = [sys.executable, "-m", "maskwatch", "evaluate", str(out), str(faces)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "on in: 16 faces" in done.stdout


def test_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys) -> None:
    """ImageNet weights that cannot be fetched are one line with the way out, exit code 1."""
    tensorflow()
    from maskwatch.training import backbones

    def offline(**options: object) -> None:
        raise Exception("URL fetch failure on https://x.invalid/w.h5: None -- no network")

    monkeypatch.setitem(backbones.BACKBONES, "MobileNetV2", offline)
    arguments = (data(tmp_path / "in"), "--recipe", "mobilenetv2", "--out", tmp_path / "run")
    assert call(*arguments) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: cannot download the ImageNet weights of MobileNetV2 from https")
    assert "--weights FILE" in line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopped_and_resumed(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM save and say so, exit code 1; after any of them, or a kill, it goes on."""
    tensorflow()
    command = [sys.executable, "-m", "maskwatch", "train", str(data(tmp_path / "in"))]
    command += ["--recipe", "mobilenetv2", "--out", str(tmp_path / "run"), "--epochs", "6", *SMALL]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch 2/"):
                process.send_signal(number)
                break
        rest = process.stderr.read()
        code = process.wait(60)
    if number is signal.SIGKILL:
        assert code == -signal.SIGKILL
    else:
        assert code == 1, rest
        assert "The same command goes on from there." in rest
    assert not (tmp_path / "run" / "model.keras").exists()
    again = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert again.returncode == 0, again.stderr
    epochs = [line.split(":")[0] for line in again.stderr.splitlines() if line.startswith("epoch")]
    assert epochs == [f"epoch {n}/6" for n in range(7 - len(epochs), 7)]
    assert 0 < len(epochs) <= 4
    assert json.loads((tmp_path / "run" / "run.json").read_text())["finished"] is True
