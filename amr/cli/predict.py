"""``amr predict``: queries in, moments out."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from amr.cli import options
from amr.cli.messages import Failures, say, wants_table

if TYPE_CHECKING:
    from amr.encoders.base import Encoder
    from amr.formats.predictions import Prediction
    from amr.formats.queries import Query
    from amr.retrieval.find import Finder
    from amr.retrieval.library import Library

TABLE_ROWS = 20
# Of the shipped model: docs/default-model.md says what stays and what goes.
LIKELY_SCORE = 0.25
EXPLAINED = 5
TRIAL_ROWS = 10


class Group(str, Enum):
    """What ``--top`` counts."""

    NONE = "none"
    RECORDING = "recording"


def predict(
    context: typer.Context,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT",
            help="Recordings, folders, feature files, or '-' for a list of them on standard input. "
            "Default: $AMR_FEATURES, else feats.h5.",
            show_default=False,
        ),
    ] = None,
    query: Annotated[
        list[str] | None, typer.Option("--query", metavar="TEXT", help="A question; may be repeated.")
    ] = None,
    queries: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Questions: JSONL with 'query' (and 'qid', 'vid'), or one a line."),
    ] = None,
    like: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="A clip: find what sounds like it, together with the words where some are given. Several "
            "clips are examples of one sound.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="best (the model that comes with amr), a trained model's file (.safetensors, or .ckpt of "
            "Lighthouse or the DCASE baseline), window, or prior:whole, prior:middle, prior:first, "
            "prior:tiles. Default: best for yamnet features, window for others, for --like and with "
            "window's options.",
            show_default=False,
        ),
    ] = None,
    top_k: Annotated[int, typer.Option(min=1, help="Moments a query and recording, at most.")] = 10,
    top: Annotated[
        int | None, typer.Option(min=1, help="Moments a query over all recordings, best first.")
    ] = None,
    group: Annotated[
        Group,
        typer.Option(
            help="--top counts moments over all recordings (none), or recordings with their moments."
        ),
    ] = Group.NONE,
    shortlist: Annotated[
        str | None,
        typer.Option(
            metavar="N|all",
            help="--top: ask only where a first look at all frames finds the N best moments. Default: all, "
            "and where every feature file has an index five or twelve times --top (docs/archive.md).",
        ),
    ] = None,
    index: Annotated[
        bool,
        typer.Option(
            "--index",
            help="Make the indexes of the feature files, or bring them up to date; see docs/archive.md.",
        ),
    ] = False,
    min_score: Annotated[
        float | None,
        typer.Option(
            help=f"Drop moments below this score; an answer may then be empty. Default: {LIKELY_SCORE} in a "
            "table of the model best without --top, else none.",
            show_default=False,
        ),
    ] = None,
    saliency: Annotated[
        bool, typer.Option("--saliency", help="Add the per-frame curve in [0, 1] to each prediction.")
    ] = False,
    fraction: Annotated[
        float | None,
        typer.Option(help="window: how far up from the background to the peak a moment begins, 0 to 1."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="window: the similarity where a moment begins, instead of --fraction."),
    ] = None,
    filter_: Annotated[
        float | None, typer.Option("--filter", help="window: length of the median filter, in seconds.")
    ] = None,
    gap: Annotated[
        float | None, typer.Option(help="window: moments closer than this are one, in seconds.")
    ] = None,
    nms: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Trained models: drop moments that overlap a better one more (IoU)."),
    ] = None,
    compat: Annotated[
        str | None,
        typer.Option(metavar="lighthouse", help="Repeat Lighthouse's attention mask, for its checkpoints."),
    ] = None,
    tune: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Find fraction, filter and gap on these annotations, print them, stop."
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Default: the one that made the features, else yamnet."),
    ] = None,
    hop: Annotated[float | None, typer.Option(help="Seconds from frame to frame, for recordings.")] = None,
    device: options.Device = "auto",
    workers: options.Workers = None,
    shard: options.Shard = None,
    output: options.Output = None,
    force: options.Force = False,
    format_: options.Format = None,
    keep_going: options.KeepGoing = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Find the moments of recordings that a sentence means.

    \b
    amr predict --query "someone chops wood" examples/audio
    amr predict --queries examples/queries.jsonl examples/audio -o preds.jsonl

    At a terminal a table, in a pipe JSON Lines that Lighthouse's evaluator reads:
    'pred_relevant_windows' holds [start, end, score] by falling score, in seconds, scores in [0, 1].
    Several processes: torchrun --nproc-per-node 2 -m amr predict ...
    """
    from amr.cli.group import joined_group, process_name
    from amr.cli.predict_archive import Wish, add_examples, make_indexes, open_archive, shortlisted
    from amr.cli.predict_inputs import Want, open_session
    from amr.cli.predict_model import (
        SHIPPED,
        WINDOW,
        choose_finder,
        default_model,
        known_identity,
        load_network,
        require_fit,
    )
    from amr.cli.predict_share import of_shard, search_together, tell_lost_parts, whole_search
    from amr.errors import UsageError
    from amr.formats.streams import require_writable
    from amr.retrieval.prior import is_prior
    from amr.retrieval.search import AnswerOptions, plan, search

    refuse_two_readers([*(inputs or []), queries, tune])
    if tune is not None and like:
        raise UsageError("is tuned on words", where="--tune", hint="leave --like out")
    if output is not None:
        require_writable(output, force=force)
    settings = {"fraction": fraction, "threshold": threshold, "filter_s": filter_, "gap_s": gap}
    given = {name: value for name, value in settings.items() if value is not None}
    failures = Failures("predict" + process_name())
    part = options.parse_shard(shard)
    group_of = joined_group(reads_stdin="-" in [*(inputs or []), queries, tune])
    processes = context.with_resource(group_of)
    quiet, verbose = quiet or not processes.is_first, verbose and processes.is_first
    device, workers = processes.device(device), processes.workers(workers)
    if part[1] > 1 or processes.count > 1:
        shortlist = whole_search(shortlist, top, index=index)
    asked = gather_queries(query or [], queries, needed=not (tune or index or like))
    wish = Wish(top, shortlist, group is Group.RECORDING, saliency, quiet)
    wish.check()
    if model is None and (given or like or tune is not None or compat is not None):
        model = WINDOW
    network = None if model is None else load_network(model, device, compat)
    want = Want(
        model is not None and is_prior(model),
        network is not None,
        known_identity(network),
        encoder,
        hop,
        device,
    )
    with open_session(inputs or [], asked, want, workers=workers, quiet=quiet) as session:
        library = session.library
        tell_lost_parts(session.reader, quiet=quiet)
        if model is None:
            model = default_model(session.encoder, quiet=quiet)
            network = load_network(model, device, compat)
        if network is not None:
            require_fit(network, session.reader, session.encoder)
        if index:
            make_indexes(session, network, quiet=quiet)
            if not (asked or like or tune):
                return
        finder = choose_finder(model, network, session.encoder, session.reader, given, nms)
        if tune is not None and not processes.is_first:
            return
        if tune is not None:
            print_trials(tune, library, finder, as_table=wants_table(format_, output))
            return
        if verbose and session.encoder is not None:
            explain(session.encoder, asked)
        if like:
            asked = add_examples(like, asked, finder)
        as_table = wants_table(format_, output)
        if min_score is None and model == SHIPPED and as_table and top is None:
            min_score = LIKELY_SCORE
        kept = AnswerOptions(top_k=top_k, min_score=min_score, with_saliency=saliency)
        with open_archive(session, finder, asked, wish) as archive:
            found: Iterable[Prediction]
            if archive is not None:
                found = shortlisted(archive, asked, kept, wish)
            else:
                passed_over = (lambda _, error: failures.note(error)) if keep_going else None
                found = wish.best(
                    search_together(
                        of_shard(plan(asked, library), part),
                        lambda tasks: search(tasks, library, finder, kept, passed_over),
                        processes,
                        failures,
                    )
                )
            if not processes.is_first:
                list(found)  # goes to the first process, which writes
                return
            rows = None if wish.recordings else top or TABLE_ROWS
            write(found, Shown(as_table, rows, min_score), output=output, force=force)
    failures.end()


