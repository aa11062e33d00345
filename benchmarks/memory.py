"""Memory over a long video, annotated copy included.

python benchmarks/memory.py [--video FILE] [--frames N] [--out FILE.json]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

from clips import ExactFrames
from machine import SHARED, install_from_shared, machine

from maskwatch.pipeline import Pipeline
from maskwatch.run import run
from maskwatch.sinks.annotated import AnnotatedSink
from maskwatch.sources import open_sources
from maskwatch.types import FrameResult

SAMPLES = 12


def resident_mb() -> float:
    """Memory of this process that is in RAM, in MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Run, sample, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video", type=Path, default=SHARED / "data/video/street_mixed.mp4")
    parser.add_argument("--frames", type=int, default=6000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/memory.json"))
    args = parser.parse_args()
    samples: list[tuple[int, float]] = []

    def sample(result: FrameResult) -> None:
        if (result.frame.index + 1) % (args.frames // SAMPLES) == 0:
            samples.append((result.frame.index + 1, round(resident_mb(), 1)))
            print(f"frame {samples[-1][0]}: {samples[-1][1]} MB", flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        os.environ.setdefault("MASKWATCH_HOME", scratch)
        install_from_shared()
        source = ExactFrames(open_sources(str(args.video))[0], args.frames)
        sink = AnnotatedSink(Path(scratch) / "out")
        summary = run([source], Pipeline.default(), [sink], on_result=sample)
    result = {
        "machine": machine(),
        "video": args.video.name,
        "frames": summary.frames,
        "frames_per_s": round(summary.frames_per_s, 1),
        "resident_mb": samples,
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
