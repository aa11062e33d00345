"""Fixtures of all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from portraits import PORTRAITS, Portrait


@pytest.fixture(autouse=True)
def no_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty MASKWATCH_HOME, so that no test sees or fills the models of who runs it."""
    folder = tmp_path_factory.mktemp("no-home", numbered=True)
    monkeypatch.setenv("MASKWATCH_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of other people's data and weights beside the repository."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "weights").is_dir():
        pytest.skip("../shared is not here")
    return folder


@pytest.fixture
def eager() -> Iterator[None]:
    """TensorFlow without graphs: for a few steps of a tiny network these take most of the time."""
    tensorflow = pytest.importorskip("tensorflow", reason="TensorFlow is not installed (train)")
    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)


@pytest.fixture
def hopper() -> Portrait:
    """Grace Hopper."""
    return PORTRAITS["hopper"]()


@pytest.fixture
def astronaut() -> Portrait:
    """Eileen Collins."""
    return PORTRAITS["astronaut"]()


@pytest.fixture(params=list(PORTRAITS))
def portrait(request: pytest.FixtureRequest) -> Portrait:
    """Each of the two real faces."""
    return PORTRAITS[request.param]()
