"""What ``amr extract`` does once its options are read."""

from __future__ import annotations

import errno
import hashlib
import os
import shlex
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amr import __version__
from amr.audio.files import AudioFile, find_audio
from amr.audio.noise import library_chatter_hidden
from amr.cli.messages import Failures, say
from amr.cli.progress import SoundProgress, clock
from amr.encoders.base import Encoder
from amr.encoders.device import choose_device
from amr.encoders.pipeline import EncodedRecording, encode_many
from amr.encoders.registry import find_encoder
from amr.encoders.threads import Crew, set_up_threads
from amr.errors import AmrError, InputError, MissingError, UsageError
from amr.formats.features_output import Begin, choose_file, open_feature_output
from amr.formats.features_write import FeatureWriter
from amr.formats.queries import read_queries
from amr.formats.streams import STDIO, open_input

TOOL = "extract"
TEXT_BATCH = 64  # queries encoded at once
MOST_NAMES_IN_HISTORY = 16
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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


def run_job(job: Job) -> None:
    """Extract what the job asks for.

    Raises:
        AmrError: a wrong option or input; without ``--keep-going`` the first broken recording.
        typer.Exit: with 5 where broken recordings were passed over.
    """
    begin = choose_begin(job)
    if str(job.output) == STDIO:
        raise UsageError("a feature file cannot be written to a pipe", where="--output")
    choose_file(job.output, begin)  # refuses an output that is in the way before any work is done
    if STDIO in job.audio and job.queries == STDIO:
        raise UsageError("standard input cannot be both recordings and queries", where="--queries")
    names, texts = read_names(job.audio), read_texts(job.queries)
    if not names and not texts:
        raise UsageError("no recordings are named", hint="amr extract AUDIO... -o feats.h5; '-' reads names")
    files = choose_files(names, job)
    encoder = make_encoder(job)
    failures = Failures(TOOL)
    with (
        library_chatter_shown_if(job.verbose),
        interruption_explained(job.output),
        full_disk_explained(job.output),
        open_feature_output(
            job.output, identity_json=encoder.identity.to_json(), store=job.store, begin=begin
        ) as writer,
    ):
        writer.add_history(history_entry(job))
        write_texts(writer, encoder, [text for text in texts if in_shard(text, job.shard)])
        write_recordings(writer, encoder, to_do(files, writer), job, failures)
    failures.end()


def choose_begin(job: Job) -> Begin:
    """What is to become of an output that is there already."""
    wanted = {Begin.FORCE: job.force, Begin.RESUME: job.resume, Begin.APPEND: job.append}
    chosen = [begin for begin, is_wanted in wanted.items() if is_wanted]
    if len(chosen) > 1:
        raise UsageError("--force, --resume and --append exclude each other")
    return chosen[0] if chosen else Begin.NEW


def read_names(arguments: list[str]) -> list[str]:
    """The arguments, with the list on standard input in place of ``-``; a NUL or a line end ends a name."""
    names: list[str] = []
    for argument in arguments:
        if argument != STDIO:
            names.append(argument)
            continue
        with open_input(STDIO) as file:
            data = file.read()
        ends = b"\0" if b"\0" in data else b"\n"
        listed = [os.fsdecode(name.rstrip(b"\r")) for name in data.split(ends) if name.strip()]
        if not listed:
            raise InputError("lists no file", where="<stdin>")
        names += listed
    return names


def read_texts(source: str | None) -> list[str]:
    """The distinct texts of a query file, in its order."""
    return list(dict.fromkeys(query.text for query in read_queries(source))) if source is not None else []


def choose_files(names: list[str], job: Job) -> list[AudioFile]:
    """The recordings of this shard; ids are settled for the whole first, so that the parts fit together."""
    files = [file for file in find_audio(names) if in_shard(file.id, job.shard)]
    return files if job.limit is None else files[: job.limit]


def in_shard(key: str, shard: tuple[int, int]) -> bool:
    """Whether a recording or a query belongs to part ``(index, parts)``; its name alone decides."""
    index, parts = shard
    return zlib.crc32(key.encode("utf-8", "surrogateescape")) % parts == index


def make_encoder(job: Job) -> Encoder:
    """The wanted encoder on the wanted device.

    Raises:
        UsageError: there is none of that name, or it cannot have that hop or window.
        MissingError: it needs something that is not installed.
    """
    import inspect

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


