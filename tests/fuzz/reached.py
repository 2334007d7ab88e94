"""The lines of a reader's modules that a corpus reaches: ``python -m tests.fuzz.reached READER DIR``."""

from __future__ import annotations

import inspect
import json
import sys
import tempfile
import warnings
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from .target import load


def lines_of(code: CodeType) -> set[int]:
    """The lines of the functions inside a module's code; the module's own run on import."""
    found: set[int] = set()
    for part in code.co_consts:
        if isinstance(part, CodeType):
            if part.co_flags & inspect.CO_OPTIMIZED:
                found |= {line for _, _, line in part.co_lines() if line and line != part.co_firstlineno}
            found |= lines_of(part)
    return found


def reached(reader: str, corpus: Path) -> dict[str, tuple[int, int]]:
    """``{module: (lines reached, lines)}``."""
    target = load(reader)
    files = {str(Path(str(import_module(name).__file__))): name for name in target.modules}
    hit: dict[str, set[int]] = {file: set() for file in files}

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        lines = hit.get(frame.f_code.co_filename)
        if lines is None:
            return None
        lines.add(frame.f_lineno)
        return trace

    for path in sorted(corpus.iterdir()):
        with tempfile.TemporaryDirectory() as folder:
            sys.settrace(trace)
            try:
                with suppress(Exception):  # findings are told elsewhere
                    target.read(path.read_bytes(), Path(folder))
            finally:
                sys.settrace(None)
    result = {}
    for file, name in files.items():
        lines = lines_of(compile(Path(file).read_text(encoding="utf-8"), file, "exec"))
        result[name] = (len(hit[file] & lines), len(lines))
    return result


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(reached(sys.argv[1], Path(sys.argv[2]))))
