"""``amr score``: predictions and ground truth in, figures out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from amr.cli import options
from amr.cli.messages import wants_table, warn
from amr.cli.options import OutputFormat
from amr.cli.tables import is_terminal


def score(
    predictions: Annotated[str, typer.Argument(metavar="PREDICTIONS", help="JSONL, or '-'.")],
    ground_truth: Annotated[str, typer.Argument(metavar="GROUND_TRUTH", help="JSONL, or '-'.")],
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
    output: options.Output = None,
    force: options.Force = False,
    format_: options.Format = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,  # noqa: ARG001  # the traceback is printed in amr.cli.main
) -> None:
    """Score predicted moments against true ones: R1 and mAP at IoU 0.5 to 0.95, in per cent.

    \b
    amr score preds.jsonl gt.jsonl
    amr predict --queries gt.jsonl feats.h5 | amr score - gt.jsonl --format table

    At a terminal a table, in a pipe JSON. Where the official evaluator rewards a fault of the files, or
    crashes on it, the figures here are honest, and standard error says what was done and what the official
    figures are.
    """
    from amr.errors import UsageError
    from amr.formats.streams import STDIO, require_writable

    if predictions == ground_truth == STDIO:
        raise UsageError("only one of the two files can be standard input", where=STDIO)
    if official and format_ is OutputFormat.TABLE:
        raise UsageError("--official prints JSON and nothing else", where="--format table")
    if output is not None:
        require_writable(output, force=force)

    from amr.cli.score_case import Settings, match_files, official_product
    from amr.cli.score_report import honest_report
    from amr.formats.scoring import read_answers, read_truth

    settings = Settings(qvhighlights=qvhighlights, partial=partial)
    truth = read_truth(ground_truth, with_labels=official or qvhighlights)
    answers = read_answers(predictions, with_curves=official or qvhighlights)
    matched = match_files(answers, truth, settings, official=official)
    to_terminal = output is None and is_terminal()
    if official:
        # The official file has no line end; a terminal needs one.
        write(official_product(matched) + ("\n" if to_terminal else ""), output, force=force)
        return
    report = honest_report(matched, settings)
    warn("score", report.sentences(), quiet=quiet)
    write(report.table() if wants_table(format_, output) else report.json(), output, force=force)


def write(text: str, output: Path | None, *, force: bool) -> None:
    """The product, to a file or standard output."""
    from amr.formats.streams import STDIO, open_output

    with open_output(STDIO if output is None else output, force=force) as file:
        file.write(text.encode("utf-8"))
