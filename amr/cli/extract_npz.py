"""``amr extract --from-npz`` and ``--to-npz``: the field's trees of ``.npz`` files in and out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from amr.cli.messages import say, warn
from amr.errors import UsageError
from amr.formats.features import open_features
from amr.formats.features_output import Begin, open_feature_output
from amr.formats.notices import Notices
from amr.formats.npz import NpzTree
from amr.formats.npz_exchange import export_tree, import_tree, unknown_identity
from amr.formats.queries import read_queries
from amr.formats.streams import STDIO

TOOL = "extract"


@dataclass(frozen=True)
class Exchange:
    """The options of one exchange; see :func:`amr.cli.extract.extract`."""

    from_npz: Path | None
    to_npz: Path | None
    inputs: list[str]
    output: Path
    queries: str | None
    store: str
    force: bool
    quiet: bool


def run_exchange(exchange: Exchange) -> None:
    """Import a tree into the output, or write the feature files that are named as a tree.

    Raises:
        UsageError: both are asked for, or what is read does not fit the direction.
        InputError: see :mod:`amr.formats.npz_exchange`.
    """
    if exchange.from_npz is not None and exchange.to_npz is not None:
        raise UsageError("one of --from-npz and --to-npz at a time", where="--to-npz")
    notices = Notices()
    queries = [] if exchange.queries is None else read_queries(exchange.queries)
    if exchange.from_npz is not None:
        if exchange.inputs:
            raise UsageError("recordings and a tree cannot be read in one go", where=exchange.inputs[0])
        if str(exchange.output) == STDIO:
            raise UsageError("a feature file cannot be written to a pipe", where="--output")
        tree = NpzTree(exchange.from_npz)
        identity = unknown_identity(tree, [query.qid for query in queries])
        begin = Begin.FORCE if exchange.force else Begin.NEW
        with open_feature_output(
            exchange.output, identity_json=identity, store=exchange.store, begin=begin
        ) as writer:
            done = import_tree(tree, writer, queries, notices)
        target = exchange.output
    else:
        assert exchange.to_npz is not None  # one of the two was given
        if not exchange.inputs:
            raise UsageError("name the feature files to write", hint="amr extract feats.h5 --to-npz tree/")
        with open_features(*exchange.inputs) as reader:
            done = export_tree(reader, exchange.to_npz, queries, notices, force=exchange.force)
        target = exchange.to_npz
    warn(TOOL, notices.lines(), quiet=exchange.quiet)
    if not exchange.quiet:
        say(f"amr {TOOL}: {done.recordings} recordings and {done.queries} queries in {target}")
