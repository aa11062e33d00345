"""Hand the faces to supervision's annotators (pip install supervision).

python examples/with_supervision.py PHOTO ANNOTATED_COPY
"""

from __future__ import annotations

import sys
from pathlib import Path

import supervision as sv

import maskwatch


def main(photo: Path, copy: Path) -> None:
    """Draw boxes and class names with supervision."""
    image = maskwatch.read_image(photo)
    detections = maskwatch.Pipeline.default()(image).faces.to_supervision()
    scene = sv.BoxAnnotator().annotate(image.copy(), detections)
    scene = sv.LabelAnnotator().annotate(scene, detections)
    maskwatch.write_image(copy, scene)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
