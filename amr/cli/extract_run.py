"""What ``amr extract`` does once its options are read."""

from __future__ import annotations

from collections.abc import Callable

from amr.cli.extract_group import extract_in_group
from amr.cli.extract_job import TOOL, Job, choose_files, history_entry, make_encoder, read_texts
from amr.cli.extract_stream import Intake
from amr.cli.extract_work import (
    ends_explained,
    library_chatter_shown_if,
    produce,
    summarise,
    write_recordings,
    write_texts,
)
from amr.cli.group import joined_group, process_name
from amr.cli.messages import Failures
from amr.cli.names import NamesAhead, named
from amr.cli.progress import SoundProgress
from amr.cli.stopping import Stopping
from amr.errors import UsageError
from amr.formats.features_output import choose_file, open_feature_output, partial_path
from amr.formats.features_write import create_feature_file
from amr.formats.streams import STDIO, require_readable

TEXT_BATCH = 64  # queries encoded at once


def run_job(job: Job) -> None:
    """Extract what the job asks for.

    Raises:
        AmrError: a wrong option or input; without ``--keep-going`` the first broken recording.
        typer.Exit: with 5 where broken recordings were passed over.
    """
    begin = job.begin
    if str(job.output) == STDIO:
        raise UsageError("a feature file cannot be written to a pipe", where="--output")
    choose_file(job.output, begin)  # refuses an output that is in the way before any work is done
    if STDIO in job.audio and job.queries == STDIO:
        raise UsageError("standard input cannot be both recordings and queries", where="--queries")
    if not job.audio and job.queries is None:
        raise UsageError("no recordings are named", hint="amr extract AUDIO... -o feats.h5; '-' reads names")
    reads_stdin = STDIO in (*job.audio, job.queries)
    with joined_group(reads_stdin=reads_stdin) as group, library_chatter_shown_if(job.verbose):
        failures = Failures(TOOL + process_name())
        with ends_explained(job), Stopping(TOOL + process_name(), "recording").listening() as stop:
            if group.count > 1:
                extract_in_group(job, group, failures, stop)
            elif STDIO in job.audio:
                extract_as_they_come(job, failures, stop)
            else:
                extract_all(job, failures, stop)
    if group.is_first:
        failures.end()


def extract_all(job: Job, failures: Failures, should_stop: Callable[[], bool]) -> None:
    """Recordings that are known from the start."""
    texts, files = read_texts(job.queries, job.shard), choose_files(named(job.audio), job)
    encoder = make_encoder(job)
    produce(job, encoder, job.output, job.begin, texts, files, failures, should_stop)


def extract_as_they_come(job: Job, failures: Failures, should_stop: Callable[[], bool]) -> None:
    """Recordings whose names come on standard input, perhaps for days; one that is broken stops nothing."""
    require_readable(STDIO)
    texts = read_texts(job.queries, job.shard)
    encoder = make_encoder(job)
    identity_json = encoder.identity.to_json()
    names = NamesAhead(job.audio)
    if job.append and not job.output.exists() and not partial_path(job.output).exists():
        names.wait(should_stop)  # a list of nothing leaves nothing
        create_feature_file(job.output, identity_json=identity_json, store=job.store)
    with open_feature_output(
        job.output, identity_json=identity_json, store=job.store, begin=job.begin
    ) as writer:
        writer.add_history(history_entry(job))
        write_texts(writer, encoder, texts)
        with SoundProgress(TOOL, total=0, total_bytes=0, quiet=job.quiet) as progress:
            intake = Intake(job, names, writer, failures, progress, should_stop)
            write_recordings(
                writer, encoder, intake.runs(), job, progress, failures, should_stop, intake.done
            )
        intake.tell()
        if not job.quiet:
            summarise(writer, progress, job.output)
