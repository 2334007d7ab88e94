"""Several processes that share an extraction: each writes a part beside the output, the first joins them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from amr.audio.files import AudioFile
from amr.distributed import Processes, in_shard, shard_of_shard
from amr.errors import InputError, StoppedError
from amr.formats.features.base import PART_SUFFIX
from amr.formats.features.journal import journal_path, lock_journal
from amr.formats.features.output import Begin, partial_path
from amr.formats.features.parts import copy_recording, copy_texts
from amr.formats.features.read import FeatureFile
from amr.tasks.extract.jobs import ExtractJob, FeatureTarget, history_entry
from amr.tasks.extract.report import ExtractReport
from amr.tasks.extract.work import Collected, write_features
from amr.tasks.names import named

JOURNAL_SUFFIX = journal_path(Path("x")).suffix
COUNTED = ("written", "passed_over", "tried", "sound_s")


def share_path(output: Path, rank: int, count: int) -> Path:
    """Where one of several processes writes its share until all are joined."""
    return output.with_name(f"{output.name}.process-{rank + 1}-of-{count}")


def share_paths(output: Path, count: int) -> list[Path]:
    return [share_path(output, rank, count) for rank in range(count)]


def extract_together(job: ExtractJob, processes: Processes) -> ExtractReport:
    """This process's share of the recordings and, in the first one, the whole file.

    Raises:
        InputError: interrupted processes left shares, and ``job`` does not say what to do with them.
        MissingError: another process went away; it and its share are named.
    """
    require_no_other_shares(job.target, processes)
    unread = Collected(job.on_failure)
    output = finished_output(job.target)
    names = job.target.names([*output, *begun_shares(job.target, processes.count)])
    texts, files = job.sources.texts(), job.sources.files(named(job.sources.audio), names, unread)
    finished = ids_in(output)
    missing = [file for file in files if file.id not in finished]
    mine = job_of_process(job, processes)
    shard = mine.sources.shard
    encoder = mine.encoder.load()
    my_texts = [text for text in texts if in_shard(text, shard)]
    my_files = [file for file in missing if in_shard(file.id, shard)]
    with death_named(job, processes):
        share = write_features(mine, encoder, my_texts, my_files, names)
        if not processes.is_first:
            processes.send(share_json(share))
            return share
        shares = [share]
        for rank in range(1, processes.count):
            path = share_path(job.target.path, rank, processes.count)
            shares.append(share_report(path, processes.receive(rank, f"{path.name} was finished")))
    total = join_shares(job, processes, encoder.identity.to_json(), texts, missing)
    return ExtractReport(
        output=job.target.path,
        written=sum(each.written for each in shares),
        passed_over=len(files) - len(missing) + sum(each.passed_over for each in shares),
        failed=(*unread.errors, *(error for each in shares for error in each.failed)),
        tried=sum(each.tried for each in shares),
        sound_s=sum(each.sound_s for each in shares),
        took_s=share.took_s,
        total=total,
        processes=processes.count,
    )


def job_of_process(job: ExtractJob, processes: Processes) -> ExtractJob:
    """What one of several processes does of a job."""
    begin = Begin.FORCE if job.target.begin is Begin.FORCE else Begin.RESUME
    return replace(
        job,
        sources=replace(job.sources, shard=shard_of_shard(job.sources.shard, processes.shard)),
        encoder=replace(
            job.encoder,
            device=processes.device(job.encoder.device),
            workers=processes.workers(job.encoder.workers),
        ),
        target=replace(job.target, path=share_path(job.target.path, *processes.shard), begin=begin),
    )


def share_json(report: ExtractReport) -> str:
    """What the first process is to know of a share."""
    failed = [(error.what, error.where) for error in report.failed]
    return json.dumps({name: getattr(report, name) for name in COUNTED} | {"failed": failed})


def share_report(output: Path, text: str) -> ExtractReport:
    """The report of a share, from :func:`share_json`."""
    fields = json.loads(text)
    failed = tuple(InputError(what, where=where) for what, where in fields.pop("failed"))
    return ExtractReport(output, failed=failed, **fields)


@contextmanager
def death_named(job: ExtractJob, processes: Processes) -> Iterator[None]:
    """Where ``torchrun`` ends this process because another one died, say which one that was."""
    try:
        yield
    except StoppedError as error:
        for rank, share in enumerate(share_paths(job.target.path, processes.count)):
            if processes.is_first and rank and has_died(partial_path(share)):
                error.what = (
                    f"process {rank + 1} of {processes.count} went away before {share.name} was finished"
                )
        raise


def has_died(path: Path) -> bool:
    """Whether the writer of a feature file is gone and could not put it away."""
    if not journal_path(path).exists():
        return False
    try:
        os.close(lock_journal(path))
    except InputError:
        return False
    return True


def require_no_other_shares(target: FeatureTarget, processes: Processes) -> None:
    """Refuse to begin anew beside shares that were interrupted, or to go on with another number of them."""
    expected = [path.name for path in share_paths(target.path, processes.count)]
    for path in sorted(target.path.parent.glob(f"{target.path.name}.process-*")):
        is_ours = path.name.removesuffix(JOURNAL_SUFFIX).removesuffix(PART_SUFFIX) in expected
        if target.begin is Begin.NEW or not (is_ours or target.begin is Begin.FORCE):
            raise InputError(
                f"an interrupted run of several processes left {path}",
                where=target.path,
                hint="--resume with as many processes continues; 'amr extract --merge' joins what is there",
            )


def finished_output(target: FeatureTarget) -> list[Path]:
    """The output, where it is there and is added to."""
    is_there = target.path.exists() and not partial_path(target.path).exists()
    return [target.path] if is_there and target.begin in (Begin.RESUME, Begin.APPEND) else []


def begun_shares(target: FeatureTarget, count: int) -> list[Path]:
    """What an interrupted run of so many processes has left, where it is gone on with."""
    if target.begin not in (Begin.RESUME, Begin.APPEND):
        return []
    shares = share_paths(target.path, count)
    return [path for share in shares for path in (share, partial_path(share)) if path.exists()]


def ids_in(paths: list[Path]) -> set[str]:
    """The recordings of feature files."""
    found: set[str] = set()
    for path in paths:
        with FeatureFile(path) as file:
            found.update(file.ids)
    return found


def join_shares(
    job: ExtractJob, processes: Processes, identity_json: str, texts: list[str], files: list[AudioFile]
) -> int:
    """One file in the order of one process, and the shares removed when it stands under its name.

    Returns:
        How many recordings it has.
    """
    paths = share_paths(job.target.path, processes.count)
    with ExitStack() as stack:
        shares = [stack.enter_context(FeatureFile(path)) for path in paths]
        writer = stack.enter_context(job.target.open(identity_json))
        writer.add_history(history_entry(job))
        copy_texts(shares, writer, texts)
        for file in files:
            for share in shares:
                if file.id in share:
                    copy_recording(share, writer, file.id)
        total = len(writer.sources)
    for path in paths:
        path.unlink()
    return total
