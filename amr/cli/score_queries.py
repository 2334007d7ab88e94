"""The queries of a matched pair of files, one row each, in the order of the ground truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from amr.cli.score_case import MatchedFiles
from amr.metrics.candidates import candidate_iou
from amr.metrics.evaluation import Honest
from amr.metrics.figures import PerQuery, coded, figure_values
from amr.metrics.ragged import FloatArray, IntArray, Ragged
from amr.metrics.results import RetrievalScores


@dataclass(frozen=True)
class Judgement:
    """One system's judged queries.

    Args:
        matched: the files.
        honest: the figures.
        scores: those over all moments; row ``i`` is the query of code ``scores.query[i]``.
        record: ``(queries,)`` the record of the ground truth file in which each query first stands.
        recordings: ``(queries,)`` the recording of each.
        iou: of each predicted window, best first; see :func:`amr.metrics.candidates.candidate_iou`.
    """

    matched: MatchedFiles
    honest: Honest
    scores: RetrievalScores
    record: IntArray
    recordings: list[str]
    iou: Ragged

    @property
    def num_true(self) -> IntArray:
        """``(queries,)`` true windows of each query."""
        return self.honest.judged.truth.counts[self.scores.query]

    @property
    def duration_s(self) -> FloatArray:
        """``(queries,)`` NaN where the file does not say."""
        return self.matched.truth.duration_s[self.record]

    @property
    def ranked_score(self) -> Ragged:
        """The score of each predicted window of each query, best first."""
        whole = Ragged(self.honest.judged.ranked.start, self.honest.ranked_score)
        return whole.take(self.scores.query)

    def per_query(self) -> PerQuery:
        """What intervals are computed from."""
        return PerQuery(figure_values(self.scores), coded(self.recordings))


def judge(matched: MatchedFiles, honest: Honest, scores: RetrievalScores) -> Judgement:
    """Bring the figures of a file together with what the ground truth says about each query."""
    first_of_code = np.unique(matched.case.truths.query, return_index=True)[1]
    record = matched.truth_records[first_of_code[scores.query]]
    vids = matched.truth.columns.vids
    recordings = [vids[index] for index in record.tolist()]
    return Judgement(matched, honest, scores, record, recordings, candidate_iou(honest.judged, scores.query))
