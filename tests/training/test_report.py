"""Rules of the report: plots, gallery, and the page that stands alone."""

from __future__ import annotations

import base64
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from judged_sets import WITHOUT, ColourJudge, colour, crop, three_classes, two_classes
from maskwatch.errors import MissingExtraError
from maskwatch.images import read_image
from maskwatch.metrics.evaluation import Evaluation
from maskwatch.training.evaluation import evaluate
from maskwatch.training.report import plot_files, report_page, write_plots
from maskwatch.training.report.plots import DARK, LIGHT, PLOTS, png_of
from maskwatch.training.report.style import page, table
from page_reader import Reader, decoded

pytest.importorskip("matplotlib", reason="matplotlib is in extra train")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """Two sets: one of three classes and one of two, with three errors."""
    folder = tmp_path_factory.mktemp("sets")
    sets = [three_classes(folder / "three"), two_classes(folder / "two")]
    return evaluate(ColourJudge(), sets, model="colours")


@pytest.fixture(scope="module")
def html(done: Evaluation) -> Reader:
    """Its report, read."""
    return Reader(report_page(done))


def test_page_stands_alone(html: Reader) -> None:
    """Everything is inside: no script, no style sheet and nothing fetched from elsewhere."""
    assert html.links
    assert all(link.startswith("data:image/") for link in html.links)
    assert not {"script", "link", "iframe", "object"} & set(html.tags)


def test_page_tells_the_figures(html: Reader) -> None:
    """The headlines, the rule, the slices and the way of measuring can be read."""
    for words in ("13 faces of three, two", "0.769", "Two-class rule.", "By face size", "By data"):
        assert words in html.text
    assert "50.0% of them would otherwise have been called incorrect_mask" in html.text
    assert "Faces of 24 px and more" in html.text
    assert "By class" in html.text


def test_page_fits_phones_and_both_schemes(done: Evaluation) -> None:
    """It scales to the screen, and each plot comes in two looks."""
    text = report_page(done)
    assert '<meta name="viewport" content="width=device-width' in text
    assert "@media (prefers-color-scheme: dark)" in text
    assert text.count('<source media="(prefers-color-scheme: dark)"') == len(PLOTS)


def test_gallery(done: Evaluation, html: Reader) -> None:
    """Every error is shown as the model saw it, the most confident first, with its facts."""
    faces = [decoded(link) for link in html.links if link.startswith("data:image/jpeg")]
    mistakes = done.mistakes()
    assert len(faces) == len(mistakes) == 3
    for face, mistake in zip(faces, mistakes, strict=True):
        shown = read_image(mistake.place.path)[0, 0]
        assert np.abs(face.astype(int).mean(axis=(0, 1)) - shown).max() < 6
    assert "Errors: all" in html.text
    assert "without mask 95% labelled with mask (3%) 2.png, face 0, 60 px three" in html.text


def test_gallery_without_errors(tmp_path: Path) -> None:
    """Where all is right the page says so."""
    crop(tmp_path, "without_mask", "a", colour(WITHOUT))
    assert "every face was told right" in report_page(evaluate(ColourJudge(), tmp_path))


def test_gallery_of_a_picture_that_has_gone(tmp_path: Path) -> None:
    """A picture that cannot be read any more leaves a gap and no error."""
    path = crop(tmp_path, "with_mask", "a", colour(WITHOUT))
    done = evaluate(ColourJudge(), tmp_path)
    path.unlink()
    assert "not readable" in Reader(report_page(done)).text


def test_names_are_escaped(tmp_path: Path) -> None:
    """Names of files, folders and models are text, never markup; a dollar sign is no formula."""
    folder = tmp_path / "<b>$set$ & co"
    crop(folder, "with_mask", "<script>alert(1)<'\"", colour(WITHOUT))
    (folder / "with_mask" / "<i>.png").write_bytes(b"broken")
    done = evaluate(ColourJudge(), [folder, two_classes(tmp_path / "two")], model="<u>model")
    html = Reader(report_page(done))
    assert not {"script", "b>", "i", "u"} & set(html.tags)
    for name in ("<b>$set$ & co", "<script>alert(1)<'\".png", "<u>model", "<i>.png"):
        assert name in html.text


@pytest.mark.parametrize("name", PLOTS)
def test_plots(done: Evaluation, name: str) -> None:
    """Each plot is a PNG that is not blank, the same for the same figures, in its own look."""
    light, dark = (png_of(PLOTS[name], done, look) for look in (LIGHT, DARK))
    assert light is not None
    assert dark is not None
    assert light == png_of(PLOTS[name], done, LIGHT)
    images = [decoded("," + base64.b64encode(png).decode()) for png in (light, dark)]
    assert images[0].shape == images[1].shape
    assert images[0][0, 0].min() > 240
    assert images[1][0, 0].max() < 60
    assert all(image.std() > 5 for image in images)


def test_plot_files(done: Evaluation, tmp_path: Path) -> None:
    """The files that are said to be written are written, whole."""
    written = write_plots(done, tmp_path / "plots")
    assert written == plot_files(tmp_path / "plots")
    assert sorted((tmp_path / "plots").iterdir()) == sorted(written)
    assert all(read_image(path).size for path in written)


def test_plots_of_little(tmp_path: Path) -> None:
    """One class in one set has no curves and no sources to compare; the rest is drawn."""
    crop(tmp_path / "set", "with_mask", "a", colour(WITHOUT))
    done = evaluate(ColourJudge(), tmp_path / "set")
    names = [path.stem for path in write_plots(done, tmp_path / "plots")]
    assert names == ["confusion", "reliability", "by_size"]
    Reader(report_page(done))


def test_without_matplotlib(
    done: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without matplotlib the error says what to install."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"maskwatch\[train\]"):
        report_page(done)
    with pytest.raises(MissingExtraError):
        write_plots(done, tmp_path)


def test_table_and_title_are_text() -> None:
    """What goes into a table or title is escaped."""
    text = page("<t>", table(["<h>"], [["<a>", "<c>"]]))
    assert not re.search("<[thac]>", text.replace("<h1>", ""))
    assert Reader(text).text.count("<") == 4
