"""Frames per second end to end: decode, detect, classify, draw, encode.

python benchmarks/detect.py [--videos FOLDER] [--frames N] [--repeats N] [--out FILE.json]

Every detector that is installed is run on every video by maskwatch and, in the same run, by the
plain loop of the seed projects with the same detector: once with one call of the same ONNX
classifier a face, and once (where the extra `train` is installed) with one Keras `predict` call a
face at 224 px, which is what those projects do. The machine may be shared, so the runs alternate,
the best of the repeats counts, and ratios say more than frames per second.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

from clips import ExactFrames
from machine import SHARED, install_from_shared, machine
from seed_loop import keras_judge, seed_loop

from maskwatch import __version__
from maskwatch.classifier import load_classifier
from maskwatch.detectors import load_detector
from maskwatch.pipeline import Pipeline
from maskwatch.run import run
from maskwatch.settings import DetectSettings
from maskwatch.sinks.annotated import AnnotatedSink
from maskwatch.sources import open_sources

KERAS_PX = 224
KERAS_FRAMES = 40


def main() -> None:
    """Measure, print a table and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=Path, default=SHARED / "data" / "video")
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--detectors", default="ssd,yunet,haar")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/detect.json"))
    args = parser.parse_args()
    videos = sorted(args.videos.glob("*.mp4"))
    if not videos:
        raise SystemExit(f"no videos in {args.videos}: give a folder with --videos.")
    with tempfile.TemporaryDirectory() as scratch:
        os.environ.setdefault("MASKWATCH_HOME", scratch)
        install_from_shared()
        rows = []
        for name in args.detectors.split(","):
            for video in videos:
                rows.append(measure(name, video, args.frames, args.repeats, Path(scratch)))
                print(line(rows[-1]), flush=True)
    result = {"machine": machine(), "maskwatch": __version__, "frames": args.frames, "rows": rows}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n")
    print("\n".join(["", *markdown(rows)]))


def measure(name: str, video: Path, limit: int, repeats: int, scratch: Path) -> dict[str, Any]:
    """Frames per second of all loops on one video, best of the repeats, in turns."""
    detector, classifier = load_detector(name), load_classifier()
    pipeline = Pipeline.from_settings(DetectSettings(detector=name))
    faces_per_frame = 0.0

    def ours() -> int:
        nonlocal faces_per_frame
        sources = [ExactFrames(source, limit) for source in open_sources(str(video))]
        summary = run(sources, pipeline, [AnnotatedSink(scratch / "ours", overwrite=True)])
        faces_per_frame = summary.faces / summary.frames
        return summary.frames

    def seed() -> int:
        def judge(crop: Any) -> Any:
            return classifier(crop[None])[0]

        out = scratch / "seed.mp4"
        return seed_loop(video, out, detector, judge, classifier.size_px, limit)

    loops: dict[str, Callable[[], int]] = {"maskwatch": ours, "seed_onnx": seed}
    if (predict := keras_judge(KERAS_PX)) is not None:
        loops["seed_keras"] = lambda: seed_loop(
            video, scratch / "seed.mp4", detector, predict, KERAS_PX, min(limit, KERAS_FRAMES)
        )
    best = dict.fromkeys(loops, 0.0)
    for _ in range(repeats):
        for loop, work in loops.items():
            started = time.perf_counter()
            frames = work()
            best[loop] = max(best[loop], frames / (time.perf_counter() - started))
    return {
        "detector": name,
        "video": PurePath(video).name,
        "faces_per_frame": round(faces_per_frame, 2),
        "frames_per_s": {loop: round(speed, 1) for loop, speed in best.items()},
        "ratio": {
            loop: round(best["maskwatch"] / speed, 2)
            for loop, speed in best.items()
            if loop != "maskwatch"
        },
    }


def markdown(rows: list[dict[str, Any]]) -> list[str]:
    """The rows as the table of the README."""
    lines = [
        "| detector | video | faces a frame | frames/s | plain loop, ONNX | plain loop, Keras |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        ratio = row["ratio"]
        keras_ratio = f"{ratio['seed_keras']:.1f} x" if "seed_keras" in ratio else ""
        lines.append(
            f"| {row['detector']} | {row['video'].removesuffix('.mp4')} | {row['faces_per_frame']} "
            f"| {row['frames_per_s']['maskwatch']} | {ratio['seed_onnx']:.2f} x | {keras_ratio} |"
        )
    return lines


def line(row: dict[str, Any]) -> str:
    """One row as text."""
    speeds = ", ".join(f"{loop} {speed}" for loop, speed in row["frames_per_s"].items())
    ratios = ", ".join(f"{ratio}x {loop}" for loop, ratio in row["ratio"].items())
    head = f"{row['detector']:<6} {row['video']:<28} {row['faces_per_frame']:>5} faces"
    return f"{head}: frames/s {speeds}; {ratios}"


if __name__ == "__main__":
    main()
