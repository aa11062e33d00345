"""The layers of the package, held by reading the imports of every file.

0. the words that everything speaks, 1. tools, 2. parts (none imports another), 3. assemblies,
4. doors. A file imports only from its own level or lower ones.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import maskwatch

ROOT = Path(maskwatch.__file__).parent

LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "types", "boxes", "settings"}),
    frozenset({"images", "preprocess", "models", "weights", "runtime", "metrics"}),
    frozenset({"detectors", "classifier", "sources", "sinks", "draw"})
    | {"tracking", "distance", "events", "datasets"},
    frozenset({"pipeline", "run", "workers", "masking", "training", "export", "benchmark"})
    | {"export_crops", "quantize"},
    frozenset({"cli", "server", "__main__"}),
)

FILES = {path.relative_to(ROOT).as_posix(): path for path in sorted(ROOT.rglob("*.py"))}
INNER = [name for name in FILES if name != "__init__.py"]
"""All files but the package's own front, which names what lies above it and loads it late."""

ALLOWED: dict[str, tuple[str, ...]] = {
    "keras": ("training/", "export.py"),
    "tensorflow": ("training/", "export.py"),
    "tf2onnx": ("export.py",),
    "onnx": ("export.py", "quantize.py", "training/onepass/export.py", "weights/mtcnn_network.py"),
    "onnxruntime": ("runtime.py", "quantize.py"),
    "matplotlib": ("training/",),
    "av": ("sources/", "sinks/"),
    "typer": ("cli/",),
    "rich": ("cli/",),
}
"""Where each of these may be imported."""

HEAVY = ("cv2", "av", "onnxruntime", "keras", "tensorflow", "PIL", "supervision", "matplotlib")


def part(name: str) -> str:
    """`detectors` for `detectors/haar.py`, `boxes` for `boxes.py`."""
    return name.split("/")[0].removesuffix(".py")


def level(name: str) -> int:
    return next(i for i, parts in enumerate(LEVELS) if part(name) in parts)


def imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Every module that a tree imports anywhere in it, also late and for types only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            folders = package.split(".")
            above = folders[: len(folders) + 1 - node.level] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            # `from maskwatch import weights` imports a part and not a value of the front.
            yield from (f"{module}.{alias.name}" for alias in node.names)


def imports(name: str) -> set[str]:
    """Every module a file imports, as `maskwatch.boxes.iou` or `numpy`."""
    folder = Path(name).parent.parts
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    return set(imported(tree, ".".join(["maskwatch", *folder])))


def parts_imported(name: str) -> set[str]:
    """The parts of maskwatch that a file imports."""
    own = {module.split(".")[1] for module in imports(name) if module.startswith("maskwatch.")}
    return {module for module in own if any(module in parts for parts in LEVELS)}


def packages_imported(name: str) -> set[str]:
    """The packages that a file imports."""
    return {module.split(".")[0] for module in imports(name)}


def test_imports_are_seen() -> None:
    """The reading finds every form of import, so that the rules below can fail."""
    text = (
        "import a.b\nfrom c import d\nfrom maskwatch import weights\nfrom . import x\n"
        "from .y import z\nfrom ..boxes import iou\ndef f():\n    import late\n"
    )
    assert set(imported(ast.parse(text), "maskwatch.detectors")) == {
        "a.b",
        "c.d",
        "maskwatch.weights",
        "maskwatch.detectors.x",
        "maskwatch.detectors.y.z",
        "maskwatch.boxes.iou",
        "late",
    }
    assert "weights" in parts_imported("detectors/__init__.py")
    assert "cv2" in packages_imported("images.py")


@pytest.mark.parametrize("name", INNER)
def test_every_file_has_a_level(name: str) -> None:
    """Every file belongs to exactly one level."""
    assert sum(part(name) in parts for parts in LEVELS) == 1


@pytest.mark.parametrize("name", INNER)
def test_levels(name: str) -> None:
    """A file imports only from its own level or lower ones."""
    above = {other for other in parts_imported(name) if level(other) > level(name)}
    assert not above, f"{name} (level {level(name)}) imports from above: {sorted(above)}"


@pytest.mark.parametrize("name", [name for name in INNER if level(name) == 2])
def test_parts_do_not_know_each_other(name: str) -> None:
    """No part of level 2 imports another."""
    others = {o for o in parts_imported(name) if level(o) == 2 and o != part(name)}
    assert not others, f"{name} imports other parts: {sorted(others)}"


@pytest.mark.parametrize("name", [name for name in INNER if level(name) == 0])
def test_lowest_level(name: str) -> None:
    """The lowest level needs nothing but the standard library and NumPy; supervision is late."""
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    at_once = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    packages = {name.split(".")[0] for node in at_once for name in imported(node, "maskwatch")}
    assert packages <= {"maskwatch", "numpy", *sys.stdlib_module_names}


@pytest.mark.parametrize("package", ALLOWED)
def test_places_of_heavy_packages(package: str) -> None:
    """Each heavy package is imported only where it may be."""
    users = [name for name in FILES if package in packages_imported(name)]
    assert users, f"nothing imports {package}"
    wrong = [name for name in users if not name.startswith(ALLOWED[package])]
    assert not wrong, f"{package} is imported by {wrong}"


def loaded_by(code: str) -> list[str]:
    """The heavy packages that a fresh interpreter has loaded after some code."""
    program = f"import sys\n{code}\nprint('loaded:', *[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.splitlines()[-1].split()[1:]


def test_loading_is_seen() -> None:
    """The look at what was loaded finds what was, so that the rules below can fail."""
    assert loaded_by("import maskwatch.classifier") == ["cv2"]


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import maskwatch; maskwatch.CLASSES, maskwatch.Faces", id="import"),
        pytest.param("from maskwatch import Frame, MaskState, MaskwatchError", id="words"),
    ],
)
def test_import_is_light(code: str) -> None:
    """`import maskwatch` loads none of the heavy packages."""
    assert loaded_by(code) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["detect", "--help"],
        ["models", "--help"],
        ["evaluate", "--help"],
        ["train", "--help"],
        ["train", "--list"],
        ["export", "--help"],
        ["compare", "--help"],
        ["mtcnn", "--help"],
        ["mtcnn", "train", "--help"],
    ],
    ids=" ".join,
)
def test_help_is_light(arguments: list[str]) -> None:
    """`maskwatch --help`, also of a verb, loads none of the heavy packages."""
    pytest.importorskip("typer", reason="typer is not installed")
    code = (
        f"from maskwatch.cli import main\n"
        f"try:\n    main({arguments!r})\n"
        f"except SystemExit as exc:\n    assert not exc.code, exc.code"
    )
    assert loaded_by(code) == []


@pytest.mark.parametrize("name", ["Pipeline", "open_sources", "read_image", "write_image"])
def test_front(name: str) -> None:
    """What the front promises is there when it is asked for."""
    assert name in maskwatch.__all__
    assert callable(getattr(maskwatch, name))


def test_front_has_nothing_else() -> None:
    """A name that the front does not have is an AttributeError, as of any module."""
    with pytest.raises(AttributeError, match="no attribute 'pipelin'"):
        _ = maskwatch.pipelin
