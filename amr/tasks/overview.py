"""What is in recordings at all: the sounds that the encoder knows by name, when, how often, at which hour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from amr.encoders.base import Encoder
from amr.errors import AmrError, UsageError
from amr.formats.predictions import Prediction
from amr.formats.queries import Query
from amr.moments import Moment
from amr.retrieval.finders import Answer
from amr.retrieval.overview import OverviewOptions, heard, vocabulary
from amr.retrieval.search import AnswerOptions, prediction
from amr.tasks.callbacks import (
    OnFailure,
    OnProgress,
    Progress,
    ShouldStop,
    ignore_progress,
    leave_out_found,
    never,
)
from amr.tasks.html import html_table
from amr.tasks.inputs import Search, find_inputs, open_search
from amr.tasks.models import load_model
from amr.tasks.networks import WINDOW
from amr.tasks.places import Places, clock_time, located

MOST_MOMENTS = 1_000_000
COUNTED_RECORDINGS = 100
HOURS = 24
SHOWN = 20


@dataclass(frozen=True)
class HeardSound:
    """One class over all recordings.

    Args:
        label: its name.
        events: how many moments, and in how many recordings.
        seconds: how long they last together.
        hours: how many of the moments begin in each hour of the day, of recordings whose clock is known.
        recording, best: where it is heard most clearly.
    """

    label: str
    events: int
    recordings: int
    seconds: float
    hours: tuple[int, ...]
    recording: str
    best: Moment

    def record(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**asdict(self), "best": list(self.best), "hours": list(self.hours)}


class HeardSounds(list[HeardSound]):
    """The sounds that are heard, the most frequent first.

    Args:
        predictions: one for each recording and class, as ``amr overview`` writes them.
        started: when a recording began, where that is known.
    """

    def __init__(self, predictions: Iterable[Prediction], started: Callable[[str], datetime | None]) -> None:
        self.predictions = list(predictions)
        super().__init__(summarise(self.predictions, started))

    def records(self) -> list[dict[str, Any]]:
        """The JSON objects that ``amr overview`` writes, one a recording and class."""
        return [each.record() for each in self.predictions]

    def _repr_html_(self) -> str:
        rows = [
            (each.label, str(each.events), str(each.recordings), f"{each.seconds:.1f}", each.recording)
            for each in self[:SHOWN]
        ]
        return html_table(("sound", "events", "recordings", "seconds", "best in"), rows)


def overview(
    inputs: str | Path | Sequence[str | Path] = (),
    *,
    min_score: float = OverviewOptions.min_score,
    gap_s: float = OverviewOptions.gap_s,
    device: str = "auto",
    encoder: str | Encoder | None = None,
    hop_s: float | None = None,
    workers: int | None = None,
    strict: bool = False,
    on_progress: OnProgress = ignore_progress,
    on_failure: OnFailure | None = None,
    should_stop: ShouldStop = never,
) -> HeardSounds:
    """What is heard in recordings, without a question.

    Args:
        inputs: recordings, folders, patterns and feature files; empty: ``$AMR_FEATURES``, else ``feats.h5``.
        min_score: the least presence, above 0 and below 1.
        gap_s: moments of one sound that are at most this far apart count as one.
        device: as in :func:`amr.load_model`; so are the next two.
        encoder: as there.
        hop_s: as there.
        workers: as in :func:`amr.predict`; so are the next ones.
        strict: as there.
        on_progress: as there.
        on_failure: as there.
        should_stop: as there.

    Returns:
        A list of sounds: name, how often, in how many recordings, how long, at which hours, and where best.

    Raises:
        UsageError: the encoder has no names for what it hears. InputError: an input is missing or broken.
    """
    model = load_model(WINDOW, device=device, encoder=encoder, hop_s=hop_s)
    several = [inputs] if isinstance(inputs, (str, Path)) else inputs
    found = find_inputs([str(each) for each in several], [], model)
    encoding, reading = (on_progress, ignore_progress) if found.audio else (ignore_progress, on_progress)
    with open_search(found, [], model, workers, encoding, on_failure, strict=strict) as search:
        places = Places(search.collection)
        sounds = everything(
            search,
            gap_s=gap_s,
            min_score=min_score,
            on_progress=reading,
            on_failure=on_failure,
            should_stop=should_stop,
        )
        return HeardSounds(located(sounds, places), places.started)


def everything(
    search: Search,
    *,
    gap_s: float = OverviewOptions.gap_s,
    min_score: float = OverviewOptions.min_score,
    on_progress: OnProgress = ignore_progress,
    on_failure: OnFailure | None = None,
    should_stop: ShouldStop = never,
) -> Iterator[Prediction]:
    """A prediction for each recording and class that is heard in it, a recording after the other.

    Args:
        on_progress: called with how many recordings are done.

    Raises:
        UsageError: the encoder has no names for what it hears, or ``min_score`` is none.
    """
    if not 0 < min_score < 1:
        raise UsageError(
            f"{min_score:g} is out of range, expected a number above 0 and below 1", where="--min-score"
        )
    encoder = search.encoder
    names = None if encoder is None else vocabulary(encoder)
    if encoder is None or names is None:
        which = "of these features is not known" if encoder is None else f"{encoder.identity.name!r} has none"
        raise UsageError(f"an overview needs an encoder that names classes of sound; the encoder {which}")
    options, kept = OverviewOptions(min_score, gap_s), AnswerOptions(top_k=MOST_MOMENTS)
    vids = search.collection.vids
    search.collection.prepare(vids)
    on_progress(Progress("recording", 0, len(vids)))
    for done, vid in enumerate(vids):
        if should_stop():
            return
        if done % COUNTED_RECORDINGS == 0:
            on_progress(Progress("recording", done, len(vids), share=done / len(vids)))
        try:
            recording = search.collection.load(vid)
        except AmrError as error:
            (on_failure or leave_out_found)(error)
            continue
        for number, moments in heard(recording, encoder, options):
            query = Query(names[number], qid=f"{vid}_{number}", vid=vid)
            yield prediction(query, Answer(moments), recording.duration_s, kept)


def summarise(
    predictions: Iterable[Prediction], started: Callable[[str], datetime | None]
) -> list[HeardSound]:
    """Each class over all recordings, the one with most moments first.

    Args:
        predictions: of :func:`everything`.
        started: when a recording began, where that is known.
    """
    by_label: dict[str, list[Prediction]] = defaultdict(list)
    for each in predictions:
        by_label[each.query].append(each)
    found = [summary(label, own, started) for label, own in by_label.items()]
    return sorted(found, key=lambda sound: (-sound.events, -sound.seconds, sound.label))


def summary(
    label: str, predictions: Sequence[Prediction], started: Callable[[str], datetime | None]
) -> HeardSound:
    """One class over the recordings that it is heard in."""
    hours = [0] * HOURS
    moments = [(each.vid, moment) for each in predictions for moment in each.moments]
    for each in predictions:
        began = started(each.vid)
        if began is not None:
            for moment in each.moments:
                hours[clock_time(began, moment.start_s).hour] += 1
    recording, best = max(moments, key=lambda place: place[1].score)
    seconds = sum(moment.end_s - moment.start_s for _, moment in moments)
    return HeardSound(
        label,
        len(moments),
        len(predictions),
        round(seconds, 3),
        tuple(hours) if any(hours) else (),
        recording,
        best,
    )
