"""From a wanted output name to a writer: begin, go on, or append, and what stands under the name meanwhile.

A new file is written as ``NAME.part``, a whole feature file at every moment, and gets its name when it is
complete. ``resume`` goes on with the part, or adds what is missing to a complete file; ``append`` adds to a
complete file, in place, by whole commits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from amr.errors import InputError
from amr.formats.features.atomic import JournaledFile
from amr.formats.features.base import PART_SUFFIX
from amr.formats.features.journal import journal_path
from amr.formats.features.write import FeatureWriter, create_feature_file
from amr.formats.lock import sole_writer
from amr.formats.side_files import followed, require_own
from amr.formats.streams import keep_permissions, named_in_errors, require_writable, sync_folder


class Begin(Enum):
    """What to do about an output that is there already, complete or in part."""

    NEW = "new"
    FORCE = "force"
    RESUME = "resume"
    APPEND = "append"


def partial_path(target: Path) -> Path:
    """Where a feature file lies until it is complete."""
    target = followed(target)
    return target.with_name(target.name + PART_SUFFIX)


def choose_file(target: Path, begin: Begin) -> Path:
    """The file to write to: the complete one when it is added to, else its part.

    Raises:
        InputError: the output, or a part of it, is there and ``begin`` does not say what to do with it.
    """
    part = partial_path(target)
    require_writable(target, force=begin is not Begin.NEW)
    for side_file in (part, journal_path(part), journal_path(target)):
        require_own(side_file)
    if begin is Begin.NEW and part.exists():
        raise InputError(
            f"an interrupted run left {part}",
            where=target,
            hint="--resume continues it, --force starts again",
        )
    if begin is Begin.APPEND and part.exists():
        raise InputError(
            f"an interrupted run left {part}, which is to be finished first",
            where=target,
            hint="use --resume",
        )
    adds_in_place = begin in (Begin.RESUME, Begin.APPEND) and target.exists() and not part.exists()
    return followed(target) if adds_in_place else part


@contextmanager
def open_feature_output(
    target: Path, *, identity_json: str, store: str, begin: Begin = Begin.NEW
) -> Iterator[FeatureWriter]:
    """A writer whose file stands under ``target`` when the block ends well.

    When the block fails, what was finished is kept in the part (or in the file that was added to).

    Args:
        target: the wanted name.
        identity_json: the encoder, ``EncoderIdentity.to_json()``.
        store: ``float16`` or ``float32``; a file that is gone on with keeps its own, and must agree.
        begin: what to do when there is something under the name.

    Raises:
        InputError: see :func:`choose_file`; another encoder made the file; another process writes it.
        OSError: the disk is full, or the folder may not be written.
    """
    with named_in_errors(target), sole_writer(target):
        path, complete = choose_file(target, begin), followed(target)
        if begin is Begin.FORCE and path.exists():
            JournaledFile(path).close()  # refuses when a process of an earlier version writes it
        if begin is Begin.FORCE or not path.exists():
            create_feature_file(path, identity_json=identity_json, store=store)
        writer = FeatureWriter(path, identity_json=identity_json)
        try:
            if writer.store != store:
                raise InputError(
                    f"stores {writer.store}, but --store asks for {store}", where=path, hint="use --store"
                )
            yield writer
            writer.commit()
        except BaseException as error:
            writer.close(commit=not isinstance(error, OSError))  # what a full disk left is not to be trusted
            if path != complete and writer.is_empty:
                path.unlink()  # nothing was finished: nothing to go on with
            raise
        writer.close()
        if path != complete:
            keep_permissions(complete, path)
            path.replace(complete)
            sync_folder(complete.parent)
