"""The field's trees of ``.npz`` files, into a feature file and out of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from amr.errors import UsageError
from amr.formats.features.npz import NpzTree
from amr.formats.features.npz_exchange import Exchanged, export_tree, import_tree, unknown_identity
from amr.formats.features.open import open_features
from amr.formats.features.output import open_feature_output
from amr.formats.notices import Notices
from amr.formats.queries import Query, read_queries
from amr.formats.streams import STDIO
from amr.tasks.callbacks import log
from amr.tasks.extract.jobs import begin_of


def import_npz(
    tree: str | Path,
    output: str | Path,
    *,
    queries: str | Path | None = None,
    store: str = "float16",
    force: bool = False,
    resume: bool = False,
) -> Exchanged:
    """A tree of published features as a feature file.

    Args:
        tree: its folder.
        output: the feature file.
        queries: a file that brings the recordings' durations and the queries' words.
        store: number type of the frames, ``float16`` or ``float32``.
        force, resume: replace an output that is there, or go on with one that was interrupted.

    Raises:
        UsageError: the output is a pipe.
        InputError: see :mod:`amr.formats.features.npz_exchange`.
    """
    if str(output) == STDIO:
        raise UsageError("a feature file cannot be written to a pipe", where="--output")
    notices, known = Notices(), queries_in(queries)
    source = NpzTree(Path(tree))
    identity_json = unknown_identity(source, [query.qid for query in known])
    begin = begin_of(force=force, resume=resume)
    with open_feature_output(Path(output), identity_json=identity_json, store=store, begin=begin) as writer:
        done = import_tree(source, writer, known, notices)
    log_notices(notices)
    return done


def export_npz(
    features: Sequence[str | Path],
    tree: str | Path,
    *,
    queries: str | Path | None = None,
    force: bool = False,
    resume: bool = False,
) -> Exchanged:
    """Feature files as a tree of ``.npz`` files.

    Args:
        features: the feature files.
        tree: the folder to write.
        queries: a file that says by which qid a text's features are called.
        force: replace files that are there.
        resume: keep those that an interrupted run has written.

    Raises:
        UsageError: no feature file is named.
        InputError: see :mod:`amr.formats.features.npz_exchange`.
    """
    if not features:
        raise UsageError("name the feature files to write", hint="amr extract feats.h5 --to-npz tree/")
    notices, known = Notices(), queries_in(queries)
    with open_features(*map(str, features)) as reader:
        done = export_tree(reader, Path(tree), known, notices, force=force, resume=resume)
    log_notices(notices)
    return done


def queries_in(source: str | Path | None) -> list[Query]:
    return [] if source is None else read_queries(str(source))


def log_notices(notices: Notices) -> None:
    for line in notices.lines():
        log.warning("%s", line)
