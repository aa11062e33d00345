"""Rules of finding copies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_sets import drawn

from maskwatch.datasets.duplicates import (
    MIN_SIMILARITY,
    Fingerprints,
    Pair,
    find_pairs,
    fingerprint,
    fingerprint_files,
    group,
)
from maskwatch.images import write_image
from maskwatch.types import Image
from portraits import Portrait


def pairs_of(folder: Path, *images: Image) -> list[Pair]:
    """The pairs among pictures."""
    paths = [folder / f"{index}.png" for index in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        write_image(path, image)
    prints, kept, unread = fingerprint_files(paths)
    assert kept == list(range(len(images)))
    assert not unread
    return find_pairs(prints)


def cut(portrait: Portrait, margin: float = 0.15) -> Image:
    """The face, square-ish and tight, as in sets of crops."""
    x0, y0, x1, y1 = portrait.box[0]
    wide, high = (x1 - x0) * margin, (y1 - y0) * margin
    rows = slice(max(0, int(y0 - high)), int(y1 + high))
    columns = slice(max(0, int(x0 - wide)), int(x1 + wide))
    return np.ascontiguousarray(portrait.image[rows, columns])


def shrunk(image: Image) -> Image:
    return np.asarray(cv2.resize(image, (48, 48), interpolation=cv2.INTER_AREA), np.uint8)


def jpeg(image: Image) -> Image:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def brighter(image: Image) -> Image:
    return np.asarray(np.clip(image.astype(np.float32) * 1.15 + 12, 0, 255), np.uint8)


def trimmed(image: Image) -> Image:
    """Without a twentieth on every side."""
    high, wide = image.shape[0] // 20, image.shape[1] // 20
    return np.ascontiguousarray(image[high:-high, wide:-wide])


@pytest.mark.parametrize("damage", [shrunk, jpeg, brighter, trimmed], ids=lambda f: f.__name__)
def test_copies(tmp_path: Path, portrait: Portrait, damage: Callable[[Image], Image]) -> None:
    """A copy that was rescaled, compressed, brightened or cut anew is found."""
    face = cut(portrait)
    (pair,) = pairs_of(tmp_path, face, drawn(1), damage(face))
    assert (pair.first, pair.second, pair.exact) == (0, 2, False)
    assert pair.similarity >= MIN_SIMILARITY


def test_exact(tmp_path: Path) -> None:
    """Equal files are exact copies."""
    assert pairs_of(tmp_path, drawn(1), drawn(1), drawn(2)) == [Pair(0, 1, 1.0, True)]


def test_different_faces(tmp_path: Path, hopper: Portrait, astronaut: Portrait) -> None:
    """Two people are no copies, however alike their crops are."""
    assert pairs_of(tmp_path, cut(hopper), cut(astronaut)) == []


def test_blank(tmp_path: Path) -> None:
    """A blank picture is a copy of nothing but an equal file."""
    grey = [np.full((40, 40, 3), value, np.uint8) for value in (90, 200, 90)]
    assert pairs_of(tmp_path, *grey) == [Pair(0, 2, 1.0, True)]


def test_drawn_pictures(tmp_path: Path) -> None:
    """Pictures that have nothing to do with each other are no copies."""
    assert pairs_of(tmp_path, *(drawn(seed) for seed in range(60))) == []


def test_unreadable(tmp_path: Path) -> None:
    """A file that is no picture is named and left out."""
    write_image(tmp_path / "b.png", drawn(1))
    (tmp_path / "a.png").write_bytes(b"no picture")
    prints, kept, unread = fingerprint_files([tmp_path / "a.png", tmp_path / "b.png"])
    assert (len(prints), kept) == (1, [1])
    assert "a.png" in unread[0]


def test_nothing() -> None:
    """No pictures have no copies."""
    prints, _, _ = fingerprint_files([])
    assert find_pairs(prints) == []


@pytest.mark.parametrize("seed", range(5))
def test_groups(seed: int) -> None:
    """Pictures have the same number exactly where a chain of pairs joins them."""
    rng = np.random.default_rng(seed)
    pairs = [(int(a), int(b)) for a, b in rng.integers(0, 30, (18, 2)) if a != b]
    reach = np.eye(30, dtype=bool)
    for a, b in pairs:
        reach[a, b] = reach[b, a] = True
    for _ in range(5):
        reach = reach @ reach
    numbers = group(30, pairs)
    assert np.array_equal(numbers[:, None] == numbers[None], reach)


def test_shared_copies(shared: Path) -> None:
    """Among real crops, every copy made of one is found and pairs it with its original."""
    folder = shared / "data" / "classification" / "crops12k" / "test" / "without_mask"
    paths = sorted(folder.iterdir())[:150]
    prints, _, _ = fingerprint_files(paths)
    copies = [jpeg(shrunk_half(cv2.imread(str(path)))) for path in paths[:20]]
    made = [fingerprint(image) for image in copies]
    both = Fingerprints(
        np.concatenate([prints.signs, np.stack([sign for sign, _ in made])]),
        np.concatenate([prints.thumbs, np.stack([thumb for _, thumb in made])]),
        (*prints.digests, *(f"copy {index}" for index in range(len(made)))),
        np.concatenate([prints.sizes_hw, np.ones((len(made), 2), np.int64)]),
    )
    found = {(pair.first, pair.second) for pair in find_pairs(both)}
    assert {(index, len(paths) + index) for index in range(len(made))} <= found
    assert len(found) <= len(made) + 6


def shrunk_half(image: object) -> Image:
    """Half the size."""
    half = cv2.resize(np.asarray(image, np.uint8), None, fx=0.5, fy=0.5)
    return np.asarray(half, np.uint8)
