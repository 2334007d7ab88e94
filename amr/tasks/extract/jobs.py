"""What an extraction reads, how it encodes and where it writes."""

from __future__ import annotations

import hashlib
import inspect
import os
import shlex
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amr import __version__
from amr.audio.files import AudioFile, find_audio
from amr.audio.names import HERE, Names
from amr.distributed import in_shard, launched_processes
from amr.encoders.base import Encoder
from amr.encoders.registry import DEFAULT_ENCODER, checked, find_encoder
from amr.encoders.running.device import choose_device
from amr.errors import UsageError
from amr.formats.features.origin import FOLDER
from amr.formats.features.output import Begin, choose_file, open_feature_output
from amr.formats.features.read import FeatureFile
from amr.formats.features.write import FeatureWriter
from amr.formats.lock import sole_writer
from amr.formats.queries import read_queries
from amr.formats.streams import STDIO
from amr.tasks.callbacks import (
    OnFailure,
    OnProgress,
    ShouldStop,
    ignore_progress,
    leave_out_found,
    never,
)

MOST_NAMES_IN_HISTORY = 16


@dataclass(frozen=True)
class ExtractSources:
    """What is read.

    Args:
        audio: recordings, folders and patterns; ``-`` stands for names on standard input.
        queries: a file of queries whose texts are encoded too.
        shard: the part ``(index, parts)`` of recordings and texts that is done.
        limit: most recordings.
        strict: a recording whose header is wrong about its sound is refused.
    """

    audio: tuple[str, ...] = ()
    queries: str | None = None
    shard: tuple[int, int] = (0, 1)
    limit: int | None = None
    strict: bool = False

    def require_sensible(self) -> None:
        """Raises ``UsageError`` where nothing is named, or standard input is two things at once."""
        if STDIO in self.audio and self.queries == STDIO:
            raise UsageError("standard input cannot be both recordings and queries", where="--queries")
        if not self.audio and self.queries is None:
            hint = "amr extract AUDIO... -o feats.h5; '-' reads names"
            raise UsageError("no recordings are named", hint=hint)

    @property
    def use_stdin(self) -> bool:
        return STDIO in (*self.audio, self.queries)

    def texts(self) -> list[str]:
        """The distinct texts of the query file that belong to this part, in its order."""
        queries = [] if self.queries is None else read_queries(self.queries)
        return [text for text in dict.fromkeys(query.text for query in queries) if in_shard(text, self.shard)]

    def files(self, arguments: Iterable[str], names: Names, on_failure: OnFailure) -> list[AudioFile]:
        """The recordings of this part; ids are settled for the whole first, so that parts fit together.

        Args:
            arguments: files, folders and patterns.
            names: the ids of what is there already.
            on_failure: called with an argument, or a folder below one, that is no recording.
        """
        files = [file for file in find_audio(arguments, on_failure, names) if in_shard(file.id, self.shard)]
        return files if self.limit is None else files[: self.limit]


@dataclass(frozen=True)
class EncoderSettings:
    """How recordings are encoded; None leaves a setting to the encoder.

    Args:
        name: as registered, or ``package.module:Class``; or an encoder, which has its settings already.
        window_s: seconds that a frame sees.
        hop_s: seconds from frame to frame.
        weights: a file, or a folder, of published weights.
        precision: of the network.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        workers: threads that encode.
    """

    name: str | Encoder = DEFAULT_ENCODER
    window_s: float | None = None
    hop_s: float | None = None
    weights: str | None = None
    precision: str | None = None
    device: str = "auto"
    workers: int | None = None

    @property
    def uses_gpu(self) -> bool:
        return choose_device(self.device) != "cpu"

    def load(self) -> Encoder:
        """The encoder, on its device.

        Raises:
            UsageError: there is none of that name, or it cannot have one of the settings.
            MissingError: it needs something that is not installed.
        """
        optional = (
            ("--window", "window_s", self.window_s, "has one fixed window"),
            ("--weights", "weights", self.weights, "takes no weights"),
            ("--dtype", "precision", self.precision, "has one fixed precision"),
        )
        if not isinstance(self.name, str):
            if self.hop_s is not None or any(value is not None for _, _, value, _ in optional):
                raise UsageError("an encoder object has its settings already")
            return checked(self.name)
        factory = find_encoder(self.name)
        settings: dict[str, Any] = {"hop_s": self.hop_s, "device": choose_device(self.device)}
        known = inspect.signature(factory).parameters
        for option, name, value, fact in optional:
            if value is not None and name not in known:
                raise UsageError(f"encoder {self.name!r} {fact}", where=option, hint=f"leave {option} out")
            settings |= {} if value is None else {name: value}
        return factory(**settings)


