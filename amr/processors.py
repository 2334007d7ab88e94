"""How many processors this process may use."""

from __future__ import annotations

import os


def free_processors() -> int:
    """Processors that this process may run on; ``taskset`` or a container may leave it few."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
