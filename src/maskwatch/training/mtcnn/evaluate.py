"""MTCNN before and after: the table of the seed project, recall by state, and what changed.

The seed project counted on masked faces at an IoU of 0.3: found, false, and with them missed. Here
faces of other states are ignored where they are matched: neither missed, nor false alarms.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maskwatch.boxes import iou
from maskwatch.datasets.records import Track, silently
from maskwatch.detectors.mtcnn import MtcnnDetector
from maskwatch.errors import UsageError
from maskwatch.images import write_image
from maskwatch.metrics.classification import number
from maskwatch.metrics.detection import ANY, IOU, LOOSE_IOU, NAMES, DetectionReport
from maskwatch.metrics.detector_comparison import DetectorComparison, aligned
from maskwatch.metrics.found import NO_STATE, Flags
from maskwatch.metrics.judged import text
from maskwatch.metrics.matching import Question, Ranking, overlaps, rank
from maskwatch.metrics.tally import Tally
from maskwatch.training.detection.evaluate import MIN_FACE_PX, evaluate_contenders
from maskwatch.training.detection.sheets import Cell, drawn
from maskwatch.training.detection.specs import LOW_SCORE
from maskwatch.training.mtcnn.photos import validation_photos
from maskwatch.training.mtcnn.recall import StageRecall, all_recalls, table
from maskwatch.training.mtcnn.runs import model_networks
from maskwatch.types import Faces, Image

MASKED = NAMES[0]

_SHEETS = 2


class MtcnnContender:
    """Three networks as shipped, and the same giving all they have."""

    tells_states = False

    def __init__(self, model: str, min_score: float | None = None) -> None:
        """Load them.

        Args:
            model: `default`, `stock`, or the folder of a run.
            min_score: Faces scored lower are not found as shipped; None takes the usual.

        Raises:
            ModelError: A file is missing or damaged.
        """
        self.networks = model_networks(model)
        self.name = Path(model).name or model
        self._shipped = MtcnnDetector(self.networks, min_score)
        self.min_score = self._shipped.min_score
        self._all = MtcnnDetector(self.networks, min(LOW_SCORE, self.min_score))

    def as_shipped(self, image: Image) -> Faces:
        """What serving finds."""
        return self._shipped([image])[0]

    def down_to_low_scores(self, image: Image) -> Faces:
        """What it finds when it returns faces that it hardly believes in, too."""
        return self._all([image])[0]


@dataclass(frozen=True, slots=True, eq=False)
class MtcnnComparison:
    """One or more models on the same photos.

    Attributes:
        detection: All figures that any detector has.
        recalls: Of each network, by name; empty where they were not measured.
    """

    detection: DetectorComparison
    recalls: Mapping[str, Sequence[StageRecall]]

    def table(self) -> str:
        """The seed's table, recall by state, recall by network, then what any detector has."""
        parts = ["\n".join(_seed_lines(self.detection)), "\n".join(_state_lines(self.detection))]
        parts += [table(stage, rows) for stage, rows in self.recalls.items() if rows]
        return "\n\n".join([*parts, self.detection.table()])

    def json(self) -> dict[str, Any]:
        """All figures, ready for `json.dumps`; undefined ones are null."""
        figures = self.detection.json()
        for report, own in zip(self.detection.reports, figures["detectors"], strict=True):
            own["masked_iou30"] = masked(report).json()
            own["by_state"] = {
                f"iou {least:g}": {
                    state: tally.json() for state, tally in by_state(report, least).items()
                }
                for least in (LOOSE_IOU, IOU)
            }
        figures["recall_by_network"] = {
            stage: [
                {
                    "model": row.name,
                    "candidates": number(row.candidates),
                    **{f"iou {o:g} of {n}": number(row.recall(o, n)) for o, n in row.hits},
                }
                for row in rows
            ]
            for stage, rows in self.recalls.items()
        }
        return figures


