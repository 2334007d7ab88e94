"""``amr extract``: recordings, and queries if wanted, into a feature file."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import nullcontext
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from amr.cli import options

if TYPE_CHECKING:
    from amr.tasks.extract.report import ExtractReport


class Store(str, Enum):
    """The number type in which frames are kept."""

    FLOAT16 = "float16"
    FLOAT32 = "float32"


def extract(
    audio: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="AUDIO...",
            help="Recordings, folders, glob patterns, or '-' for a list on standard input.",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The feature file to write.")
    ] = Path("feats.h5"),
    queries: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Store the text features of these queries too, each text once."),
    ] = None,
    encoder: options.Encoder = "yamnet",
    window: Annotated[
        float | None, typer.Option(help="Seconds that a frame sees, where the encoder leaves a choice.")
    ] = None,
    hop: Annotated[
        float | None, typer.Option(help="Seconds from frame to frame; default: the encoder's own.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="The encoder's published weights: a file, or a folder of all files."
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Precision of the encoder's network: float32, bfloat16, float16."),
    ] = None,
    from_npz: Annotated[
        Path | None,
        typer.Option(
            metavar="TREE", help="Import published .npz features; --queries brings durations, words."
        ),
    ] = None,
    to_npz: Annotated[
        Path | None,
        typer.Option(metavar="TREE", help="Write the feature files that are named as a tree of .npz files."),
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Join the feature files that are named: the parts of --shard.")
    ] = False,
    store: Annotated[Store, typer.Option(help="Number type of the stored frames.")] = Store.FLOAT16,
    device: options.Device = "auto",
    workers: options.Workers = None,
    shard: options.Shard = None,
    limit: options.Limit = None,
    resume: options.Resume = False,
    append: Annotated[
        bool, typer.Option("--append", help="Add to the output that is there; what it has is left alone.")
    ] = False,
    force: options.Force = False,
    keep_going: options.KeepGoing = False,
    strict: options.Strict = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Turn recordings into features, once, for every later query.

    \b
    amr extract examples/audio -o feats.h5
    amr extract examples/audio --queries examples/queries.jsonl --resume -o feats.h5
    amr extract --from-npz features/castella --queries gt.jsonl -o feats.h5
    find audio -name '*.wav' -print0 | amr extract - --append -o feats.h5
    amr extract --merge feats.*of8.h5 -o feats.h5

    WAV, FLAC, OGG, MP3 and their like; other formats through ffmpeg, where there is one. Folders are
    walked to the bottom. A recording is called by its file name without the extension, of several of one
    name by the end of its path, and keeps the id that it has in the output. The same command
    with --resume continues an interrupted run. Names on standard input are taken as they come, for
    days if need be: what is broken is reported and left out, the exit code is then 5. So it is with
    what a folder or a pattern holds; a broken recording that is named ends the work, unless --keep-going.
    Several processes: torchrun --nproc-per-node 2 -m amr extract ...
    """
    from amr.cli.messages import Failures, say
    from amr.distributed import launched_processes, process_name

    processes, names = launched_processes(), audio or []
    goes_on = keep_going or ("-" in names and processes.count == 1)
    hint = "--keep-going does the others; what is finished is kept for --resume"
    failures = Failures("extract" + process_name(), keep_going=goes_on, hint=hint)
    broken: int | None = None
    quiet = quiet or not processes.is_first
    if from_npz is not None or to_npz is not None:
        written = {"force": force, "resume": resume}
        line = exchange_npz(from_npz, to_npz, names, output, queries, store.value, **written)
    elif merge:
        from amr.tasks.extract.merge import merge_features

        on_failure = failures.note if keep_going else None
        merged = merge_features(names, output, force=force, resume=resume, on_failure=on_failure)
        line = f"{merged.parts} parts; {merged.total} recordings in {output}"
    else:
        from amr.tasks.extract import extract as extract_features
        from amr.tasks.extract.jobs import FeatureTarget, begin_of

        work = partial(
            extract_features,
            names,
            output,
            queries=queries,
            encoder=encoder,
            window_s=window,
            hop_s=hop,
            weights=weights,
            precision=dtype,
            device=device,
            workers=workers,
            store=store.value,
            shard=options.parse_shard(shard),
            limit=limit,
            resume=resume,
            append=append,
            force=force,
            strict=strict,
            on_failure=failures.note,
        )
        target = FeatureTarget(output, begin=begin_of(force=force, resume=resume, append=append))
        report = run_shown(work, f"{target.how_to_go_on} {output}", quiet=quiet, verbose=verbose)
        broken = len(report.failed) if processes.is_first else 0
        line = summary(report)
    if not quiet:
        say(f"amr extract: {line}")
    failures.end(broken)


def run_shown(
    work: Callable[..., ExtractReport], how_to_go_on: str, *, quiet: bool, verbose: bool
) -> ExtractReport:
    """Run an extraction with progress and signals; decoders' own messages are for those who ask for more."""
    from amr.audio.noise import library_chatter_hidden
    from amr.cli.progress import shown_progress
    from amr.cli.stopping import InterruptedSignal, StopSignals
    from amr.distributed import process_name
    from amr.errors import StoppedError

    signals = StopSignals("extract" + process_name(), "segment", is_killable=True)
    try:
        with (
            nullcontext() if verbose else library_chatter_hidden(),
            signals.handled() as should_stop,
            shown_progress("amr extract", quiet=quiet) as on_progress,
        ):
            return work(on_progress=on_progress, should_stop=should_stop)
    except (KeyboardInterrupt, StoppedError) as error:
        if signals.first == signal.SIGTERM:
            raise
        raise InterruptedSignal(f"interrupted; {how_to_go_on}") from error


def summary(report: ExtractReport) -> str:
    """What was done, in one line."""
    from amr.cli.tables import whole_clock
    from amr.errors import number_of

    if report.processes > 1:
        return f"{report.processes} processes; {number_of(report.total, 'recording')} in {report.output}"
    done = f"{number_of(report.tried, 'recording')}, {whole_clock(report.sound_s)} of sound"
    return f"{done} ({report.speed:.0f} x real time); {report.total} in {report.output}"


def exchange_npz(
    from_npz: Path | None,
    to_npz: Path | None,
    names: list[str],
    output: Path,
    queries: str | None,
    store: str,
    *,
    force: bool,
    resume: bool,
) -> str:
    """Import a tree, or write one; what was done, in one line."""
    from amr.errors import UsageError
    from amr.tasks.extract.npz import export_npz, import_npz

    if from_npz is not None and to_npz is not None:
        raise UsageError("one of --from-npz and --to-npz at a time", where="--to-npz")
    if to_npz is not None:
        done, target = export_npz(names, to_npz, queries=queries, force=force, resume=resume), to_npz
    else:
        assert from_npz is not None  # one of the two was given
        if names:
            raise UsageError("recordings and an .npz tree cannot be read in one run", where=names[0])
        done = import_npz(from_npz, output, queries=queries, store=store, force=force, resume=resume)
        target = output
    return f"{done.recordings} recordings and {done.queries} queries in {target}"
