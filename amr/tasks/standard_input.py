"""What is piped into one of several processes is there for all of them."""

from __future__ import annotations

import io
import sys

from amr.distributed import Processes
from amr.formats.streams import STDIO, require_readable


def share_stdin(processes: Processes) -> None:
    """Let every process read what is piped into the first one; alone, nothing is read.

    Raises:
        UsageError: standard input is a terminal.
    """
    if processes.count == 1:
        return
    if processes.is_first:
        require_readable(STDIO)
    text = processes.from_first(sys.stdin.buffer.read().hex() if processes.is_first else "")
    sys.stdin = io.TextIOWrapper(io.BytesIO(bytes.fromhex(text)), encoding="utf-8")
