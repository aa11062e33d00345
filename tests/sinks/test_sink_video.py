"""Rules of the video writer: what players get, and what is left when something fails."""

from __future__ import annotations

import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from maskwatch.errors import OutputError
from maskwatch.sinks.video import VideoWriter
from maskwatch.types import Image
from run_helpers import PATIENCE_S, grey, read_video

KINDS = pytest.mark.parametrize("survives_kill", [False, True], ids=["file", "live"])


def shades(count: int, width: int = 64, height: int = 48) -> list[Image]:
    return [grey(8 * index, width, height) for index in range(count)]


def write(path: Path, images: list[Image], times_s: list[float], **options: bool) -> Path:
    writer = VideoWriter(path, Fraction(10), **options)
    for image, time_s in zip(images, times_s, strict=True):
        writer.write(image, time_s)
    writer.close()
    return path


@KINDS
def test_what_players_get(tmp_path: Path, survives_kill: bool) -> None:
    """H.264 in yuv420p with the size, rate, times and pictures that were given."""
    times_s = [index / 10 for index in range(20)]
    video = read_video(
        write(tmp_path / "new" / "a.mp4", shades(20), times_s, survives_kill=survives_kill)
    )
    assert (video.codec, video.pixels) == ("h264", "yuv420p")
    assert (video.width, video.height) == (64, 48)
    assert video.rate == pytest.approx(10, rel=0.06)
    assert video.times_s == pytest.approx(times_s, abs=1e-3)
    for index, image in enumerate(video.images):
        assert image.mean() == pytest.approx(8 * index, abs=4)


@pytest.mark.parametrize(
    "colour", [(220, 40, 40), (40, 220, 40), (40, 40, 220), (255, 255, 255), (0, 0, 0)], ids=str
)
@pytest.mark.parametrize("size", [(64, 48), (1280, 720)], ids=["small", "large"])
def test_colours_are_kept(
    tmp_path: Path, colour: tuple[int, int, int], size: tuple[int, int]
) -> None:
    """Colours come back as they were, in small pictures and in large ones."""
    picture = np.full((size[1], size[0], 3), colour, np.uint8)
    (image,) = read_video(write(tmp_path / "a.mp4", [picture], [0.0])).images
    assert image[8:-8, 8:-8].reshape(-1, 3).mean(axis=0) == pytest.approx(colour, abs=5)


def test_changing_rate_is_kept(tmp_path: Path) -> None:
    """Frames come back at the times that they had, however uneven."""
    times_s = [0.0, 0.04, 0.5, 0.52, 2.25]
    assert read_video(write(tmp_path / "a.mp4", shades(5), times_s)).times_s == pytest.approx(
        times_s, abs=1e-3
    )


def test_times_that_do_not_rise(tmp_path: Path) -> None:
    """A time that is not later than the one before loses no frame and breaks no file."""
    times_s = read_video(write(tmp_path / "a.mp4", shades(4), [0.0, 0.1, 0.1, 0.05])).times_s
    assert len(times_s) == 4
    assert times_s == sorted(set(times_s))


@pytest.mark.parametrize(
    ("size", "expected"),
    [((63, 47), (64, 48)), ((64, 47), (64, 48)), ((63, 48), (64, 48)), ((1, 1), (2, 2))],
    ids=["both-odd", "odd-height", "odd-width", "one-pixel"],
)
def test_odd_sizes(tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]) -> None:
    """An odd side grows by one pixel, which looks like its neighbour."""
    video = read_video(write(tmp_path / "a.mp4", [grey(200, *size)] * 3, [0, 0.1, 0.2]))
    assert (video.width, video.height) == expected
    assert video.images[0][-1, -1].mean() == pytest.approx(200, abs=4)


