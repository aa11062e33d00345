"""Rules of annotated copies: what they are called, what they are, what is never replaced."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path, PurePath

import numpy as np
import pytest

from maskwatch.draw import draw
from maskwatch.errors import (
    OutputError,
    OutputExistsError,
    SourceError,
    UnreadableVideoError,
    UsageError,
)
from maskwatch.images import part_of, read_image
from maskwatch.run import run
from maskwatch.sinks.annotated import AnnotatedSink
from maskwatch.sources.base import Kind
from maskwatch.types import Frame, Image
from run_helpers import FakeSource, fake_pipeline, grey, read_video, result_of

FACE = [(10.0, 20.0, 40.0, 44.0)]


def source(
    name: str,
    kind: Kind = "image",
    *,
    relative: str | None = None,
    pictures: Sequence[Image | Exception] = (),
    rate: Fraction | None = None,
) -> FakeSource:
    made = FakeSource(name, pictures or [grey(90)], kind, rate=rate)
    made.relative = PurePath(relative or name)
    return made


def outputs(folder: Path) -> list[str]:
    """All files in a folder, as paths below it."""
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def run_into(folder: Path, *sources: FakeSource, overwrite: bool = False) -> list[str]:
    """Run the sources into a folder and list it."""
    run(sources, fake_pipeline(), [AnnotatedSink(folder, overwrite=overwrite)])
    return outputs(folder)


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("a.jpg", "image", "a.jpg"),
        ("a.JPEG", "image", "a.JPEG"),
        ("a.png", "image", "a.png"),
        ("a.webp", "image", "a.webp"),
        ("a.tif", "image", "a.tif"),
        ("a.gif", "image", "a.gif.png"),
        ("a.ppm", "image", "a.ppm.png"),
        ("a", "image", "a.png"),
        ("a.gif", "video", "a.gif.mp4"),
        ("a.png", "video", "a.png.mp4"),
        ("a.mp4", "video", "a.mp4"),
        ("a.MP4", "video", "a.MP4"),
        ("a.avi", "video", "a.avi.mp4"),
        ("camera-0", "live", "camera-0.mp4"),
        ("10.0.0.7-stream", "live", "10.0.0.7-stream.mp4"),
    ],
)
def test_names(tmp_path: Path, name: str, kind: Kind, expected: str) -> None:
    """A name keeps its ending where its format is written, and gets one behind it elsewhere."""
    out = tmp_path / "out"
    assert run_into(out, source(name, kind)) == [expected]
    if kind == "image":
        assert read_image(out / expected).shape == (48, 64, 3)
    else:
        assert read_video(out / expected).codec == "h264"


def test_folders_are_kept(tmp_path: Path) -> None:
    """Copies lie in the folders that their sources have below what was given."""
    names = ["a.jpg", "x/a.jpg", "x/y/b.mp4"]
    made = [source(name, "video" if name.endswith("mp4") else "image") for name in names]
    assert run_into(tmp_path / "out", *made) == names


def test_names_that_meet_are_numbered(tmp_path: Path) -> None:
    """Sources whose copies would have one name get numbers; none is lost."""
    made = [
        source("1/a.jpg", relative="a.jpg", pictures=[grey(10)]),
        source("2/a.jpg", relative="a.jpg", pictures=[grey(120)]),
        source("3/a-2.jpg", relative="a-2.jpg", pictures=[grey(240)]),
        source("4/a.avi", "video", relative="a.avi"),
        source("5/a.avi.mp4", "video", relative="a.avi.mp4"),
    ]
    out = tmp_path / "out"
    assert run_into(out, *made) == [
        *("a-2-2.jpg", "a-2.jpg", "a.avi-2.mp4", "a.avi.mp4", "a.jpg"),
    ]
    means = [read_image(out / name).mean() for name in ("a.jpg", "a-2.jpg", "a-2-2.jpg")]
    assert means == pytest.approx([10, 120, 240], abs=2)


def test_the_same_source_twice(tmp_path: Path) -> None:
    """A source given twice is written twice."""
    assert run_into(tmp_path / "out", source("a.png"), source("a.png")) == ["a-2.png", "a.png"]


@pytest.mark.parametrize("kind", ["image", "video", "live"])
def test_existing_output_is_refused(tmp_path: Path, kind: Kind) -> None:
    """An output that is there is refused before any work and stays as it is."""
    made = source("a.mp4" if kind != "image" else "a.jpg", kind)
    target = tmp_path / made.relative
    target.write_bytes(b"precious")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        run_into(tmp_path, source("first.jpg"), made)
    assert target.read_bytes() == b"precious"
    assert outputs(tmp_path) == [made.name]


@pytest.mark.parametrize("kind", ["image", "video", "live"])
def test_overwrite(tmp_path: Path, kind: Kind) -> None:
    """With overwriting it is replaced."""
    made = source("a.mp4" if kind != "image" else "a.jpg", kind)
    target = tmp_path / made.relative
    target.write_bytes(b"old")
    run_into(tmp_path, made, overwrite=True)
    assert target.stat().st_size > 100


@pytest.mark.parametrize("whose", ["its-own", "another-ones"])
def test_a_source_is_never_replaced(tmp_path: Path, whose: str) -> None:
    """Also with overwriting, an output that is a source is refused before any work."""
    target = tmp_path / "a.jpg"
    target.write_bytes(b"pixels")
    owner = source(str(target), relative="a.jpg" if whose == "its-own" else "x/a.jpg")
    with pytest.raises(UsageError, match="would replace a source"):
        run_into(tmp_path, owner, source("elsewhere/a.jpg", relative="a.jpg"), overwrite=True)
    assert outputs(tmp_path) == ["a.jpg"]
    assert target.read_bytes() == b"pixels"


def test_a_link_to_a_source_is_that_source(tmp_path: Path) -> None:
    """Another name of a source's file is refused too."""
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"pixels")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "photo.jpg").symlink_to(photo)
    with pytest.raises(UsageError, match="would replace a source"):
        run_into(tmp_path / "out", source(str(photo), relative="photo.jpg"), overwrite=True)


