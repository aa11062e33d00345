"""Look a data set over: counts, unreadable files, copies, leakage, contradicting labels, sizes.

Labels that contradict each other need not be wrong: in sets with drawn masks, a portrait and the
same with a mask on are copies by the rule of `duplicates` where the mask is small. That they leak
from one split to another is true of them all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskwatch.boxes import areas
from maskwatch.datasets.duplicates import Pair, find_pairs, fingerprint_files, group
from maskwatch.datasets.records import Dataset, Record, Track, class_counts, silently, state_name

_PERCENTS = (0, 10, 50, 90, 100)


@dataclass(frozen=True, slots=True)
class Leakage:
    """Pictures of a split that have a copy in `train`.

    Attributes:
        pictures: How many.
        share: Of the readable pictures of the split.
        exact: How many of them are the same file byte for byte.
    """

    pictures: int
    share: float
    exact: int


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What was found.

    Attributes:
        name: Of the data set.
        format: Its form.
        counts: Faces of each class by split.
        pictures: Readable pictures by split.
        unread: A line for each picture that could not be read.
        records: The readable pictures; `pairs` counts in them.
        pairs: All pairs of copies.
        in_groups: Pictures that have at least one copy.
        leakage: By split other than `train`; empty where there is no `train`.
        leaks: The pairs behind it.
        conflicts: Pairs of copies whose faces have different states.
        sizes_px: Percentiles of the sizes: square root of the area of a box, longer side of a crop.
    """

    name: str
    format: str
    counts: dict[str, Counter[str]]
    pictures: dict[str, int]
    unread: tuple[str, ...]
    records: tuple[Record, ...]
    pairs: tuple[Pair, ...]
    in_groups: int
    leakage: dict[str, Leakage]
    leaks: tuple[Pair, ...]
    conflicts: tuple[Pair, ...]
    sizes_px: dict[int, float]

    @property
    def exact(self) -> int:
        """Pairs of files that are equal byte for byte."""
        return sum(pair.exact for pair in self.pairs)

    def json(self) -> dict[str, Any]:
        """All of it in plain values; pairs name their files."""
        return {
            "name": self.name,
            "format": self.format,
            "counts": {split: dict(counter) for split, counter in self.counts.items()},
            "pictures": self.pictures,
            "unread": list(self.unread),
            "duplicates": {
                "pairs": len(self.pairs),
                "exact_pairs": self.exact,
                "pictures": self.in_groups,
            },
            "leakage": {
                split: {"pictures": leak.pictures, "share": leak.share, "exact": leak.exact}
                for split, leak in self.leakage.items()
            },
            "duplicate_pairs": [self._pair(pair) for pair in self.pairs],
            "conflicts": [self._pair(pair) for pair in self.conflicts],
            "sizes_px": {str(percent): size for percent, size in self.sizes_px.items()},
        }

    def _pair(self, pair: Pair) -> dict[str, Any]:
        files = [str(self.records[index].path) for index in (pair.first, pair.second)]
        return {"files": files, "similarity": pair.similarity, "exact": pair.exact}

    def table(self) -> str:
        """The same for people."""
        lines = [f"{self.name} ({self.format})"]
        for split, counter in self.counts.items():
            faces = ", ".join(f"{count} {name}" for name, count in counter.items()) or "no faces"
            lines.append(f"{split or 'no split'}: {self.pictures.get(split, 0)} pictures, {faces}")
        lines.append(f"unreadable: {len(self.unread)}")
        total = sum(self.pictures.values())
        share = self.in_groups / max(total, 1)
        lines.append(
            f"copies: {self.in_groups} pictures ({share:.1%}) have a copy; "
            f"{len(self.pairs)} pairs, {self.exact} of them equal files"
        )
        for split, leak in self.leakage.items():
            lines.append(
                f"leakage: {leak.pictures} of {self.pictures.get(split, 0)} pictures of {split} "
                f"({leak.share:.1%}) have a copy in train, {leak.exact} of them an equal file"
            )
        lines.append(f"contradicting labels: {len(self.conflicts)} pairs")
        lines += [
            f"  {self._label(pair.first)} / {self._label(pair.second)}" for pair in self.conflicts
        ]
        if self.sizes_px:
            sizes = ", ".join(f"{percent}%: {size:g}" for percent, size in self.sizes_px.items())
            lines.append(f"sizes in px: {sizes}")
        return "\n".join(lines)

    def _label(self, index: int) -> str:
        record = self.records[index]
        return f"{record.path} ({', '.join(map(state_name, record.states)) or 'no faces'})"


