"""Rules of `maskwatch data`, end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from detect_helpers import call, photo

from maskwatch.cli import data
from maskwatch.datasets.formats import load_dataset
from maskwatch.images import read_image, write_image
from maskwatch.preprocess import CROP_SCALE
from maskwatch.types import Image

Capsys = pytest.CaptureFixture[str]


def picture(seed: int) -> Image:
    """Blobs that resemble no other seed's."""
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(0, 256, (6, 6, 3), np.uint8), np.ones((12, 12, 1), np.uint8))


def voc(folder: Path, names: str = "abcd", label: str = "with_mask") -> Path:
    """Photos with a box each, in no split."""
    for name in names:
        write_image(folder / f"{name}.png", picture(ord(name)))
        (folder / f"{name}.xml").write_text(
            f"<annotation><object><name>{label}</name><bndbox><xmin>10</xmin><ymin>12</ymin>"
            "<xmax>50</xmax><ymax>60</ymax></bndbox></object></annotation>"
        )
    return folder


def crops(folder: Path, count: int = 6) -> Path:
    """Crops of two classes, each with a copy."""
    for seed in range(count):
        place = folder / ("with_mask" if seed % 2 else "without_mask")
        write_image(place / f"{seed}.png", picture(seed))
        write_image(place / f"{seed}-copy.png", picture(seed))
    return folder


def test_import(tmp_path: Path, capsys: Capsys) -> None:
    """Import writes our form, puts all into the split given, and counts what it wrote."""
    done = call(
        capsys, "data", "import", voc(tmp_path / "in"), "--out", tmp_path / "out", "--split", "val"
    )
    assert done.code == 0, done.err
    assert "val: 4 with_mask" in done.out
    assert "4 pictures written" in done.out
    assert (tmp_path / "out" / "val.txt").read_text() == "a\nb\nc\nd\n"
    assert len(load_dataset(tmp_path / "out").records) == 4


def test_import_never_overwrites(tmp_path: Path, capsys: Capsys) -> None:
    """A second import into the same folder is refused without --overwrite."""
    arguments = ("data", "import", voc(tmp_path / "in"), "--out", tmp_path / "out")
    assert call(capsys, *arguments).code == 0
    again = call(capsys, *arguments)
    assert again.code == 2
    assert "--overwrite" in again.err
    assert call(capsys, *arguments, "--overwrite").code == 0


def test_import_with_map(tmp_path: Path, capsys: Capsys) -> None:
    """Class names that mean nothing are refused until --map says what they mean."""
    arguments = ("data", "import", voc(tmp_path / "in", label="0"), "--out", tmp_path / "out")
    refused = call(capsys, *arguments)
    assert refused.code == 1
    assert "'0'" in refused.err
    assert "--map" in refused.err
    assert not (tmp_path / "out").exists()
    done = call(capsys, *arguments, "--map", "0=without_mask")
    assert done.code == 0
    assert "4 without_mask" in done.out


