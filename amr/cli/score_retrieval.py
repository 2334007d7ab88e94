"""``amr score`` of moments: one file, several systems, several seeds; a dataset at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amr import __version__
from amr.cli.messages import warn
from amr.cli.score_breakdown import LENGTHS, parse_lengths
from amr.cli.score_case import MatchedFiles, Settings, match_files, official_product
from amr.cli.score_compare import comparison_blocks, doubt, seeds_block
from amr.cli.score_options import Request, write_product
from amr.cli.score_per_query import write_per_query
from amr.cli.score_report import Report, honest_report, printable
from amr.cli.score_sets import dataset_names, left_out, mixture_sentence, parts
from amr.cli.score_several import several_table
from amr.cli.score_table import table
from amr.cli.tables import is_terminal
from amr.errors import InputError
from amr.formats.scoring import SET_KEY, TruthFile, read_answers, read_truth

Blocks = dict[str, Any]

DRAWS, MANY_DRAWS = 1_000, 10_000
"""Draws for one file; for several, whose p wants more digits."""


@dataclass(frozen=True)
class Scored:
    """One dataset's product.

    Args:
        blocks: for JSON.
        reports: of each prediction file.
        sentences: for standard error.
    """

    blocks: Blocks
    reports: list[Report]
    sentences: list[str]


def score_retrieval(request: Request) -> None:
    """Read, judge, write."""
    if request.lengths is not None:
        parse_lengths(request.lengths)  # a mistake is told before anything is read
    labels = request.official or request.qvhighlights
    truth = read_truth(
        request.ground_truth,
        with_labels=labels,
        set_key=request.by or SET_KEY,
        needs_set=request.by is not None,
    )
    settings = settings_of(request)
    matched = [
        match_files(read_answers(name, with_curves=labels), truth, settings, official=request.official)
        for name in request.predictions
    ]
    names = dataset_names(truth, request.by)
    is_mixed = len(set(names)) > 1
    if request.official:
        write_official(request, matched[0], names)
    elif is_mixed and not request.pool:
        write_sets(request, matched, settings, names)
    else:
        said = [mixture_sentence(names, truth, "scored as one (--pool)")] if is_mixed else []
        scored = scored_together(request, matched, settings)
        write_scored(request, scored.blocks, text_of(scored, request), [*said, *scored.sentences])
        write_queries(request, [(None, scored)])


def settings_of(request: Request) -> Settings:
    """What judging needs to know."""
    default = MANY_DRAWS if request.compare or request.seeds else DRAWS
    wants_parts = request.breakdown or request.lengths is not None
    return Settings(
        qvhighlights=request.qvhighlights,
        partial=request.partial,
        bootstrap=default if request.bootstrap is None else request.bootstrap,
        seed=request.seed,
        lengths=(request.lengths or LENGTHS) if wants_parts else None,
    )


def write_official(request: Request, matched: MatchedFiles, names: Sequence[str]) -> None:
    """The official file; a mixture is told on standard error alone."""
    product = official_product(matched)
    if len(set(names)) > 1 and not request.pool:
        said = mixture_sentence(list(names), matched.truth, "the official evaluator scores them as one")
        warn("score", [printable(said)], quiet=request.quiet)
    # The official file has no line end; a terminal needs one.
    to_terminal = request.output is None and is_terminal()
    write_product(product + ("\n" if to_terminal else ""), request)


def write_sets(request: Request, matched: list[MatchedFiles], settings: Settings, names: list[str]) -> None:
    """Every dataset of a mixture by itself, and no figure over them."""
    truth = matched[0].truth
    by_file = [parts(each, names) for each in matched]
    shared = [name for name in by_file[0] if all(name in files for files in by_file)]
    if not shared:
        raise InputError("no dataset of the ground truth is answered by all files", where=truth.columns.name)
    scored = {
        name: scored_together(
            request, [match_files(*files[name], settings, official=False) for files in by_file], settings
        )
        for name in shared
    }
    how = "by key" if request.by is not None or names_from_key(truth) else "by the form of the qids"
    said = mixture_sentence(
        names, truth, f"scored apart, {how} (--pool for one figure, --by KEY for other sets)"
    )
    blocks: Blocks = {
        "sets": {name: each.blocks for name, each in scored.items()},
        "amr_version": __version__,
    }
    sections = [f"== {printable(name)}\n{text_of(each, request)}" for name, each in scored.items()]
    sentences = [line for each in matched for line in left_out(each, names, shared)]
    sentences += [f"{printable(name)}: {line}" for name, each in scored.items() for line in each.sentences]
    write_scored(request, blocks, "\n".join(sections), [said, *sentences])
    write_queries(request, list(scored.items()))


def names_from_key(truth: TruthFile) -> bool:
    """Whether the ground truth itself says which dataset each record is of."""
    return all(name is not None for name in truth.sets)


def scored_together(request: Request, matched: Sequence[MatchedFiles], settings: Settings) -> Scored:
    """One dataset, whatever was asked of it."""
    alone = not (request.compare or request.seeds)
    reports = [honest_report(each, settings) for each in matched]
    sentences = [line for report in reports for line in report.sentences()]
    if alone:
        return Scored(reports[0].blocks, reports, sentences)
    judgements = [report.judgement for report in reports]
    draws, seed = settings.bootstrap, settings.seed
    blocks: Blocks = {"systems": [report.blocks for report in reports]}
    if request.compare:
        found = comparison_blocks(judgements, draws=draws, seed=seed)
        blocks["comparisons"] = found
        sentences += [line for block in found for line in doubt(block, "R1@0.7")] if draws else []
    else:
        blocks["seeds"] = seeds_block(judgements, draws=draws, seed=seed)
    return Scored({**blocks, "amr_version": __version__}, reports, sentences)


def text_of(scored: Scored, request: Request) -> str:
    """One dataset's product for a terminal."""
    several = request.compare or request.seeds
    lines = several_table(scored.blocks) if several else table(scored.blocks)
    return "\n".join(map(printable, lines)) + "\n"


def write_scored(request: Request, blocks: Blocks, text: str, sentences: list[str]) -> None:
    """Sentences to standard error, the product where it belongs."""
    warn("score", [printable(line) for line in sentences], quiet=request.quiet)
    as_json = json.dumps(blocks, indent=2, ensure_ascii=False) + "\n"
    write_product(text if request.wants_table else as_json, request)


def write_queries(request: Request, scored: Sequence[tuple[str | None, Scored]]) -> None:
    """The file of ``--per-query``."""
    if request.per_query is not None:
        judgements = [(name, report.judgement) for name, each in scored for report in each.reports]
        write_per_query(request.per_query, judgements, force=request.force)