def evaluate_mtcnn(
    models: Sequence[str],
    data: Sequence[Path],
    *,
    split: str | None = None,
    min_score: float | None = None,
    min_face_px: float = MIN_FACE_PX,
    by_network: bool = True,
    track: Track = silently,
) -> MtcnnComparison:
    """Measure MTCNN before and after.

    Args:
        models: `default`, `stock`, or folders of runs.
        data: Folders of data sets.
        split: `train`, `val`, `test` or `all`; None takes `test`, else `val`, else everything.
        min_score: Of the faces found as shipped; None takes the usual.
        min_face_px: Faces whose box has a smaller square root of its area are ignored.
        by_network: Measure the recall of each network, too; on the split `val`.
        track: Shows how far it is.

    Raises:
        UsageError: A model comes twice, or none is named.
        SourceError: No such folder.
        DatasetError: Not one photo can be read.
        ModelError: A model is missing or damaged, or fails.
    """
    contenders = load_contenders(models, min_score)
    done = evaluate_contenders(contenders, data, split=split, min_face_px=min_face_px, track=track)
    recalls: dict[str, list[StageRecall]] = {}
    if by_network:
        photos = validation_photos(data, min_face_px=min_face_px, track=track).photos
        if photos:
            networks = {contender.name: contender.networks for contender in contenders}
            recalls = all_recalls(networks, photos, track)
    return MtcnnComparison(done, recalls)


def load_contenders(models: Sequence[str], min_score: float | None) -> list[MtcnnContender]:
    """Load all.

    Raises:
        UsageError: Two have the same name.
        ModelError: A file is missing or damaged.
    """
    contenders = [MtcnnContender(model, min_score) for model in models]
    names = [contender.name for contender in contenders]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two models are called {name}. Name each once, or rename a folder.")
    if not names:
        raise UsageError("no model was named. Give default, stock, or folders of runs.")
    return contenders


def of_state(report: DetectionReport, state: str, min_iou: float) -> Ranking:
    """Hits, false alarms and misses as shipped, where only faces of one state are to be found.

    Args:
        report: Of a detector that tells no states.
        state: One of `CLASSES` by name.
        min_iou: The least overlap of a hit.
    """
    truths, found, least = report.truths, report.shipped, report.min_face_px
    counted: Flags = (truths.states == NAMES.index(state)) & (truths.sizes_px >= least)
    everyone: Flags = np.ones(len(found), np.bool_)
    question = Question(found.scores, everyone, found.sizes_px < least, counted, ~counted)
    return rank(overlaps(found, truths, min_iou), question, min_iou)


def by_state(report: DetectionReport, min_iou: float) -> dict[str, Tally]:
    """Counts as shipped of any face, and of those of each state by itself."""
    whole = Tally.of(report.ranking(ANY, min_iou, shipped=True))
    return {ANY: whole} | {name: Tally.of(of_state(report, name, min_iou)) for name in NAMES}


def masked(report: DetectionReport) -> Tally:
    """The seed's counts: masked faces at an IoU of 0.3."""
    return Tally.of(of_state(report, MASKED, LOOSE_IOU))


def _seed_lines(done: DetectorComparison) -> list[str]:
    rows = []
    for report in done.reports:
        tally = masked(report)
        counts = [str(n) for n in (tally.hits, tally.false_alarms, tally.missed)]
        shares = [
            _share(tally.precision, tally.precision_interval),
            _share(tally.recall, tally.recall_interval),
        ]
        rows.append((report.name, [*counts, *shares]))
    total = masked(done.reports[0])
    title = f"{total.hits + total.missed} masked faces, IoU {LOOSE_IOU}"
    return aligned(title, ["TP", "FP", "FN", "precision", "recall"], rows)


def _state_lines(done: DetectorComparison) -> list[str]:
    """Recall of each state at both overlaps, a line a model."""
    heads, rows = [], [(report.name, list[str]()) for report in done.reports]
    tallies = [
        {least: by_state(report, least) for least in (LOOSE_IOU, IOU)} for report in done.reports
    ]
    for state in (ANY, *NAMES):
        for least in (LOOSE_IOU, IOU):
            own = [each[least][state] for each in tallies]
            heads.append(f"{state} {least:g} ({own[0].hits + own[0].missed})")
            for (_, cells), tally in zip(rows, own, strict=True):
                cells.append(_share(tally.recall, tally.recall_interval))
    return aligned("recall by state and IoU", heads, rows)


