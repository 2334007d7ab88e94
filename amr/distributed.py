"""Several processes of one tool, as ``torchrun`` starts them: torch.distributed behind a few functions.

``train`` adds up tensors, on the device of its network; ``extract`` and ``predict`` need less of each other,
lines of text from one process to another, on the processor. Torch is imported only where there are several
processes, or tensors.
"""

from __future__ import annotations

import math
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from amr.errors import MissingError, StoppedError
from amr.processors import free_processors

if TYPE_CHECKING:
    from torch import Tensor

SHARE_TIMEOUT = timedelta(days=30)
"""How long a process waits for another's share. One that dies is noticed at once: its connection ends."""

STEP_TIMEOUT = timedelta(minutes=30)
"""How long a process that trains waits for the others: longer than any validation or checkpoint."""

PARTNER_PATIENCE_S = 1.0
"""How long one that is to stop still waits: the others are mostly to stop as well, and say so."""

LOOK_S = 0.2
"""Between two questions whether to stop, while another process is waited for."""


def in_shard(key: str, shard: tuple[int, int]) -> bool:
    """Whether a recording or a query belongs to part ``(index, parts)``; its name alone decides."""
    index, parts = shard
    return zlib.crc32(key.encode("utf-8", "surrogateescape")) % parts == index


def shard_of_shard(shard: tuple[int, int], inner: tuple[int, int]) -> tuple[int, int]:
    """Part ``inner`` of what part ``shard`` is, again as one part of a whole."""
    return shard[0] + shard[1] * inner[0], shard[1] * inner[1]


