"""Where a recipe or a table may read: inside its source folder, whatever it says."""

from __future__ import annotations

from pathlib import Path

from amr.audio.names import as_spelt
from amr.errors import InputError
from amr.formats.recipes import check_relative


def inside(root: Path, relative: str, where: str) -> Path:
    """The file ``relative`` of the folder ``root``, links followed, if it is there and inside.

    Raises:
        InputError: the path is absolute, climbs out, or a link leads out; or there is no regular file.
    """
    check_relative(relative, where)
    base = root.resolve()
    path = as_spelt(base / relative)
    real = path.resolve()
    if not real.is_relative_to(base):
        raise InputError(
            f"{relative!r} is a link that leads outside {root}",
            where=where,
            hint="name the folder that holds the real files as the source folder",
        )
    if not real.exists():
        raise InputError(f"no file {relative!r} in the folder {root}", where=where)
    if not real.is_file():
        raise InputError(f"{relative!r} is not a regular file", where=where)
    return real
