"""Parts of a job array, or of several processes that were interrupted, into one feature file."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from amr import __version__
from amr.errors import InputError, UsageError
from amr.formats.features.open import ManyFeatures
from amr.formats.features.output import open_feature_output
from amr.formats.features.parts import (
    copy_recording,
    copy_texts,
    in_part_order,
    lost_parts,
    merged_history,
    require_each_once,
    source_from,
)
from amr.formats.features.read import FeatureFile
from amr.formats.features.whole import require_each_source_once
from amr.formats.features.write import FeatureWriter
from amr.formats.streams import require_readable
from amr.tasks.callbacks import OnFailure
from amr.tasks.extract.jobs import begin_of


@dataclass(frozen=True)
class MergeReport:
    """What a merge did.

    Args:
        parts: feature files that were joined.
        total: recordings in the file that they make.
        lost: parts that are missing and were passed over.
    """

    output: Path
    parts: int
    total: int
    lost: int = 0


def merge_features(
    features: Sequence[str | Path],
    output: str | Path,
    *,
    force: bool = False,
    resume: bool = False,
    on_failure: OnFailure | None = None,
) -> MergeReport:
    """Join feature files: part 1 first, then part 2, whatever the order in which they are named.

    Args:
        features: the parts.
        output: the file to write.
        force, resume: replace an output that is there, or go on with one that was interrupted.
        on_failure: called for each part that is lost; without it that is an error.

    Raises:
        UsageError: none is named.
        InputError: a part is lost or doubled; they were made by different encoders.
    """
    names, target = list(map(str, features)), Path(output)
    if not names:
        hint = "amr extract --merge feats.*of8.h5 -o feats.h5"
        raise UsageError("name the feature files to join", hint=hint)
    with ExitStack() as stack:
        parts = in_part_order(stack.enter_context(FeatureFile(path)) for path in map(existing, names))
        require_each_once(parts)
        whole = ManyFeatures(parts)  # refuses different encoders, and a recording that two parts have
        require_each_source_once(parts)
        lines = lost_parts(parts)
        for line in lines:
            lost = InputError(line, hint="make it and merge again; --keep-going joins the others")
            if on_failure is None:
                raise lost
            on_failure(lost)
        begin = begin_of(force=force, resume=resume)
        identity_json, store = parts[0].identity_json, parts[0].stored_type
        writer = stack.enter_context(
            open_feature_output(target, identity_json=identity_json, store=store, begin=begin)
        )
        join(parts, whole.part_ids, writer, names)
        return MergeReport(target, len(parts), len(writer.sources), len(lines))


def existing(name: str) -> Path:
    """A file that is there. Raises ``InputError`` otherwise."""
    require_readable(name)
    return Path(name)


def join(
    parts: Sequence[FeatureFile], ids: Sequence[Sequence[str]], writer: FeatureWriter, names: list[str]
) -> None:
    """All texts and recordings of the parts, one part after the other, and how they came to be.

    Args:
        ids: what each part's recordings are called in the whole.
    """
    command = shlex.join(["amr", "extract", "--merge", *names])
    base = os.path.normpath(parts[0].path.parent / parts[0].folder)
    entries = [*merged_history(parts, writer.path.parent), {"amr_version": __version__, "command": command}]
    for entry in entries:
        if entry not in writer.history:  # one that was interrupted has noted it
            writer.add_history(entry)
    copy_texts(parts, writer, (query for part in parts for query in part.queries))
    for part, called in zip(parts, ids, strict=True):
        for recording_id, name in zip(part.ids, called, strict=True):
            copy_recording(part, writer, recording_id, name, source_from(base, part, recording_id))
