"""What every test can use: running the real command, and the neighbouring data where it exists."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from waiting import HANG_S

REPOSITORY = Path(__file__).parent.parent
SHARED = REPOSITORY.parent / "shared"

# The same examples in every run, and none of them lost to a busy machine, where anything may be slow.
settings.register_profile(
    "amr", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("amr")

# Whoever starts the tests in the background may have Ctrl-C ignored, and children would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

Amr = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def amr(tmp_path: Path) -> Amr:
    """Run ``amr`` as a process in ``tmp_path``: ``amr("score", "a", "b", stdin="...")``."""

    def run(
        *arguments: object, stdin: str | bytes = "", **options: object
    ) -> subprocess.CompletedProcess[str]:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [sys.executable, "-m", "amr", *map(str, arguments)],
            input=data,
            capture_output=True,
            cwd=options.get("cwd", tmp_path),  # type: ignore[call-overload]
            env={**os.environ, "OMP_NUM_THREADS": "1", **options.get("env", {})},  # type: ignore[dict-item]
            timeout=HANG_S,
            check=False,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    return run


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data beside the repository; a test that needs it is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared, the data folder beside the repository")
    return SHARED