@pytest.mark.parametrize("place", ["a-file", "below-a-file"])
def test_folder_that_cannot_be_made(tmp_path: Path, place: str) -> None:
    """A file in the place of the folder is an error that names it, before any source is opened."""
    (tmp_path / "file").write_bytes(b"")
    folder = tmp_path / "file" if place == "a-file" else tmp_path / "file" / "out"
    made = source("a.jpg")
    with pytest.raises(OutputError, match=f"^cannot write into {folder}: [A-Z][a-z ]+\\.$"):
        run_into(folder, made)
    assert not made.closed


def test_no_trace_of_the_probe(tmp_path: Path) -> None:
    """Entering makes the folder and leaves nothing in it."""
    with AnnotatedSink(tmp_path / "new" / "out"):
        assert outputs(tmp_path) == []
        assert (tmp_path / "new" / "out").is_dir()


def test_pictures_are_the_drawn_ones(tmp_path: Path) -> None:
    """What is written is the annotated picture."""
    result = result_of(grey(90), FACE, source="a.png")
    made = source("a.png")
    sink = AnnotatedSink(tmp_path)
    sink.plan([made])
    with sink:
        sink.start(made)
        sink.write(result, lambda: draw(result))
        sink.finish()
    assert (read_image(tmp_path / "a.png") == draw(result)).all()


def test_frame_rate_follows_every(tmp_path: Path) -> None:
    """With every N-th frame only, the video lasts as long and has an N-th of the rate."""
    made = source("a.mp4", "video", pictures=[grey(i) for i in range(20)], rate=Fraction(10))
    run([made], fake_pipeline(), [AnnotatedSink(tmp_path, every=5)], every=5)
    video = read_video(tmp_path / "a.mp4")
    assert video.times_s == pytest.approx([0, 0.5, 1.0, 1.5], abs=1e-3)
    assert video.rate == pytest.approx(2, rel=0.35)


