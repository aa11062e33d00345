"""The report of an evaluation as one HTML page."""

from __future__ import annotations

from html import escape

import cv2

from maskwatch import __version__
from maskwatch.errors import UnreadableImageError
from maskwatch.images import read_image
from maskwatch.metrics.classification import ClassificationReport
from maskwatch.metrics.evaluation import NAMES, Evaluation
from maskwatch.metrics.judged import Mistake, Place, Slice, interval_text, percent, text
from maskwatch.preprocess import face_crops
from maskwatch.training.report.plots import DARK, LIGHT, PLOTS, need_matplotlib, png_of
from maskwatch.training.report.style import cards, data_uri, page, plot_figure, table

_TILE_PX = 160
_JPEG_QUALITY = 85
_MAX_NOTES = 20


def report_page(evaluation: Evaluation) -> str:
    """The whole report; the pictures of the gallery are read again.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    need_matplotlib("a report")
    parts = [_head(evaluation), _classes(evaluation), _plots(evaluation)]
    parts += [_slices("By face size", "size", evaluation.by_size)]
    if len(evaluation.sources) > 1:
        parts += [_slices("By data set", "data set", evaluation.by_source)]
    parts += [_gallery(evaluation), _method(evaluation)]
    return page(f"{evaluation.model or 'Model'} evaluated", "\n".join(parts))


def _head(evaluation: Evaluation) -> str:
    report, pair = evaluation.report, evaluation.with_without
    where = ", ".join(source.label for source in evaluation.sources)
    figures = [
        (text(report.accuracy), f"accuracy, 95% interval {interval_text(report)}"),
        (text(report.balanced_accuracy), "balanced accuracy, the mean recall of the classes"),
        (text(pair.accuracy), f"with or without a mask, 95% interval {interval_text(pair)}"),
        (text(report.mean_f1), "mean F1 of the classes"),
        (text(evaluation.calibration.ece), "expected calibration error"),
        (
            percent(evaluation.unknown_share),
            f"would be called unknown; accuracy of the rest {text(evaluation.told.accuracy)}",
        ),
    ]
    lines = [
        f"<h1>{escape(evaluation.model or 'Model')}</h1>",
        f'<p class="soft">{len(evaluation.faces)} faces of {escape(where)}</p>',
    ]
    if rule := evaluation.rule_text():
        lines.append(f'<p class="note"><b>Two-class rule.</b> {escape(rule)}</p>')
    return "\n".join([*lines, cards(figures), unread_note(evaluation.unread)])


def unread_note(lines: tuple[str, ...]) -> str:
    """A note of what could not be read; empty where all could."""
    if not lines:
        return ""
    shown = "<br>".join(escape(line) for line in lines[:_MAX_NOTES])
    more = f"<br>and {len(lines) - _MAX_NOTES} more" if len(lines) > _MAX_NOTES else ""
    return f'<p class="note"><b>Could not be read.</b><br>{shown}{more}</p>'


def _classes(evaluation: Evaluation) -> str:
    report = evaluation.report
    rows = []
    for index, name in enumerate(NAMES):
        curves = evaluation.curves[name]
        figures = [
            report.precision[name],
            report.recall[name],
            report.f1[name],
            curves.auc,
            curves.average_precision,
        ]
        count = str(int(report.confusion[index].sum()))
        rows.append([name.replace("_", " "), *map(text, figures), count])
    head = ["class", "precision", "recall", "F1", "AUC", "AP", "faces"]
    return f"<h2>By class</h2>\n{table(head, rows)}"


def _plots(evaluation: Evaluation) -> str:
    figures = []
    for name, plot in PLOTS.items():
        light, dark = (png_of(plot, evaluation, look) for look in (LIGHT, DARK))
        if light is not None and dark is not None:
            figures.append(plot_figure(light, dark, f"plot: {name.replace('_', ' ')}"))
    return f'<h2>Plots</h2>\n<div class="plots">{"".join(figures)}</div>'


def _slices(title: str, what: str, parts: tuple[Slice, ...]) -> str:
    head = [what, "accuracy", "95% interval", "balanced", "with or without", *_recalls(), "faces"]
    return f"<h2>{escape(title)}</h2>\n{table(head, [_slice_row(part) for part in parts])}"


def _recalls() -> list[str]:
    return [f"recall {name.replace('_', ' ')}" for name in NAMES]


def _slice_row(part: Slice) -> list[str]:
    report: ClassificationReport = part.report
    return [
        part.name,
        text(report.accuracy),
        interval_text(report) if report.count else "-",
        text(report.balanced_accuracy),
        text(part.with_without.accuracy),
        *(text(value) for value in report.recall.values()),
        str(report.count),
    ]


def _gallery(evaluation: Evaluation) -> str:
    mistakes = evaluation.mistakes()
    total = int((~evaluation.right).sum())
    if not mistakes:
        return "<h2>Errors</h2>\n<p>None: every face was told right.</p>"
    shown = f"the {len(mistakes)} most confident of {total}" if total > len(mistakes) else "all"
    tiles = "\n".join(_tile(mistake) for mistake in mistakes)
    return f'<h2>Errors: {shown}</h2>\n<div class="faces">\n{tiles}\n</div>'


def _tile(mistake: Mistake) -> str:
    jpeg = _face_jpeg(mistake.place)
    says = f"{mistake.predicted.value}, labelled {mistake.truth.value}".replace("_", " ")
    picture = '<div class="none">not readable</div>'
    if jpeg is not None:
        picture = f'<img src="{data_uri(jpeg, "jpeg")}" alt="{escape(says)}" loading="lazy">'
    predicted, truth = (
        state.value.replace("_", " ") for state in (mistake.predicted, mistake.truth)
    )
    return (
        f"<figure>{picture}<figcaption>"
        f"<strong>{predicted} {100 * mistake.probability:.0f}%</strong><br>"
        f"labelled {truth} ({100 * mistake.truth_probability:.0f}%)<br>"
        f'<span class="soft">{escape(mistake.place.path.name)}, face {mistake.place.index}, '
        f"{mistake.size_px:.0f} px<br>{escape(mistake.source)}</span></figcaption></figure>"
    )


def _face_jpeg(place: Place) -> bytes | None:
    """What the model saw of a face; None if its picture has gone away since."""
    try:
        image = read_image(place.path)
    except UnreadableImageError:
        return None
    crop = face_crops(image, place.box[None], _TILE_PX)[0]
    _, data = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return data.tobytes()


def _method(evaluation: Evaluation) -> str:
    left = "".join(f" Left out: {n} {reason}." for reason, n in evaluation.left_out.items())
    return (
        "<h2>How this was measured</h2>\n"
        f"<p>Faces of {evaluation.min_face_px:g} px and more, cut from their pictures as in "
        f"serving.{escape(left)} The size of a face is the square root of its box's area; of a "
        "ready-made crop, its longer side. Intervals are Wilson's (1927) and take faces for "
        "independent. AUC and AP set one class against the rest. Calibration error: 15 bins (Guo "
        "et al. 2017). Data sets without incorrect mask among their labels are judged by the "
        "probabilities of the other two classes alone, scaled to sum to 1. Unknown is said of "
        "faces that are too small, too blurred or not clearly of one class.</p>\n"
        f'<p class="soft">maskwatch {escape(__version__)}</p>'
    )
