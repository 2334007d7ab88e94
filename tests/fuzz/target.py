"""What a reader under test is: first inputs, and one function that reads any bytes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

READERS = ("jsonl", "recipe", "hdf5", "checkpoint", "pickle", "npz", "audio", "labels")

RawMutation = Callable[[bytes], bytes]
"""A fuzzer's own change of bytes."""


@dataclass(frozen=True)
class Target:
    """A reader under test.

    Args:
        read: reads bytes as a file; the folder is empty and its own. May raise ``AmrError``, nothing else.
        seeds: the first inputs, sound and nearly sound.
        modules: the modules whose lines are counted as reached.
        words: what a blind change would not come upon.
        mutate: a change that keeps the form (checksums, lengths, JSON) whole, given the fuzzer's own; None:
            the fuzzer's own alone.
        max_bytes: the longest input.
    """

    read: Callable[[bytes, Path], None]
    seeds: Callable[[], list[bytes]]
    modules: tuple[str, ...]
    words: tuple[bytes, ...] = ()
    mutate: Callable[[bytes, random.Random, RawMutation], bytes] | None = None
    max_bytes: int = 4096


def load(reader: str) -> Target:
    """The target of a reader's name; imports that reader and nothing of the others."""
    target = import_module(f".readers.{reader}", __package__).TARGET
    assert isinstance(target, Target)
    return target
