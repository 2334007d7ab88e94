"""What the two files of an evaluation say, in columns: a row a record, qids as codes that both share."""

from __future__ import annotations

from dataclasses import dataclass

from amr.arrays import BoolArray, Float64Array, Int64Array
from amr.metrics.ragged import Ragged, gather


@dataclass(frozen=True)
class Answers:
    """The prediction file.

    Args:
        query: ``(records,)`` code of each record's qid, ``0 .. num_queries - 1``; may repeat.
        windows: per record, rows ``(start_s, end_s, score)`` in file order.
        has_scores: ``(records,)`` False where the file gave no score and rank stands in for it.
    """

    query: Int64Array
    windows: Ragged
    has_scores: BoolArray

    @property
    def row_query(self) -> Int64Array:
        """``(rows,)`` the query that each window answers."""
        return self.query[self.windows.owner]

    def take(self, records: Int64Array) -> Answers:
        """The given records only."""
        return Answers(self.query[records], self.windows.take(records), self.has_scores[records])


@dataclass(frozen=True)
class Truths:
    """The ground truth file.

    Args:
        query: ``(records,)`` code of each record's qid; may repeat.
        windows: per record, rows ``(start_s, end_s)`` in file order.
        duration_s: ``(records,)`` length of the recording, NaN where the file does not say.
    """

    query: Int64Array
    windows: Ragged
    duration_s: Float64Array

    @property
    def row_query(self) -> Int64Array:
        """``(rows,)`` the query that each window belongs to."""
        return self.query[self.windows.owner]

    def take(self, records: Int64Array) -> Truths:
        """The given records only."""
        return Truths(self.query[records], self.windows.take(records), self.duration_s[records])

    def keep_rows(self, keep: BoolArray) -> Truths:
        """All records, with only the windows where ``keep (rows,)`` is set."""
        kept = gather(self.windows.owner[keep], self.windows.rows[keep], len(self.query))
        return Truths(self.query, kept, self.duration_s)
