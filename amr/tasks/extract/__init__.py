"""Recordings, and queries if wanted, into a feature file: once, for every later query."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

from amr.distributed import joined_processes
from amr.encoders.base import Encoder
from amr.encoders.registry import DEFAULT_ENCODER
from amr.errors import MissingError
from amr.formats.streams import STDIO
from amr.tasks.callbacks import (
    OnFailure,
    OnProgress,
    ShouldStop,
    ignore_progress,
    leave_out_found,
    never,
)
from amr.tasks.extract.jobs import (
    EncoderSettings,
    ExtractJob,
    ExtractSources,
    FeatureTarget,
    begin_of,
)
from amr.tasks.extract.processes import extract_together
from amr.tasks.extract.report import ExtractReport
from amr.tasks.extract.stream import extract_as_named
from amr.tasks.extract.work import extract_known
from amr.tasks.standard_input import share_stdin

__all__ = ["ExtractReport", "extract"]

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def extract(
    audio: str | Path | Sequence[str | Path],
    output: str | Path = "feats.h5",
    *,
    queries: str | Path | None = None,
    encoder: str | Encoder = DEFAULT_ENCODER,
    window_s: float | None = None,
    hop_s: float | None = None,
    weights: str | Path | None = None,
    precision: str | None = None,
    device: str = "auto",
    workers: int | None = None,
    store: str = "float16",
    shard: tuple[int, int] = (0, 1),
    limit: int | None = None,
    resume: bool = False,
    append: bool = False,
    force: bool = False,
    strict: bool = False,
    on_progress: OnProgress = ignore_progress,
    on_failure: OnFailure | None = None,
    should_stop: ShouldStop = never,
) -> ExtractReport:
    """Turn recordings into features, once, for every later query.

    Args:
        audio: recordings, folders, which are walked to the bottom, and glob patterns. ``-`` stands for names
            on standard input, which are taken as they come. A recording is called by its file name without
            the extension, or, of several of one name, by the end of its path.
        output: the feature file to write.
        queries: a file of queries whose text features are stored too, each text once.
        encoder: by name, or as ``package.module:Class``, or one that is loaded already.
        window_s: seconds that a frame sees; None: the encoder's own.
        hop_s: seconds from frame to frame; None: the encoder's own.
        weights: the encoder's published weights, a file or a folder; None: where it finds them itself.
        precision: of the encoder's network, where it leaves a choice: ``float32``, ``bfloat16``, ``float16``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        workers: threads that encode; None: what the machine has free.
        store: number type of the stored frames, ``float16`` or ``float32``.
        shard: do part ``(index, parts)`` only, ``0 <= index < parts``; a recording's name decides.
        limit: most recordings.
        resume: go on with an output that was interrupted.
        append: add to the output that is there.
        force: replace the output that is there.
        strict: refuse a recording whose header is wrong about its sound; else there is a warning.
        on_progress: called with each :class:`amr.tasks.callbacks.Progress`.
        on_failure: called with what is wrong with a recording, or a name, which is then left out. Without it
            a broken recording that is named in ``audio`` raises, and one that came with a folder or a pattern
            is logged and left out.
        should_stop: looked at several times a second; the recording at hand is then not kept.

    Raises:
        UsageError: settings that cannot be, or exclude each other.
        InputError: a recording is broken; an output is in the way; a query file is not what it should be.
        MissingError: the encoder, its device or room on the disk is not here; another process went away.
        StoppedError: ``should_stop`` said so; what is finished is kept for ``resume``.
    """
    names = (audio,) if isinstance(audio, (str, Path)) else audio
    job = ExtractJob(
        target=FeatureTarget(Path(output), store, begin_of(force=force, resume=resume, append=append)),
        sources=ExtractSources(
            tuple(map(str, names)), None if queries is None else str(queries), shard, limit, strict
        ),
        encoder=EncoderSettings(
            encoder, window_s, hop_s, None if weights is None else str(weights), precision, device, workers
        ),
        on_progress=on_progress,
        on_failure=on_failure or leave_out_found,
        should_stop=should_stop,
    )
    try:
        with job.target.held():
            job.target.require_free()
            job.sources.require_sensible()
            return run(job)
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        hint = f"make room, and {job.target.how_to_go_on} after what is finished"
        what = f"no room to write on ({error.strerror})"
        raise MissingError(what, where=job.target.path, hint=hint) from error


def run(job: ExtractJob) -> ExtractReport:
    """The job by the way that its sources, and the number of processes, want."""
    with joined_processes(should_stop=job.should_stop) as processes:
        if job.sources.use_stdin:
            share_stdin(processes)
        if processes.count > 1:
            return extract_together(job, processes)
        return extract_as_named(job) if STDIO in job.sources.audio else extract_known(job)