@dataclass(frozen=True)
class Processes:
    """This process among its peers.

    Args:
        rank: its number, from 0; the first one writes the product.
        count: how many there are.
        local_rank, local_count: the same among those on this machine.
        should_stop: asked while another process is waited for; the wait then ends with ``StoppedError``.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1
    should_stop: Callable[[], bool] = lambda: False

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def shard(self) -> tuple[int, int]:
        return self.rank, self.count

    def workers(self, wanted: int | None) -> int | None:
        """Threads of each process: as wanted, or its part of this machine's processors."""
        if wanted is not None or self.local_count == 1:
            return wanted
        return max(1, free_processors() // self.local_count)

    def device(self, name: str) -> str:
        """Each process of several on one machine takes a GPU of its own."""
        if self.count == 1 or name not in ("auto", "cuda"):
            return name
        import torch

        return f"cuda:{self.local_rank}" if torch.cuda.is_available() else name

    def add_up(self, tensor: Tensor) -> None:
        """Replace ``tensor`` by its sum over all processes."""
        if self.count > 1:
            import torch

            self._exchange(lambda: torch.distributed.all_reduce(tensor), tensor)

    def share_first(self, tensor: Tensor) -> None:
        """Replace ``tensor`` by that of the first process."""
        if self.count > 1:
            import torch

            self._exchange(lambda: torch.distributed.broadcast(tensor, 0), tensor)

    def any(self, flag: bool) -> bool:
        """Whether ``flag`` is set in some process. Devices are left out of it."""
        if self.count == 1:
            return flag
        import torch

        flags = torch.full((), float(flag))
        self.add_up(flags)
        return bool(flags.item())

    def _exchange(self, exchange: Callable[[], object], tensor: Tensor) -> None:
        """An exchange with all processes. On a GPU it only begins here, and nothing is waited for.

        Raises:
            MissingError: a process went away. StoppedError: this one is to stop, and others do not answer.
        """
        with self._partner_expected("another process"):
            if tensor.device.type == "cpu":
                self._wait(exchange)
            else:
                exchange()

    def _wait(self, exchange: Callable[[], object]) -> None:
        """Let an exchange come to its end, with an open ear for signals."""
        if not waited_for(exchange, self.should_stop, PARTNER_PATIENCE_S):
            raise stopped_waiting()

    def send(self, text: str, to: int = 0) -> None:
        """Give a text to another process; returns when it has been taken."""
        import torch

        data = torch.frombuffer(bytearray(text.encode("utf-8")), dtype=torch.uint8)
        with self._partner_expected(self._name_of(to)):
            self._wait(lambda: torch.distributed.send(torch.tensor(len(data)), to))
            self._wait(lambda: torch.distributed.send(data, to))

    def receive(self, source: int = 0, waiting_for: str = "") -> str:
        """The text that another process gives.

        Args:
            waiting_for: what it was to do, for the message.

        Raises:
            MissingError: that process went away; it is named.
        """
        import torch

        with self._partner_expected(self._name_of(source), waiting_for):
            length = torch.zeros((), dtype=torch.int64)
            self._wait(lambda: torch.distributed.recv(length, source))
            data = torch.zeros(int(length), dtype=torch.uint8)
            self._wait(lambda: torch.distributed.recv(data, source))
        return data.numpy().tobytes().decode("utf-8")

    def _name_of(self, rank: int) -> str:
        return f"process {rank + 1} of {self.count}"

    def from_first(self, text: str) -> str:
        """The first process's text, in every one."""
        if self.is_first:
            for other in range(1, self.count):
                self.send(text, other)
            return text
        return self.receive(0)

    @contextmanager
    def _partner_expected(self, name: str, waiting_for: str = "") -> Iterator[None]:
        """Turns the end of a connection into words."""
        try:
            yield
        except RuntimeError as error:
            if self.should_stop():  # the others were to stop, too, and were quicker
                raise stopped_waiting() from error
            task = f" before {waiting_for}" if waiting_for else ""
            raise MissingError(
                f"{name} went away{task}",
                hint="its own message is above; what is finished is kept for --resume",
            ) from error


def stopped_waiting() -> StoppedError:
    hint = "what is finished is kept; repeat the command with --resume to continue"
    return StoppedError("stopped while waiting for other processes", hint=hint)


def waited_for(
    exchange: Callable[[], object], should_stop: Callable[[], bool] = lambda: False, patience_s: float = 0.0
) -> bool:
    """Whether an exchange has come to its end, or ``should_stop`` said so and ``patience_s`` were over first.

    It runs in a thread of its own: a library that waits for another process answers no signal, Python does.
    """
    failures: list[BaseException] = []
    has_ended = threading.Event()

    def run() -> None:
        try:
            exchange()
        except BaseException as error:  # noqa: BLE001  # raised again below
            failures.append(error)
        finally:
            has_ended.set()

    threading.Thread(target=run, name="exchange", daemon=True).start()
    stopped_at_s = math.inf
    while not has_ended.wait(LOOK_S):
        if stopped_at_s == math.inf and should_stop():
            stopped_at_s = time.monotonic()
        if time.monotonic() - stopped_at_s > patience_s:
            return False
    if failures:
        raise failures[0]
    return True


def launched_processes() -> Processes:
    """What ``torchrun`` says in the environment; one process where it says nothing."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    rank, count, local_rank, local_count = (
        int(os.environ.get(name, default)) for name, default in zip(names, "0101", strict=True)
    )
    return Processes(rank, count, local_rank, local_count)


def process_name() -> str:
    """Which of several processes this is, for messages; empty where it is alone."""
    processes = launched_processes()
    return "" if processes.count == 1 else f" [process {processes.rank + 1} of {processes.count}]"


@contextmanager
def joined_processes(
    *,
    on_gpus: bool = False,
    timeout: timedelta = SHARE_TIMEOUT,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Processes]:
    """The processes, met before the block and left after it; alone, torch is not imported.

    Args:
        on_gpus: tensors that they exchange lie on GPUs.
        timeout: how long one waits for the others.
        should_stop: asked while one waits for another.
    """
    processes = launched_processes()
    if processes.count == 1:
        yield processes
        return
    import torch

    backend = "cpu:gloo,cuda:nccl" if on_gpus else "gloo"
    waited_for(lambda: torch.distributed.init_process_group(backend, timeout=timeout))
    try:
        yield replace(processes, should_stop=should_stop)
    except BaseException as error:
        if not isinstance(error, StoppedError) and isinstance(error, Exception):
            torch.distributed.destroy_process_group()
        raise  # where a signal cut an exchange off, its thread holds the group until the process ends
    torch.distributed.destroy_process_group()
