"""What every test can use: running the real command, and the neighbouring data where it exists."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from golden.runner import Ended, Runner
from golden.server import served
from hypothesis import HealthCheck, settings

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


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """A process that has imported everything, and runs command lines in forks of itself."""
    with Runner(sys.executable, REPOSITORY, tmp_path_factory.mktemp("warm")) as runner:
        yield runner


@pytest.fixture(scope="session")
def warm_shell(warm: Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which a shell's ``amr`` is that process."""
    with served(warm, tmp_path_factory.mktemp("shell")) as environment:
        yield environment


@pytest.fixture
def amr(tmp_path: Path, request: pytest.FixtureRequest) -> Amr:
    """Run ``amr`` in ``tmp_path``: ``amr("score", "a", "b", stdin="...")``.

    In a fork of the warm process; with another path of modules in an interpreter of its own.
    """

    def run(
        *arguments: object,
        stdin: str | bytes = "",
        cwd: Path = tmp_path,
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> subprocess.CompletedProcess[str]:
        words = [str(argument) for argument in arguments]
        data = stdin.encode() if isinstance(stdin, str) else stdin
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **env}
        if "PYTHONPATH" in env:
            command = [sys.executable, "-m", "amr", *words]
            done = subprocess.run(
                command, input=data, capture_output=True, cwd=cwd, env=environment, check=False
            )
            ended = Ended(done.returncode, done.stdout, done.stderr)
        else:
            runner: Runner = request.getfixturevalue("warm")
            ended = runner.call(words, cwd, runner.keep(data), env=environment)
        return subprocess.CompletedProcess(words, ended.code, ended.stdout.decode(), ended.stderr.decode())

    return run


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data beside the repository; a test that needs it is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared, the data folder beside the repository")
    return SHARED
