"""`maskwatch models`: which models there are, and how to get them."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from maskwatch import weights
from maskwatch.errors import UnknownNameError
from maskwatch.models import Card, embedded, embedded_paths

app = typer.Typer(help="List, inspect and fetch models.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the model; `maskwatch models list` has them.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]

_PIPE_WIDTH = 160
"""Columns of a table that no terminal limits."""


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List all models: those that come with maskwatch and those that can be fetched."""
    rows = [_card_row(card) for card in embedded().values()]
    rows += [_model_row(model) for model in weights.MODELS.values()]
    if as_json:
        _print_json(rows)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("name", "kind", "status", "size", "licence"):
        table.add_column(column, no_wrap=column != "licence", overflow="fold")
    table.add_column("purpose", overflow="fold", min_width=24)
    for row in rows:
        licence = row["licence"].partition(" (")[0]  # The remark is for `info`.
        size = decimal(row["bytes"])
        table.add_row(row["name"], row["kind"], row["status"], size, licence, row["purpose"])
    _console().print(table)


@app.command()
def info(name: Name, as_json: AsJson = False) -> None:
    """Tell everything about one model: licence, address, hash, path."""
    card = _known(name)
    facts = _model_facts(weights.model(name)) if card is None else _card_facts(card)
    if as_json:
        _print_json(facts)
        return
    for key, value in facts.items():
        _print_fact(key, value)


@app.command()
def get(
    name: Name,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Install this file instead of downloading; once for each file of the model.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Also when it is installed.")] = False,
) -> None:
    """Install a model from its publisher, or with --from from files that you have."""
    if _known(name) is not None:
        where = ", ".join(map(str, embedded_paths(name)))
        typer.echo(f"{name} comes with maskwatch: {where}")
        return
    found = weights.find(name)
    if found and not force:
        where = ", ".join(map(str, found))
        typer.echo(f"{name} is already installed: {where} (--force installs it again)")
        return
    if files:
        found = weights.install_from(name, files)
    else:
        with _progress() as progress:
            found = weights.get(name, progress=progress, force=force)
    typer.echo(f"{name} is installed: {', '.join(map(str, found))}")


def _known(name: str) -> Card | None:
    """The card of an embedded model, or None for one that can be fetched.

    Raises:
        UnknownNameError: It is neither.
    """
    cards = embedded()
    if name not in cards and name not in weights.MODELS:
        raise UnknownNameError("model", name, [*cards, *weights.MODELS])
    return cards.get(name)


def _card_row(card: Card) -> dict[str, Any]:
    return {
        "name": card.name,
        "kind": card.kind,
        "status": "embedded",
        "bytes": card.bytes,
        "licence": card.licence,
        "purpose": f"tells {', '.join(card.classes)}" if card.classes else "finds faces",
    }


def _model_row(model: weights.Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "kind": model.kind,
        "status": "installed" if weights.find(model.name) else "not installed",
        "bytes": model.bytes,
        "licence": model.licence,
        "purpose": model.purpose,
    }


def _card_facts(card: Card) -> dict[str, Any]:
    facts = dataclasses.asdict(card) | {"status": "embedded", "bytes": card.bytes}
    for file, path in zip(facts["files"], embedded_paths(card.name), strict=True):
        file["path"] = str(path)
    return facts


def _model_facts(model: weights.Model) -> dict[str, Any]:
    files = [
        {
            "name": file.name,
            "url": file.url,
            "sha256": file.content.sha256,
            "bytes": file.content.bytes,
            "also_accepted": [dataclasses.asdict(content) for content in file.also],
            "path": str(path),
        }
        for file, path in zip(model.files, weights.paths(model), strict=True)
    ]
    facts = _model_row(model) | {"origin": model.origin, "loader": model.loader}
    if model.extra:
        facts["made_with"] = f"pip install 'maskwatch[{model.extra}]'"
    return facts | {"files": files}


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))


def _print_fact(key: str, value: Any, indent: str = "") -> None:
    """Print `key: value`; what is nested goes below, indented."""
    if isinstance(value, dict):
        typer.echo(f"{indent}{key}:")
        for inner, item in value.items():
            _print_fact(inner, item, indent + "  ")
    elif isinstance(value, list | tuple) and any(isinstance(item, dict) for item in value):
        for number, item in enumerate(value, start=1):
            _print_fact(f"{key.removesuffix('s')} {number}", item, indent)
    elif isinstance(value, list | tuple):
        if value:
            typer.echo(f"{indent}{key}: {'; '.join(map(str, value))}")
    else:
        typer.echo(f"{indent}{key}: {value}")


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)


@contextmanager
def _progress() -> Iterator[weights.Progress]:
    """Show a download on stderr: a bar on a terminal, plain lines elsewhere."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Bars(*columns, TransferSpeedColumn(), console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def show(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done)

        yield show


class _Lines:
    """Says where a download begins and each further quarter of it."""

    def __init__(self) -> None:
        self._quarters: dict[str, int] = {}

    def __call__(self, name: str, done: int, total: int) -> None:
        quarter = 4 * done // total
        if quarter != self._quarters.get(name):
            self._quarters[name] = quarter
            typer.echo(f"{name}: {decimal(done)} of {decimal(total)}", err=True)
