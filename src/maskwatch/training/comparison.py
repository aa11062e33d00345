"""The results of a comparison, and the figures that follow from them."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from maskwatch.metrics.intervals import wilson


@dataclass(frozen=True, slots=True)
class Result:
    """What one training gave.

    Attributes:
        group: See `Trial`.
        seed: Of the training.
        recipe: Its name.
        backbone: Of the network.
        size_px: Side of its input.
        optimizer: Its name.
        weights: The backbone began with.
        accuracy: On the test faces.
        balanced_accuracy: On the same.
        faces: Number of test faces.
        tested_on: Data set and split of those.
        val_accuracy: By which the training chose.
        parameters: Of the whole model.
        trainable: Parameters that were trained.
        epochs: That were trained.
        file_mb: Size of the exported file, 10^6 bytes.
        train_s: Time of the training without the features of a frozen backbone.
        features_s: Time to make those; None where there are none or they were there already.
        ms_per_step: Time of a training step.
    """

    group: str
    seed: int
    recipe: str
    backbone: str
    size_px: int
    optimizer: str
    weights: str
    accuracy: float
    balanced_accuracy: float
    faces: int
    tested_on: str
    val_accuracy: float
    parameters: int
    trainable: int
    epochs: int
    file_mb: float
    train_s: float
    features_s: float | None
    ms_per_step: float


@dataclass(frozen=True, slots=True)
class Group:
    """The seeds of one recipe and optimiser together.

    Attributes:
        results: At least one, by seed.
        latency_ms: Median time of a call by faces in it; empty where it was not measured.
    """

    results: tuple[Result, ...]
    latency_ms: Mapping[int, float] = field(default_factory=dict)

    @property
    def first(self) -> Result:
        """For what all seeds share."""
        return self.results[0]

    @property
    def accuracies(self) -> list[float]:
        """By seed."""
        return [result.accuracy for result in self.results]

    @property
    def accuracy(self) -> float:
        """Mean over the seeds."""
        return statistics.fmean(self.accuracies)

    @property
    def deviation(self) -> float:
        """Standard deviation of the accuracy over the seeds (n - 1); NaN for a single one."""
        return statistics.stdev(self.accuracies) if len(self.results) > 1 else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of the mean accuracy for the number of test faces, see `wilson`.

        It says how far another draw of test faces might move it; another seed is `deviation`.
        """
        return wilson(round(self.accuracy * self.first.faces), self.first.faces)

    @property
    def features_s(self) -> float | None:
        """Time to make the features, where one of the seeds did."""
        made = [result.features_s for result in self.results if result.features_s is not None]
        return max(made, default=None)

    def figures(self) -> dict[str, Any]:
        """All figures by name, ready for JSON and CSV; undefined ones are None."""
        first, (low, high) = self.first, self.interval
        shares = {
            "accuracy": self.accuracy,
            "accuracy_std": self.deviation,
            "accuracy_min": min(self.accuracies),
            "accuracy_max": max(self.accuracies),
            "accuracy_low95": low,
            "accuracy_high95": high,
            "balanced_accuracy": statistics.fmean(r.balanced_accuracy for r in self.results),
            "val_accuracy": statistics.fmean(r.val_accuracy for r in self.results),
        }
        return {
            "group": first.group,
            "backbone": first.backbone,
            "size_px": first.size_px,
            "optimizer": first.optimizer,
            "weights": first.weights,
            "seeds": len(self.results),
            "epochs": max(result.epochs for result in self.results),
            **{name: None if math.isnan(v) else round(v, 5) for name, v in shares.items()},
            "test_faces": first.faces,
            "parameters": first.parameters,
            "trainable": first.trainable,
            "file_mb": round(first.file_mb, 3),
            "train_s": round(statistics.fmean(r.train_s for r in self.results), 2),
            "features_s": self.features_s,
            "ms_per_step": round(statistics.median(r.ms_per_step for r in self.results), 3),
            **{f"latency_ms_{n}": round(ms, 3) for n, ms in sorted(self.latency_ms.items())},
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """All of it.

    Attributes:
        data: The data set.
        groups: Those with a result, in the order asked for.
        failures: A line by trial that failed.
        left: Trials that were not begun or not ended.
        threads: Of one call, in the latencies.
    """

    data: str
    groups: tuple[Group, ...]
    failures: Mapping[str, str]
    left: tuple[str, ...]
    threads: int

    @property
    def tested_on(self) -> str:
        """Data set, split and number of test faces."""
        tested = {f"{g.first.tested_on}, {g.first.faces} faces" for g in self.groups}
        return "; ".join(sorted(tested))

    def table(self) -> str:
        """The figures as text, a line a group."""
        rows = [HEAD, *(cells(group) for group in self.groups)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if column else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        )

    def csv(self) -> str:
        """The figures as CSV, a row a group."""
        rows = [group.figures() for group in self.groups]
        names = list(dict.fromkeys(name for row in rows for name in row))
        text = io.StringIO()
        table = csv.DictWriter(text, names, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        return text.getvalue()

    def json(self) -> dict[str, Any]:
        """All figures, ready for `json.dumps`."""
        return {
            "data": self.data,
            "tested_on": self.tested_on,
            "latency_threads": self.threads,
            "groups": [group.figures() for group in self.groups],
            "runs": [asdict(result) for group in self.groups for result in group.results],
            "failures": dict(self.failures),
            "left": list(self.left),
        }


HEAD = [
    "recipe",
    "optimizer",
    "accuracy",
    "min to max",
    "95% interval",
    "balanced",
    "parameters",
    "MB",
    "training s",
    "features s",
    "ms/step",
    "ms for 1",
    "ms for 16",
]


def cells(group: Group) -> list[str]:
    """A group's row below `HEAD`."""
    figures = group.figures()
    low, high = group.interval
    spread = "" if math.isnan(group.deviation) else f" ± {group.deviation:.4f}"
    return [
        group.first.group,
        group.first.optimizer,
        f"{group.accuracy:.4f}{spread}",
        f"{min(group.accuracies):.4f} to {max(group.accuracies):.4f}",
        f"{low:.4f} to {high:.4f}",
        _number(figures["balanced_accuracy"], 4),
        f"{group.first.parameters:,}",
        f"{group.first.file_mb:.1f}",
        f"{figures['train_s']:.1f}",
        _number(group.features_s, 1),
        f"{figures['ms_per_step']:.1f}",
        _number(group.latency_ms.get(1), 1),
        _number(group.latency_ms.get(16), 1),
    ]


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def grouped(
    results: Sequence[Result], latencies_ms: Mapping[str, Mapping[int, float]]
) -> tuple[Group, ...]:
    """Results by group, in the order in which the groups first appear, seeds sorted."""
    names = dict.fromkeys(result.group for result in results)
    return tuple(
        Group(
            tuple(sorted((r for r in results if r.group == name), key=lambda r: r.seed)),
            dict(latencies_ms.get(name, {})),
        )
        for name in names
    )
