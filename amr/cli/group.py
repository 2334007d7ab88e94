"""Several processes of one tool, as ``torchrun`` starts them: each does a share, the first has the product.

``extract`` and ``predict`` need little of each other: lines of text from one process to another, through
torch.distributed on the processor, whatever device the networks run on. ``train`` has its own ways
(:mod:`amr.training.processes`), and the group that is met is made there for all three.
"""

from __future__ import annotations

import io
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from amr.errors import MissingError
from amr.formats.streams import STDIO, require_readable
from amr.processors import free_processors

PATIENCE = timedelta(days=30)
"""How long a process waits for another's share. One that dies is noticed at once: its connection ends."""


def in_shard(key: str, shard: tuple[int, int]) -> bool:
    """Whether a recording or a query belongs to part ``(index, parts)``; its name alone decides."""
    index, parts = shard
    return zlib.crc32(key.encode("utf-8", "surrogateescape")) % parts == index


def shard_of_shard(shard: tuple[int, int], inner: tuple[int, int]) -> tuple[int, int]:
    """Part ``inner`` of what part ``shard`` is, again as one part of a whole."""
    return shard[0] + shard[1] * inner[0], shard[1] * inner[1]


@dataclass(frozen=True)
class Group:
    """This process among its peers.

    Args:
        rank: its number, from 0; the first one writes the product.
        count: how many there are.
        local_rank, local_count: the same among those on this machine.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def shard(self) -> tuple[int, int]:
        return self.rank, self.count

    def workers(self, wanted: int | None) -> int | None:
        """Threads of each process: as asked, or its part of this machine's processors."""
        if wanted is not None or self.local_count == 1:
            return wanted
        return max(1, free_processors() // self.local_count)

    def device(self, name: str) -> str:
        """Each process of several on one machine takes a GPU of its own."""
        if self.count == 1 or name not in ("auto", "cuda"):
            return name
        import torch

        return f"cuda:{self.local_rank}" if torch.cuda.is_available() else name

    def send(self, text: str, to: int = 0) -> None:
        """Give a text to another process; returns when it has been taken."""
        import torch

        data = torch.frombuffer(bytearray(text.encode("utf-8")), dtype=torch.uint8)
        with partner_expected(self, to, ""):
            torch.distributed.send(torch.tensor(len(data)), to)
            torch.distributed.send(data, to)

    def receive(self, source: int = 0, waiting_for: str = "") -> str:
        """The text that another process gives.

        Args:
            waiting_for: what it was to do, for the message.

        Raises:
            MissingError: that process went away; it is named.
        """
        import torch

        with partner_expected(self, source, waiting_for):
            length = torch.zeros((), dtype=torch.int64)
            torch.distributed.recv(length, source)
            data = torch.zeros(int(length), dtype=torch.uint8)
            torch.distributed.recv(data, source)
        return data.numpy().tobytes().decode("utf-8")

    def from_first(self, text: str) -> str:
        """The first process's text, in every one."""
        if self.is_first:
            for other in range(1, self.count):
                self.send(text, other)
            return text
        return self.receive(0)


@contextmanager
def partner_expected(group: Group, other: int, waiting_for: str) -> Iterator[None]:
    """Turns the end of a connection into words."""
    try:
        yield
    except RuntimeError as error:
        task = f" before {waiting_for}" if waiting_for else ""
        raise MissingError(
            f"process {other + 1} of {group.count} went away{task}",
            hint="what went wrong there stands above; what is finished is kept for --resume",
        ) from error


def launched() -> Group:
    """What ``torchrun`` says in the environment; one process where it says nothing."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    rank, count, local_rank, local_count = (
        int(os.environ.get(name, default)) for name, default in zip(names, "0101", strict=True)
    )
    return Group(rank, count, local_rank, local_count)


def process_name() -> str:
    """Which of several processes this is, for messages; empty where it is alone."""
    group = launched()
    return "" if group.count == 1 else f" [process {group.rank + 1} of {group.count}]"


@contextmanager
def joined_group(*, reads_stdin: bool) -> Iterator[Group]:
    """The group of processes, met before the block and left after it; alone, torch is not imported.

    Args:
        reads_stdin: standard input is an input: the first process reads it for all.
    """
    group = launched()
    if group.count == 1:
        yield group
        return
    import torch

    from amr.training.processes import joined

    with joined(torch.device("cpu"), timeout=PATIENCE):
        if reads_stdin:
            share_stdin(group)
        yield group


def share_stdin(group: Group) -> None:
    """Let every process read what is piped into the first one."""
    if group.is_first:
        require_readable(STDIO)
    text = group.from_first(sys.stdin.buffer.read().hex() if group.is_first else "")
    sys.stdin = io.TextIOWrapper(io.BytesIO(bytes.fromhex(text)), encoding="utf-8")
