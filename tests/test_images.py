"""Rules of reading and writing pictures: any common file in, upright BGR out."""

from __future__ import annotations

import errno
import os
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pil
from PIL import ImageOps

from maskwatch.errors import OutputError, UnreadableImageError
from maskwatch.images import is_animated, read_animation, read_image, write_image
from maskwatch.types import Image

# A picture without any symmetry: four colours of different sizes. RGB.
RED, GREEN, BLUE, YELLOW = (230, 20, 20), (20, 200, 20), (20, 20, 230), (220, 220, 20)


def upright() -> NDArray[np.uint8]:
    """32 x 48, red at the top left, green top right, blue bottom left, yellow bottom right."""
    picture = np.empty((32, 48, 3), np.uint8)
    picture[:16, :16], picture[:16, 16:] = RED, GREEN
    picture[16:, :32], picture[16:, 32:] = BLUE, YELLOW
    return picture


def bgr(rgb: NDArray[np.uint8]) -> Image:
    return np.ascontiguousarray(rgb[:, :, ::-1])


def saved(path: Path, picture: Pil.Image, **options: object) -> Path:
    picture.save(path, **options)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tiff", "a.ppm", "a.PNG", "a.webp"])
def test_colours(tmp_path: Path, name: str) -> None:
    """A picture becomes (H, W, 3) uint8 in BGR order, contiguous and writable."""
    options = {"lossless": True} if name == "a.webp" else {}
    image = read_image(saved(tmp_path / name, Pil.fromarray(upright()), **options))
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image.flags.writeable
    assert (image == bgr(upright())).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, orientation: int) -> None:
    """A picture stored turned or mirrored, with the EXIF tag that says so, is read upright."""
    # How each stored form is made from the upright picture (EXIF 2.32, tag 0x0112).
    transposed = Pil.Transpose
    stored_by: dict[int, Pil.Transpose | None] = {
        1: None,
        2: transposed.FLIP_LEFT_RIGHT,
        3: transposed.ROTATE_180,
        4: transposed.FLIP_TOP_BOTTOM,
        5: transposed.TRANSPOSE,
        6: transposed.ROTATE_90,
        7: transposed.TRANSVERSE,
        8: transposed.ROTATE_270,
    }
    how = stored_by[orientation]
    picture = Pil.fromarray(upright())
    exif = Pil.Exif()
    exif[0x0112] = orientation
    stored = picture if how is None else picture.transpose(how)
    image = read_image(saved(tmp_path / "a.jpg", stored, exif=exif, quality=95, subsampling=0))
    assert image.shape == (32, 48, 3)
    assert np.abs(image.astype(int) - bgr(upright())).mean() < 3


def test_grey(tmp_path: Path) -> None:
    """Grey becomes three equal channels."""
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
    image = read_image(saved(tmp_path / "a.png", Pil.fromarray(grey)))
    assert (image == grey[:, :, None]).all()


def test_black_and_white(tmp_path: Path) -> None:
    """One bit becomes 0 and 255."""
    dots = np.eye(8, dtype=bool)
    image = read_image(saved(tmp_path / "a.png", Pil.fromarray(dots)))
    assert (image == dots[:, :, None] * 255).all()


def test_16_bit_png(tmp_path: Path) -> None:
    """16 bits are scaled to 8 by 257: black stays black, white white, and k * 257 becomes k."""
    deep = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    image = read_image(saved(tmp_path / "a.png", Pil.fromarray(deep)))
    assert (image == np.arange(256).reshape(16, 16)[:, :, None]).all()


def test_float_tiff(tmp_path: Path) -> None:
    """A picture of floats is scaled by its own maximum."""
    values = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)
    image = read_image(saved(tmp_path / "a.tiff", Pil.fromarray(values)))
    assert image.shape == (4, 4, 3)
    assert (image[0, 0].max(), image[3, 3].min()) == (0, 255)
    assert np.abs(image[:, :, 0] - values * 255).max() <= 1


def test_transparent_on_white(tmp_path: Path) -> None:
    """What is transparent shows white, half of it half, and what is not its colour."""
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 3] = 0, 128, 255
    image = read_image(saved(tmp_path / "a.png", Pil.fromarray(rgba)))
    assert image[0, 0].tolist() == [255] * 3
    assert image[0, 1].tolist() == pytest.approx([127] * 3, abs=1)
    assert image[0, 2].tolist() == [0] * 3


def palette_picture() -> Pil.Image:
    """Two pixels by palette: the first red, the second of the colour that is transparent."""
    picture = Pil.new("P", (2, 1))
    picture.putpalette([*RED, *BLUE])
    picture.putpixel((1, 0), 1)
    return picture