def refuse_two_readers(sources: list[str | None]) -> None:
    """Standard input can be one thing only."""
    from amr.errors import UsageError

    if sources.count("-") > 1:
        raise UsageError("standard input can be only one of the inputs, --queries and --tune", where="-")


def gather_queries(texts: list[str], file: str | None, *, needed: bool) -> list[Query]:
    """The queries of the command line and of a file, in that order."""
    from amr.errors import UsageError
    from amr.formats.queries import from_texts, read_queries

    asked = from_texts(texts)
    if file is not None:
        asked += read_queries(file)
    if needed and not asked:
        raise UsageError("no question asked", hint='give --query "dog barking", or --queries FILE')
    return asked


def explain(encoder: Encoder, asked: list[Query]) -> None:
    """Say on stderr how each query was understood."""
    for text in dict.fromkeys(query.text for query in asked):
        understood = encoder.explain(text, EXPLAINED)
        if understood:
            named = ", ".join(f"{name} {weight:.2f}" for name, weight in understood)
            say(f"amr predict: {text!r} is understood as {named}")


@dataclass(frozen=True)
class Shown:
    """How predictions are shown.

    Args:
        as_table: for people; else JSON Lines.
        rows: of the table, for a query; None: all, by recording.
        least: score below which moments were dropped.
    """

    as_table: bool
    rows: int | None
    least: float | None


def write(found: Iterable[Prediction], shown: Shown, *, output: Path | None, force: bool) -> None:
    """Write predictions: a record as soon as it is known, or a table when all are."""
    from amr.cli.predict_output import table
    from amr.formats.jsonl import write_objects
    from amr.formats.streams import STDIO, open_text_output

    with open_text_output(output or STDIO, force=force) as file:
        if shown.as_table:
            file.writelines(line + "\n" for line in table(found, shown.rows, shown.least))
        else:
            write_objects(file, (prediction.record() for prediction in found))


def print_trials(source: str, library: Library, finder: Finder, *, as_table: bool) -> None:
    """Try window's settings on annotations and print them, best first."""
    from amr.cli.tables import columns
    from amr.errors import UsageError
    from amr.formats.annotations import read_annotations
    from amr.formats.jsonl import write_objects
    from amr.retrieval.find import WindowFinder
    from amr.retrieval.tune import gather_examples, settings, tune

    if not isinstance(finder, WindowFinder):
        raise UsageError("only --model window has a threshold to tune", where="--tune")
    examples = list(gather_examples(read_annotations(source), library, finder))
    trials = tune(examples, settings(finder.options))
    if not as_table:
        write_objects(sys.stdout, (trial.record() for trial in trials))
        return
    rows: list[tuple[str, ...]] = [("", "--fraction", "--filter", "--gap", "R1@0.5", "R1@0.7", "mAP")]
    for place, trial in enumerate(trials[:TRIAL_ROWS], start=1):
        rows.append((str(place), *(f"{value:g}" for value in trial.record().values())))
    sys.stdout.writelines(line + "\n" for line in columns(rows, right=frozenset(range(7))))
