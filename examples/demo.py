"""The main job on three pictures: a bare face, a drawn mask on it, and one below its nose.

python examples/demo.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.cbook import get_sample_data

from maskwatch.cli import main
from maskwatch.datasets.synthetic import Wear, draw_mask, style_named
from maskwatch.images import read_image, write_image

# Eyes, nose and mouth corners of the portrait that comes with matplotlib.
GRACE_HOPPER = np.array(
    [[227, 193], [308, 195], [266, 240], [229, 268], [302, 270]], dtype=np.float32
)


def write_photos(folder: Path) -> None:
    """Put the three pictures into a folder."""
    bare = read_image(Path(str(get_sample_data("grace_hopper.jpg", asfileobj=False))))
    write_image(folder / "bare.jpg", bare)
    for name, style, wear in (
        ("masked", "surgical-blue", Wear.CORRECT),
        ("nose-out", "cloth-black", Wear.NOSE_OUT),
    ):
        masked, _ = draw_mask(
            bare, GRACE_HOPPER, style_named(style), wear=wear, rng=np.random.default_rng(1)
        )
        write_image(folder / f"{name}.jpg", masked)


if __name__ == "__main__":
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "demo-out")
    write_photos(out / "photos")
    command = f"detect {out}/photos --out {out}/annotated --json {out}/faces.jsonl --overwrite"
    print(f"maskwatch {command}")
    main(command.split())
