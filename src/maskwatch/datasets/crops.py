"""Cut the faces of photos with boxes into crops in class folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from maskwatch.boxes import areas
from maskwatch.datasets.importing import Names, Written, class_folder
from maskwatch.datasets.records import Record, Track, silently, state_name
from maskwatch.errors import DatasetError, UnreadableImageError
from maskwatch.images import read_image, write_image
from maskwatch.preprocess import CROP_SCALE, face_crops


def write_crops(
    records: Sequence[Record],
    out: Path,
    *,
    margin: float = CROP_SCALE,
    min_face_px: float = 24,
    size_px: int | None = None,
    track: Track = silently,
) -> Written:
    """Cut every face that has a state and is large enough.

    Args:
        records: Photos with boxes.
        out: Gets `SPLIT/CLASS/NAME-NUMBER.png`.
        margin: Side of a crop as a multiple of the longer side of its box.
        min_face_px: Faces whose box has a smaller square root of its area are left out.
        size_px: Side of every crop; None keeps the pixels of the photo.
        track: Shows how far it is.

    Raises:
        DatasetError: There are no boxes.
        OutputError: A file cannot be written.
    """
    if all(record.boxes is None for record in records):
        raise DatasetError("these are face crops already, without boxes to cut. Use data import.")
    written = Written()
    names = Names()
    for record in track(records, "cutting faces"):
        if record.boxes is None or len(record.boxes) == 0:
            continue
        sizes_px = np.sqrt(areas(record.boxes))
        kept = []
        for index, state in enumerate(record.states):
            if state is None:
                written.skipped["without a mask state"] += 1
            elif sizes_px[index] < min_face_px:
                written.skipped[f"under {min_face_px:g} px"] += 1
            else:
                kept.append(index)
        if not kept:
            continue
        try:
            image = read_image(record.path)
        except UnreadableImageError as exc:
            written.unread.append(str(exc))
            continue
        stem = names.free(out / record.split, record.path.stem)
        for index in kept:
            box, state = record.boxes[index : index + 1], record.states[index]
            side = size_px or max(1, round(float((box[0, 2:] - box[0, :2]).max()) * margin))
            crop = face_crops(image, box, side, margin)[0]
            write_image(class_folder(out, record.split, state) / f"{stem}-{index}.png", crop)
            written.counts.setdefault(record.split, Counter())[state_name(state)] += 1
            written.pictures += 1
    return written
