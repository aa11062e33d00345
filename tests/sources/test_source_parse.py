from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path, PurePath
from typing import Any

import pytest
from source_helpers import picture, shades, write_video

from maskwatch.errors import SourceError, SourceNotFoundError
from maskwatch.images import write_image
from maskwatch.sources import LiveSource, Source, open_sources
from maskwatch.sources.image import ImageSource
from maskwatch.sources.video import VideoSource


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with pictures, a video, hidden files and other things; none is a real picture."""
    for name in (
        *("b.jpg", "a.PNG", "sub/c.jpeg", "sub/deep/d.mp4", "Z.webp", "notes.txt", "sub/x.json"),
        *(".hidden.jpg", ".cache/e.jpg", "sub/._c.jpeg"),
    ):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "in"


def relatives(sources: list[Source]) -> list[str]:
    return [source.relative.as_posix() for source in sources]


def test_folder(folder: Path) -> None:
    """A folder gives its pictures and videos and those below it, sorted, structure kept."""
    sources = open_sources(str(folder))
    assert relatives(sources) == ["Z.webp", "a.PNG", "b.jpg", "sub/c.jpeg", "sub/deep/d.mp4"]
    assert [s.name for s in sources][3] == str(folder / "sub/c.jpeg")
    assert isinstance(sources[4], VideoSource)


def test_folder_opens_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listing a folder opens none of its files."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    monkeypatch.setattr("builtins.open", refuse)
    assert len(open_sources(str(folder))) == 5


def test_empty_folder(tmp_path: Path) -> None:
    """A folder without pictures and videos is an error that says what was looked for."""
    with pytest.raises(SourceNotFoundError, match=r"no pictures or videos in folder .* jpg.* mp4"):
        open_sources(str(tmp_path))


def test_folder_that_leads_in_a_circle(folder: Path) -> None:
    """A symbolic link to a folder is not entered."""
    (folder / "sub" / "again").symlink_to(folder, target_is_directory=True)
    assert len(open_sources(str(folder))) == 5


def test_folder_that_may_not_be_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder below that cannot be listed is an error, not silently left out."""
    allowed = os.scandir

    def scandir(path: str) -> Any:
        if Path(path).name == "deep":
            raise PermissionError(13, "no", path)
        return allowed(path)

    monkeypatch.setattr("os.scandir", scandir)
    with pytest.raises(SourceError, match=r"cannot list folder .*deep: Permission denied\."):
        open_sources(str(folder))


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        pytest.param("in/**/*.jp*g", ["b.jpg", "sub/c.jpeg"], id="any-depth"),
        pytest.param("in/sub/*", ["c.jpeg"], id="folders-and-others-left-out"),
        pytest.param("in/sub/**", ["c.jpeg", "deep/d.mp4"], id="everything-below"),
        pytest.param("in/s?b/*.jpeg", ["sub/c.jpeg"], id="wildcard-in-a-folder-name"),
        pytest.param("in/[ab].*", ["a.PNG", "b.jpg"], id="set"),
        pytest.param("in/.h*", [".hidden.jpg"], id="hidden-when-asked-for"),
    ],
)
def test_glob(
    folder: Path, pattern: str, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A glob gives what matches, sorted, named below its fixed part."""
    monkeypatch.chdir(folder.parent)
    sources = open_sources(pattern)
    assert relatives(sources) == found
    assert sources[0].name.startswith("in/")


def test_glob_without_match(folder: Path) -> None:
    """A glob that matches nothing is an error that names it."""
    with pytest.raises(SourceNotFoundError, match=r"no pictures or videos match '.*\*\.bmp'"):
        open_sources(f"{folder}/*.bmp")
    with pytest.raises(SourceNotFoundError, match="1 found, but"):
        open_sources(f"{folder}/*.txt")


@pytest.mark.parametrize("name", ["a[1].jpg", "what?.jpg", "0.jpg", "x.mp4"])
def test_existing_file_wins(tmp_path: Path, name: str) -> None:
    """A file that exists is taken as that file, also with glob characters in its name."""
    (tmp_path / name).write_bytes(b"")
    (source,) = open_sources(str(tmp_path / name))
    assert source.name == str(tmp_path / name)
    assert source.relative == PurePath(name)


def test_file_named_like_a_webcam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose name is a number wins over the webcam of that number."""
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "0.png", picture(9))
    (tmp_path / "0.png").rename(tmp_path / "0")
    (source,) = open_sources("0")
    assert isinstance(source, ImageSource)


