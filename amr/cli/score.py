"""``amr score``: predictions and ground truth in, figures out."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from amr.cli import options
from amr.cli.messages import wants_table
from amr.cli.options import OutputFormat
from amr.cli.tables import is_terminal
from amr.errors import UsageError, number_of
from amr.formats.jsonl import json_text, write_objects
from amr.formats.streams import STDIO, open_output, open_text_output, reserved_output

ONLY_SED = ("threshold", "tune_on", "events", "labels")
NOT_OFFICIAL = ("compare", "seeds", "breakdown", "lengths", "per_query", "by", "bootstrap")
ONLY_RETRIEVAL = ("official", "qvhighlights", *NOT_OFFICIAL[:-1], "pool")


MOST_DRAWS = 1_000_000
"""Each holds all figures in memory."""


class Task(str, Enum):
    """What is judged."""

    RETRIEVAL = "retrieval"
    SED = "sed"


def score(
    context: typer.Context,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PREDICTIONS... GROUND_TRUTH", show_default=False, help="JSONL; one may be '-'."
        ),
    ] = None,
    task: Annotated[
        Task, typer.Option("--task", help="Moments, or sound events in frames.")
    ] = Task.RETRIEVAL,
    official: Annotated[
        bool, typer.Option("--official", help="The official evaluator's JSON, byte for byte, faults and all.")
    ] = False,
    qvhighlights: Annotated[
        bool,
        typer.Option(
            "--qvhighlights", help="Add short, middle and long moments, and highlights by saliency."
        ),
    ] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Score the queries that both files have.")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Compare prediction files with the first, paired.")
    ] = False,
    seeds: Annotated[
        bool, typer.Option("--seeds", help="Prediction files are runs of one system: mean, sd, interval.")
    ] = False,
    bootstrap: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Draws for intervals and p; 0: none.  [default: 1000, several files 10000]",
        ),
    ] = None,
    seed: options.Seed = 0,
    breakdown: Annotated[
        bool, typer.Option("--breakdown", help="Add parts: by length, by number of moments, by duration.")
    ] = False,
    lengths: Annotated[
        str | None,
        typer.Option(metavar="RANGES", help="Lengths of the breakdown: 5,10,30 or 0-5,0-10,10-30,30- (s)."),
    ] = None,
    per_query: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write how each query went, as JSONL.")
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="KEY", help="Score apart what differs in this ground truth key.")
    ] = None,
    pool: Annotated[
        bool, typer.Option("--pool", help="One figure even where the ground truth mixes datasets.")
    ] = False,
    threshold: Annotated[
        float | None, typer.Option(help="SED: windows scored above it are events.  [default: 0.5]")
    ] = None,
    tune_on: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="PREDICTIONS GROUND_TRUTH", help="SED: take the best threshold of these files."),
    ] = None,
    events: Annotated[
        bool, typer.Option("--events", help="SED: add event, segment, intersection F1 and PSDS (extra sed).")
    ] = False,
    labels: Annotated[
        str | None, typer.Option(metavar="FILE", help="SED: lines of LABEL<tab>PROMPT, to report labels.")
    ] = None,
    output: options.Output = None,
    force: options.Force = False,
    format_: options.Format = None,
    quiet: options.Quiet = False,  # noqa: ARG001  # read where remarks are shown
    verbose: options.Verbose = False,  # noqa: ARG001  # the traceback is printed in amr.cli.main
) -> None:
    """Score predicted moments against true ones: R1 and mAP at IoU 0.5 to 0.95, in per cent.

    \b
    amr score preds.jsonl examples/queries.jsonl
    amr predict --model prior --queries examples/queries.jsonl | amr score - examples/queries.jsonl
    amr score a.jsonl b.jsonl gt.jsonl --compare
    amr score --task sed preds.jsonl gt.jsonl --tune-on dev_preds.jsonl dev_gt.jsonl

    At a terminal a table, in a pipe JSON. Where the official evaluator rewards a fault of the files, or
    crashes on it, the figures here are honest, and standard error says what was done and what the official
    figures are. Intervals are of 95 %, over recordings.
    """
    sources, is_sed, several = files or [], task is Task.SED, compare or seeds
    check_files(sources, tune_on or (), several=several, is_sed=is_sed)
    check_options(context.params)
    for target in (output, per_query):
        if target is not None:
            context.with_resource(reserved_output(target, force=force, stream=True))

    from amr.cli import score_table
    from amr.evaluation import scoring
    from amr.evaluation.breakdown import LENGTHS
    from amr.evaluation.files import EvaluationSettings
    from amr.evaluation.official import official_text

    *predictions, truth = sources
    if is_sed:
        from amr.evaluation.sed import score_events

        found = score_events(
            predictions[0],
            truth,
            partial=partial,
            threshold=threshold,
            tune_on=tune_on,
            labels=labels,
            events=events,
        )
        text = score_table.text_of(score_table.event_lines(found.report))
        write_product(text if wants_table(format_, output) else as_json(found.report), output, force=force)
    elif official:
        text = official_text(predictions[0], truth, qvhighlights=qvhighlights, partial=partial, pool=pool)
        # The official file has no line end; a terminal needs one.
        write_product(text + "\n" * (output is None and is_terminal()), output, force=force)
    else:
        scorer = scoring.score_runs if seeds else scoring.score_systems if compare else scoring.score_one
        draws = scoring.MANY_DRAWS if several else scoring.DRAWS
        if bootstrap is not None and bootstrap > MOST_DRAWS:
            raise UsageError(f"more than {MOST_DRAWS} draws fill the memory", where="--bootstrap")
        settings = EvaluationSettings(
            qvhighlights=qvhighlights,
            partial=partial,
            bootstrap=draws if bootstrap is None else bootstrap,
            seed=seed,
            lengths=lengths or (LENGTHS if breakdown else None),
        )
        scores = scoring.evaluate(predictions, truth, settings, scorer, by=by, pool=pool)
        text = score_table.scores_text(scores) if wants_table(format_, output) else as_json(scores.report)
        write_product(text, output, force=force)
        if per_query is not None:
            with open_text_output(per_query, force=force, stream=True) as file:
                write_objects(file, scores.queries())


def check_files(sources: list[str], tuning: tuple[str, ...], *, several: bool, is_sed: bool) -> None:
    """The names of the files make sense together.

    Raises:
        UsageError: they do not.
    """
    expected = "PREDICTIONS PREDICTIONS... GROUND_TRUTH" if several else "PREDICTIONS GROUND_TRUTH"
    hint = f"see amr score -h; expected {expected}"
    if len(sources) < 2 + several:
        given = f"{number_of(len(sources), 'file')} given"
        raise UsageError(f"{given}, expected {expected}", hint=hint)
    if len(sources) > 2 and not several:
        option = "" if is_sed else ": --compare for different systems, --seeds for runs of one"
        raise UsageError(f"{len(sources) - 1} prediction files{option}", hint=hint)
    if (*sources, *tuning).count(STDIO) > 1:
        raise UsageError("only one of the two files can be standard input", where=STDIO)


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse, before anything is read, what does not go together.

    Raises:
        UsageError: it does not.
    """
    given = {name for name, value in options.items() if value not in (None, False)}

    def refuse(names: tuple[str, ...], why: str) -> None:
        for name in names:
            if name in given:
                raise UsageError(why, where="--" + name.replace("_", "-"))

    task = Task(options["task"])
    refuse(ONLY_RETRIEVAL if task is Task.SED else ONLY_SED, f"--task {task.value} does not take this option")
    if "official" in given:
        if options["format_"] == OutputFormat.TABLE:
            raise UsageError("--official prints JSON and nothing else", where="--format table")
        refuse(NOT_OFFICIAL, "--official prints the official file and nothing else")
    if "seeds" in given:
        refuse(("compare",), "--compare is for different systems, --seeds for runs of one")
    if "pool" in given:
        refuse(("by",), "--by scores each set separately, --pool all together: give one of them")
    if "tune_on" in given:
        refuse(("threshold",), "--tune-on finds the threshold that --threshold sets")


def as_json(report: dict[str, Any]) -> str:
    """For programs."""
    return json_text(report, indent=2) + "\n"


def write_product(text: str, output: Path | None, *, force: bool) -> None:
    """The product, to a file or standard output."""
    with open_output(STDIO if output is None else output, force=force, stream=True) as file:
        file.write(text.encode("utf-8"))
