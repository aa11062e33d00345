from __future__ import annotations

import gc
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path, PurePath
from typing import Any

import av
import cv2
import numpy as np
import pytest
from source_helpers import corner_picture, noise, picture, shades, write_video

from maskwatch.errors import UnreadableVideoError
from maskwatch.sources import open_sources
from maskwatch.sources.video import VideoSource
from maskwatch.types import Frame

ONE = 0x10000  # 1.0 in the fixed point of an MP4 matrix
FAST_START = {"movflags": "faststart"}


def source_of(path: Path) -> VideoSource:
    return VideoSource.of_file(path, PurePath(path.name))


def read(path: Path) -> tuple[list[Frame], str]:
    """All frames of a file and the text of the error after them."""
    frames: list[Frame] = []
    try:
        for frame in source_of(path).frames():
            frames.append(frame)
    except UnreadableVideoError as exc:
        return frames, str(exc)
    return frames, ""


@pytest.fixture(autouse=True)
def silence(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """FFmpeg writes nothing to the terminal, whatever the file."""
    yield
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov"])
def test_video(tmp_path: Path, name: str) -> None:
    """All frames come in order, as BGR, with index and time."""
    frames, error = read(write_video(tmp_path / name, shades(12)))
    assert error == ""
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.time_s for frame in frames] == pytest.approx([i / 10 for i in range(12)])
    levels = [float(frame.image.mean()) for frame in frames]
    assert levels == pytest.approx([5 * i for i in range(12)], abs=4)
    assert frames[0].image.shape == (32, 64, 3)
    assert frames[0].image.flags.c_contiguous
    assert frames[0].source == str(tmp_path / name)


def test_colour_order(tmp_path: Path) -> None:
    """Channels are blue, green, red."""
    blue = picture(0)
    blue[:, :, 0] = 255
    frames, _ = read(write_video(tmp_path / "a.mp4", [blue]))
    assert frames[0].image[16, 32].tolist() == pytest.approx([255, 0, 0], abs=8)


def test_facts(tmp_path: Path) -> None:
    """Number of frames and rate are known before reading."""
    source = source_of(write_video(tmp_path / "a.mp4", shades(12)))
    assert (source.frame_count, source.rate, source.kind) == (12, Fraction(10), "video")
    assert not source.live


def test_facts_of_h264_in_avi(tmp_path: Path) -> None:
    """The rate of H.264 in AVI is that of its frames, though the file counts fields."""
    source = source_of(write_video(tmp_path / "a.avi", shades(12)))
    assert source.rate == 10


def test_facts_of_a_bad_file(tmp_path: Path) -> None:
    """Asking for what only the file can tell fails as reading it does."""
    (tmp_path / "a.mp4").write_text("words")
    with pytest.raises(UnreadableVideoError, match="cannot read video"):
        _ = source_of(tmp_path / "a.mp4").frame_count


def test_variable_rate(tmp_path: Path) -> None:
    """Times are those of the file, also where the frames are not evenly spaced."""
    times_ms = [0, 40, 80, 500, 540, 2000]
    frames, error = read(write_video(tmp_path / "a.mp4", shades(6), times_ms=times_ms))
    assert error == ""
    assert [frame.time_s for frame in frames] == pytest.approx([t / 1000 for t in times_ms])


def test_padded_rows(tmp_path: Path) -> None:
    """A width that FFmpeg pads comes out unpadded."""
    frames, _ = read(write_video(tmp_path / "a.mp4", [picture(90, width=34, height=18)]))
    assert frames[0].image.shape == (18, 34, 3)
    assert frames[0].image.flags.c_contiguous
    assert np.ptp(frames[0].image) <= 4


@pytest.mark.parametrize(
    ("matrix", "quarters"),
    [
        pytest.param((ONE, 0, 0, ONE), 0, id="upright"),
        pytest.param((0, ONE, -ONE, 0), 3, id="clockwise"),
        pytest.param((-ONE, 0, 0, -ONE), 2, id="upside-down"),
        pytest.param((0, -ONE, ONE, 0), 1, id="counterclockwise"),
    ],
)
def test_rotation(tmp_path: Path, matrix: tuple[int, int, int, int], quarters: int) -> None:
    """A video is turned as the matrix in its track header says, as a phone's is."""
    path = write_video(tmp_path / "a.mp4", [corner_picture()])
    data = bytearray(path.read_bytes())
    # ISO/IEC 14496-12, 8.3.2: the matrix follows 40 bytes after the start of a version 0 header.
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = matrix
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 0x40000000)
    path.write_bytes(data)
    (frame,), _ = read(path)
    expected = np.rot90(corner_picture(), quarters)
    assert frame.image.shape == expected.shape
    assert np.abs(frame.image.astype(int) - expected).mean() < 8


