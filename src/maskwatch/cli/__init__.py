"""The command line: one file a verb, each options in and one library call out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from maskwatch import __version__
from maskwatch.cli import compare, data, detect, evaluate, export, models, mtcnn, train
from maskwatch.cli.console import error
from maskwatch.errors import MaskwatchError

app = typer.Typer(
    name="maskwatch",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Find faces in photos, videos and live cameras and tell whether a mask is worn.",
)
app.command("detect")(detect.detect)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("export")(export.export)
app.add_typer(models.app, name="models")
app.add_typer(data.app, name="data")
app.add_typer(mtcnn.app, name="mtcnn")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"maskwatch {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print it."),
    ] = False,
) -> None:
    """Options of all verbs."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 something failed, 2 wrong usage."""
    try:
        app(args=None if arguments is None else list(arguments))
    except MaskwatchError as exc:
        error(str(exc))
        sys.exit(exc.exit_code)
