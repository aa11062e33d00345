"""Masks drawn on bare faces: training data and a demo without a camera.

A drawing is told in steps, one file each: where the head is (`geometry`), which surface in space
the mask takes on it (`shapes`), what the fabric looks like laid flat (`textures`), what light,
sharpness and grain the photo has (`light`), and how all this is put together (`draw`). `style`
holds the words.
"""

from maskwatch.datasets.synthetic.draw import draw_mask, draw_masks
from maskwatch.datasets.synthetic.geometry import landmarks_from_box
from maskwatch.datasets.synthetic.style import (
    STYLES,
    MaskKind,
    MaskStyle,
    Pattern,
    Wear,
    style_named,
)

__all__ = [
    "STYLES",
    "MaskKind",
    "MaskStyle",
    "Pattern",
    "Wear",
    "draw_mask",
    "draw_masks",
    "landmarks_from_box",
    "style_named",
]
