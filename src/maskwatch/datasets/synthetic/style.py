"""What a mask looks like and how it is worn."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from maskwatch.errors import UnknownNameError
from maskwatch.types import MaskState


class MaskKind(StrEnum):
    """The cut of a mask."""

    SURGICAL = "surgical"
    CLOTH = "cloth"
    RESPIRATOR = "respirator"


class Pattern(StrEnum):
    """What is printed on a cloth mask."""

    PLAIN = "plain"
    STRIPES = "stripes"
    DOTS = "dots"
    CHECKS = "checks"
    CAMOUFLAGE = "camouflage"


class Wear(StrEnum):
    """How a mask is worn.

    `CORRECT` covers nose, mouth and chin; `NOSE_OUT` has its upper edge on the upper lip; `CHIN`
    is pulled down below the lower lip; `HANGING` dangles beside the jaw from one ear.
    """

    CORRECT = "correct"
    NOSE_OUT = "nose_out"
    CHIN = "chin"
    HANGING = "hanging"

    @property
    def state(self) -> MaskState:
        """The state that a mask worn this way means."""
        return MaskState.WITH_MASK if self is Wear.CORRECT else MaskState.INCORRECT_MASK


@dataclass(frozen=True, slots=True)
class MaskStyle:
    """The look of a mask.

    Attributes:
        kind: Its cut.
        colour: Blue, green, red from 0 to 255, as seen in white light.
        pattern: What is printed on it; only cloth is printed.
        accent: Second colour of the pattern, blue, green, red.
    """

    kind: MaskKind
    colour: tuple[int, int, int]
    pattern: Pattern = Pattern.PLAIN
    accent: tuple[int, int, int] = (225, 228, 230)

    def __post_init__(self) -> None:
        for name in ("colour", "accent"):
            value = getattr(self, name)
            if len(value) != 3 or not all(0 <= channel <= 255 for channel in value):
                raise ValueError(f"{name} is three numbers from 0 to 255 (BGR), got {value!r}.")
        if self.pattern is not Pattern.PLAIN and self.kind is not MaskKind.CLOTH:
            raise ValueError(f"only cloth masks are printed, got {self.kind} with {self.pattern}.")


_SURGICAL, _CLOTH, _RESPIRATOR = MaskKind.SURGICAL, MaskKind.CLOTH, MaskKind.RESPIRATOR

STYLES: dict[str, MaskStyle] = {
    "surgical-blue": MaskStyle(_SURGICAL, (224, 196, 148)),
    "surgical-white": MaskStyle(_SURGICAL, (236, 234, 232)),
    "surgical-green": MaskStyle(_SURGICAL, (178, 204, 150)),
    "surgical-black": MaskStyle(_SURGICAL, (44, 40, 40)),
    "surgical-pink": MaskStyle(_SURGICAL, (206, 182, 234)),
    "cloth-black": MaskStyle(_CLOTH, (38, 35, 34)),
    "cloth-navy": MaskStyle(_CLOTH, (92, 58, 40)),
    "cloth-grey": MaskStyle(_CLOTH, (118, 116, 114)),
    "cloth-red": MaskStyle(_CLOTH, (48, 40, 150)),
    "cloth-stripes": MaskStyle(_CLOTH, (120, 78, 52), Pattern.STRIPES),
    "cloth-dots": MaskStyle(_CLOTH, (60, 48, 130), Pattern.DOTS),
    "cloth-checks": MaskStyle(_CLOTH, (70, 60, 150), Pattern.CHECKS),
    "cloth-camouflage": MaskStyle(_CLOTH, (66, 92, 84), Pattern.CAMOUFLAGE, (44, 56, 50)),
    "ffp2-white": MaskStyle(_RESPIRATOR, (238, 237, 235)),
    "ffp2-black": MaskStyle(_RESPIRATOR, (46, 43, 42)),
    "ffp2-grey": MaskStyle(_RESPIRATOR, (146, 142, 138)),
}
"""The styles by name."""


def style_named(name: str) -> MaskStyle:
    """The style of that name.

    Raises:
        UnknownNameError: No style has that name.
    """
    if name not in STYLES:
        raise UnknownNameError("mask style", name, STYLES)
    return STYLES[name]
