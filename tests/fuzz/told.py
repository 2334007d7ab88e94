"""What ``amr info`` would print of an input."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from amr.cli.info import line, table
from amr.errors import AmrError
from amr.formats.describe import describe


def tell(path: Path) -> None:
    """Describe a file in both forms, as UTF-8; that it is refused is an answer too."""
    with suppress(AmrError):
        description = describe(path)
        for render in (line, table):
            render(path, description).encode("utf-8")
