"""``amr extract``: recordings, and queries if wanted, into a feature file."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from amr.cli import options


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
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Turn recordings into features, once, for every later question.

    \b
    amr extract examples/audio -o feats.h5
    amr extract examples/audio --queries examples/queries.jsonl --resume -o feats.h5
    amr extract --from-npz features/castella --queries gt.jsonl -o feats.h5
    find audio -name '*.wav' -print0 | amr extract - --append -o feats.h5
    amr extract --merge feats.*of8.h5 -o feats.h5

    WAV, FLAC, OGG, MP3 and their like; other formats through ffmpeg, where there is one. Folders are
    walked to the bottom. A recording is called by its file name without the extension. The same command
    with --resume goes on with an interrupted run. Names on standard input are taken as they come, for
    days if need be: what is broken is told and the next one taken, the end is then exit 5.
    Several processes: torchrun --nproc-per-node 2 -m amr extract ...
    """
    if from_npz is not None or to_npz is not None:
        from amr.cli.extract_npz import Exchange, run_exchange

        exchange = Exchange(from_npz, to_npz, audio or [], output, queries, store.value, force, quiet)
        run_exchange(exchange)
        return
    if merge:
        from amr.cli.extract_merge import Merge, run_merge

        run_merge(Merge(audio or [], output, force, keep_going, quiet))
        return
    from amr.cli.extract_job import Job
    from amr.cli.extract_run import run_job

    run_job(
        Job(
            audio=audio or [],
            output=output,
            queries=queries,
            encoder=encoder,
            window_s=window,
            hop_s=hop,
            store=store.value,
            device=device,
            workers=workers,
            shard=options.parse_shard(shard),
            limit=limit,
            resume=resume,
            append=append,
            force=force,
            keep_going=keep_going,
            quiet=quiet,
            verbose=verbose,
            weights=weights,
            precision=dtype,
        )
    )
