"""``amr predict``: queries in, moments out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from amr.cli import options
from amr.cli.messages import Failures, wants_table
from amr.cli.predict_table import MomentTable, advise, explain, print_trials
from amr.cli.tables import is_terminal
from amr.errors import printable

if TYPE_CHECKING:
    from amr.formats.predictions import Prediction
    from amr.tasks.learned import Examples

TABLE_ROWS = 20
# Of the shipped model: docs/default-model.md says what stays and what goes.
LIKELY_SCORE = 0.25


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
        list[str] | None,
        typer.Option("--query", metavar="TEXT", help="A query, or @NAME of --save-as; may be repeated."),
    ] = None,
    queries: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Queries: JSONL with 'query' (and 'qid', 'vid'), or one a line."),
    ] = None,
    like: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="A clip: find what sounds like it, together with the words where some are given. Several "
            "clips are examples of one sound.",
        ),
    ] = None,
    unlike: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="A clip of what is not meant; may be repeated."),
    ] = None,
    examples: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Accepted and rejected moments of the recordings (JSONL, 'relevant_windows' and "
            "'rejected_windows'), by which the queries are refined.",
        ),
    ] = None,
    save_as: Annotated[
        Path | None,
        typer.Option(
            metavar="NAME.sound", help="Keep what examples and words say together: --query @NAME asks for it."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="best (comes with amr, for yamnet features), curves (comes with amr, for any encoder's), "
            "window (similarity in a sliding window), a trained model's file (.safetensors, or .ckpt of "
            "Lighthouse or the DCASE baseline), or prior:whole, prior:middle, prior:first, prior:tiles. "
            "Default: best for yamnet features, curves for others, window with window's options.",
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
            metavar="N|all|exact",
            help="--top: ask only where a first look at all frames finds the N best moments, or (exact) "
            "until no other recording can matter. Default: all, and where every feature file has an index "
            "five or twelve times --top (docs/archive.md).",
        ),
    ] = None,
    index: Annotated[
        bool,
        typer.Option(
            "--index",
            help="Make the indexes of the feature files, or bring them up to date; see docs/archive.md.",
        ),
    ] = False,
    merge: Annotated[
        bool | None,
        typer.Option(
            "--merge/--no-merge",
            help="Leave out moments that a better one covers in part. Default: in tables; metrics want all.",
            show_default=False,
        ),
    ] = None,
    min_score: Annotated[
        float | None,
        typer.Option(
            help=f"Drop moments below this score; an answer may then be empty. Default: {LIKELY_SCORE} in a "
            "table of the model best without --top, else none.",
            show_default=False,
        ),
    ] = None,
    prior: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE|auto",
            help="Scores are to be right where this share of the queries, a recording each, is about "
            "something that is there: 0.01 for one in a hundred; auto: estimated from all their scores. "
            "Default: 0.5, as the model was calibrated.",
            show_default=False,
        ),
    ] = None,
    saliency: Annotated[
        bool, typer.Option("--saliency", help="Add the per-frame curve in [0, 1] to each prediction.")
    ] = False,
    absolute_times: Annotated[
        bool,
        typer.Option(
            "--absolute-times",
            help="Date and time of day, where a recording's name or header has them: in tables in place of "
            "seconds, in JSON 'started' and 'absolute_windows' besides.",
        ),
    ] = False,
    play: Annotated[
        bool, typer.Option("--play", help="Play the best moment, with ffplay, aplay or afplay.")
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
    encoder: options.KnownEncoder = None,
    hop: options.Hop = None,
    device: options.Device = "auto",
    workers: options.Workers = None,
    shard: options.Shard = None,
    output: options.Output = None,
    force: options.Force = False,
    format_: options.Format = None,
    keep_going: options.KeepGoing = False,
    strict: options.Strict = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Find the moments of recordings that a sentence means.

    \b
    amr predict --query "someone chops wood" examples/audio
    amr predict --queries examples/queries.jsonl examples/audio -o preds.jsonl

    At a terminal a table, in a pipe JSON Lines that Lighthouse's evaluator reads:
    'pred_relevant_windows' holds [start, end, score] by falling score, in seconds, scores in [0, 1].
    A broken recording of a folder or a pattern is left out and named, and the end is exit 5; one that is
    named itself ends the search, unless --keep-going.
    Several processes: torchrun --nproc-per-node 2 -m amr predict ...
    """
    from amr.audio.noise import library_chatter_hidden
    from amr.cli.player import find_player, play_moment
    from amr.cli.progress import LastProgress, shown_progress
    from amr.distributed import joined_processes, launched_processes, process_name
    from amr.errors import UsageError
    from amr.formats.annotations import read_annotations
    from amr.formats.queries import from_texts, read_queries
    from amr.formats.streams import STDIO, reserved_output
    from amr.retrieval.presence import checked_share
    from amr.retrieval.search import AnswerOptions
    from amr.tasks.archive import Ranking, make_indexes
    from amr.tasks.callbacks import ignore_progress
    from amr.tasks.inputs import find_inputs, open_search
    from amr.tasks.learned import Examples, keep, with_examples
    from amr.tasks.limits import with_limits
    from amr.tasks.models import load_model
    from amr.tasks.names import named
    from amr.tasks.networks import AUTO, SHIPPED, WINDOW
    from amr.tasks.places import Places, located
    from amr.tasks.search import answers, gather_queries
    from amr.tasks.search import tune as tune_window
    from amr.tasks.shares import failures_of_all
    from amr.tasks.standard_input import share_stdin

    readers = [*(inputs or []), queries, tune, examples]
    given = Examples(like or (), unlike or (), examples)
    refuse_combinations(readers, tune, given)
    if index and output is not None and not (query or queries or tune or given):
        raise UsageError(
            "-o needs a query: --index alone writes no predictions", hint="add --query, or leave -o out"
        )
    if output is not None and launched_processes().is_first:
        context.with_resource(reserved_output(output, force=force, stream=True))
    if save_as is not None and launched_processes().is_first:
        context.with_resource(reserved_output(save_as, force=force))
    part = options.parse_shard(shard)
    processes = context.with_resource(joined_processes())
    if STDIO in readers:
        share_stdin(processes)
    is_shared = part[1] > 1 or processes.count > 1
    if is_shared and index:
        raise UsageError("--index runs in one process over all recordings, without --shard")
    quiet = options.hush(quiet or not processes.is_first)
    player = find_player() if play and processes.is_first else None

    typed = from_texts(query or []) + (read_queries(queries) if queries is not None else [])
    wanted = gather_queries(typed, is_needed=not (tune or index or given))
    share = checked_share(prior)
    ranking = Ranking(top, group is Group.RECORDING, shortlist).checked(is_shared=is_shared)
    cutting = {"fraction": fraction, "threshold": threshold, "filter_s": filter_, "gap_s": gap}
    window = {name: value for name, value in cutting.items() if value is not None}
    is_for_window = window or tune is not None or compat is not None
    chosen = load_model(
        model or (WINDOW if is_for_window else AUTO),
        device=processes.device(device),
        encoder=encoder,
        hop_s=hop,
        compat=compat,
        nms=nms,
        window=window,
    )
    found = find_inputs(named(inputs or []), wanted, chosen)
    if found.audio or like or unlike:
        context.with_resource(library_chatter_hidden())
    as_table = wants_table(format_, output)
    bars = context.with_resource(ExitStack())
    is_mixed = not as_table and output is None and is_terminal()  # a bar would stand amid the lines
    on_progress = bars.enter_context(shown_progress("amr predict", quiet=quiet or is_mixed))
    threads = processes.workers(workers)
    failures = Failures("predict" + process_name(), keep_going=keep_going)
    counts_recordings = bool(found.audio) and not chosen.is_prior
    on_recording, on_answer = (
        (on_progress, ignore_progress) if counts_recordings else (ignore_progress, on_progress)
    )
    encoding = LastProgress(on_recording)
    opening = open_search(found, wanted, chosen, threads, encoding, failures.note, strict=strict)
    search = context.with_resource(opening)

    if index:
        make_indexes(search)
    if tune is not None and processes.is_first:
        trials = tune_window(search, read_annotations(tune))
        print_trials(trials, output, force=force, as_table=as_table)
    if tune is not None or not (wanted or given):
        return
    if verbose and processes.is_first and search.encoder is not None:
        explain(search.encoder, wanted)
    finder = search.finder_of(searches_all=ranking.searches_all)
    refined = with_examples(search, with_limits(wanted, finder, search.encoder), given)
    if save_as is not None and processes.is_first:
        keep(search, refined, save_as, force=force)
    if min_score is None and search.model.name == SHIPPED and as_table and top is None:
        min_score = LIKELY_SCORE
    predictions = answers(
        search,
        refined,
        ranking,
        AnswerOptions(top_k, min_score, saliency, as_table if merge is None else merge, share),
        part,
        processes,
        failures.note,
        on_progress=on_answer,
    )
    places = Places(search.collection)
    predictions = located(predictions, places, with_clock=absolute_times)
    if not processes.is_first:
        list(predictions)  # goes to the first process, which writes
    elif as_table or player is not None:
        held = list(predictions)
        bars.close()
        rows = None if ranking.by_recording else top or TABLE_ROWS
        shown = MomentTable(places, found.audio, rows, min_score, absolute_times) if as_table else None
        write(held, shown, output=output, force=force)
        if shown is not None and not quiet:
            advise(found.audio, encoding.last.sound_s)
        if player is not None:
            play_moment(player, held, places)
    else:
        write(predictions, None, output=output, force=force)
    broken = failures_of_all(len(failures.broken), processes)
    if processes.is_first:
        failures.end(broken)


def refuse_combinations(readers: Sequence[str | None], tune: str | None, examples: Examples) -> None:
    """Standard input can be one thing only, and there are no clips to tune on."""
    from amr.errors import UsageError

    if readers.count("-") > 1:
        raise UsageError(
            "standard input can be only one of the inputs, --queries, --examples and --tune", where="-"
        )
    if tune is not None and examples:
        raise UsageError("--tune needs text queries", hint="leave the examples out")


def write(
    predictions: Iterable[Prediction], shown: MomentTable | None, *, output: Path | None, force: bool
) -> None:
    """Write predictions: a record as soon as it is known, or, where they are shown as one, the table."""
    from amr.formats.jsonl import write_objects
    from amr.formats.streams import STDIO, open_text_output

    with open_text_output(output or STDIO, force=force, stream=True) as file:
        if shown is not None:
            file.writelines(printable(line) + "\n" for line in shown.lines(predictions))
        else:
            write_objects(file, (prediction.record() for prediction in predictions))