@dataclass(frozen=True)
class FeatureTarget:
    """What is written.

    Args:
        path: the feature file.
        store: number type of the frames, ``float16`` or ``float32``.
        begin: what becomes of a file that is there already.
    """

    path: Path
    store: str = "float16"
    begin: Begin = Begin.NEW

    def require_free(self) -> None:
        """Refuse an output that is in the way, or none at all, before any work is done."""
        if str(self.path) == STDIO:
            raise UsageError("a feature file cannot be written to a pipe", where="--output")
        choose_file(self.path, self.begin)

    @property
    def present(self) -> Path | None:
        """The feature file that is added to, if there is one."""
        path = choose_file(self.path, self.begin)
        return path if path.exists() and self.begin in (Begin.RESUME, Begin.APPEND) else None

    @staticmethod
    def names(present: Iterable[Path]) -> Names:
        """The ids of the recordings in feature files that are there, and where those are from."""
        names: dict[str, str] = {}
        folder = HERE
        for path in present:
            with FeatureFile(path) as file:
                names.update(zip(file.ids, file.sources, strict=True))
                folder = path.parent / file.folder
        return Names(names, folder)

    def held(self) -> AbstractContextManager[None]:
        """Keep other writers out, in the first of several processes, until it is finished."""
        is_mine = launched_processes().is_first and str(self.path) != STDIO
        return sole_writer(self.path) if is_mine else nullcontext()

    def open(self, identity_json: str) -> AbstractContextManager[FeatureWriter]:
        """See :func:`amr.formats.features.output.open_feature_output`."""
        return open_feature_output(self.path, identity_json=identity_json, store=self.store, begin=self.begin)

    @property
    def how_to_go_on(self) -> str:
        """What to do after an interruption, for messages."""
        options = {Begin.APPEND: "", Begin.FORCE: " with --resume in place of --force"}
        return f"repeat the command{options.get(self.begin, ' with --resume')} to continue"


@dataclass(frozen=True)
class ExtractJob:
    """One extraction, and whom to tell about it; see :mod:`amr.tasks.callbacks`."""

    target: FeatureTarget
    sources: ExtractSources = field(default_factory=ExtractSources)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    on_progress: OnProgress = ignore_progress
    on_failure: OnFailure = leave_out_found
    should_stop: ShouldStop = never


def begin_of(*, force: bool, resume: bool, append: bool = False) -> Begin:
    """What is to become of an output that is there already. Raises ``UsageError`` for two answers."""
    chosen = [
        begin
        for begin, is_wanted in ((Begin.FORCE, force), (Begin.RESUME, resume), (Begin.APPEND, append))
        if is_wanted
    ]
    if len(chosen) > 1:
        raise UsageError("--force, --resume and --append exclude each other")
    return chosen[0] if chosen else Begin.NEW


def history_entry(job: ExtractJob) -> dict[str, Any]:
    """The command line without what does not change the product, and where it was given; the query file's
    sha256; and which part it is.

    The recordings are not hashed: that would read every one of them twice.
    """
    sources, encoder = job.sources, job.encoder
    names = sources.audio[:MOST_NAMES_IN_HISTORY]
    left_out = ["..."] if len(sources.audio) > len(names) else []
    encoder_name = encoder.name if isinstance(encoder.name, str) else encoder.name.identity.name
    words = ["amr", "extract", *names, *left_out, "--encoder", encoder_name, "--store", job.target.store]
    chosen = {
        "--weights": encoder.weights,
        "--dtype": encoder.precision,
        "--window": encoder.window_s,
        "--hop": encoder.hop_s,
        "--queries": sources.queries,
        "--limit": sources.limit,
    }
    for option, value in chosen.items():
        words += [option, str(value)] if value is not None else []
    entry: dict[str, Any] = {"amr_version": __version__}
    if (folder := os.path.relpath(os.curdir, job.target.path.parent)) != os.curdir:
        entry[FOLDER] = folder
    if sources.shard[1] > 1:
        entry["shard"] = f"{sources.shard[0] + 1}/{sources.shard[1]}"
        words += ["--shard", entry["shard"]]
    entry["command"] = shlex.join(words)
    if sources.queries is not None and sources.queries != STDIO:
        sha256 = hashlib.sha256(Path(sources.queries).read_bytes()).hexdigest()
        entry["sha256"] = {sources.queries: sha256}
    return entry
