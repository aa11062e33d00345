"""`maskwatch export`: a run to an ONNX file that is checked and measured."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maskwatch.cli.console import tell, track

if TYPE_CHECKING:
    from maskwatch.export import Exported
    from maskwatch.export_crops import ExportCrops
    from maskwatch.training.runs import Run


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished training.")],
    out: Annotated[
        Path | None,
        typer.Option(help="The ONNX file.", show_default="RUN/model.onnx, or model-int8.onnx"),
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="8-bit weights and activations: smaller and faster.")
    ] = False,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA", help="Faces to calibrate and check on.", show_default="the run's data"
        ),
    ] = None,
    method: Annotated[
        str, typer.Option(help="Ranges of 8 bits: minmax, percentile or entropy.")
    ] = "minmax",
    benchmark: Annotated[
        bool, typer.Option("--benchmark/--no-benchmark", help="Measure accuracy and speed.")
    ] = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file that is there.")
    ] = False,
) -> None:
    """Write a run as an ONNX file that takes uint8 BGR crops; preprocessing is inside.

    The file is compared with Keras on real faces, one in 8 bits with the one in 16 bits on faces
    that it was not calibrated on; a file that decides otherwise is not written.
    """
    from maskwatch.errors import OutputExistsError, UnknownNameError
    from maskwatch.quantize import METHODS

    if method not in METHODS:
        raise UnknownNameError("method", method, METHODS)
    load_run, export_model = _library()
    source: Run = load_run(run)
    target = out or run / ("model-int8.onnx" if int8 else "model.onnx")
    if target.exists() and not overwrite:
        raise OutputExistsError(target)
    crops = _crops(source, calibration)
    with tempfile.TemporaryDirectory(prefix="maskwatch-") as folder:
        reference = Path(folder) / "reference.onnx" if int8 and benchmark else None
        done: Exported = export_model(
            source.load_model(), target, crops, int8=int8, method=method, reference=reference
        )
        _tell_checks(done, crops)
        if benchmark:
            _measure(done, source, calibration)
    tell(f"written: {target}")


def _library() -> Any:
    """`load_run` and `export_model`, which need the extra."""
    from maskwatch.errors import MissingExtraError

    # TensorFlow tells of every instruction set it found before it says anything useful.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        from maskwatch.export import export_model
        from maskwatch.training.runs import load_run
    except ModuleNotFoundError as exc:
        if (exc.name or "").startswith("maskwatch"):
            raise
        raise MissingExtraError("maskwatch export", "train") from exc
    return load_run, export_model


def _labels(run: Run, calibration: Path | None) -> dict[str, Any]:
    """How the labels of the data are to be read: the run's own data as it read them."""
    size = {"min_face_px": float(run.facts.get("min_face_px", 24))}
    if calibration is not None:
        return size
    return {**size, "form": run.facts.get("format"), "mapping": run.facts.get("map")}


def _crops(run: Run, calibration: Path | None) -> ExportCrops:
    from maskwatch.errors import SourceNotFoundError, UsageError
    from maskwatch.export_crops import read_export_crops

    data = calibration or Path(run.facts["data"])
    try:
        return read_export_crops(data, run.size_px, track=track, **_labels(run, calibration))
    except SourceNotFoundError as exc:
        if calibration is not None:
            raise
        raise UsageError(
            f"the data of {run.folder} are no longer at {data}. Give --calibration DATA."
        ) from exc


def _tell_checks(done: Exported, crops: ExportCrops) -> None:
    split = f" ({crops.check_split})" if crops.check_split else ""
    tell(
        f"Keras and ONNX differ by at most {done.difference:.4f} in a probability on "
        f"{len(crops.check)} faces{split}"
    )
    if done.int8 is not None:
        tell(
            f"8 and 16 bits decide alike on {done.int8.share:.2%} of {done.int8.crops} faces not "
            f"calibrated on, and differ by at most {done.int8.difference:.3f}"
        )


def _measure(done: Exported, run: Run, calibration: Path | None) -> None:
    """Accuracy and speed of the file, beside the one in 16 bits."""
    from maskwatch.benchmark import BATCHES, THREADS, latencies_ms
    from maskwatch.classifier import OnnxClassifier
    from maskwatch.training.evaluation import evaluate

    files = {"16 bits": done.reference}
    if done.int8 is not None:
        files["8 bits"] = done.path
    judges = {name: OnnxClassifier(path, threads=THREADS) for name, path in files.items()}
    data = calibration or Path(run.facts["data"])
    labels = _labels(run, calibration)
    scores = {
        name: evaluate(OnnxClassifier(path), data, track=track, **labels)
        for name, path in files.items()
    }
    speed = [latencies_ms(judges, batch) for batch in BATCHES]
    heads = "".join(f"{f'ms for {batch}':>18}" for batch in BATCHES)
    tell(f"{'':<8}{'MB':>8}{'accuracy':>10}{'balanced':>10}{heads}")
    for name, path in files.items():
        row = f"{name:<8}{path.stat().st_size / 1e6:>8.2f}"
        row += f"{scores[name].accuracy:>10.4f}{scores[name].balanced_accuracy:>10.4f}"
        for taken in speed:
            faster = f" ({taken['16 bits'] / taken[name]:.2f}x)"
            row += f"{f'{taken[name]:.2f}{faster}':>18}"
        tell(row)
    first = scores["16 bits"]
    where = ", ".join(source.label for source in first.sources)
    held_out = all(source.split in ("val", "test") for source in first.sources)
    learnt = "" if held_out or calibration is not None else ", which were trained on"
    tell(
        f"accuracy on {len(first.faces)} faces of {where}{learnt}; median time of a call with "
        f"{THREADS} thread, the files taking turns"
    )
