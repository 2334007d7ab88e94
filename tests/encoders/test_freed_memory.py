"""Memory that a segment took serves the next one."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

ROUNDS = 20
SEGMENTS = f"""
import resource
import sys
import numpy as np
from amr.encoders.running.pipeline import keep_freed_memory

if sys.argv[1] == "kept":
    keep_freed_memory()

def round_of_arrays():
    arrays = [np.ones(2**18, np.float64) for _ in range(16)]  # of 2 MiB
    small = bytes(2**16)

round_of_arrays()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({ROUNDS}):
    round_of_arrays()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    command = [sys.executable, "-c", SEGMENTS, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="says how glibc's malloc is set")
def test_pages_are_not_asked_for_again() -> None:
    once = 2**25 // 4096
    assert page_faults("given back") > ROUNDS / 2 * once
    assert page_faults("kept") < once
