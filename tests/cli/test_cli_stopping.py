"""One class of signals for the tools that stop in good order: what the first one does, and a second."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from waiting import HANG_S, wait_for

from amr.cli.stopping import StopSignals, TerminatedSignal


@pytest.fixture(autouse=True)
def handlers_put_back() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_a_second_ends(number: int, capfd: pytest.CaptureFixture[str]) -> None:
    with StopSignals("train", "step").handled() as should_stop:
        assert not should_stop()
        signal.raise_signal(number)
        assert should_stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    name = signal.Signals(number).name
    assert capfd.readouterr().err == f"amr train: {name}: stopping after this step\n"


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, TerminatedSignal)]
)
def test_before_the_work_begins_a_signal_ends_it_at_once(number: int, raised: type[BaseException]) -> None:
    with StopSignals("extract", "segment").handled(), pytest.raises(raised):
        signal.raise_signal(number)


def test_an_ignored_ctrl_c_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with StopSignals("train", "step").handled() as should_stop:
        assert not should_stop()
        signal.raise_signal(signal.SIGINT)
        assert not should_stop()
        signal.raise_signal(signal.SIGTERM)
        assert should_stop()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")],
)
@pytest.mark.parametrize("is_short", [True, False])
def test_a_long_import_is_not_waited_for(
    tmp_path: Path, number: int, code: int, said: str, is_short: bool
) -> None:
    """An import that takes a minute: the answer comes long before. A short one ends first."""
    naps = 40 if is_short else 6000
    soundfile.write(tmp_path / "x.wav", np.zeros(16_000), 16_000)
    (tmp_path / "slow.py").write_text(
        f"import pathlib, time\npathlib.Path('begun').touch()\nfor _ in range({naps}): time.sleep(0.01)\n"
        "pathlib.Path('ended').touch()\n"
        "class Encoder:\n    def __init__(self, **settings): time.sleep(60)\n"
    )
    work = subprocess.Popen(
        [sys.executable, "-m", "amr", "predict", "--encoder", "slow:Encoder", "--query", "dog", "x.wav"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: (tmp_path / "begun").exists() or work.poll() is not None)
    work.send_signal(number)
    began_s = time.monotonic()
    _, text = work.communicate(timeout=HANG_S)
    assert (work.returncode, text.splitlines()[-1]) == (code, f"amr predict: error: {said}")
    assert time.monotonic() - began_s < 45
    assert (tmp_path / "ended").exists() <= is_short
