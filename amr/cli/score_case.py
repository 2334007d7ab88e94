"""Two files brought together for ``amr score``, and what the official evaluator makes of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from amr.errors import InputError
from amr.formats.scoring import AnswerFile, Columns, TruthFile, contradiction
from amr.metrics.evaluation import Case, Curve, evaluate_officially
from amr.metrics.matching import Matching, Qid, match_qids
from amr.metrics.official import OfficialStopError
from amr.metrics.official_json import official_text
from amr.metrics.ragged import IntArray
from amr.metrics.records import Answers, Truths

SHOWN_IDS = 5
"""Ids of each side that a message about files which do not match names."""


@dataclass(frozen=True)
class Settings:
    """What the options ask for.

    Args:
        qvhighlights: judge as QVHighlights does.
        partial: score the shared queries of files that do not match.
        bootstrap: draws of every resampling; 0: none.
        seed: of the draws.
        lengths: ranges of a breakdown, see :func:`amr.cli.score_breakdown.parse_lengths`; None: none.
    """

    qvhighlights: bool = False
    partial: bool = False
    bootstrap: int = 0
    seed: int = 0
    lengths: str | None = None


@dataclass(frozen=True)
class MatchedFiles:
    """Both files and the queries they share.

    Args:
        answers: the whole prediction file.
        truth: the whole ground truth file.
        matching: how their qids go together.
        case: the shared queries, ready to judge.
        answer_records: ``(case records,)`` which records of the file they are.
        truth_records: the same of the ground truth.
    """

    answers: AnswerFile
    truth: TruthFile
    matching: Matching
    case: Case
    answer_records: IntArray
    truth_records: IntArray

    def answer_where(self, record: int | None) -> str:
        """``file:line`` of a record of the case; the file alone for None."""
        columns = self.answers.columns
        return columns.name if record is None else columns.where(int(self.answer_records[record]))

    def truth_where(self, record: int) -> str:
        """``file:line`` of a record of the case."""
        return self.truth.columns.where(int(self.truth_records[record]))


def match_files(answers: AnswerFile, truth: TruthFile, settings: Settings, *, official: bool) -> MatchedFiles:
    """Bring both files together by qid.

    Raises:
        InputError: qids differ and ``--partial`` was not asked for, nothing is shared, or a qid stands for
            two different things. The official evaluator does not mind the last, and minds 1 against "1".
    """
    matching = match_qids(answers.columns.qids, truth.columns.qids)
    if official:
        require_same_type(matching, answers.columns, truth.columns)
    else:
        require_clear(answers.columns)
        require_clear(truth.columns)
    if not matching.shared or not (matching.is_complete or settings.partial):
        raise mismatch(matching, answers.columns, truth.columns)
    answer_records = np.flatnonzero(matching.answer_query >= 0)
    truth_records = np.flatnonzero(matching.truth_query >= 0)
    case = Case(
        answers=Answers(matching.answer_query, answers.columns.windows, answers.has_scores).take(
            answer_records
        ),
        truths=Truths(matching.truth_query, truth.columns.windows, truth.duration_s).take(truth_records),
        num_queries=matching.shared,
        curves=pick(answers.curves, answer_records),
        labels=pick(truth.labels, truth_records),
        qvhighlights=settings.qvhighlights,
    )
    return MatchedFiles(answers, truth, matching, case, answer_records, truth_records)


def pick(parts: Sequence[Curve], records: IntArray) -> list[Curve]:
    """The parts of some records; none where there are none of any."""
    return [parts[record] for record in records] if parts else []


def official_product(matched: MatchedFiles) -> str:
    """The official metrics file, byte for byte.

    Raises:
        InputError: the official evaluator crashes on these files.
    """
    try:
        return official_text(evaluate_officially(matched.case))
    except OfficialStopError as stop:
        raise InputError(
            f"the official evaluator stops here with {stop}",
            where=matched.answer_where(stop.answer),
            hint="without --official the files are scored where that makes sense",
        ) from stop


def require_same_type(matching: Matching, answers: Columns, truth: Columns) -> None:
    """The official evaluator does not take 1 for "1".

    Raises:
        InputError: the qids match by their text only.
    """
    if matching.by_text:
        raise InputError(
            f"the official evaluator stops here with AssertionError: qids are {kind(answers.qids[0])} in "
            f"{answers.name} and {kind(truth.qids[0])} in {truth.name}",
            where=answers.name,
            hint="without --official they are matched by their text",
        )


def kind(qid: Qid) -> str:
    return "strings" if isinstance(qid, str) else "integers"


def require_clear(columns: Columns) -> None:
    """A qid means one recording and one sentence in a file.

    Raises:
        InputError: a qid comes again with another.
    """
    found = contradiction(columns)
    if found is not None:
        record, earlier = found
        raise InputError(
            f"qid {json.dumps(columns.qids[record])} stands for another recording or sentence than in line "
            f"{columns.lines[earlier]}",
            where=columns.where(record),
            hint="give every query and recording its own qid, or score the files one by one",
        )


def mismatch(matching: Matching, answers: Columns, truth: Columns) -> InputError:
    """The error that lists what each side has and the other has not."""
    sides = [
        f"{len(only)} only in {name} ({shown(only)})"
        for only, name in ((matching.only_answers, answers.name), (matching.only_truths, truth.name))
        if only
    ]
    hint = f"--partial scores the {matching.shared} shared queries" if matching.shared else ""
    return InputError(
        f"qids do not match: {', '.join(sides)}; {matching.shared} in both",
        where=answers.name,
        hint=hint or "are these predictions for this ground truth?",
    )


def shown(qids: Sequence[Qid]) -> str:
    """The first ids as they stand in the file."""
    first = ", ".join(json.dumps(qid, ensure_ascii=False)[:60] for qid in qids[:SHOWN_IDS])
    return first + (", …" if len(qids) > SHOWN_IDS else "")
