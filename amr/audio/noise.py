"""Keeps decoders' own chatter off the terminal: libmpg123 writes to stderr, even for files in order."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2


@contextmanager
def library_chatter_hidden() -> Iterator[None]:
    """While open, what C libraries write to file descriptor 2 is dropped; Python's ``sys.stderr`` still
    speaks.

    To be used once, by a tool, around its work: descriptors belong to the whole process.
    """
    stderr = sys.stderr
    try:
        visible = os.dup(STDERR)
    except OSError:  # closed by whoever started us: there is nothing to hide
        yield
        return
    silent = os.open(os.devnull, os.O_WRONLY)
    sys.stderr = os.fdopen(visible, "w", buffering=1, encoding=stderr.encoding, errors=stderr.errors)
    os.dup2(silent, STDERR)
    os.close(silent)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(visible, STDERR)
        sys.stderr.close()
        sys.stderr = stderr