def check_dataset(dataset: Dataset, track: Track = silently) -> Report:
    """Read every picture of a data set and report what is wrong with it."""
    paths = [record.path for record in dataset.records]
    prints, kept, unread = fingerprint_files(paths, track)
    records = tuple(dataset.records[index] for index in kept)
    pairs = tuple(find_pairs(prints, track))
    groups = group(len(records), [(pair.first, pair.second) for pair in pairs])
    leaks = tuple(pair for pair in pairs if _leaks(records, pair))
    pictures = Counter(record.split for record in records)
    return Report(
        name=dataset.name,
        format=dataset.format,
        counts=class_counts(records),
        pictures=dict(sorted(pictures.items())),
        unread=(*dataset.unread, *unread),
        records=records,
        pairs=pairs,
        in_groups=int((np.bincount(groups)[groups] > 1).sum()) if len(records) else 0,
        leakage=_leakage(records, leaks, pictures),
        leaks=leaks,
        conflicts=tuple(pair for pair in pairs if _contradict(records, pair)),
        sizes_px=_percentiles(records, prints.sizes_hw),
    )


def copies_between(
    first: Sequence[Path], second: Sequence[Path], track: Track = silently
) -> list[tuple[Path, Path, float]]:
    """Pictures of one list that have a copy in another, such as two data sets to be joined.

    Files that cannot be read are left out.
    """
    paths = [*first, *second]
    prints, kept, _ = fingerprint_files(paths, track)
    found = []
    for pair in find_pairs(prints, track):
        i, j = kept[pair.first], kept[pair.second]
        if i < len(first) <= j:
            found.append((paths[i], paths[j], pair.similarity))
    return found


def _leaks(records: Sequence[Record], pair: Pair) -> bool:
    """Whether one of the two is in train and the other in another split."""
    splits = {records[pair.first].split, records[pair.second].split}
    return "train" in splits and len(splits) == 2


def _leakage(
    records: Sequence[Record], leaks: Sequence[Pair], pictures: Counter[str]
) -> dict[str, Leakage]:
    if "train" not in pictures:
        return {}
    inside: dict[int, bool] = {}
    for pair in leaks:
        outer = pair.second if records[pair.first].split == "train" else pair.first
        inside[outer] = inside.get(outer, False) or pair.exact
    result = {}
    for split in sorted(set(pictures) - {"train"}):
        found = [exact for index, exact in inside.items() if records[index].split == split]
        share = round(len(found) / pictures[split], 4)
        result[split] = Leakage(len(found), share, sum(found))
    return result


def _contradict(records: Sequence[Record], pair: Pair) -> bool:
    """Whether the faces of two copies have different states."""
    first, second = (Counter(records[i].states) for i in (pair.first, pair.second))
    return first != second


def _percentiles(records: Sequence[Record], sizes_hw: NDArray[np.int64]) -> dict[int, float]:
    sizes: list[float] = []
    for record, size_hw in zip(records, sizes_hw, strict=True):
        if record.boxes is None:
            sizes.append(float(size_hw.max()))
        else:
            sizes += np.sqrt(areas(record.boxes)).tolist()
    if not sizes:
        return {}
    values = np.percentile(sizes, _PERCENTS)
    return {p: round(float(value), 1) for p, value in zip(_PERCENTS, values, strict=True)}
