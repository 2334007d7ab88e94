"""Keeps decoders' own chatter off the terminal: libmpg123 writes to stderr, even for files in order."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2


class VisibleStderr(io.TextIOWrapper):
    """What ``sys.stderr`` writes to while the libraries are hidden."""


@contextmanager
def library_chatter_hidden() -> Iterator[None]:
    """While open, what C libraries write to file descriptor 2 is dropped; Python's ``sys.stderr`` still
    speaks.

    To be used by a tool around its work: descriptors belong to the whole process. Within itself it does
    nothing.
    """
    stderr = sys.stderr
    if isinstance(stderr, VisibleStderr):
        yield
        return
    try:
        visible = os.dup(STDERR)
    except OSError:  # closed by the parent process: there is nothing to hide
        yield
        return
    silent = os.open(os.devnull, os.O_WRONLY)
    raw = open(visible, "wb")  # noqa: SIM115  # closed with the text around it
    sys.stderr = VisibleStderr(raw, encoding=stderr.encoding, errors=stderr.errors, line_buffering=True)
    os.dup2(silent, STDERR)
    os.close(silent)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(visible, STDERR)
        sys.stderr.close()
        sys.stderr = stderr
