"""A prediction file and its ground truth brought together by qid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from amr.arrays import Int64Array
from amr.errors import InputError
from amr.formats.scoring import AnswerFile, Columns, TruthFile, contradiction
from amr.metrics.evaluators import EvaluationInput
from amr.metrics.matching import Qid, QidMatching, match_qids
from amr.metrics.records import Answers, Truths

SHOWN_IDS = 5
"""Ids of each side that a message about files which do not match names."""


@dataclass(frozen=True)
class EvaluationSettings:
    """How files are judged; the report's ``settings``.

    Args:
        qvhighlights: judge as QVHighlights does.
        partial: score the shared queries of files that do not match.
        bootstrap: draws of every resampling; 0: none.
        seed: of the draws.
        lengths: ranges of a breakdown, see :func:`amr.evaluation.breakdown.parse_lengths`; None: none.
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
        shared: the shared queries, ready to judge.
        answer_records: ``(shared records,)`` which records of the prediction file they are.
        truth_records: the same of the ground truth.
    """

    answers: AnswerFile
    truth: TruthFile
    matching: QidMatching
    shared: EvaluationInput
    answer_records: Int64Array
    truth_records: Int64Array

    @property
    def name(self) -> str:
        """The prediction file's name."""
        return self.answers.columns.name

    def answer_where(self, record: int | None) -> str:
        """``file:line`` of a shared record; the file alone for None."""
        return self.name if record is None else self.answers.columns.where(int(self.answer_records[record]))

    def truth_where(self, record: int) -> str:
        """``file:line`` of a shared record."""
        return self.truth.columns.where(int(self.truth_records[record]))


def match_files(
    answers: AnswerFile, truth: TruthFile, settings: EvaluationSettings, *, official: bool = False
) -> MatchedFiles:
    """Bring both files together by qid.

    Raises:
        InputError: qids differ and ``settings.partial`` does not allow it, nothing is shared, or a qid stands
            for two different things. The official evaluator does not mind the last, and minds 1 against "1".
    """
    answers = replace(answers, columns=answers.columns.spelt_as(truth.columns))
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
    predicted = Answers(matching.answer_query, answers.columns.windows, answers.has_scores)
    true = Truths(matching.truth_query, truth.columns.windows, truth.duration_s)
    shared = EvaluationInput(
        answers=predicted.take(answer_records),
        truths=true.take(truth_records),
        num_queries=matching.shared,
        curves=[answers.curves[record] for record in answer_records] if answers.curves else [],
        labels=[truth.labels[record] for record in truth_records] if truth.labels else [],
        qvhighlights=settings.qvhighlights,
    )
    return MatchedFiles(answers, truth, matching, shared, answer_records, truth_records)


def require_same_type(matching: QidMatching, answers: Columns, truth: Columns) -> None:
    """The official evaluator does not take 1 for "1".

    Raises:
        InputError: the qids match by their text only.
    """
    if matching.by_text:
        kinds = [
            "strings" if isinstance(columns.qids[0], str) else "integers" for columns in (answers, truth)
        ]
        raise InputError(
            f"the official evaluator stops here with AssertionError: qids are {kinds[0]} in "
            f"{answers.name} and {kinds[1]} in {truth.name}",
            where=answers.name,
            hint="without --official they are matched by their text",
        )


def require_clear(columns: Columns) -> None:
    """A qid means one recording and one sentence in a file.

    Raises:
        InputError: a qid comes again with another.
    """
    found = contradiction(columns)
    if found is not None:
        record, earlier = found
        raise InputError(
            f"qid {json.dumps(columns.qids[record])} has another recording or query than in line "
            f"{columns.lines[earlier]}",
            where=columns.where(record),
            hint="give every query and recording its own qid, or score the files one by one",
        )


def mismatch(matching: QidMatching, answers: Columns, truth: Columns) -> InputError:
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