@pytest.mark.parametrize(
    ("later", "inside"),
    [((128, 96), (64, 48)), ((32, 24), (64, 48)), ((64, 96), (32, 48)), ((640, 2), (64, 1))],
    ids=["larger", "smaller", "taller", "a-line"],
)
def test_changing_sizes(tmp_path: Path, later: tuple[int, int], inside: tuple[int, int]) -> None:
    """A frame of another size is fitted whole into the first one's, on black."""
    video = read_video(
        write(tmp_path / "a.mp4", [grey(100), grey(200, *later), grey(100)], [0, 0.1, 0.2])
    )
    width, height = inside
    assert [image.shape for image in video.images] == [(48, 64, 3)] * 3
    middle = video.images[1].astype(int)
    if height > 8:  # the encoder smears a thinner strip
        assert middle[: height - 4, : width - 4].mean() == pytest.approx(200, abs=6)
    if width < 64:
        assert middle[:, width + 4 :].mean() == pytest.approx(0, abs=6)
    assert video.images[2].mean() == pytest.approx(100, abs=6)


def test_survives_kill(tmp_path: Path) -> None:
    """What a live file holds at any moment can be played, but for the newest two seconds."""
    rng = np.random.default_rng(0)
    path = tmp_path / "a.mp4"
    writer = VideoWriter(path, Fraction(10), survives_kill=True)
    for index in range(100):
        writer.write(rng.integers(0, 255, (48, 64, 3), np.uint8), index / 10)
        if index in (30, 99):
            copy = tmp_path / "copy.mp4"
            shutil.copy(path, copy)
            held = read_video(copy).times_s
            assert held == pytest.approx([number / 10 for number in range(len(held))], abs=1e-3)
            assert index - 20 <= len(held) <= index + 1
    writer.close()
    assert len(read_video(path).times_s) == 100


def test_no_frames(tmp_path: Path) -> None:
    """A writer that got no frame can be closed."""
    VideoWriter(tmp_path / "a.mp4", None).close()


def test_closing_twice(tmp_path: Path) -> None:
    """Closing again does nothing."""
    writer = VideoWriter(tmp_path / "a.mp4", None)
    writer.write(grey(), 0.0)
    writer.close()
    writer.close()
    assert len(read_video(tmp_path / "a.mp4").images) == 1


def test_place_that_cannot_be_written(tmp_path: Path) -> None:
    """A place below a file is an error that names it."""
    (tmp_path / "file").write_bytes(b"")
    path = tmp_path / "file" / "a.mp4"
    with pytest.raises(OutputError, match=f"^cannot write {path}: [A-Z][a-z ]+\\.$"):
        VideoWriter(path, None)


def test_target_is_a_folder(tmp_path: Path) -> None:
    """A folder in the place of the file is an error at the latest when it is closed."""
    path = tmp_path / "a.mp4"
    path.mkdir()
    writer = VideoWriter(path, None)
    writer.write(grey(), 0.0)
    with pytest.raises(OutputError, match=f"^cannot write {path}: Is a directory.$"):
        writer.close()


# A crash of FFmpeg would take the tests with it.
FULL_DISK = """
import sys
import numpy as np
from pathlib import Path
from maskwatch.errors import OutputError
from maskwatch.sinks.video import VideoWriter

rng = np.random.default_rng(0)
writer = VideoWriter(Path(sys.argv[1]), None, survives_kill=sys.argv[2] == "True")
for call in (
    lambda: [writer.write(rng.integers(0, 255, (480, 640, 3), np.uint8), i / 10) for i in range(9)],
    lambda: writer.write(np.zeros((480, 640, 3), np.uint8), 5.0),
    writer.close,
    writer.close,
):
    try:
        call()
        print("fine")
    except OutputError as error:
        print(error)
del writer
print("end")
"""


@KINDS
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk(tmp_path: Path, survives_kill: bool) -> None:
    """A full disk is an error that says so, and neither more frames nor closing crash."""
    path = tmp_path / "a.mp4"
    path.symlink_to("/dev/full")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), str(survives_kill)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert lines[0] == f"cannot write {path}: No space left on device."
    assert lines[-1] == "end"
    assert set(lines[1:-1]) <= {lines[0], "fine"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_disk_full_at_the_end(tmp_path: Path) -> None:
    """Where the end cannot be written, closing says so."""
    path = tmp_path / "a.mp4"
    path.symlink_to("/dev/full")
    writer = VideoWriter(path, None)
    # The encoder holds back the only frame, and the file is opened for it when it comes out.
    writer.write(grey(), 0.0)
    with pytest.raises(OutputError, match=f"^cannot write {path}: No space left on device.$"):
        writer.close()
