"""One class of signals for the tools that stop in good order: what the first one does, and a second."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

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
