"""``amr extract --merge``: parts of a job array, or of an interrupted group of processes, into one file."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from amr import __version__
from amr.cli.extract_job import TOOL
from amr.cli.messages import Failures, say
from amr.errors import InputError, UsageError
from amr.formats.features_many import ManyFeatures
from amr.formats.features_output import Begin, open_feature_output
from amr.formats.features_parts import (
    copy_recording,
    copy_texts,
    in_part_order,
    lost_parts,
    merged_history,
    require_each_once,
    stored_type,
)
from amr.formats.features_read import FeatureFile
from amr.formats.features_write import FeatureWriter
from amr.formats.streams import require_readable


@dataclass(frozen=True)
class Merge:
    """The options of one merge; see :func:`amr.cli.extract.extract`."""

    inputs: list[str]
    output: Path
    force: bool
    keep_going: bool
    quiet: bool


def run_merge(merge: Merge) -> None:
    """Join feature files: part 1 first, then part 2, whatever the order in which they are named.

    Raises:
        UsageError: none is named.
        InputError: a part is lost (unless ``keep_going``) or doubled; they were made by different encoders.
        typer.Exit: with 5 where a part is lost and ``keep_going`` is set.
    """
    if not merge.inputs:
        raise UsageError(
            "name the feature files to join", hint="amr extract --merge feats.*of8.h5 -o feats.h5"
        )
    failures = Failures(TOOL)
    with ExitStack() as stack:
        parts = in_part_order(stack.enter_context(FeatureFile(path)) for path in map(existing, merge.inputs))
        require_each_once(parts)
        ManyFeatures(parts)  # refuses different encoders, and a recording that two parts have
        for line in lost_parts(parts):
            lost = InputError(line, hint="make it and merge again; --keep-going joins the others")
            if not merge.keep_going:
                raise lost
            failures.note(lost)
        begin = Begin.FORCE if merge.force else Begin.NEW
        writer = stack.enter_context(
            open_feature_output(
                merge.output, identity_json=parts[0].identity_json, store=stored_type(parts[0]), begin=begin
            )
        )
        join(parts, writer, merge.inputs)
        total = len(writer.sources)
    if not merge.quiet:
        say(f"amr {TOOL}: {len(parts)} parts; {total} recordings in {merge.output}")
    failures.end()


def existing(name: str) -> Path:
    """A file that is there. Raises ``InputError`` otherwise."""
    require_readable(name)
    return Path(name)


def join(parts: Sequence[FeatureFile], writer: FeatureWriter, names: list[str]) -> None:
    """All texts and recordings of the parts, one part after the other, and how they came to be."""
    for entry in merged_history(parts):
        writer.add_history(entry)
    command = shlex.join(["amr", TOOL, "--merge", *names])
    writer.add_history({"amr_version": __version__, "command": command})
    copy_texts(parts, writer, (query for part in parts for query in part.queries))
    for part in parts:
        for recording_id in part.ids:
            copy_recording(part, writer, recording_id)
