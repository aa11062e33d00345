"""What a detector finds in a video, frame by frame: a contact sheet to look at, and counts.

python benchmarks/contact_sheet.py VIDEO --detector NAME --out FILE.png [--every N] [--tile-px N]

All frames are looked at as `maskwatch detect` does; every N-th is drawn. Printed are the share of
frames with at least one face, the runs of frames without any, and how many faces frames have.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from machine import SHARED

from maskwatch.draw import draw
from maskwatch.errors import MaskwatchError
from maskwatch.images import write_image
from maskwatch.pipeline import Pipeline
from maskwatch.settings import DetectSettings
from maskwatch.sources import Source, open_sources
from maskwatch.types import Image

SHEET_WIDTH_PX = 1920
TILE_PX = 320
TILES = 48
TITLE_PX = 20


def main() -> None:
    """Look, write the sheet and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", help=f"such as {SHARED.name}/data/video/street_mixed.mp4")
    parser.add_argument("--detector", default="auto")
    parser.add_argument("--min-score", type=float)
    parser.add_argument("--every", type=int, help=f"draw every N-th frame; else about {TILES}")
    parser.add_argument("--limit", type=int, help="look at so many frames only")
    parser.add_argument("--tile-px", type=int, default=TILE_PX, help="longer side of a tile")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    try:
        source = open_sources(args.video)[0]
        pipeline = Pipeline.from_settings(
            DetectSettings(detector=args.detector, min_score=args.min_score)
        )
        every = args.every or max(1, (args.limit or source.frame_count or TILES) // TILES)
        counts, tiles = look(source, pipeline, max(1, every), args.limit, args.tile_px)
        write_image(args.out, sheet(tiles))
    except MaskwatchError as exc:
        raise SystemExit(str(exc)) from exc
    print("\n".join(summary(counts)))
    print(f"wrote {args.out}: every {every} frames, {len(tiles)} drawn")


def look(
    source: Source, pipeline: Pipeline, every: int, limit: int | None, tile_px: int
) -> tuple[list[int], list[Image]]:
    """Number of faces of each frame, and tiles of every `every`-th."""
    counts: list[int] = []
    tiles: list[Image] = []
    for frame in source.frames():
        result = pipeline(frame)
        counts.append(len(result.faces))
        if frame.index % every == 0:
            title = f"{frame.index}: {frame.time_s:.2f} s, {len(result.faces)} faces"
            tiles.append(tile(draw(result), title, tile_px))
        if len(counts) == limit:
            break
    return counts, tiles


def tile(image: Image, title: str, long_side_px: int) -> Image:
    """A picture scaled to a long side, its title above it."""
    scale = long_side_px / max(image.shape[:2])
    width, height = (max(1, round(side * scale)) for side in image.shape[1::-1])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    bar = np.full((TITLE_PX, width, 3), 255, np.uint8)
    place = (4, TITLE_PX - 6)
    cv2.putText(bar, title, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([bar, np.asarray(small, np.uint8)])


def sheet(tiles: Sequence[Image]) -> Image:
    """Tiles of one size in rows."""
    if not tiles:
        raise SystemExit("the video has no frames.")
    columns = max(1, SHEET_WIDTH_PX // tiles[0].shape[1])
    blank = np.full_like(tiles[0], 255)
    filled = [*tiles, *[blank] * (-len(tiles) % columns)]
    rows = [filled[start : start + columns] for start in range(0, len(filled), columns)]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def summary(counts: Sequence[int]) -> list[str]:
    """The counts in words."""
    found = sum(count > 0 for count in counts)
    each = ", ".join(f"{faces}: {n}" for faces, n in sorted(Counter(counts).items()))
    return [
        f"{len(counts)} frames, {found} with a face ({found / len(counts):.1%})",
        f"without a face: {', '.join(runs(counts)) or 'none'}",
        f"faces a frame: {np.mean(counts):.2f} (faces: frames {each})",
    ]


def runs(counts: Sequence[int]) -> list[str]:
    """Frames without a face, as `7` or `7-9`."""
    seen = np.array([True, *(count > 0 for count in counts), True])
    edges = np.flatnonzero(seen[1:] != seen[:-1]).tolist()
    ends = list(pairwise(edges))[::2]
    return [f"{start}" if stop - start == 1 else f"{start}-{stop - 1}" for start, stop in ends]


if __name__ == "__main__":
    main()
