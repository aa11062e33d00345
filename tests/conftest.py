"""Fixtures of all tests."""

from __future__ import annotations

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
