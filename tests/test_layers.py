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
    "functional": 1,
    "arrays": 0,
    "processors": 0,
    "plugins": 1,
    "moments": 1,
    "distributed": 2,
    "metrics": 3,
    "audio": 3,
    "formats": 4,
    "encoders": 5,
    "models": 6,
    "retrieval": 7,
    "simulation": 8,
    "evaluation": 9,
    "training": 10,
    "report": 11,
    "tasks": 12,
    "serve": 13,
    "cli": 14,
    "__main__": 15,
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


def module_of(path: Path) -> str:
    parts = ("amr", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path, known: set[str]) -> set[str]:
    """The files of ``amr`` that a file imports, wherever in the file, for types too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in known else node.module for name in names}
    return found & known


def circles(imports: dict[str, set[str]]) -> list[list[str]]:
    """Groups of files that reach each other (strongly connected components of more than one file)."""
    reach: dict[str, set[str]] = {}
    for module in imports:
        reach[module], waiting = set(), list(imports[module])
        while waiting:
            other = waiting.pop()
            if other not in reach[module]:
                reach[module].add(other)
                waiting += imports[other]
    groups = {tuple(sorted(o for o in reach[m] if m in reach[o])) for m in imports if m in reach[m]}
    return sorted(map(list, groups))


def test_circles_are_found() -> None:
    imports = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"d", "a"}, "e": {"a", "c"}}
    assert circles(imports) == [["b", "c"], ["d"]]


def test_no_circle_of_files() -> None:
    paths = {module_of(path): path for path in PACKAGE.rglob("*.py")}
    imports = {module: imported_modules(path, set(paths)) - {module} for module, path in paths.items()}
    found = circles(imports)
    arrows = [f"{a} -> {b}" for group in found for a in group for b in sorted(imports[a] & set(group))]
    assert not found, "files import each other in a circle:\n" + "\n".join(arrows)


def test_class_names_are_unique() -> None:
    where: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                where.setdefault(node.name, []).append(module_of(path))
    assert not {name: places for name, places in where.items() if len(places) > 1}


@pytest.mark.parametrize("tool", ["", "simulate", "extract", "predict", "score"])
def test_help_is_light(tool: str) -> None:
    code = (
        "import sys; from amr.cli.main import run; run(sys.argv[1:]); "
        "heavy = {'torch', 'numpy', 'scipy', 'h5py', 'soundfile'} & set(sys.modules); assert not heavy, heavy"
    )
    arguments = [tool, "--help"] if tool else ["--help"]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, stdout=subprocess.DEVNULL)


def test_one_room_decodes_mixes_and_names() -> None:
    """Sound is read by ``amr.audio`` alone; others write it, or ask there."""
    reading = ("soundfile.read(", "soundfile.blocks(", '"ffmpeg"', "AUDIO_EXTENSIONS")
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] != "audio":
            source = path.read_text(encoding="utf-8")
            assert not [call for call in reading if call in source], path