def test_palette_gif(tmp_path: Path) -> None:
    """Colours by palette are looked up."""
    image = read_image(saved(tmp_path / "a.gif", palette_picture()))
    assert image[0].tolist() == [list(RED[::-1]), list(BLUE[::-1])]


@pytest.mark.parametrize("name", ["a.gif", "a.png"])
def test_palette_with_transparency(tmp_path: Path, name: str) -> None:
    """The transparent entry of a palette shows white."""
    image = read_image(saved(tmp_path / name, palette_picture(), transparency=1))
    assert image[0].tolist() == [list(RED[::-1]), [255] * 3]


def test_cmyk_jpeg(tmp_path: Path) -> None:
    """A JPEG in printing colours is read in screen colours."""
    picture = Pil.fromarray(upright()).convert("CMYK")
    image = read_image(saved(tmp_path / "a.jpg", picture, quality=95))
    assert np.abs(image.astype(int) - bgr(upright())).mean() < 5


def animation(path: Path, durations_ms: list[int] | None) -> Path:
    shades = [Pil.new("RGB", (16, 8), (shade, 0, 0)) for shade in (10, 120, 240)]
    options = {} if durations_ms is None else {"duration": durations_ms}
    return saved(path, shades[0], save_all=True, append_images=shades[1:], **options)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_animation(tmp_path: Path, name: str) -> None:
    """An animation gives its frames in order, each at the sum of the durations before it."""
    frames = list(read_animation(animation(tmp_path / name, [200, 50, 100])))
    assert [time_s for _, time_s in frames] == pytest.approx([0, 0.2, 0.25])
    reds = [int(image[0, 0, 2]) for image, _ in frames]
    assert reds == pytest.approx([10, 120, 240], abs=6)
    assert {image.shape for image, _ in frames} == {(8, 16, 3)}


def test_animation_without_times(tmp_path: Path) -> None:
    """Frames that name no duration last 0.1 s each, as in browsers."""
    frames = list(read_animation(animation(tmp_path / "a.gif", None)))
    assert [time_s for _, time_s in frames] == pytest.approx([0, 0.1, 0.2])


def test_first_frame(tmp_path: Path) -> None:
    """Read as a picture, an animation is its first frame."""
    image = read_image(animation(tmp_path / "a.gif", [100] * 3))
    assert image[0, 0].tolist() == [0, 0, 10]


def test_still_as_animation(tmp_path: Path) -> None:
    """A still picture is an animation of one frame."""
    path = saved(tmp_path / "a.png", Pil.fromarray(upright()))
    ((image, time_s),) = read_animation(path)
    assert time_s == 0
    assert (image == bgr(upright())).all()


def test_is_animated(tmp_path: Path) -> None:
    """More than one frame is an animation; a still, a damaged and a missing file are none."""
    (tmp_path / "damaged.gif").write_bytes(b"GIF89a")
    assert is_animated(animation(tmp_path / "a.gif", [100] * 3))
    assert not is_animated(saved(tmp_path / "still.gif", palette_picture()))
    assert not is_animated(tmp_path / "damaged.gif")
    assert not is_animated(tmp_path / "missing.gif")


def noise() -> Pil.Image:
    """A picture that does not compress to a few bytes."""
    return Pil.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))


@pytest.mark.parametrize("share", [0.02, 0.5, 0.95], ids=lambda share: f"{share:.0%}")
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.gif", "a.bmp", "a.tiff"])
def test_truncated(tmp_path: Path, name: str, share: float) -> None:
    """A file cut off anywhere is refused by name; no half picture is given."""
    path = saved(tmp_path / name, noise())
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UnreadableImageError, match=rf"{name}: .*(damaged|not a picture)"):
        read_image(path)


def test_animation_cut_off(tmp_path: Path) -> None:
    """The frames before the damage are given, then the file is named."""
    noises = [noise(), ImageOps.mirror(noise()), ImageOps.flip(noise())]
    path = saved(tmp_path / "a.gif", noises[0], save_all=True, append_images=noises[1:])
    path.write_bytes(path.read_bytes()[:-2000])
    frames = read_animation(path)
    assert [time_s for _, time_s in (next(frames), next(frames))] == pytest.approx([0, 0.1])
    with pytest.raises(UnreadableImageError, match=r"a\.gif"):
        next(frames)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param(b"", "empty file", id="empty"),
        pytest.param(b"these are words\n" * 50, "not a picture", id="words"),
        pytest.param(b"\0" * 2000, "not a picture", id="zeros"),
    ],
)
def test_no_picture(tmp_path: Path, data: bytes, text: str) -> None:
    """A file that is no picture, whatever its name, is refused by name with the reason."""
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(UnreadableImageError, match=rf"a\.jpg: {text}"):
        read_image(tmp_path / "a.jpg")


