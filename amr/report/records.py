"""What pictures and pages show of one query on one recording: predictions and truth brought together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from amr.formats.annotations import Annotation, is_moment
from amr.formats.notices import Notices
from amr.formats.predictions import Prediction
from amr.moments import Moment, ScoredMoment


@dataclass(frozen=True)
class Case:
    """One query asked of one recording.

    Args:
        qid: the query's id.
        query: the sentence.
        vid: the recording's id.
        predicted: moments as answered, best first; only those that are moments.
        truth: the true moments, sorted; None where no ground truth was given for this query.
        saliency: a value in [0, 1] for each of as many even stretches of the recording; may be empty.
        duration_s: the recording's length, where a file says it.
    """

    qid: int | str
    query: str
    vid: str
    predicted: list[ScoredMoment]
    truth: list[Moment] | None
    saliency: list[float]
    duration_s: float | None

    @property
    def known_s(self) -> float:
        """The recording's length, or where no file says it the end of the last moment."""
        ends = [moment[1] for moment in [*self.predicted, *(self.truth or [])]]
        return self.duration_s or max(ends, default=1.0)

    @property
    def top_iou(self) -> float | None:
        """IoU of the best answer with the true moment that it meets best; None without truth or answer."""
        if not self.truth or not self.predicted:
            return None
        return max(iou(self.predicted[0], moment) for moment in self.truth)


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two moments, by their first two values."""
    overlap = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return overlap / ((a[1] - a[0]) + (b[1] - b[0]) - overlap)


def match_cases(
    predictions: Iterable[Prediction], annotations: Iterable[Annotation], notices: Notices
) -> list[Case]:
    """Every prediction with the truth of its qid, in the order of the predictions.

    A qid that stands twice in the ground truth with the same recording has the moments of both. Windows that
    are no moments are left out and counted in ``notices``.
    """
    truth: dict[tuple[int | str, str], list[Annotation]] = {}
    for annotation in annotations:
        truth.setdefault((annotation.qid, annotation.vid), []).append(annotation)
    cases = []
    for prediction in predictions:
        found = truth.get((prediction.qid, prediction.vid), [])
        if truth and not found:
            notices.add("prediction without a ground truth of its qid and vid", prediction.where)
        cases.append(make_case(prediction, found, notices))
    return cases


def make_case(prediction: Prediction, truth: list[Annotation], notices: Notices) -> Case:
    """One case; see :func:`match_cases`."""
    durations = [prediction.duration_s, *(annotation.duration_s for annotation in truth)]
    good = [moment for moment in prediction.moments if is_moment(moment.start_s, moment.end_s)]
    for _ in range(len(prediction.windows) - len(good)):
        notices.add("predicted window of no length, inverted or not a number", prediction.where)
    moments = sorted({moment for annotation in truth for moment in annotation.moments})
    return Case(
        qid=prediction.qid,
        query=prediction.query or (truth[0].query if truth else ""),
        vid=prediction.vid,
        predicted=good,
        truth=moments if truth else None,
        saliency=unit_curve(prediction.saliency or []),
        duration_s=next((value for value in durations if value is not None and 0 < value < 1e9), None),
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
