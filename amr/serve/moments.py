"""A question to the recordings, and the answer as JSON."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, NamedTuple

from starlette.datastructures import QueryParams

from amr.errors import UsageError
from amr.formats.labels import Label
from amr.formats.predictions import Prediction
from amr.formats.queries import Query, check_text
from amr.moments import Moment, Span
from amr.retrieval.search import AnswerOptions
from amr.retrieval.understanding import sentence_of
from amr.serve.library import Library, ServedRecording
from amr.serve.limits import MOST_QUERIES, MOST_QUERY_CHARACTERS, MOST_TOP
from amr.serve.sounds import Keeping, KeptSounds
from amr.serve.workers import Stopped
from amr.tasks.learned import keep, learn, recall
from amr.tasks.limits import NOT_UNDERSTOOD, marked
from amr.tasks.standing import StandingSearch

DEFAULT_TOP = 20
KEPT_ANSWERS = 64


@dataclass(frozen=True)
class Asked:
    """What one request wants to know.

    Args:
        queries: the questions.
        top: moments a question.
        folder, first, last: of which recordings.
        quick: a shorter shortlist, while one types.
        learn: whether accepted and rejected moments refine the question.
    """

    queries: tuple[str, ...]
    top: int = DEFAULT_TOP
    folder: str = ""
    first: date | None = None
    last: date | None = None
    quick: bool = False
    learn: bool = False


def parse_asked(parameters: QueryParams) -> Asked:
    """The parameters of ``/search.json``.

    Raises:
        UsageError: one is not what it should be, or too much.
    """
    queries = tuple(dict.fromkeys(text for text in map(str.strip, parameters.getlist("q")) if text))
    if len(queries) > MOST_QUERIES:
        raise UsageError(f"{len(queries)} queries are more than {MOST_QUERIES}", where="q")
    for text in queries:
        if len(text) > MOST_QUERY_CHARACTERS:
            raise UsageError(f"a query is longer than {MOST_QUERY_CHARACTERS} characters", where="q")
    return Asked(
        queries,
        whole_number(parameters.get("top", str(DEFAULT_TOP)), "top", MOST_TOP),
        parameters.get("folder", ""),
        day(parameters.get("from", ""), "from"),
        day(parameters.get("to", ""), "to"),
        parameters.get("quick", "") == "1",
        parameters.get("learn", "") == "1",
    )


def whole_number(text: str, name: str, most: int) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 9 and 1 <= int(text) <= most:
        return int(text)
    raise UsageError(f"{text[:20]!r} is not a number from 1 to {most}", where=name)


def day(text: str, name: str) -> date | None:
    """``2024-06-11``; None for nothing."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text[:20]!r} is not a date such as 2024-06-11", where=name) from None