def test_unreadable_picture(tmp_path: Path, capsys: Capsys) -> None:
    """An unreadable picture is named, the rest is done, and the exit code is 1."""
    voc(tmp_path / "in")
    (tmp_path / "in" / "b.png").write_bytes(b"no picture")
    for verb in ("import", "crops", "split"):
        done = call(capsys, "data", verb, tmp_path / "in", "--out", tmp_path / verb)
        assert done.code == 1, verb
        assert "b.png" in done.err
        assert "3 pictures written" in done.out
    done = call(capsys, "data", "check", tmp_path / "in")
    assert done.code == 1
    assert "unreadable: 1" in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        pytest.param(["import", "nowhere", "--out", "out"], 1, "no such folder", id="no source"),
        pytest.param(["import", "in", "--out", "in/x"], 2, "overlap", id="out in source"),
        pytest.param(["import", "in", "--out", "o", "--format", "x"], 2, "format 'x'", id="format"),
        pytest.param(["import", "in", "--out", "o", "--split", "x"], 2, "split 'x'", id="split"),
        pytest.param(["import", "in", "--out", "o", "--map", "x"], 2, "NAME=CLASS", id="map"),
        pytest.param(["split", "in", "--out", "o", "--ratios", "1"], 2, "add up", id="ratios"),
        pytest.param(["check", "in", "--sheet", "a.jpg"], 2, ".png", id="sheet"),
        pytest.param(["mask", "in", "--out", "o", "--wear", "up"], 2, "'up'", id="wear"),
        pytest.param(["mask", "in", "--out", "o", "--styles", "x"], 2, "style 'x'", id="style"),
        pytest.param(["mask", "none", "--out", "o"], 1, "no such folder", id="mask nothing"),
    ],
)
def test_refused(
    tmp_path: Path,
    capsys: Capsys,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    """What cannot be done is refused with its reason, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    voc(tmp_path / "in")
    done = call(capsys, "data", *arguments)
    assert done.code == code
    assert words in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_crops(tmp_path: Path, capsys: Capsys) -> None:
    """Crops writes class folders of the size asked for and says what it left out."""
    voc(tmp_path / "in")
    base = ("data", "crops", tmp_path / "in", "--out")
    assert call(capsys, *base, tmp_path / "out", "--size", "20").code == 0
    files = sorted((tmp_path / "out" / "with_mask").iterdir())
    assert [file.name for file in files] == ["a-0.png", "b-0.png", "c-0.png", "d-0.png"]
    assert read_image(files[0]).shape == (20, 20, 3)
    small = call(capsys, *base, tmp_path / "none", "--min-size", "60")
    assert "left out: 4 under 60 px" in small.out


def test_default_margin() -> None:
    """The default margin is the scale at which classifiers see faces."""
    assert data._CROP_SCALE == CROP_SCALE


def test_split(tmp_path: Path, capsys: Capsys) -> None:
    """Split keeps copies together and gives the same result for the same seed."""
    crops(tmp_path / "in", 12)
    base = ("data", "split", tmp_path / "in", "--ratios", "0.5,0.5", "--out")
    assert call(capsys, *base, tmp_path / "one").code == 0
    assert call(capsys, *base, tmp_path / "two").code == 0
    files = [
        sorted(str(path.relative_to(tmp_path / out)) for path in (tmp_path / out).rglob("*.png"))
        for out in ("one", "two")
    ]
    assert files[0] == files[1]
    assert len(files[0]) == 24
    assert call(capsys, "data", "check", tmp_path / "in").code == 0
    done = call(capsys, "data", "check", tmp_path / "one")
    assert "leakage: 0 of 12 pictures of val" in done.out


def test_split_of_boxes(tmp_path: Path, capsys: Capsys) -> None:
    """A split of photos with boxes has a list a split."""
    voc(tmp_path / "in", "abcdefghij")
    out = tmp_path / "out"
    done = call(capsys, "data", "split", tmp_path / "in", "--out", out, "--ratios", "0.6,0.2,0.2")
    assert done.code == 0
    listed = [(out / f"{split}.txt").read_text().split() for split in ("train", "val", "test")]
    assert sorted(name for names in listed for name in names) == list("abcdefghij")
    assert [len(names) for names in listed] == [6, 2, 2]


def test_check(tmp_path: Path, capsys: Capsys) -> None:
    """Check prints its findings, which are no failure, and writes them and a contact sheet."""
    for split, seeds in {"train": (1, 2, 3), "test": (3, 4)}.items():
        for seed in seeds:
            write_image(tmp_path / "in" / split / "mask" / f"{seed}.png", picture(seed))
    sheet, found = tmp_path / "sheet.png", tmp_path / "found.json"
    arguments = ("data", "check", tmp_path / "in", "--json", found, "--sheet", sheet)
    done = call(capsys, *arguments)
    assert done.code == 0
    assert len(done.out.splitlines()) == 9
    assert "1 of 2 pictures of test (50.0%) have a copy in train, 1 of them an equal" in done.out
    assert json.loads(found.read_text())["duplicates"]["pairs"] == 1
    assert read_image(sheet).shape[1] == 1152
    assert call(capsys, *arguments).code == 2


@pytest.mark.parametrize("wear", ["correct", "nose_out", "chin"])
def test_mask(tmp_path: Path, capsys: Capsys, wear: str) -> None:
    """Mask draws on every face, sorts by state, and tells what was drawn where."""
    photo(tmp_path / "in" / "face.png")
    (tmp_path / "in" / "broken.png").write_bytes(b"")
    arguments = ("--styles", "cloth-black", "--wear", wear, "--detector", "haar", "--seed", "3")
    out = tmp_path / "out"
    done = call(capsys, "data", "mask", tmp_path / "in", "--out", out, *arguments)
    assert done.code == 1
    assert "broken.png" in done.err
    (line,) = [json.loads(text) for text in (out / "masks.jsonl").read_text().splitlines()]
    state = "with_mask" if wear == "correct" else "incorrect_mask"
    assert line["crop"] == f"{state}/face-0.png"
    assert (line["style"], line["wear"], line["state"]) == ("cloth-black", wear, state)
    assert line["source"].endswith("face.png")
    first = read_image(out / line["crop"])
    call(capsys, "data", "mask", tmp_path / "in", "--out", tmp_path / "again", *arguments)
    assert np.array_equal(read_image(tmp_path / "again" / line["crop"]), first)


def test_mask_without_faces(tmp_path: Path, capsys: Capsys) -> None:
    """Pictures without a face are counted and nothing is drawn on them."""
    write_image(tmp_path / "in" / "plain.png", np.full((60, 60, 3), 90, np.uint8))
    arguments = ("data", "mask", tmp_path / "in", "--out", tmp_path / "out", "--detector", "haar")
    done = call(capsys, *arguments)
    assert done.code == 0
    assert "left out: 1 pictures without a face" in done.out


def test_help_is_light() -> None:
    """`maskwatch data --help` loads none of the heavy packages."""
    code = (
        "import sys\nfrom maskwatch.cli import main\n"
        "try:\n    main(['data', 'mask', '--help'])\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('cv2', 'PIL', 'av', 'onnxruntime', 'keras') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"
