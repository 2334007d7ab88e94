"""Files that are not as they should be: what is strange, counted by kind, and what is done about it."""

from __future__ import annotations

from dataclasses import dataclass

from amr.evaluation.files import MatchedFiles, shown
from amr.formats.scoring import Columns
from amr.metrics.evaluators import has_any
from amr.metrics.oddities import TRUTH_ODDITIES, Finding, Oddity

SENTENCES = {
    Oddity.NO_ANSWER: ("query without a predicted window", "counts as a miss"),
    Oddity.IMPOSSIBLE_ANSWER: ("predicted window inverted or not finite", "counts as a wrong answer"),
    Oddity.EMPTY_ANSWER: ("predicted window of no length", "counts as a wrong answer"),
    Oddity.UNSORTED: ("windows not in the order of their scores", "ranked by score"),
    Oddity.NAN_SCORE: ("score is NaN", "ranked last"),
    Oddity.SCORELESS: ("windows without scores", "their order taken as rank"),
    Oddity.REPEATED_ANSWER: ("qid answered before", "all its windows ranked together"),
    Oddity.REPEATED_TRUTH: ("qid annotated before", "all its windows taken together"),
    Oddity.WINDOW_TWICE: ("true window listed twice", "counts once"),
    Oddity.IMPOSSIBLE_TRUTH: (
        "true window of no length, inverted, not finite, or longer than 1500 s and its recording",
        "left out",
    ),
    Oddity.OVER_CEILING: ("true window longer than the official evaluator looks at", "counts"),
    Oddity.UNJUDGED: ("query without a true window", "left out"),
}
"""What each oddity is, and what is done about it."""


@dataclass(frozen=True)
class OddityNote:
    """One kind of oddity in two files.

    Args:
        kind: its name for programs.
        what: what was found.
        treatment: what was done about it.
        count: how often.
        first: ``file:line`` of the first case, or a file.
    """

    kind: str
    what: str
    treatment: str
    count: int
    first: str

    def sentence(self) -> str:
        times = f" ({self.count} times, this is the first)" if self.count > 1 else ""
        return f"{self.first}: {self.what}{times}: {self.treatment}"


def collect_notes(matched: MatchedFiles, findings: list[Finding]) -> list[OddityNote]:
    """Everything worth saying, in a fixed order."""
    notes = [*unmatched_notes(matched), *type_notes(matched), *recording_notes(matched)]
    for finding in findings:
        where = matched.truth_where if finding.oddity in TRUTH_ODDITIES else matched.answer_where
        what, treatment = SENTENCES[finding.oddity]
        notes.append(OddityNote(finding.oddity.value, what, treatment, finding.count, where(finding.record)))
    return [*notes, *highlight_notes(matched)]


def unmatched_notes(matched: MatchedFiles) -> list[OddityNote]:
    """Queries of one file only, under ``--partial``."""
    sides = (
        ("predictions", matched.matching.only_answers, matched.answers.columns),
        ("ground_truth", matched.matching.only_truths, matched.truth.columns),
    )
    return [
        OddityNote(
            f"query_only_in_{side}",
            f"query in this file only: {shown(only)}",
            "left out",
            len(only),
            columns.name,
        )
        for side, only, columns in sides
        if only
    ]


def type_notes(matched: MatchedFiles) -> list[OddityNote]:
    """Qids that are numbers in one file and strings in the other."""
    if not matched.matching.by_text:
        return []
    what = "qids are integers in one file and strings in the other"
    where, count = matched.answers.columns.where(0), matched.matching.shared
    return [OddityNote("qid_of_other_type", what, "matched by their text", count, where)]


def recording_notes(matched: MatchedFiles) -> list[OddityNote]:
    """Predictions that name another recording than the ground truth does for the same qid."""
    vid_of = dict(zip(matched.matching.truth_query.tolist(), matched.truth.columns.vids, strict=True))
    columns = matched.answers.columns
    wrong = [
        record
        for record, query in enumerate(matched.matching.answer_query.tolist())
        if query >= 0 and columns.vids[record] and columns.vids[record] != vid_of[query]
    ]
    if not wrong:
        return []
    what = "vid is another than the ground truth's for this qid"
    return [OddityNote("vid_differs", what, "scored all the same", len(wrong), columns.where(wrong[0]))]


def highlight_notes(matched: MatchedFiles) -> list[OddityNote]:
    """Why ``--qvhighlights`` has no highlight figures."""
    if not matched.shared.qvhighlights:
        return []
    if not has_any(matched.shared.curves):
        return [no_highlights(matched.answers.columns, "'pred_saliency_scores'")]
    if not has_any(matched.shared.labels):
        return [no_highlights(matched.truth.columns, "'relevant_clip_ids' and 'saliency_scores'")]
    return []


def no_highlights(columns: Columns, keys: str) -> OddityNote:
    return OddityNote("no_highlights", f"no record has {keys}", "no highlight figures", 1, columns.name)
