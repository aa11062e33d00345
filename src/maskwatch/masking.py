"""Draw masks on the bare faces of a folder of pictures: a detector and `datasets.synthetic`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from maskwatch.datasets.importing import Names, Written, class_folder, put
from maskwatch.datasets.records import Record, Track, class_counts, pictures_in, silently
from maskwatch.datasets.synthetic import STYLES, Wear, draw_mask, landmarks_from_box, style_named
from maskwatch.detectors import Detector
from maskwatch.errors import DatasetError, UnknownNameError, UnreadableImageError
from maskwatch.images import read_image, write_image
from maskwatch.preprocess import CROP_SCALE, face_crops
from maskwatch.types import Faces, Image, MaskState

LABELS_FILE = "masks.jsonl"
"""The list of what was drawn, an object a face."""


@dataclass(frozen=True, slots=True)
class Looks:
    """What masks are drawn.

    Attributes:
        styles: Names of the styles to choose from.
        wears: Ways of wearing to choose from.
        seed: The only source of chance.
    """

    styles: tuple[str, ...] = field(default_factory=lambda: tuple(STYLES))
    wears: tuple[Wear, ...] = (Wear.CORRECT,)
    seed: int = 0

    @classmethod
    def parse(cls, styles: str | None, wears: str, seed: int) -> Looks:
        """Read names that commas separate.

        Raises:
            UnknownNameError: A name is not known.
        """
        chosen = tuple(styles.split(",")) if styles else tuple(STYLES)
        for name in chosen:
            style_named(name)
        known = [wear.value for wear in Wear]
        for name in wears.split(","):
            if name not in known:
                raise UnknownNameError("way of wearing", name, known)
        return cls(chosen, tuple(Wear(name) for name in wears.split(",")), seed)


def mask_folder(
    source: Path,
    out: Path,
    detector: Detector,
    looks: Looks,
    *,
    track: Track = silently,
) -> Written:
    """Draw a mask on every face found and write the face's crop into the folder of its state.

    Each face is drawn on a picture in which all others are still bare. Faces are taken to be bare.

    Args:
        source: Folder of pictures.
        out: Gets `CLASS/NAME-NUMBER.png`, and `LABELS_FILE` with source, crop, box, style, wear
            and state of each.
        detector: Finds the faces.
        looks: What is drawn.
        track: Shows how far it is.

    Raises:
        DatasetError: There are no pictures.
        OutputError: A file cannot be written.
    """
    paths = pictures_in(source)
    if not paths:
        raise DatasetError(f"no pictures in folder {source}.")
    written = Written()
    names = Names()
    done: list[Record] = []
    lines: list[str] = []
    for number, path in enumerate(track(paths, "drawing masks")):
        try:
            image = read_image(path)
        except UnreadableImageError as exc:
            written.unread.append(str(exc))
            continue
        (faces,) = detector([image])
        if len(faces) == 0:
            written.skipped["pictures without a face"] += 1
        stem = names.free(out, path.stem)
        # A generator a picture: what one gets does not depend on the others' faces.
        rng = np.random.default_rng([looks.seed, number])
        for index, (crop, state, facts) in enumerate(_drawn(image, faces, looks, rng)):
            if state is MaskState.WITHOUT_MASK:
                written.skipped["faces whose mask would lie outside the picture"] += 1
                continue
            target = class_folder(out, "", state) / f"{stem}-{index}.png"
            write_image(target, crop)
            place = {"source": str(path), "crop": target.relative_to(out).as_posix()}
            lines.append(json.dumps(place | facts))
            done.append(Record(target, None, (state,)))
    put(out / LABELS_FILE, "".join(f"{line}\n" for line in lines).encode())
    written.counts = class_counts(done)
    written.pictures = len(done)
    return written


def _drawn(
    image: Image, faces: Faces, looks: Looks, rng: np.random.Generator
) -> Sequence[tuple[Image, MaskState, dict[str, object]]]:
    """The crop of every face with a mask on, its state, and what was drawn."""
    results = []
    for index, box in enumerate(faces.boxes):
        style = looks.styles[int(rng.integers(len(looks.styles)))]
        wear = looks.wears[int(rng.integers(len(looks.wears)))]
        marks = landmarks_from_box(box) if faces.landmarks is None else faces.landmarks[index]
        drawn, state = draw_mask(image, marks, style_named(style), wear=wear, rng=rng)
        side = max(1, round(float((box[2:] - box[:2]).max()) * CROP_SCALE))
        facts: dict[str, object] = {
            "box": [round(float(value), 1) for value in box],
            "style": style,
            "wear": wear.value,
            "state": state.value,
        }
        results.append((face_crops(drawn, box[None], side)[0], state, facts))
    return results