def test_without_index(tmp_path: Path) -> None:
    """An MP4 that was cut off before its index cannot be read, in one line."""
    path = write_video(tmp_path / "a.mp4", noise(20))
    path.write_bytes(path.read_bytes()[:-3000])
    frames, error = read(path)
    assert frames == []
    assert error.startswith(f"cannot read video {path}: not a video, or damaged or cut short.")
    assert "\n" not in error


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_cut_in_the_middle(tmp_path: Path, name: str) -> None:
    """A video cut in its data gives the frames before the cut, then an error with their number."""
    options = FAST_START if name == "a.mp4" else {}
    path = write_video(tmp_path / name, noise(40), options=options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames, error = read(path)
    assert 10 < len(frames) < 30
    assert f"video {path} is cut short: {len(frames)} frames were read" in error


def test_half_a_picture(tmp_path: Path) -> None:
    """The picture that a cut goes through is not given."""
    path = write_video(tmp_path / "a.avi", noise(20), codec="mjpeg")
    wanted, _ = read(path)
    whole = path.read_bytes()
    for length in range(len(whole) // 2, len(whole) // 2 + 3000, 300):
        path.write_bytes(whole[:length])
        frames, _ = read(path)
        assert frames
        for frame, same in zip(frames, wanted, strict=False):
            assert np.array_equal(frame.image, same.image)


def test_recording_of_a_running_stream(tmp_path: Path) -> None:
    """What does not decode before the first picture is no damage: its key frame is missing."""
    path = write_video(tmp_path / "a.mp4", noise(40), options=FAST_START)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    data[start : start + 12_000] = bytes(12_000)
    path.write_bytes(data)
    frames, error = read(path)
    assert 10 < len(frames) < 40
    assert error == ""


def test_damaged_inside(tmp_path: Path) -> None:
    """Frames on both sides of a damage are given, and the damage is told at the end."""
    path = write_video(tmp_path / "a.mp4", noise(40), options=FAST_START)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 6000] = bytes(6000)
    path.write_bytes(data)
    frames, error = read(path)
    assert 20 < len(frames) < 40
    assert frames[-1].time_s > 3.5
    assert "is damaged" in error


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(b"", "empty file", id="empty"),
        pytest.param(b"words and words\n" * 99, "not a video", id="text"),
        pytest.param(bytes(5000), "not a video", id="zeros"),
        pytest.param(b"\xff\xd8\xff\xe0" + bytes(99), "not a video|no|none", id="broken-picture"),
    ],
)
def test_not_a_video(tmp_path: Path, content: bytes, why: str) -> None:
    """What is no video is refused in one line that names the file."""
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(UnreadableVideoError, match=rf"^cannot read video .*a\.mp4: .*({why})"):
        list(source_of(path).frames())


def silent_frame() -> av.AudioFrame:
    sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
    sound.sample_rate = 8000
    return sound


def test_sound_only(tmp_path: Path) -> None:
    """A file with sound and no pictures is refused and says so."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        container.mux(stream.encode(silent_frame()))
        container.mux(stream.encode(None))
    assert "it holds sound but no pictures" in read(path)[1]


def test_song_with_a_cover(tmp_path: Path) -> None:
    """The cover picture of a song does not make it a video."""
    path = tmp_path / "a.mp4"
    cover = av.Packet(cv2.imencode(".png", picture(255))[1].tobytes())
    with av.open(str(path), "w") as container:
        sound: Any = container.add_stream("aac", rate=8000)
        attached: Any = container.add_stream("png", rate=1)
        attached.width, attached.height, attached.pix_fmt = 64, 32, "rgb24"
        attached.disposition = av.stream.Disposition.attached_pic.value
        container.mux(sound.encode(silent_frame()))
        cover.stream, cover.pts, cover.dts = attached, 0, 0
        container.mux(cover)
        container.mux(sound.encode(None))
    assert "it holds sound but no pictures" in read(path)[1]


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be read says so."""
    path = write_video(tmp_path / "a.mp4", shades(2))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "no", str(path))

    monkeypatch.setattr("pathlib.Path.open", refuse)
    assert read(path)[1] == f"cannot read video {path}: Permission denied."


def test_gone(tmp_path: Path) -> None:
    """A file that went away after it was listed says so."""
    path = write_video(tmp_path / "a.mp4", shades(2))
    (source,) = open_sources(str(path))
    path.unlink()
    with pytest.raises(UnreadableVideoError, match="No such file"):
        next(source.frames())


def test_name_like_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose name FFmpeg would take for a protocol or a number pattern is just a file."""
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a.mp4", "a%03d.mp4", "http:x.mp4"):
        write_video(tmp_path / "plain.mp4", shades(2)).rename(tmp_path / name)
        (source,) = open_sources(name)
        assert len(list(source.frames())) == 2


def test_stop(tmp_path: Path) -> None:
    """After stop() no more frames come."""
    source = source_of(write_video(tmp_path / "a.mp4", shades(12)))
    frames = source.frames()
    next(frames)
    source.stop()
    assert list(frames) == []
    assert list(source.frames()) == []


def test_close_releases_the_file(tmp_path: Path) -> None:
    """Closing the generator closes the file."""
    held = Path("/proc/self/fd")
    if not held.is_dir():
        pytest.skip("needs /proc")
    path = write_video(tmp_path / "a.mp4", shades(12))

    def is_open() -> bool:
        return any(fd.exists() and fd.resolve() == path for fd in held.iterdir())

    frames = source_of(path).frames()
    next(frames)
    assert is_open()
    frames.close()
    gc.collect()
    assert not is_open()
