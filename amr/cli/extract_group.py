"""``torchrun ... -m amr extract``: each process writes a part beside the output, the first one joins them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from amr.audio.files import AudioFile
from amr.cli.extract_job import (
    TOOL,
    Job,
    choose_files,
    history_entry,
    make_encoder,
    read_texts,
)
from amr.cli.extract_work import already_there, produce
from amr.cli.group import Group, in_shard, shard_of_shard
from amr.cli.messages import Failures, say
from amr.cli.names import named
from amr.cli.stopping import StoppedError
from amr.errors import InputError
from amr.formats.features import PART_SUFFIX
from amr.formats.features_journal import journal_path, lock_journal
from amr.formats.features_output import Begin, open_feature_output, partial_path
from amr.formats.features_parts import copy_recording, copy_texts
from amr.formats.features_read import FeatureFile

JOURNAL_SUFFIX = journal_path(Path("x")).suffix


def share_path(output: Path, rank: int, count: int) -> Path:
    """Where a process of a group writes its share until all are joined."""
    return output.with_name(f"{output.name}.process-{rank + 1}-of-{count}")


def extract_in_group(job: Job, group: Group, failures: Failures, should_stop: Callable[[], bool]) -> None:
    """This process's share of the recordings and, in the first one, the whole file.

    Raises:
        InputError: an interrupted group left shares, and ``job`` does not say what to do with them.
        MissingError: another process went away; it and its share are named.
    """
    require_no_other_shares(job, group)
    texts, files = read_texts(job.queries, job.shard), choose_files(named(job.audio), job)
    present = present_sources(job)
    files = [file for file in files if not already_there(file, present)]
    mine = replace(
        job,
        shard=shard_of_shard(job.shard, group.shard),
        device=group.device(job.device),
        workers=group.workers(job.workers),
        quiet=job.quiet or not group.is_first,
    )
    share = share_path(job.output, *group.shard)
    encoder = make_encoder(mine)
    my_texts = [text for text in texts if in_shard(text, mine.shard)]
    my_files = [file for file in files if in_shard(file.id, mine.shard)]
    begin = Begin.FORCE if job.begin is Begin.FORCE else Begin.RESUME
    with deaths_told(job, group):
        produce(mine, encoder, share, begin, my_texts, my_files, failures, should_stop)
    if not group.is_first:
        group.send(str(failures.count))
        return
    for rank in range(1, group.count):
        awaited = f"{share_path(job.output, rank, group.count).name} was finished"
        failures.count += int(group.receive(rank, awaited))
    join_shares(job, group, encoder.identity.to_json(), texts, files)


@contextmanager
def deaths_told(job: Job, group: Group) -> Iterator[None]:
    """Where ``torchrun`` ends this process because another one died, say which one that was."""
    try:
        yield
    except StoppedError as error:
        for rank in range(group.count):
            share = share_path(job.output, rank, group.count)
            if group.is_first and rank and has_died(partial_path(share)):
                error.what = f"process {rank + 1} of {group.count} died before {share.name} was finished"
        raise


def has_died(path: Path) -> bool:
    """Whether whoever was writing a feature file is gone and could not put it away."""
    if not journal_path(path).exists():
        return False
    try:
        os.close(lock_journal(path))
    except InputError:
        return False
    return True


def require_no_other_shares(job: Job, group: Group) -> None:
    """Refuse to begin anew beside an interrupted group's shares, or to go on with another number of them."""
    expected = [share_path(job.output, rank, group.count).name for rank in range(group.count)]
    for path in sorted(job.output.parent.glob(f"{job.output.name}.process-*")):
        is_ours = path.name.removesuffix(JOURNAL_SUFFIX).removesuffix(PART_SUFFIX) in expected
        if job.begin is Begin.NEW or not (is_ours or job.begin is Begin.FORCE):
            raise InputError(
                f"an interrupted run of several processes left {path}",
                where=job.output,
                hint="--resume with as many processes goes on; 'amr extract --merge' joins what is there",
            )


def present_sources(job: Job) -> dict[str, str]:
    """The recordings that the output has already, where it is added to."""
    part = partial_path(job.output)
    path = part if part.exists() else job.output
    if job.begin in (Begin.NEW, Begin.FORCE) or not path.exists() or path == part:
        return {}
    with FeatureFile(path) as file:
        return dict(zip(file.ids, file.sources, strict=True))


def join_shares(job: Job, group: Group, identity_json: str, texts: list[str], files: list[AudioFile]) -> None:
    """One file in the order of one process, and the shares removed when it stands under its name."""
    paths = [share_path(job.output, rank, group.count) for rank in range(group.count)]
    with ExitStack() as stack:
        shares = [stack.enter_context(FeatureFile(path)) for path in paths]
        writer = stack.enter_context(
            open_feature_output(job.output, identity_json=identity_json, store=job.store, begin=job.begin)
        )
        writer.add_history(history_entry(job))
        copy_texts(shares, writer, texts)
        for file in files:
            for share in shares:
                if file.id in share:
                    copy_recording(share, writer, file.id)
        total = len(writer.sources)
    for path in paths:
        path.unlink()
    if not job.quiet:
        say(f"amr {TOOL}: {group.count} processes; {total} recordings in {job.output}")
