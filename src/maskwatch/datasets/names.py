"""From the class names that people write to mask states."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np

from maskwatch.datasets.records import FACE, Labelled, Record, State
from maskwatch.errors import DatasetError, UnknownNameError, UsageError
from maskwatch.types import CLASSES, MaskState

SKIP = "skip"
"""What `--map` sends a class to whose labels are to be left out."""

_SPELLINGS: dict[State, str] = {
    MaskState.WITH_MASK: (
        "with_mask with_a_mask mask masks masked wearing_mask wear_mask mask_on face_mask facemask "
        "face_with_mask masked_face correct correct_mask mask_correct mask_worn_correctly "
        "correctly_worn mask_weared_correct with_correct_mask have_mask good"
    ),
    MaskState.WITHOUT_MASK: (
        "without_mask without_a_mask without no_mask nomask not_mask non_mask unmask unmasked "
        "bare bare_face mask_off not_wearing_mask no_face_mask face_no_mask face_without_mask "
        "not_masked unmasked_face no_mask_on none_mask bad"
    ),
    MaskState.INCORRECT_MASK: (
        "incorrect_mask incorrect mask_incorrect mask_weared_incorrect with_incorrect_mask "
        "incorrectly_worn incorrectly_worn_mask mask_worn_incorrectly mask_worn_incorrect "
        "incorrectly_masked incorrect_mask_wearing improper_mask improper wrong_mask wrong "
        "wearing_mask_incorrectly weared_incorrect worn_incorrectly partially_masked "
        "mask_improperly_worn poor_mask"
    ),
    None: "face faces human_face head_face",
}


def _compact(name: str) -> str:
    """The name without case, spaces, hyphens, underscores and dots."""
    return re.sub(r"[\s_\-.]+", "", name.casefold())


_KNOWN: dict[str, State] = {
    _compact(name): state for state, names in _SPELLINGS.items() for name in names.split()
}
_TARGETS: dict[str, State] = {state.value: state for state in CLASSES} | {FACE: None}


class NameTable:
    """Knows the usual spellings of the classes, and those that the user adds."""

    def __init__(self, mapping: Mapping[str, str] | None = None) -> None:
        """Take what the user adds.

        Args:
            mapping: From a name as written to a class, `face` or `skip`.

        Raises:
            UnknownNameError: It maps to something else.
        """
        self._table: dict[str, State] = dict(_KNOWN)
        self._skipped: set[str] = set()
        for name, target in (mapping or {}).items():
            if target not in _TARGETS and target != SKIP:
                raise UnknownNameError("class", target, [*_TARGETS, SKIP])
            if target == SKIP:
                self._skipped.add(_compact(name))
            else:
                self._table[_compact(name)] = _TARGETS[target]

    def knows(self, name: str) -> bool:
        """Whether the name means anything."""
        return _compact(name) in self._table or self.skips(name)

    def skips(self, name: str) -> bool:
        """Whether labels of this name are to be left out."""
        return _compact(name) in self._skipped

    def state(self, name: str) -> State:
        """The state that a known name means; None for a face without one."""
        return self._table[_compact(name)]

    def resolve(self, items: Iterable[Labelled], source: str) -> tuple[Record, ...]:
        """Understand all labels of a set.

        Raises:
            DatasetError: Some names mean nothing; the message lists all of them.
        """
        items = tuple(items)
        unknown = {name for item in items for name in item.names if not self.knows(name)}
        if unknown:
            shown = ", ".join(repr(name) for name in sorted(unknown))
            example = f"{min(unknown)}=without_mask"
            raise DatasetError(
                f"unknown class names in {source}: {shown}. Say what each means with --map, for "
                f"example --map '{example}'; meanings: {', '.join([*_TARGETS, SKIP])}."
            )
        return tuple(record for item in items if (record := self._record(item, source)))

    def _record(self, item: Labelled, source: str) -> Record | None:
        """The record of one picture; None for a crop of a class that is left out."""
        kept = [i for i, name in enumerate(item.names) if not self.skips(name)]
        states = tuple(self.state(item.names[i]) for i in kept)
        if item.boxes is None:
            return Record(item.path, None, states, source, item.split) if states else None
        boxes = item.boxes[np.asarray(kept, np.int64)]
        return Record(item.path, boxes, states, source, item.split)


def parse_map(text: str | None) -> dict[str, str]:
    """Read `0=with_mask,1=without_mask`.

    Raises:
        UsageError: It is not of that form.
    """
    mapping: dict[str, str] = {}
    for part in (text or "").split(","):
        name, equals, target = part.partition("=")
        if not part.strip():
            continue
        if not equals or not name.strip() or not target.strip():
            raise UsageError(f"--map has {part!r}. Write NAME=CLASS,NAME=CLASS,...")
        mapping[name.strip()] = target.strip()
    return mapping