def _share(value: float, ends: tuple[float, float]) -> str:
    return f"{text(value)} [{text(ends[0])}, {text(ends[1])}]"


def changed(
    before: DetectionReport, after: DetectionReport, min_iou: float = LOOSE_IOU
) -> dict[str, tuple[DetectionReport, list[Cell]]]:
    """Faces that one finds and the other does not, and false alarms likewise, by kind.

    Args:
        before: Of one model.
        after: Of another on the same photos.
        min_iou: The least overlap of a hit.

    Returns:
        By kind: the report whose boxes are to be shown, and the cells.
    """
    rankings = [report.ranking(ANY, min_iou, shipped=True) for report in (before, after)]
    hits = [set(ranking.truth[ranking.hit].tolist()) for ranking in rankings]
    counted = hits[0] | set(rankings[0].missed.tolist())
    # What was ignored by one cannot be missed by the other.
    gained = sorted((hits[1] - hits[0]) & counted)
    lost = sorted((hits[0] - hits[1]) & (hits[1] | set(rankings[1].missed.tolist())))
    return {
        "found-now": (after, [_face(after, index) for index in gained]),
        "missed-now": (after, [_face(after, index) for index in lost]),
        "false-alarms-now": (after, _alarms(after, rankings[1], before)),
        "false-alarms-gone": (before, _alarms(before, rankings[0], after)),
    }


def _face(report: DetectionReport, index: int) -> Cell:
    truths = report.truths
    state = int(truths.states[index])
    name = "face" if state == NO_STATE else NAMES[state]
    photo = int(truths.photo[index])
    line = f"{truths.sizes_px[index]:.0f} px {name}"
    return Cell(photo, truths.boxes[index], False, (line, _where(report, photo)))


def _alarms(own: DetectionReport, ranking: Ranking, other: DetectionReport) -> list[Cell]:
    """False alarms of one where the other finds nothing."""
    cells = []
    for index in ranking.found[~ranking.hit].tolist():
        photo, box = int(own.shipped.photo[index]), own.shipped.boxes[index]
        theirs = other.shipped.boxes[other.shipped.photo == photo]
        if not (iou(box[None].astype(np.float32), theirs.astype(np.float32)) >= LOOSE_IOU).any():
            line = f"{own.shipped.scores[index]:.2f} {own.shipped.sizes_px[index]:.0f} px"
            cells.append(Cell(photo, box, True, (line, _where(own, photo))))
    return cells


def _where(report: DetectionReport, photo: int) -> str:
    return report.paths[photo].name[:24]


def sheet_files(models: Sequence[str], folder: Path) -> list[Path]:
    """Every file that `write_sheets` may write for models of these names."""
    kinds = ("found-now", "missed-now", "false-alarms-now", "false-alarms-gone")
    numbers = range(1, _SHEETS + 1)
    return [_file(folder, name, kind, n) for name in models[1:] for kind in kinds for n in numbers]


def write_sheets(done: DetectorComparison, folder: Path) -> list[Path]:
    """Write what each model changes compared to the first as PNG; of what did not, none.

    Raises:
        OutputError: A file cannot be written.
    """
    written = []
    first = done.reports[0]
    for report in done.reports[1:]:
        for kind, (shown, cells) in changed(first, report).items():
            what = f"{kind.replace('-', ' ')}, {report.name} after {first.name}"
            for n, sheet in enumerate(drawn(shown, cells, what, _SHEETS), start=1):
                path = _file(folder, report.name, kind, n)
                write_image(path, sheet)
                written.append(path)
    return written


def _file(folder: Path, name: str, kind: str, number: int) -> Path:
    return folder / f"{re.sub(r'[^A-Za-z0-9.+-]+', '_', name)}-{kind}-{number}.png"
