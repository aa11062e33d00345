"""Rules of the page and the plots of detectors."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from made_detections import contested, report_of
from maskwatch.errors import MissingExtraError
from maskwatch.images import read_image
from maskwatch.metrics.detector_comparison import DetectorComparison
from maskwatch.training.detection import evaluate_detectors
from maskwatch.training.report.detection_page import detection_page
from maskwatch.training.report.detection_plots import PLOTS, plot_files, write_plots
from maskwatch.training.report.plots import DARK, LIGHT, png_of
from page_reader import Reader, decoded, decoded_file
from painted import Painted, add_detectors, painted_set, some_photos

pytest.importorskip("matplotlib", reason="matplotlib is in extra train")

SINGLE = {"precision_recall", "recall_by_size", "ap_by_size"}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> DetectorComparison:
    """Two detectors on two sets."""
    folder = tmp_path_factory.mktemp("sets")
    sets = [painted_set(folder / name, some_photos()) for name in ("one", "two")]
    with pytest.MonkeyPatch.context() as monkeypatch:
        add_detectors(monkeypatch)
        return evaluate_detectors(["paint", "plain"], sets)


@pytest.fixture(scope="module")
def html(both: DetectorComparison) -> Reader:
    """Their page, read."""
    return Reader(detection_page(both))


def made(*names: str, sources: int = 1) -> DetectorComparison:
    """Detectors that found the same faces."""
    truths, found = contested(1)
    return DetectorComparison(
        tuple(report_of(truths, found, 12, sources=sources, name=name) for name in names)
    )


def test_page_stands_alone(html: Reader) -> None:
    """Everything is inside: no script, no style sheet and nothing fetched from elsewhere."""
    assert html.links
    assert all(link.startswith("data:image/") for link in html.links)
    assert not {"script", "link", "iframe", "object"} & set(html.tags)


def test_page_tells_the_figures(both: DetectorComparison, html: Reader) -> None:
    """Figures of every detector, class, size and data set can be read, and how they came."""
    for words in (
        "paint, plain",
        "6 photos, 8 faces of one, two",
        "paint by class",
        "Any face by size",
        "By data set",
        "States of the faces found by paint",
        "thresholds: paint 0.5, plain 0.5",
        "Faces of 24 px and more",
    ):
        assert words in html.text
    assert f"{both.reports[0].mean('ap50'):.3f}" in html.text
    assert "States of the faces found by plain" not in html.text


def test_page_shows_the_sheets(html: Reader) -> None:
    """The first sheet of each kind of error of each detector is in the page."""
    drawn = [decoded(link) for link in html.links if link.startswith("data:image/jpeg")]
    assert len(drawn) == 5  # plain tells no states
    assert all(sheet.shape[1] == 1494 for sheet in drawn)
    assert "paint: faces missed, the largest first" in html.text


def test_page_of_one_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single detector has its figures in large letters."""
    add_detectors(monkeypatch)
    done = evaluate_detectors(["paint"], painted_set(tmp_path, some_photos()))
    text = Reader(detection_page(done)).text
    assert "AP50 of any face, 95% interval" in text
    assert "false alarms on 3 photos" in text
    assert "By data set" not in text


def test_page_without_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of photos without faces the page tells false alarms, and draws no plots."""
    add_detectors(monkeypatch)
    folder = painted_set(tmp_path / "set", [[Painted((9, 9, 59, 59), label="")]])
    done = evaluate_detectors(["paint"], folder)
    html = Reader(detection_page(done))
    assert "1 false alarms on 1 photos" in html.text
    assert "Plots" not in html.text
    assert write_plots(done, tmp_path / "plots") == []


def test_names_are_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of folders and files are text, never markup; a dollar sign is no formula."""
    add_detectors(monkeypatch)
    folder = painted_set(tmp_path / "<b>$a$ & co", some_photos())
    (folder / "images" / "1.png").write_bytes(b"broken")
    html = Reader(detection_page(evaluate_detectors(["paint"], folder)))
    assert not {"b>", "i"} & set(html.tags)
    assert "<b>$a$ & co" in html.text
    assert "Could not be read." in html.text


@pytest.mark.parametrize("name", PLOTS)
@pytest.mark.parametrize("count", [1, 2])
def test_plots(name: str, count: int) -> None:
    """Each plot is a PNG that is not blank, the same for the same figures, in its own look.

    A single detector has its classes in one plot; several have a plot a class.
    """
    done = made(*("a", "b")[:count], sources=count)
    light, dark = (png_of(PLOTS[name], done, look) for look in (LIGHT, DARK))
    by_class = name.startswith("precision_recall_")
    if (by_class or name == "ap_by_source") if count == 1 else name == "precision_recall":
        assert light is None
        return
    assert light is not None
    assert dark is not None
    assert light == png_of(PLOTS[name], made(*("a", "b")[:count], sources=count), LIGHT)
    images = [decoded_file(png) for png in (light, dark)]
    assert images[0][0, 0].min() > 240
    assert images[1][0, 0].max() < 60
    assert all(image.std() > 5 for image in images)


def test_plot_files(tmp_path: Path) -> None:
    """The files written are among those announced; what cannot be drawn is left out."""
    written = write_plots(made("a"), tmp_path / "plots")
    assert set(written) <= set(plot_files(tmp_path / "plots"))
    assert {path.stem for path in written} == SINGLE
    assert sorted((tmp_path / "plots").iterdir()) == sorted(written)
    assert all(read_image(path).size for path in written)


def test_many_detectors() -> None:
    """More detectors than colours are drawn all the same."""
    done = made(*(f"detector-of-a-long-name-{number}" for number in range(9)))
    assert png_of(PLOTS["precision_recall_any"], done, LIGHT) is not None
    assert png_of(PLOTS["recall_by_size"], done, DARK) is not None


def test_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without matplotlib the error says what to install."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"maskwatch\[train\]"):
        detection_page(made("a"))
    with pytest.raises(MissingExtraError):
        write_plots(made("a"), tmp_path)
