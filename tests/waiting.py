"""Waiting for another process: as long as it takes, on however busy a machine."""

from __future__ import annotations

import time
from collections.abc import Callable

HANG_S = 900.0
"""Longer than any wait that ends; it guards against those that never would."""

SOON_S = 300.0
"""A second or two on an idle machine, a minute on one that is very busy; what hangs takes ten."""


def wait_for(condition: Callable[[], bool], what: Callable[[], object] = lambda: "waited in vain") -> None:
    """Until the condition holds.

    Args:
        what: asked for the message, where it never does.
    """
    until = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < until, what()
        time.sleep(0.005)
