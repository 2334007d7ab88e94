"""Which predictions answer which ground truth: qids of two files brought together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from amr.arrays import Int64Array

Qid = int | str


@dataclass(frozen=True)
class QidMatching:
    """Codes of the shared qids, in the order in which the predictions name them first.

    Args:
        answer_query: ``(records,)`` code of each prediction's qid; -1 where the ground truth has none.
        truth_query: ``(records,)`` the same of each annotation.
        shared: how many qids are in both; codes are ``0 .. shared - 1``.
        only_answers: qids of predictions only, in file order.
        only_truths: qids of ground truth only, in file order.
        by_text: 1 and "1" were taken as one id, because as written nothing or less would match.
    """

    answer_query: Int64Array
    truth_query: Int64Array
    shared: int
    only_answers: list[Qid]
    only_truths: list[Qid]
    by_text: bool

    @property
    def is_complete(self) -> bool:
        return not self.only_answers and not self.only_truths


def match_qids(answers: Sequence[Qid], truths: Sequence[Qid]) -> QidMatching:
    """Match as written; where 1 against "1" is all that stands between more of them, match by text.

    Zeros in front are never dropped: "007" and 7 stay two.
    """
    matching = match_keys(answers, truths, by_text=False)
    if matching.is_complete or not (is_same_by_text(answers) and is_same_by_text(truths)):
        return matching
    by_text = match_keys(answers, truths, by_text=True)
    return by_text if by_text.shared > matching.shared else matching


def is_same_by_text(qids: Sequence[Qid]) -> bool:
    """Whether no two ids of a file become one when they are read as text."""
    distinct = set(qids)
    return len({str(qid) for qid in distinct}) == len(distinct)


def match_keys(answers: Sequence[Qid], truths: Sequence[Qid], *, by_text: bool) -> QidMatching:
    """Match under one way of comparing ids."""
    answer_keys: list[Qid] = [str(qid) for qid in answers] if by_text else list(answers)
    truth_keys: list[Qid] = [str(qid) for qid in truths] if by_text else list(truths)
    wanted = set(truth_keys)
    shared = [key for key in dict.fromkeys(answer_keys) if key in wanted]
    code = {key: number for number, key in enumerate(shared)}
    return QidMatching(
        answer_query=np.array([code.get(key, -1) for key in answer_keys], dtype=np.int64),
        truth_query=np.array([code.get(key, -1) for key in truth_keys], dtype=np.int64),
        shared=len(code),
        only_answers=left_over(answers, answer_keys, code),
        only_truths=left_over(truths, truth_keys, code),
        by_text=by_text,
    )


def left_over(qids: Sequence[Qid], keys: Sequence[Qid], code: dict[Qid, int]) -> list[Qid]:
    """The ids without a code, each once."""
    return list(dict.fromkeys(qid for qid, key in zip(qids, keys, strict=True) if key not in code))
