"""The name of an encoder as a file says it: one to look up here, never code to import.

On the command line ``--encoder package.module:Class`` imports what the user names. A file must not.
"""

from __future__ import annotations


def checked_name(name: object) -> str:
    """The name, if it is one.

    Raises:
        ValueError: it is no text, or names a module.
    """
    if not isinstance(name, str) or ":" in name:
        shown = repr(name)[:80]
        raise ValueError(
            f"{shown} is not the name of an encoder; modules can be named on the command line only"
        )
    return name
