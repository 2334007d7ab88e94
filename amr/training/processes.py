"""Several processes that train one network together, as ``torchrun`` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor

TIMEOUT = timedelta(minutes=30)
"""How long a process waits for the others: longer than any validation or checkpoint."""


@dataclass(frozen=True)
class Processes:
    """This process among its peers.

    Args:
        rank: its number, from 0; the first one writes files.
        count: how many there are.
        local_rank: its number on this machine: which GPU is its own.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def add_up(self, tensor: Tensor) -> None:
        """Replace ``tensor`` by its sum over all processes."""
        if self.count > 1:
            torch.distributed.all_reduce(tensor)

    def share_first(self, tensor: Tensor) -> None:
        """Replace ``tensor`` by that of the first process."""
        if self.count > 1:
            torch.distributed.broadcast(tensor, 0)

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether ``flag`` is set in some process; alone, nothing is asked of the device."""
        if self.count == 1:
            return flag
        told = torch.full((), float(flag), device=device)
        torch.distributed.all_reduce(told)
        return bool(told.item())


def expected_processes() -> Processes:
    """What ``torchrun`` says in the environment; one process where it says nothing."""
    environment = os.environ
    return Processes(
        rank=int(environment.get("RANK", "0")),
        count=int(environment.get("WORLD_SIZE", "1")),
        local_rank=int(environment.get("LOCAL_RANK", "0")),
    )


@contextmanager
def joined(device: torch.device, timeout: timedelta = TIMEOUT) -> Iterator[Processes]:
    """The group of processes, met before the block and left after it."""
    processes = expected_processes()
    if processes.count == 1:
        yield processes
        return
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timeout)
    try:
        yield processes
    finally:
        torch.distributed.destroy_process_group()
