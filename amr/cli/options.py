"""Options that mean the same in every tool, declared once."""

from __future__ import annotations

import logging
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from amr.errors import UsageError


class OutputFormat(str, Enum):
    """How a product is written to standard output."""

    TABLE = "table"
    JSON = "json"


def hush(is_quiet: bool) -> bool:
    """Let nothing but errors of what the package logs through (:func:`amr.cli.messages.log_shown`)."""
    if is_quiet:
        logging.getLogger("amr").setLevel(logging.ERROR)
    return is_quiet


Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write here instead of standard output.")
]
Force = Annotated[bool, typer.Option("-f", "--force", help="Replace an existing output.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", callback=hush, help="No progress and no warnings.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Say more; a traceback if amr itself fails.")]
Format = Annotated[
    OutputFormat | None,
    typer.Option("--format", help="Force one form; else a table at a terminal and JSON in a pipe."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of every random draw.")]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda[:N]", help="Where networks run.")]
Workers = Annotated[
    int | None, typer.Option("--workers", min=0, help="Parallel workers; default: what the machine has free.")
]
Shard = Annotated[
    str | None, typer.Option("--shard", metavar="I/N", help="Do only part I of N (1 <= I <= N); parts unite.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with an output that was interrupted.")]
KeepGoing = Annotated[
    bool, typer.Option("--keep-going", help="Name what is broken, do the rest, exit with 5.")
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Refuse recordings whose header is wrong about their sound.")
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Stop after this many items.")]
Encoder = Annotated[
    str, typer.Option("--encoder", metavar="NAME", help="Encoder, by name or as package.module:Class.")
]
KnownEncoder = Annotated[
    str | None,
    typer.Option("--encoder", metavar="NAME", help="Default: the one that made the features, else yamnet."),
]
Hop = Annotated[float | None, typer.Option("--hop", help="Seconds from frame to frame, for recordings.")]


LONGEST_SHARD = 40
"""Digits: Python refuses to make numbers of thousands."""


def parse_shard(shard: str | None) -> tuple[int, int]:
    """``"I/N"`` as ``(I - 1, N)``; the whole is ``(0, 1)``.

    Raises:
        UsageError: it is not of the form I/N with 1 <= I <= N.
    """
    if shard is None:
        return 0, 1
    part, slash, parts = shard.partition("/")
    digits = part.isdecimal() and parts.isdecimal() and len(shard) <= LONGEST_SHARD
    if slash and digits and 1 <= int(part) <= int(parts):
        return int(part) - 1, int(parts)
    raise UsageError(f"{shard!r} is not of the form I/N with 1 <= I <= N, e.g. 2/8", where="--shard")
