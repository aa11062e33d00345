"""Detectors on labelled photos as one HTML page."""

from __future__ import annotations

from html import escape

import cv2

from maskwatch import __version__
from maskwatch.metrics.detection import ANY, NAMES, DetectionReport, Scores
from maskwatch.metrics.detector_comparison import HEADS, DetectorComparison, row
from maskwatch.metrics.judged import text
from maskwatch.training.detection.sheets import KINDS, sheets
from maskwatch.training.report.detection_plots import PLOTS, words
from maskwatch.training.report.page import unread_note
from maskwatch.training.report.plots import DARK, LIGHT, need_matplotlib, png_of
from maskwatch.training.report.style import cards, data_uri, page, plot_figure, table
from maskwatch.types import Image

_JPEG_QUALITY = 85


def detection_page(comparison: DetectorComparison) -> str:
    """The whole report; the photos with errors are read again.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    need_matplotlib("a report")
    title = ", ".join(report.name for report in comparison.reports)
    parts = [_head(title, comparison), _detectors(comparison), _plots(comparison)]
    if comparison.faces:
        parts += [_classes(comparison), _sizes(comparison)]
    if len(comparison.sources) > 1:
        parts.append(_sources(comparison))
    parts += [_states(report) for report in comparison.reports]
    parts += [_sheets(report) for report in comparison.reports]
    parts.append(_method(comparison))
    return page(f"{title} evaluated", "\n".join(parts))


def _head(title: str, comparison: DetectorComparison) -> str:
    where = ", ".join(source.label for source in comparison.sources)
    count = f"{comparison.photos} photos, {comparison.faces} faces of {escape(where)}"
    lines = [f"<h1>{escape(title)}</h1>", f'<p class="soft">{count}</p>']
    if len(comparison.reports) == 1:
        lines.append(_cards(comparison.reports[0]))
    return "\n".join([*lines, unread_note(comparison.unread)])


def _cards(report: DetectionReport) -> str:
    whole = report.scores[ANY]
    figures = []
    if whole.count:
        figures.append((text(whole.ap50), f"AP50 of any face, {_between(whole.ap50_interval)}"))
        if report.tells_states:
            ends = _between(report.mean_ap50_interval)
            figures.append((text(report.mean("ap50")), f"mean AP50 of the classes, {ends}"))
        shipped = whole.shipped
        figures += [
            (text(shipped.recall), f"recall as shipped, {_between(shipped.recall_interval)}"),
            (text(shipped.precision), f"precision, {_between(shipped.precision_interval)}"),
        ]
    figures += [
        (str(len(report.false_alarms)), f"false alarms on {report.photos} photos"),
        (f"{report.ms:.1f} ms", "median time of a photo"),
    ]
    return cards(figures)


def _between(ends: tuple[float, float]) -> str:
    return f"95% interval {text(ends[0])} to {text(ends[1])}"


def _detectors(comparison: DetectorComparison) -> str:
    rows = [[report.name, *row(report)] for report in comparison.reports]
    return f"<h2>Detectors</h2>\n{table(['detector', *_heads()], rows)}"


def _heads() -> list[str]:
    return [f"AP50 {head}" for head in HEADS[:5]] + list(HEADS[5:])


def _plots(comparison: DetectorComparison) -> str:
    figures = []
    for name, plot in PLOTS.items():
        light, dark = (png_of(plot, comparison, look) for look in (LIGHT, DARK))
        if light is not None and dark is not None:
            figures.append(plot_figure(light, dark, f"plot: {name.replace('_', ' ')}"))
    if not figures:
        return ""
    return f'<h2>Plots</h2>\n<div class="plots">{"".join(figures)}</div>'


def _classes(comparison: DetectorComparison) -> str:
    head = ["", "AP50", "95% interval", "AP30", "AP", "precision", "recall", "F1", "faces"]
    parts = []
    for report in comparison.reports:
        rows = [_class_row(words(key), report.scores[key]) for key in report.keys]
        parts.append(f"<h2>{escape(report.name)} by class</h2>\n{table(head, rows)}")
    return "\n".join(parts)


def _class_row(name: str, scores: Scores) -> list[str]:
    shipped = scores.shipped
    ends = " to ".join(map(text, scores.ap50_interval))
    figures = (scores.ap30, scores.ap, shipped.precision, shipped.recall, shipped.f1)
    return [name, text(scores.ap50), ends, *map(text, figures), str(scores.count)]


def _sizes(comparison: DetectorComparison) -> str:
    head = ["detector", "size", "AP50", "95% interval", "recall", "95% interval", "faces"]
    rows = [
        [
            report.name,
            part.name,
            text(part.ap50),
            " to ".join(map(text, part.ap50_interval)),
            text(part.shipped.recall),
            " to ".join(map(text, part.shipped.recall_interval)),
            str(part.count),
        ]
        for report in comparison.reports
        for part in report.by_size
    ]
    return f"<h2>Any face by size</h2>\n{table(head, rows)}"


def _sources(comparison: DetectorComparison) -> str:
    rows = [
        [f"{report.name}: {part.sources[0].label}", *row(part), str(part.scores[ANY].count)]
        for report in comparison.reports
        for part in report.by_source
    ]
    return f"<h2>By data set</h2>\n{table(['', *_heads(), 'faces'], rows)}"


def _states(report: DetectionReport) -> str:
    """How the states of found faces were told, a row a label."""
    if not report.tells_states or not report.states.count:
        return ""
    names = [words(name) for name in NAMES]
    counts = report.states.confusion.tolist()
    recall = [text(value) for value in report.states.recall.values()]
    rows = [
        [f"labelled {name}", *map(str, own), share]
        for name, own, share in zip(names, counts, recall, strict=True)
    ]
    head = ["", *(f"told {name}" for name in names), "recall"]
    return f"<h2>States of the faces found by {escape(report.name)}</h2>\n{table(head, rows)}"


def _sheets(report: DetectionReport) -> str:
    """The first sheet of each kind of error."""
    parts = []
    for kind, (what, _) in KINDS.items():
        for sheet in sheets(report, kind, 1):
            says = f"{report.name}: {what}"
            image = f'<img src="{_jpeg(sheet)}" alt="{escape(says)}" loading="lazy">'
            parts.append(f'<h2>{escape(says)}</h2>\n<div class="wide sheet">{image}</div>')
    return "\n".join(parts)


def _jpeg(sheet: Image) -> str:
    _, data = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return data_uri(data.tobytes(), "jpeg")


def _method(comparison: DetectorComparison) -> str:
    left = "".join(f" Left out: {n} faces {reason}." for reason, n in comparison.left_out.items())
    thresholds = ", ".join(f"{r.name} {r.min_score:g}" for r in comparison.reports)
    return (
        "<h2>How this was measured</h2>\n"
        f"<p>Faces of {comparison.min_face_px:g} px and more, by the square root of the box's area."
        " Smaller ones are ignored: not missed, and no false alarm where a found face matches one "
        f"or is itself that small.{escape(left)} Each labelled face is matched once, best score "
        "first. AP50 and AP30: area under the precision envelope at all points, IoU 0.5 and 0.3. "
        "AP: mean over IoU 0.5 to 0.95 at 101 points, as COCO has it. The score of a class is that "
        "of the face times the probability of the class. Precision, recall, false alarms and "
        f"states as shipped, at IoU 0.5; thresholds: {escape(thresholds)}. Intervals of AP are "
        "from 200 resamplings of the photos, others Wilson's (1927). Time: detector and "
        "classifier, without decoding.</p>\n"
        f'<p class="soft">maskwatch {escape(__version__)}</p>'
    )