def test_missing(tmp_path: Path) -> None:
    """A missing file is named with the system's reason."""
    with pytest.raises(UnreadableImageError, match=r"none\.jpg: No such file or directory\.$"):
        read_image(tmp_path / "none.jpg")


def test_folder(tmp_path: Path) -> None:
    """A folder is no picture."""
    with pytest.raises(UnreadableImageError, match="Is a directory"):
        read_image(tmp_path)


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A protected file is named with the system's reason."""
    path = saved(tmp_path / "a.png", noise())
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read everything

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

        monkeypatch.setattr("PIL.Image.open", refuse)
    with pytest.raises(UnreadableImageError, match=r"a\.png: Permission denied\.$"):
        read_image(path)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize(
    "read", [read_image, lambda path: list(read_animation(path))], ids=["picture", "animation"]
)
def test_bomb(tmp_path: Path, read: Callable[[Path], object]) -> None:
    """A header that promises 400 million pixels is refused at once, with size and limit."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0))
    body = png_chunk(b"IDAT", zlib.compress(b"\0" * 100)) + png_chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + body)
    started = time.perf_counter()
    with pytest.raises(UnreadableImageError, match=r"bomb\.png: 400 million .* 178 million"):
        read(tmp_path / "bomb.png")
    assert time.perf_counter() - started < 1


def test_just_under_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of just the limit is read, one pixel more is not."""
    path = saved(tmp_path / "a.png", Pil.fromarray(upright()))
    monkeypatch.setattr("maskwatch.images.MAX_PIXELS", 32 * 48)
    assert read_image(path).shape == (32, 48, 3)
    monkeypatch.setattr("maskwatch.images.MAX_PIXELS", 32 * 48 - 1)
    with pytest.raises(UnreadableImageError, match="48 x 32 pixels"):
        read_image(path)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.ppm", "a.PNG"])
def test_written_without_loss(tmp_path: Path, name: str) -> None:
    """What is written to a lossless format comes back as it was; folders are made."""
    path = tmp_path / "new" / "deeper" / name
    write_image(path, bgr(upright()))
    assert (read_image(path) == bgr(upright())).all()
    assert [entry.name for entry in path.parent.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.jpg", "a.jpeg", "a.JPG", "a.webp"])
def test_written_with_loss(tmp_path: Path, name: str) -> None:
    """What is written to a lossy format comes back nearly as it was."""
    smooth = cv2.GaussianBlur(bgr(upright()), (0, 0), 3)
    write_image(tmp_path / name, np.asarray(smooth, np.uint8))
    assert np.abs(read_image(tmp_path / name).astype(int) - smooth).mean() < 4


@pytest.mark.parametrize("name", ["a.xyz", "a", "a.mp4"])
def test_unknown_ending(tmp_path: Path, name: str) -> None:
    """A file whose ending names no picture format is refused, and nothing is made."""
    with pytest.raises(OutputError, match=f"{name}: no picture format"):
        write_image(tmp_path / "new" / name, bgr(upright()))
    assert list(tmp_path.iterdir()) == []


def test_too_large_for_its_format(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A picture that its format cannot hold (WebP: 16,383 px) is an error, not half a file."""
    with pytest.raises(OutputError, match=r"a\.webp"):
        write_image(tmp_path / "a.webp", np.zeros((2, 16_400, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up leaves the old file as it was and no part of the new one."""

    def half(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OutputError, match=r"a\.png: No space left on device\.$"):
        write_image(path, bgr(upright()))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize(
    "below",
    [
        pytest.param("file/a.png", id="file-as-folder"),
        pytest.param("file/deeper/a.png", id="folder-below-a-file"),
        pytest.param("a" * 300 + ".png", id="name-too-long"),
        pytest.param("folder.png", id="folder-of-that-name"),
    ],
)
def test_impossible_place(tmp_path: Path, below: str) -> None:
    """A place where no file can be is an error of ours that names it."""
    (tmp_path / "file").write_text("a file")
    (tmp_path / "folder.png").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError, match=f"cannot write .*{below[:20]}"):
        write_image(tmp_path / below, bgr(upright()))
    assert sorted(tmp_path.rglob("*")) == before
