"""The one judge: a prediction file's queries, one row each, as ``amr score``, plots and pages show them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from amr.arrays import Float64Array, Int64Array
from amr.audio.names import canonical
from amr.errors import InputError
from amr.evaluation.files import EvaluationSettings, MatchedFiles, match_files
from amr.formats.annotations import Annotation
from amr.formats.predictions import Prediction
from amr.formats.scoring import read_answers, read_truth
from amr.metrics.candidates import best_of_top, candidate_iou
from amr.metrics.evaluators import ExactEvaluation, evaluate_exactly
from amr.metrics.figures import PerQuery, coded, figure_values
from amr.metrics.official import OfficialStopError
from amr.metrics.ragged import Ragged
from amr.metrics.results import IOU_THRESHOLDS, RetrievalScores

DEPTHS = (1, 5, 10)
"""k of R@k."""

DIGITS = 6


@dataclass(frozen=True)
class JudgedFile:
    """One prediction file's judged queries.

    Args:
        matched: the files.
        exact: the figures.
        scores: those over all moments; row ``i`` is the query of code ``scores.query[i]``.
        record: ``(queries,)`` the record of the ground truth file in which each query first stands.
        recordings: ``(queries,)`` the recording of each.
        ranked: predicted windows of each query, rows ``(start_s, end_s, score)``, best first, at most ten.
        iou: of each of these; see :func:`amr.metrics.candidates.candidate_iou`.
    """

    matched: MatchedFiles
    exact: ExactEvaluation
    scores: RetrievalScores
    record: Int64Array
    recordings: list[str]
    ranked: Ragged
    iou: Ragged

    @property
    def num_true(self) -> Int64Array:
        """``(queries,)`` true windows of each query."""
        return self.exact.queries.truth.counts[self.scores.query]

    @property
    def duration_s(self) -> Float64Array:
        """``(queries,)`` NaN where the file does not say."""
        return self.matched.truth.duration_s[self.record]

    @property
    def top_score(self) -> Float64Array:
        """``(queries,)`` the score of each top window; NaN where there is no window."""
        top = np.full(len(self.ranked), np.nan)
        top[self.ranked.owner[self.ranked.rank == 0]] = self.ranked.rows[self.ranked.rank == 0, 2]
        return top

    def per_query(self) -> PerQuery:
        """What intervals are computed from."""
        return PerQuery(figure_values(self.scores), coded(self.recordings))


def judge(matched: MatchedFiles) -> JudgedFile | None:
    """Judge matched files; None where no query has a true window to find.

    Raises:
        InputError: saliency cannot be judged.
    """
    try:
        exact = evaluate_exactly(matched.shared)
    except OfficialStopError as stop:
        raise InputError(stop.reason, where=matched.answer_where(stop.answer)) from stop
    scores = exact.ranges["full"]
    if scores is None:
        return None
    first_of_code = np.unique(matched.shared.truths.query, return_index=True)[1]
    record = matched.truth_records[first_of_code[scores.query]]
    recordings = [canonical(matched.truth.columns.vids[index]) for index in record.tolist()]
    ranked = exact.queries.ranked.take(scores.query)
    iou = candidate_iou(exact.queries, scores.query)
    return JudgedFile(matched, exact, scores, record, recordings, ranked, iou)


def judge_records(
    predictions: Sequence[Prediction], annotations: Sequence[Annotation], name: str = "predictions"
) -> JudgedFile | None:
    """Judge records that were read; an annotated query without a prediction is a miss.

    Args:
        predictions: of one system; those without an annotation are left out.
        annotations: the queries.
        name: how messages call the predictions.

    Raises:
        InputError: a qid stands for two recordings or sentences.
    """
    answered = {prediction.qid for prediction in predictions}
    missing = [
        Prediction(annotation.qid, annotation.query, annotation.vid, windows=[])
        for annotation in annotations
        if annotation.qid not in answered
    ]
    plain = [replace(each, saliency=None, extra={}) for each in [*predictions, *missing]]
    answers = read_answers(plain, name=name)
    return judge(match_files(answers, read_truth(annotations), EvaluationSettings(partial=True)))


def query_records(judged: JudgedFile, set_name: str | None = None) -> Iterator[dict[str, Any]]:
    """How each query went: an object each, in the order of the ground truth; shares, not per cent.

    Args:
        judged: one file's queries.
        set_name: the dataset, where the ground truth mixes several.
    """
    truth, ranked, best = judged.matched.truth.columns, judged.ranked, best_of_top(judged.iou, DEPTHS)
    for row in np.argsort(judged.record).tolist():
        record, duration_s = int(judged.record[row]), float(judged.duration_s[row])
        top = ranked.rows[ranked.start[row]].tolist() if ranked.counts[row] else None
        precision = judged.scores.average_precision[row]
        yield {
            "predictions": judged.matched.name,
            **({"set": set_name} if set_name is not None else {}),
            "qid": truth.qids[record],
            "vid": truth.vids[record],
            "query": truth.queries[record],
            "duration": duration_s if duration_s == duration_s else None,
            "moments": int(judged.num_true[row]),
            "top_window": top and top[:2],
            "top_score": top[2] if top and np.isfinite(top[2]) else None,
            "iou": {str(depth): round(float(best[row, i]), DIGITS) for i, depth in enumerate(DEPTHS)},
            "AP": round(float(precision.mean()), DIGITS),
            "AP_at": {
                str(iou): round(float(ap), DIGITS) for iou, ap in zip(IOU_THRESHOLDS, precision, strict=True)
            },
        }