@dataclass
class Answerer:
    """Answers questions, for one thread at a time, and remembers the last answers.

    Args:
        standing: what is searched.
        library: what is known of the recordings.
        sounds: what ``@NAME`` means.
    """

    standing: StandingSearch
    library: Library
    sounds: KeptSounds
    _kept: OrderedDict[object, FoundMoments] = field(default_factory=OrderedDict)

    def answer(self, asked: Asked, labels: Sequence[Label], should_stop: Stopped) -> dict[str, Any]:
        """The answer to a request, as ``/search.json`` gives it.

        Raises:
            AmrError: a question is none, or the features are damaged.
        """
        began_s = time.perf_counter()
        asked = replace(asked, quick=asked.quick and self.standing.archive is not None)
        among = self.library.among(asked.folder, asked.first, asked.last)
        found = [self.of_one(text, asked, among, labels, should_stop) for text in asked.queries]
        return {
            "answers": found,
            "recordings": len(self.library) if among is None else len(among),
            "quick": asked.quick,
            "seconds": round(time.perf_counter() - began_s, 3),
        }

    def of_one(
        self,
        text: str,
        asked: Asked,
        among: set[str] | None,
        labels: Sequence[Label],
        should_stop: Stopped,
    ) -> dict[str, Any]:
        """The answer to one question."""
        own = self.judged(text, labels)
        examples = tuple(own) if asked.learn else ()
        sound = self.sounds.find(text)
        key = (replace(asked, queries=(text,)), examples, sound and sound.stat().st_mtime_ns)
        if key not in self._kept:
            found = self.searched(self.query_of(text), examples, asked, among, should_stop)
            if should_stop():
                return {}
            self._kept[key] = found
            while len(self._kept) > KEPT_ANSWERS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return answer_record(text, self._kept[key], self.library.recordings, own)

    def query_of(self, text: str) -> Query:
        """A question as it was typed, with what of it is not understood; or the sound that it names."""
        search, sound = self.standing.search, self.sounds.find(text)
        query = check_text(Query(text=text, where="query"))
        if sound is not None:
            recall(search, text, sound)
        finder = search.finder_of(searches_all=self.standing.archive is None)
        [query] = marked([query], finder, search.encoder)
        return query

    def keep(self, wanted: Keeping, labels: Sequence[Label]) -> None:
        """Write what a question and its accepted and rejected moments have learned.

        Raises:
            UsageError: the model takes words only.
            InputError: the sound is of another model, or cannot be written there.
        """
        query, own = self.query_of(wanted.query), self.judged(wanted.query, labels)
        if own:
            query = self.learned(query, own)
        keep(self.standing.search, [query], wanted.target, force=wanted.replace)

    def judged(self, text: str, labels: Sequence[Label]) -> list[Label]:
        """The labels of a question."""
        return [each for each in labels if each.found_by == text and each.vid in self.library.recordings]

    def learned(self, query: Query, examples: Sequence[Label]) -> Query:
        """A question as its examples have turned it. Raises ``UsageError``: the model takes words only."""
        accepted, rejected = places_of(examples, accepted=True), places_of(examples, accepted=False)
        return learn(self.standing.search, query.text, accepted, rejected)

    def searched(
        self,
        query: Query,
        examples: Sequence[Label],
        asked: Asked,
        among: set[str] | None,
        should_stop: Stopped,
    ) -> FoundMoments:
        """The moments, by the question alone, or as its examples have turned it."""
        unclear: list[str] = query.extra.get(NOT_UNDERSTOOD, [])
        remarks = [sentence_of(unclear)] if unclear else []
        learned_of = len(examples)
        if examples:
            try:
                query = self.learned(query, examples)
            except UsageError as error:  # a model that takes words only
                remarks.append(f"nothing is learned: {error}")
                learned_of = 0
        shortlist = asked.top if asked.quick else None
        predictions = self.standing.ask(
            [query],
            top=asked.top,
            kept=AnswerOptions(merge=True),
            shortlist=shortlist,
            among=among,
            should_stop=should_stop,
        )
        return FoundMoments(predictions, remarks, unclear, learned_of)


class FoundMoments(NamedTuple):
    """What is kept of an answer.

    Args:
        predictions: the moments.
        remarks: sentences that are to be said of the question.
        not_understood: what of it is not, as ``amr predict`` writes it.
        examples: of how many accepted and rejected moments it has learned.
    """

    predictions: list[Prediction]
    remarks: list[str]
    not_understood: list[str]
    examples: int


def places_of(examples: Sequence[Label], *, accepted: bool) -> list[tuple[str, Span]]:
    """Where the moments are that were accepted, or those that were rejected."""
    return [(each.vid, Span(each.start_s, each.end_s)) for each in examples if each.accepted is accepted]


def answer_record(
    text: str, found: FoundMoments, recordings: Mapping[str, ServedRecording], labels: Sequence[Label]
) -> dict[str, Any]:
    """One question's moments over all recordings, best first, with what a person said of each."""
    moments = [
        moment_record(recordings[prediction.vid], moment, labels)
        for prediction in found.predictions
        for moment in prediction.moments
    ]
    return {
        "query": text,
        "moments": sorted(moments, key=lambda each: -each["score"]),
        "examples": found.examples,
        "remarks": found.remarks,
        NOT_UNDERSTOOD: found.not_understood,
    }


def moment_record(recording: ServedRecording, moment: Moment, labels: Sequence[Label]) -> dict[str, Any]:
    """One moment, with where and when it is."""
    record = {
        "vid": recording.vid,
        "start": moment.start_s,
        "end": moment.end_s,
        "score": moment.score,
        "path": recording.record()["path"],
        "clock": recording.clock(moment.start_s),
    }
    label = next((each for each in labels if is_of(each, recording.vid, moment)), None)
    return record if label is None else {**record, "label": label_record(label)}


def is_of(label: Label, vid: str, moment: Moment) -> bool:
    """Whether a label is of this moment: both have more in common than not."""
    shared_s = max(0.0, min(label.end_s, moment.end_s) - max(label.start_s, moment.start_s))
    both_s = label.end_s - label.start_s + moment.end_s - moment.start_s - shared_s
    return label.vid == vid and shared_s > both_s / 2


def label_record(label: Label) -> dict[str, Any]:
    """A label as JSON."""
    start_s, end_s = label.window
    return {
        "vid": label.vid,
        "query": label.query,
        "question": label.found_by,
        "start": start_s,
        "end": end_s,
        "accepted": label.accepted,
    }
