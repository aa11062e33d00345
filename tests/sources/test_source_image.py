from __future__ import annotations

from pathlib import Path, PurePath

import pytest
from PIL import Image as Pil
from source_helpers import picture

from maskwatch.errors import UnreadableImageError
from maskwatch.images import write_image
from maskwatch.sources.image import ImageSource


def animation(path: Path) -> Path:
    pictures = [Pil.new("RGB", (20, 10), (shade, 0, 0)) for shade in (0, 120, 240)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=[200, 300, 100])
    return path


def test_picture(tmp_path: Path) -> None:
    """A picture is one frame at time 0."""
    write_image(tmp_path / "a.png", picture(9))
    source = ImageSource(tmp_path / "a.png", PurePath("a.png"))
    (frame,) = source.frames()
    assert (source.kind, source.live, source.frame_count, source.rate) == ("image", False, 1, None)
    assert (frame.index, frame.time_s, frame.source) == (0, 0.0, str(tmp_path / "a.png"))
    assert (frame.image == 9).all()


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_animation(tmp_path: Path, name: str) -> None:
    """An animation is a short video with the times it names."""
    source = ImageSource(animation(tmp_path / name), PurePath(name))
    frames = list(source.frames())
    assert source.kind == "video"
    assert source.frame_count is None
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.2, 0.5])


def test_kind_of_a_photo(tmp_path: Path) -> None:
    """A photo's kind is known without opening it."""
    assert ImageSource(tmp_path / "not-there.jpg", PurePath("x")).kind == "image"


def test_stop(tmp_path: Path) -> None:
    """After stop() an animation gives no more frames."""
    source = ImageSource(animation(tmp_path / "a.gif"), PurePath("a.gif"))
    frames = source.frames()
    next(frames)
    source.stop()
    assert list(frames) == []
    assert list(source.frames()) == []


def test_unreadable(tmp_path: Path) -> None:
    """A file that is no picture fails when its frames are asked for, not before."""
    (tmp_path / "a.gif").write_text("words")
    source = ImageSource(tmp_path / "a.gif", PurePath("a.gif"))
    assert source.kind == "image"
    with pytest.raises(UnreadableImageError, match=r"a\.gif"):
        list(source.frames())
