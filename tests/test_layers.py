"""An import points down only, and the light tools stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import amr

PACKAGE = Path(amr.__file__).parent

RANKS = {
    "errors": 0,
    "processors": 0,
    "moments": 1,
    "metrics": 2,
    "audio": 2,
    "formats": 3,
    "encoders": 4,
    "models": 5,
    "retrieval": 6,
    "simulation": 7,
    "training": 8,
    "report": 9,
    "cli": 10,
    "__main__": 11,
}
"""Which room stands above which; equal ranks may not import each other."""


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imported_rooms(path: Path) -> set[str]:
    """The rooms of ``amr`` that a file imports, wherever in the file."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "amr":
            rooms |= {room_of(f"amr.{alias.name}") for alias in node.names} if node.module == "amr" else set()
            rooms.add(room_of(node.module))
        elif isinstance(node, ast.Import):
            rooms |= {room_of(alias.name) for alias in node.names if alias.name.split(".")[0] == "amr"}
    return {room for room in rooms if room in RANKS}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    relative = path.relative_to(PACKAGE)
    room = relative.parts[0].removesuffix(".py")
    if room == "__init__":
        return
    upward = {other for other in imported_rooms(path) if other != room and RANKS[other] >= RANKS[room]}
    assert not upward, f"{relative} imports {sorted(upward)}, which stand beside or above {room}"


def test_every_room_has_a_rank() -> None:
    rooms = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if not path.name.startswith("_")}
    assert rooms - {"py.typed"} <= set(RANKS)


@pytest.mark.parametrize("tool", ["", "simulate", "extract", "predict", "score"])
def test_help_is_light(tool: str) -> None:
    code = (
        "import sys; from amr.cli.main import run; run(sys.argv[1:]); "
        "heavy = {'torch', 'numpy', 'scipy', 'h5py', 'soundfile'} & set(sys.modules); assert not heavy, heavy"
    )
    arguments = [tool, "--help"] if tool else ["--help"]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, stdout=subprocess.DEVNULL)
