"""Which device a name means, on machines with GPUs and without."""

from __future__ import annotations

import pytest
import torch

from amr.encoders.running.device import choose_device
from amr.errors import MissingError, UsageError


def pretend_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    ("name", "chosen"),
    [("auto", "cuda:0"), ("cuda", "cuda:0"), ("cuda:0", "cuda:0"), ("cuda:1", "cuda:1"), ("cpu", "cpu")],
)
def test_a_gpu_has_its_number(monkeypatch: pytest.MonkeyPatch, name: str, chosen: str) -> None:
    pretend_gpus(monkeypatch, 2)
    assert choose_device(name) == chosen
    # What torch.cuda.set_device asks for: a name without a number is refused there.
    assert chosen == "cpu" or torch.cuda._utils._get_device_index(torch.device(chosen)) == int(chosen[-1])


def test_what_is_not_there_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, 0)
    assert choose_device("auto") == "cpu"
    for name in ("cuda", "cuda:0"):
        with pytest.raises(MissingError, match=f"{name} does not exist"):
            choose_device(name)


@pytest.mark.parametrize("name", ["cuda:", "cuda:x", "gpu", "cuda:-1", ""])
def test_other_names_are_no_device(name: str) -> None:
    with pytest.raises(UsageError, match="is not a device"):
        choose_device(name)
