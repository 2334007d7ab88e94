"""The two files of sound event detection, by recording and class instead of by qid."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from amr.errors import InputError, number_of
from amr.formats.notices import Notices
from amr.formats.scoring import AnswerFile, Columns, Source, TruthFile, read_answers, read_truth
from amr.metrics.oddities import is_window
from amr.metrics.sed_frames import Frames, Key, Window, make_frames


@dataclass(frozen=True)
class EventFiles:
    """Both files, pairs of recording and class.

    Args:
        truth_columns: the whole reference.
        answer_columns: the whole prediction file.
        durations_s: of each recording of the reference.
        classes: distinct queries of the reference, in order of appearance.
        truth: true windows of each pair.
        answers: predicted windows of each pair.
        remarks: what was strange.
    """

    truth_columns: Columns
    answer_columns: Columns
    durations_s: dict[str, float]
    classes: list[str]
    truth: dict[Key, list[Window]]
    answers: dict[Key, list[Window]]
    remarks: list[str]

    def frames(self) -> Frames:
        """Both sides laid out in frames."""
        return make_frames(self.durations_s, self.classes, self.truth, self.answers)

    def pairs_without_prediction(self) -> int:
        """Pairs of recording and class that no prediction is about: no false alarm can be counted there."""
        answered = self.answers.keys()
        return sum((vid, name) not in answered for vid in self.durations_s for name in self.classes)


def read_events(predictions: Source, annotations: Source, *, partial: bool) -> EventFiles:
    """Read both.

    Raises:
        InputError: a line is wrong, a recording has no length or two, a window has no score, or predictions
            are about other recordings or classes (``partial`` leaves those out).
    """
    truth, answers = read_truth(annotations), read_answers(predictions)
    answers = replace(answers, columns=answers.columns.spelt_as(truth.columns))
    require_scores(answers)
    durations_s = recording_lengths(truth)
    classes = list(dict.fromkeys(truth.columns.queries))
    known = {(vid, name) for vid in durations_s for name in classes}
    notices = Notices()
    true = pairs(truth.columns)
    found = pairs(answers.columns)
    strangers = [key for key in found if key not in known]
    if strangers and not partial:
        raise stranger_error(strangers[0], answers.columns, durations_s)
    if strangers:
        where = answers.columns.name
        notices.add(
            f"{len(strangers)} pairs of recording and query that the reference has not: left out", where
        )
    note_oddities(truth.columns, answers.columns, notices)
    kept = {key: windows for key, windows in found.items() if key in known}
    silent = [vid for vid in durations_s if not any((vid, name) in kept for name in classes)]
    if silent:
        count = number_of(len(silent), "recording")
        what = f"{count} without a prediction ({silent[0]!r} first): nothing found there"
        notices.add(f"{what}; the published program stops here", answers.columns.name)
    return EventFiles(truth.columns, answers.columns, durations_s, classes, true, kept, notices.lines())


def pairs(columns: Columns) -> dict[Key, list[Window]]:
    """Windows of each pair of recording and query; several lines of one pair add up."""
    found: dict[Key, list[Window]] = {}
    rows: list[Any] = columns.windows.rows.tolist()
    for record, key in enumerate(zip(columns.vids, columns.queries, strict=True)):
        start, stop = int(columns.windows.start[record]), int(columns.windows.start[record + 1])
        found.setdefault(key, []).extend(rows[start:stop])
    return found


def require_scores(answers: AnswerFile) -> None:
    """A threshold needs scores.

    Raises:
        InputError: windows of a line have none.
    """
    without = np.flatnonzero(~answers.has_scores)
    if len(without):
        raise InputError(
            "a window has no score, and this task needs one for each",
            where=answers.columns.where(int(without[0])),
        )


def recording_lengths(truth: TruthFile) -> dict[str, float]:
    """Length of each recording, in order of appearance.

    Raises:
        InputError: one has none, or two.
    """
    lengths: dict[str, float] = {}
    for record, (vid, length_s) in enumerate(zip(truth.columns.vids, truth.duration_s.tolist(), strict=True)):
        where = truth.columns.where(record)
        if not (np.isfinite(length_s) and length_s > 0):
            raise InputError("frames need a 'duration' above 0", where=where)
        if lengths.setdefault(vid, length_s) != length_s:
            raise InputError(f"vid {vid!r} lasts {lengths[vid]:g} s in an earlier line", where=where)
    return lengths


def stranger_error(key: Key, columns: Columns, durations_s: dict[str, float]) -> InputError:
    """What to say about a prediction that the reference has no place for."""
    record = next(
        index for index, pair in enumerate(zip(columns.vids, columns.queries, strict=True)) if pair == key
    )
    vid, query = key
    what = f"query {query!r} is no class" if vid in durations_s else f"vid {vid!r} is no recording"
    return InputError(
        f"{what} of the reference", where=columns.where(record), hint="--partial leaves such predictions out"
    )


def note_oddities(truth: Columns, answers: Columns, notices: Notices) -> None:
    """Windows that cannot be, scores that are no numbers, pairs listed twice."""
    for columns, side in ((truth, "true"), (answers, "predicted")):
        wrong = columns.windows.owner[~is_window(columns.windows.rows)]
        for record in wrong.tolist():
            notices.add(f"{side} window of no length, inverted or not finite", columns.where(record))
    for record in answers.windows.owner[np.isnan(answers.windows.rows[:, 2])].tolist():
        notices.add("score is NaN: never above a threshold", answers.where(record))
    for columns in (truth, answers):
        again = Counter(zip(columns.vids, columns.queries, strict=True)).most_common(1)[0]
        if again[1] > 1:
            notices.add(
                f"recording and query {again[0]} more than once: windows taken together", columns.name
            )
