"""What pictures and pages show of one query on one recording: predictions and truth brought together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from amr.audio.names import canonical
from amr.evaluation.judged import judge_records
from amr.formats.annotations import Annotation, is_moment
from amr.formats.notices import Notices
from amr.formats.predictions import Prediction
from amr.moments import Moment, Span


@dataclass(frozen=True)
class Case:
    """One query and its answers in one recording.

    Args:
        qid: the query's id.
        query: the sentence.
        vid: the recording's id.
        predicted: moments as answered, best score first; only those that are moments.
        truth: the true moments, sorted; None where no ground truth was given for this query.
        saliency: a value in [0, 1] for each of as many even stretches of the recording; may be empty.
        duration_s: the recording's length, where a file says it.
        top_iou: IoU of the best answer with the true moment that it meets best, as ``amr score`` judges; None
            without truth or answer.
    """

    qid: int | str
    query: str
    vid: str
    predicted: list[Moment]
    truth: list[Span] | None
    saliency: list[float]
    duration_s: float | None
    top_iou: float | None = None

    @property
    def known_s(self) -> float:
        """The recording's length, or where no file says it the end of the last moment."""
        ends = [moment[1] for moment in [*self.predicted, *(self.truth or [])]]
        return self.duration_s or max(ends, default=1.0)


Key = tuple[int | str, str]
"""qid and vid: a page may show one query on several recordings."""


def match_cases(
    predictions: Iterable[Prediction], annotations: Iterable[Annotation], notices: Notices
) -> list[Case]:
    """Every query and recording that is answered with its truth, in the order of the predictions.

    Lines of one qid and recording are one case, on both sides, as for ``amr score``. Windows that are no
    moments are left out and counted in ``notices``.
    """
    truth: dict[Key, list[Annotation]] = {}
    answers: dict[Key, list[Prediction]] = {}
    for annotation in annotations:
        truth.setdefault(key_of(annotation), []).append(annotation)
    for prediction in predictions:
        key = key_of(prediction)
        answers.setdefault(key, []).append(prediction)
        if truth and key not in truth:
            notices.add("prediction without a ground truth of its qid and vid", prediction.where)
        for moment in prediction.moments:
            if not is_moment(moment.start_s, moment.end_s):
                notices.add("predicted window of no length, inverted or not a number", prediction.where)
    top_iou = judged_iou(answers, truth)
    return [make_case(own, truth.get(key, []), top_iou.get(key)) for key, own in answers.items()]


def key_of(record: Prediction | Annotation) -> Key:
    """What predictions and truth are matched by, whether names are composed or not."""
    return canonical(record.qid) if isinstance(record.qid, str) else record.qid, canonical(record.vid)


def judged_iou(answers: dict[Key, list[Prediction]], truth: dict[Key, list[Annotation]]) -> dict[Key, float]:
    """IoU of the best answers that have a truth, by the judge of ``amr score``."""
    keys = [key for key, own in answers.items() if key in truth and any(each.windows for each in own)]
    code_of = {key: code for code, key in enumerate(keys)}
    predictions = [replace(own, qid=code, query="") for key, code in code_of.items() for own in answers[key]]
    annotations = [replace(own, qid=code, query="") for key, code in code_of.items() for own in truth[key]]
    judged = judge_records(predictions, annotations) if keys else None
    if judged is None:
        return {}
    codes = [judged.matched.truth.columns.qids[record] for record in judged.record.tolist()]
    return {keys[int(code)]: iou for code, iou in zip(codes, judged.scores.top_iou.tolist(), strict=True)}


def make_case(answers: list[Prediction], truth: list[Annotation], top_iou: float | None) -> Case:
    """One case; see :func:`match_cases`."""
    found = [moment for answer in answers for moment in answer.moments]
    good = [moment for moment in found if is_moment(moment.start_s, moment.end_s)]
    records: list[Prediction | Annotation] = [*answers, *truth]
    durations = [each.duration_s for each in records]
    return Case(
        qid=answers[0].qid,
        query=next((each.query for each in records if each.query), ""),
        vid=answers[0].vid,
        predicted=sorted(good, key=lambda moment: (math.isnan(moment.score), -moment.score)),
        truth=sorted({moment for each in truth for moment in each.moments}) if truth else None,
        saliency=unit_curve(next((each.saliency for each in answers if each.saliency), [])),
        duration_s=next((value for value in durations if value is not None and 0 < value < 1e9), None),
        top_iou=top_iou,
    )


def unit_curve(values: Sequence[float]) -> list[float]:
    """A curve in [0, 1]: as it is when it lies there, else stretched between its ends; not a number is 0."""
    finite = [value for value in values if abs(value) < float("inf")]
    if not finite:
        return [0.0] * len(values)
    low, high = min(finite), max(finite)
    if low >= 0.0 and high <= 1.0:
        low, high = 0.0, 1.0
    width = (high - low) or 1.0
    return [(value - low) / width if abs(value) < float("inf") else 0.0 for value in values]
