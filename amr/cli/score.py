"""``amr score``: predictions and ground truth in, figures out."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from amr.cli import options
from amr.cli.options import OutputFormat


class Task(str, Enum):
    """What is judged."""

    RETRIEVAL = "retrieval"
    SED = "sed"


def score(
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
    quiet: options.Quiet = False,
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
    from amr.cli.score_options import Request, check_request

    request = Request(
        files=tuple(files or ()),
        official=official,
        qvhighlights=qvhighlights,
        partial=partial,
        compare=compare,
        seeds=seeds,
        bootstrap=bootstrap,
        seed=seed,
        breakdown=breakdown,
        lengths=lengths,
        per_query=per_query,
        by=by,
        pool=pool,
        is_sed=task is Task.SED,
        threshold=threshold,
        tune_on=tune_on,
        events=events,
        labels=labels,
        output=output,
        force=force,
        table=None if format_ is None else format_ is OutputFormat.TABLE,
        quiet=quiet,
    )
    check_request(request)
    if request.is_sed:
        from amr.cli.score_sed import score_events

        score_events(request)
    else:
        from amr.cli.score_retrieval import score_retrieval

        score_retrieval(request)