def to_do(files: list[AudioFile], writer: FeatureWriter) -> list[AudioFile]:
    """The recordings that the file does not have yet.

    Raises:
        InputError: the file has a recording of that id, but from another path.
    """
    missing = []
    for file in files:
        source = writer.sources.get(file.id)
        if source is None:
            missing.append(file)
        elif os.path.normpath(source) != os.path.normpath(source_name(file)):
            raise InputError(
                f"would be called {file.id!r}, which is there already, from {source}",
                where=file.path,
                hint="rename it, or extract it into a file of its own",
            )
    return missing


def source_name(file: AudioFile) -> str:
    """A path as it is stored: bytes that are not UTF-8 are spelt out."""
    return str(file.path).encode("utf-8", "backslashreplace").decode("utf-8")


def write_texts(writer: FeatureWriter, encoder: Encoder, texts: list[str]) -> None:
    """Encode the texts that are not there yet."""
    missing = [text for text in texts if not writer.has_text(text)]
    for start in range(0, len(missing), TEXT_BATCH):
        batch = missing[start : start + TEXT_BATCH]
        for text, vectors in zip(batch, encoder.encode_text(batch), strict=True):
            writer.add_text(text, vectors)
    writer.commit()


def write_recordings(
    writer: FeatureWriter, encoder: Encoder, files: list[AudioFile], job: Job, failures: Failures
) -> None:
    """Decode, encode and write every recording, in order."""
    sizes = {file.id: file_bytes(file.path) for file in files}
    crew = Crew(workers=1, batch=1)
    if files:
        crew = set_up_threads(encoder, on_gpu=on_accelerator(job.device), workers=job.workers)
    progress = SoundProgress(TOOL, total=len(files), total_bytes=sum(sizes.values()), quiet=job.quiet)
    with progress:
        for recording in encode_many(encoder, files, workers=crew.workers, batch=crew.batch):
            try:
                write_recording(writer, recording, encoder.identity.hop_s, progress)
            except AmrError as error:
                if not job.keep_going:
                    raise advised(error) from error
                failures.note(error)
            progress.done(sizes[recording.file.id])
    if not job.quiet:
        summarise(writer, progress, job.output)


def write_recording(
    writer: FeatureWriter, recording: EncodedRecording, hop_s: float, progress: SoundProgress
) -> None:
    """One recording, as its frames come."""
    with writer.recording(recording.file.id, source=source_name(recording.file)) as output:
        for frames in recording:
            output.append(frames)
            progress.heard(len(frames) * hop_s)
        output.finish(recording.duration_s)


def advised(error: AmrError) -> AmrError:
    """The error of one recording among many, with what to do about the others."""
    error.hint = error.hint or "--keep-going does the others; what is finished is kept for --resume"
    return error


def on_accelerator(device: str) -> bool:
    return choose_device(device) != "cpu"


def file_bytes(path: Path) -> int:
    """A file's size; 0 for one that has gone, which is told when it is read."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def summarise(writer: FeatureWriter, progress: SoundProgress, output: Path) -> None:
    done = f"{progress.recordings} recordings, {clock(progress.sound_s)} of sound"
    say(f"amr {TOOL}: {done} ({progress.speed:.0f} x real time); {len(writer.sources)} in {output}")


def history_entry(job: Job) -> dict[str, Any]:
    """The command line without what does not change the product, and the query file's sha256.

    The recordings are not hashed: that would read every one of them twice.
    """
    names = job.audio[:MOST_NAMES_IN_HISTORY]
    left_out = len(job.audio) - len(names)
    words = [
        "amr",
        TOOL,
        *names,
        *(["..."] if left_out else []),
        "--encoder",
        job.encoder,
        "--store",
        job.store,
    ]
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
    if job.shard[1] > 1:
        words += ["--shard", f"{job.shard[0] + 1}/{job.shard[1]}"]
    entry: dict[str, Any] = {"command": shlex.join(words), "amr_version": __version__}
    if job.queries is not None and job.queries != STDIO:
        entry["sha256"] = {job.queries: hashlib.sha256(Path(job.queries).read_bytes()).hexdigest()}
    return entry


@contextmanager
def interruption_explained(output: Path) -> Iterator[None]:
    """Says, when the user stops the work, that it is kept."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"amr {TOOL}: interrupted; the same command with --resume goes on with {output}")
        raise


@contextmanager
def full_disk_explained(output: Path) -> Iterator[None]:
    """Says of a full disk where it is, and that nothing is lost."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        raise MissingError(
            f"no room to write on ({error.strerror})",
            where=output,
            hint="make room; the same command with --resume goes on with what is finished",
        ) from error


@contextmanager
def library_chatter_shown_if(verbose: bool) -> Iterator[None]:
    """Decoders' own messages are for those who ask for more."""
    if verbose:
        yield
        return
    with library_chatter_hidden():
        yield