class Forgetful(FakeSource):
    """An address that gave its frames, but does not answer again."""

    @property
    def rate(self) -> Fraction | None:
        raise UnreadableVideoError("cannot read video http://x/a.mp4: no answer in time.")


def test_a_rate_that_cannot_be_asked(tmp_path: Path) -> None:
    """Where the rate cannot be told any more, the video is still written."""
    made = Forgetful("a.mp4", [grey(1), grey(2)])
    summary = run([made], fake_pipeline(), [AnnotatedSink(tmp_path)])
    assert summary.failures == []
    assert len(read_video(tmp_path / "a.mp4").images) == 2


def test_several_videos_each_in_its_file(tmp_path: Path) -> None:
    """Each video has the frames of its own source, also around one that cannot be read."""
    made = [
        source("a.mp4", "video", pictures=[grey(10)] * 3),
        source("b.mp4", "video", pictures=[SourceError("no.")]),
        source("c.mp4", "video", pictures=[grey(200)] * 2),
    ]
    assert run_into(tmp_path, *made) == ["a.mp4", "c.mp4"]
    assert len(read_video(tmp_path / "a.mp4").images) == 3
    assert len(read_video(tmp_path / "c.mp4").images) == 2


def test_frames_before_a_failure_are_kept(tmp_path: Path) -> None:
    """A video that breaks off leaves a playable copy of what came before."""
    run_into(tmp_path, source("a.mp4", "video", pictures=[*[grey(9)] * 7, SourceError("cut.")]))
    assert len(read_video(tmp_path / "a.mp4").images) == 7


@pytest.mark.parametrize("kind", ["video", "live"])
def test_playable_after_an_exception(tmp_path: Path, kind: Kind) -> None:
    """An exception inside leaves a playable video of all frames written until then."""
    made = source("a.mp4", kind)
    sink = AnnotatedSink(tmp_path)
    sink.plan([made])

    def write_and_fail() -> None:
        with sink:
            sink.start(made)
            for index in range(8):
                sink.write(result_of(grey(index), index=index, time_s=index / 10), grey)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert len(read_video(tmp_path / "a.mp4").images) == 8


def test_a_failing_end_does_not_hide_the_first_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing after an error raises that error and not its own."""

    def fail(self: object) -> None:
        raise OutputError("second.")

    made = source("a.mp4", "video")
    sink = AnnotatedSink(tmp_path)
    sink.plan([made])
    monkeypatch.setattr("maskwatch.sinks.video.VideoWriter.close", fail)

    def write_and_fail() -> None:
        with sink:
            sink.start(made)
            sink.write(result_of(grey()), grey)
            raise OutputError("first.")

    with pytest.raises(OutputError, match=r"first\."):
        write_and_fail()


@pytest.mark.parametrize("name", ["a.jpg", "a.mp4"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk ends the run with an error that names the file, and leaves no part of one."""
    kind: Kind = "video" if name.endswith("mp4") else "image"
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (240, 320, 3), np.uint8) for _ in range(30)]
    target = tmp_path / name
    if kind == "video":
        target.symlink_to("/dev/full")
    else:
        part_of(target).symlink_to("/dev/full")
    with pytest.raises(OutputError, match=f"^cannot write {target}: No space left on device.$"):
        run_into(tmp_path, source(name, kind, pictures=frames))
    assert not part_of(target).is_symlink()


def test_live_video_is_safe_from_a_kill(tmp_path: Path) -> None:
    """A camera's video can be played while it is still being written."""
    made = source("cam", "live")
    sink = AnnotatedSink(tmp_path)
    sink.plan([made])
    with sink:
        sink.start(made)
        for index in range(40):
            frame = Frame(grey(index), "cam", index, index / 10)
            sink.write(result_of(frame.image, index=index, time_s=frame.time_s), grey)
        copy = tmp_path / "copy.mp4"
        copy.write_bytes((tmp_path / "cam.mp4").read_bytes())
        assert len(read_video(copy).images) >= 20
        sink.finish()