@pytest.mark.parametrize("spec", ["0", "/dev/video12"])
def test_webcam(spec: str) -> None:
    """A number of one or two digits, or the device of Linux, is a webcam."""
    (source,) = open_sources(spec)
    assert isinstance(source, LiveSource)
    assert (source.name, source.kind, source.live) == (spec, "live", True)
    assert source.relative == PurePath("camera-" + spec.removeprefix("/dev/video"))
    assert source.frame_count is None


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        pytest.param("rtsp://me:pw@cam/1", "live", id="rtsp"),
        pytest.param("rtsps://me:pw@cam/1.mp4", "live", id="rtsp-whatever-its-ending"),
        pytest.param("http://me:pw@cam/video", "live", id="http"),
        pytest.param("https://me:pw@cam/live.m3u8", "live", id="hls"),
        pytest.param("http://me:pw@cam/video.mjpg", "live", id="mjpeg"),
        pytest.param("http://me:pw@cam/a.mp4?x=1", "video", id="video-file"),
        pytest.param("http://me:pw@cam/a.jpg", "image", id="picture-file"),
    ],
)
def test_url(url: str, kind: str) -> None:
    """An address is a camera, unless it ends like a file; its password is not in any name."""
    (source,) = open_sources(url)
    assert source.kind == kind
    assert "pw" not in source.name + str(source.relative) + repr(source)
    assert "me:***@cam" in source.name
    assert len(source.relative.parts) == 1


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        pytest.param("nowhere/a.jpg", "no such file or folder: 'nowhere/a.jpg'", id="file"),
        pytest.param("", "no such file or folder: ''", id="nothing"),
        pytest.param("123", "no such file or folder: '123'", id="long-number"),
        pytest.param("-1", "no such file or folder: '-1'", id="negative-number"),
        pytest.param("a\0b", "no such file or folder", id="zero-byte"),
        pytest.param("x" * 5000, "cannot look up", id="endless-name"),
        pytest.param("gopher://a:pw@b/c", r"gopher://a:\*\*\*@b/c: .*rtsp://", id="scheme"),
        pytest.param("rtsp:///x", "names no host", id="no-host"),
        pytest.param("rtsp://[x/y", "names no host", id="broken-host"),
    ],
)
def test_not_found(spec: str, message: str) -> None:
    """What cannot be anything is an error that names it."""
    with pytest.raises(SourceNotFoundError, match=message):
        open_sources(spec)


def test_unknown_ending(tmp_path: Path) -> None:
    """A file with an ending that says nothing is tried as a picture, then as a video."""
    write_image(tmp_path / "a.png", picture(9))
    (tmp_path / "a.png").rename(tmp_path / "a.dat")
    write_video(tmp_path / "b.mp4", shades(3)).rename(tmp_path / "b.rec")
    (tmp_path / "c.txt").write_text("words\n" * 100)
    assert isinstance(open_sources(str(tmp_path / "a.dat"))[0], ImageSource)
    assert isinstance(open_sources(str(tmp_path / "b.rec"))[0], VideoSource)
    with pytest.raises(SourceError, match=r"c\.txt: neither a picture nor a video"):
        open_sources(str(tmp_path / "c.txt"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_special_file(tmp_path: Path) -> None:
    """Something that is neither a file nor a folder is refused instead of waited for."""
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        open_sources(str(tmp_path / "pipe.jpg"))


def test_import_is_light() -> None:
    """Importing the sources loads neither PyAV nor OpenCV nor Pillow."""
    code = "import sys, maskwatch.sources; print({'av', 'cv2', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
