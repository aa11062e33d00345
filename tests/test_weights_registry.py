"""The registry: facts that hold for every entry."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from maskwatch import weights


@pytest.mark.parametrize("name", weights.MODELS)
def test_entry_is_complete(name: str) -> None:
    """Every model says its name, licence, origin, purpose and loader, and has files."""
    model = weights.MODELS[name]
    assert model.name == name
    assert model.files
    assert all((model.kind, model.purpose, model.licence, model.origin, model.loader))
    assert model.bytes == sum(file.content.bytes for file in model.files)


@pytest.mark.parametrize("name", weights.MODELS)
def test_files_can_be_fetched_and_verified(name: str) -> None:
    """Every file has full hashes and sizes, and an https address that ends in its name.

    Where it is made here, that is the address of the package and its version.
    """
    model = weights.MODELS[name]
    end = f"/{model.extra}/1.0.0/" if model.extra else None
    for file in model.files:
        address = urlsplit(file.url)
        assert address.scheme == "https"
        assert address.path.endswith(end or f"/{file.name}")
        for content in file.accepted:
            assert re.fullmatch("[0-9a-f]{64}", content.sha256)
            assert content.bytes > 0


def test_hashes_are_distinct() -> None:
    """No two files share a hash: a file brought by the user is told by it."""
    hashes = [
        content.sha256
        for model in weights.MODELS.values()
        for file in model.files
        for content in file.accepted
    ]
    assert len(hashes) == len(set(hashes))


def test_yunet_is_not_the_lfs_pointer() -> None:
    """YuNet's address is one that follows Git LFS; the raw host serves its 131-byte pointer."""
    (file,) = weights.MODELS["yunet"].files
    assert urlsplit(file.url).hostname != "raw.githubusercontent.com"
