"""The options of ``amr extract`` as one record, and what follows from them alone."""

from __future__ import annotations

import hashlib
import inspect
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amr import __version__
from amr.audio.files import AudioFile, find_audio
from amr.cli.group import in_shard
from amr.encoders.base import Encoder
from amr.encoders.device import choose_device
from amr.encoders.registry import find_encoder
from amr.errors import UsageError
from amr.formats.features_output import Begin
from amr.formats.queries import read_queries
from amr.formats.streams import STDIO

TOOL = "extract"
MOST_NAMES_IN_HISTORY = 16


@dataclass(frozen=True)
class Job:
    """The options of one run; see :func:`amr.cli.extract.extract`."""

    audio: list[str]
    output: Path
    queries: str | None
    encoder: str
    window_s: float | None
    hop_s: float | None
    store: str
    device: str
    workers: int | None
    shard: tuple[int, int]
    limit: int | None
    resume: bool
    append: bool
    force: bool
    keep_going: bool
    quiet: bool
    verbose: bool
    weights: str | None = None
    precision: str | None = None

    @property
    def begin(self) -> Begin:
        """What is to become of an output that is there already."""
        wanted = {Begin.FORCE: self.force, Begin.RESUME: self.resume, Begin.APPEND: self.append}
        chosen = [begin for begin, is_wanted in wanted.items() if is_wanted]
        if len(chosen) > 1:
            raise UsageError("--force, --resume and --append exclude each other")
        return chosen[0] if chosen else Begin.NEW

    @property
    def goes_on_with(self) -> str:
        """What to do after an interruption, for messages."""
        option = "" if self.append else " with --resume"
        return f"the same command{option} goes on"


def read_texts(source: str | None, shard: tuple[int, int]) -> list[str]:
    """The distinct texts of a query file that belong to this part, in its order."""
    if source is None:
        return []
    texts = dict.fromkeys(query.text for query in read_queries(source))
    return [text for text in texts if in_shard(text, shard)]


def choose_files(names: Iterable[str], job: Job) -> list[AudioFile]:
    """The recordings of this shard; ids are settled for the whole first, so that the parts fit together."""
    files = [file for file in find_audio(names) if in_shard(file.id, job.shard)]
    return files if job.limit is None else files[: job.limit]


def make_encoder(job: Job) -> Encoder:
    """The wanted encoder on the wanted device.

    Raises:
        UsageError: there is none of that name, or it cannot have that hop or window.
        MissingError: it needs something that is not installed.
    """
    factory = find_encoder(job.encoder)
    settings: dict[str, Any] = {"hop_s": job.hop_s, "device": choose_device(job.device)}
    known = inspect.signature(factory).parameters
    for option, name, value, fact in (
        ("--window", "window_s", job.window_s, "has one fixed window"),
        ("--weights", "weights", job.weights, "takes no weights"),
        ("--dtype", "precision", job.precision, "has one fixed precision"),
    ):
        if value is not None and name not in known:
            raise UsageError(f"encoder {job.encoder!r} {fact}", where=option, hint=f"leave {option} out")
        settings |= {} if value is None else {name: value}
    return factory(**settings)


def history_entry(job: Job) -> dict[str, Any]:
    """The command line without what does not change the product, the query file's sha256, and which part.

    The recordings are not hashed: that would read every one of them twice.
    """
    names = job.audio[:MOST_NAMES_IN_HISTORY]
    left_out = ["..."] if len(job.audio) > len(names) else []
    words = ["amr", TOOL, *names, *left_out, "--encoder", job.encoder, "--store", job.store]
    chosen = {
        "--weights": job.weights,
        "--dtype": job.precision,
        "--window": job.window_s,
        "--hop": job.hop_s,
        "--queries": job.queries,
        "--limit": job.limit,
    }
    for option, value in chosen.items():
        words += [option, str(value)] if value is not None else []
    entry: dict[str, Any] = {"amr_version": __version__}
    if job.shard[1] > 1:
        entry["shard"] = f"{job.shard[0] + 1}/{job.shard[1]}"
        words += ["--shard", entry["shard"]]
    entry["command"] = shlex.join(words)
    if job.queries is not None and job.queries != STDIO:
        entry["sha256"] = {job.queries: hashlib.sha256(Path(job.queries).read_bytes()).hexdigest()}
    return entry
