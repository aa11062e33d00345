"""`maskwatch detect`: the main job."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskwatch.cli.console import counted, error, stop_on_signals, tell
from maskwatch.errors import MaskwatchError, UsageError
from maskwatch.settings import DetectSettings

if TYPE_CHECKING:
    from maskwatch.run import Summary
    from maskwatch.sinks.base import Sink
    from maskwatch.sources import Source


def detect(
    source: Annotated[
        list[str],
        typer.Argument(
            help="Photo, video, folder, glob, webcam number, or RTSP or HTTP address.",
            show_default=False,
        ),
    ],
    detector: Annotated[
        str,
        typer.Option(
            help="onepass, onepass-fast, mtcnn, mtcnn-stock, haar, ssd, yunet, yunet-n, ultra, "
            "aizoo, the .onnx file of a one-pass detector, the folder of a run of mtcnn train, or "
            "auto: onepass."
        ),
    ] = "auto",
    classifier: Annotated[
        str,
        typer.Option(
            help="default, path of an ONNX file, or none: a one-pass detector tells the states."
        ),
    ] = "default",
    min_score: Annotated[
        float | None,
        typer.Option(help="Drop faces scored lower.", show_default="the detector's own"),
    ] = None,
    distance: Annotated[
        str | None,
        typer.Option(help="Mark people too close: pixels:130, or faces:6 in face heights."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for annotated copies.")] = None,
    json: Annotated[
        Path | None, typer.Option(help="JSON Lines file, an object a frame; - for standard output.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="CSV file, a row a face; - for standard output.")
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Show the pictures while they come.")
    ] = False,
    every: Annotated[int, typer.Option(help="Look at every N-th frame only.", min=1)] = 1,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that are there.")
    ] = False,
) -> None:
    """Find faces and tell whether each wears its mask.

    Exit code 0: done. 1: something failed (named on stderr), the rest was done. 2: wrong usage.
    """
    settings = DetectSettings(
        detector=detector,
        classifier=classifier,
        min_score=min_score,
        distance=distance,
        every=every,
    )
    if json is not None and json == csv:
        raise UsageError(f"--json and --csv both write to {json}. Name two places.")
    from maskwatch.cli.progress import RunProgress
    from maskwatch.pipeline import Pipeline
    from maskwatch.run import run

    sources, unread = _open(source, out)
    if not sources:
        raise typer.Exit(1)
    sinks = _file_sinks(out, json, csv, every=every, overwrite=overwrite)
    each_photo = not sinks and not show
    pipeline = Pipeline.from_settings(settings)
    with stop_on_signals() as stop, RunProgress(sources, every, each_photo=each_photo) as progress:
        if show:
            sinks.append(_show(stop))
        summary = run(
            sources,
            pipeline,
            sinks,
            every=every,
            batch=settings.batch,
            stop=stop,
            on_start=progress.start,
            on_result=progress.result,
            on_failure=progress.failure,
        )
    to_stderr = Path("-") in (json, csv)
    for line in _closing_lines(summary, pipeline.detector.name, out, json, csv):
        tell(line, to_stderr=to_stderr)
    if summary.cut_short:
        frames = counted(summary.frames, "frame")
        error(f"stopped by signal after {frames}; what was written is complete.")
    if unread or summary.failures or summary.cut_short:
        raise typer.Exit(1)


def _open(specs: list[str], out: Path | None) -> tuple[list[Source], int]:
    """The sources of all strings, and how many strings named nothing readable.

    Annotated copies of an earlier run, where `out` lies in a folder that is searched, are no
    sources.
    """
    from maskwatch.sources import open_sources

    sources: list[Source] = []
    unread = 0
    for spec in specs:
        try:
            sources += [made for made in open_sources(spec) if not _is_copy(made, spec, out)]
        except MaskwatchError as exc:
            error(str(exc))
            unread += 1
    return sources, unread


def _is_copy(source: Source, spec: str, out: Path | None) -> bool:
    if out is None or source.live or not out.is_dir():
        return False
    named, searched, copies = (Path(name).resolve() for name in (source.name, spec, out))
    return copies != searched and named.is_relative_to(copies) and named != searched


def _file_sinks(
    out: Path | None,
    json: Path | None,
    csv: Path | None,
    *,
    every: int,
    overwrite: bool,
) -> list[Sink]:
    from maskwatch.sinks.annotated import AnnotatedSink
    from maskwatch.sinks.csvfile import CsvSink
    from maskwatch.sinks.jsonl import JsonLinesSink

    sinks: list[Sink] = []
    if out is not None:
        sinks.append(AnnotatedSink(out, every=every, overwrite=overwrite))
    if json is not None:
        sinks.append(JsonLinesSink(json, overwrite=overwrite))
    if csv is not None:
        sinks.append(CsvSink(csv, overwrite=overwrite))
    return sinks


def _show(stop: threading.Event) -> Sink:
    """A window or page; at a terminal the last picture stays until Ctrl-C."""
    from maskwatch.sinks.show import open_show

    return open_show(
        lambda line: tell(line, to_stderr=True),
        lambda: sys.stderr.isatty() and not stop.is_set(),
    )


def _closing_lines(
    summary: Summary,
    used: str,
    out: Path | None,
    json: Path | None,
    csv: Path | None,
) -> list[str]:
    from maskwatch.draw import STATE_WORDS

    counts = [f"{n} {STATE_WORDS[state]}" for state, n in summary.states.most_common()]
    found = f"{counted(summary.frames, 'frame')}, {counted(summary.faces, 'face')}"
    if counts:
        found += f": {', '.join(counts)}"
    if summary.close_pairs:
        found += f"; {counted(summary.close_pairs, 'pair')} too close"
    speed = f"{summary.seconds:.1f} s, {summary.frames_per_s:.1f} frames/s, detector {used}"
    written = [str(place) for place in (out, json, csv) if place is not None and str(place) != "-"]
    lines = [found, speed]
    if written:
        lines.append(f"written: {', '.join(written)}")
    if summary.failures:
        lines.append(f"failed: {counted(len(summary.failures), 'source')}, named above")
    return lines
