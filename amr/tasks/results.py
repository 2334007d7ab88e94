"""What a search from Python gives: lists that know their JSONL records and show themselves as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from amr.formats.predictions import Prediction
from amr.moments import Moment
from amr.tasks.html import html_table


class Moments(list[Moment]):
    """The moments of one query in one recording, best first, in seconds; scores in [0, 1].

    Args:
        prediction: the same as a prediction.
    """

    def __init__(self, prediction: Prediction) -> None:
        super().__init__(prediction.moments)
        self.prediction = prediction

    def record(self) -> dict[str, Any]:
        """The JSON object that ``amr predict`` writes of them."""
        return self.prediction.record()

    def _repr_html_(self) -> str:
        rows = [(f"{start_s:.2f}", f"{end_s:.2f}", f"{score:.2f}") for start_s, end_s, score in self]
        return html_table(("start (s)", "end (s)", "score"), rows, self.prediction.query)


@dataclass(frozen=True)
class Hit:
    """One moment among many recordings.

    Args:
        recording: its id.
        path: its audio file as it was given, to ``extract`` or to this search; empty where unknown.
        query: what it answers.
        start_s: where it begins.
        end_s: where it ends.
        score: in [0, 1].
    """

    recording: str
    path: str
    query: str
    start_s: float
    end_s: float
    score: float

    def record(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


class Hits(list[Hit]):
    """The best moments, a query after the other, each query's best first.

    Args:
        predictions: the same, as ``amr predict --top`` gives them.
        path_of: the audio file of a recording.
    """

    def __init__(self, predictions: Iterable[Prediction], path_of: Callable[[str], str]) -> None:
        self.predictions = list(predictions)
        by_query: dict[str, list[Hit]] = {}
        for found in self.predictions:
            hits = by_query.setdefault(found.query, [])
            hits += [Hit(found.vid, path_of(found.vid), found.query, *moment) for moment in found.moments]
        super().__init__(
            hit for hits in by_query.values() for hit in sorted(hits, key=lambda hit: -hit.score)
        )

    def records(self) -> list[dict[str, Any]]:
        """The JSON objects that ``amr predict --top`` writes of them, one a query and recording."""
        return [prediction.record() for prediction in self.predictions]

    def _repr_html_(self) -> str:
        rows = [
            (hit.query, hit.recording, f"{hit.start_s:.2f}", f"{hit.end_s:.2f}", f"{hit.score:.2f}")
            for hit in self
        ]
        return html_table(("query", "recording", "start (s)", "end (s)", "score"), rows)
