"""How ``amr predict`` shows itself to people: moments, trials, and how a sentence was understood."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from amr.cli.messages import say
from amr.cli.tables import bar, clock, columns

if TYPE_CHECKING:
    from amr.encoders.base import Encoder
    from amr.formats.predictions import Prediction
    from amr.formats.queries import Query
    from amr.retrieval.tune import Trial
    from amr.tasks.places import Places

EXPLAINED = 5
LONG_S = 600.0
"""Of sound that is searched without features, from which on it is worth a word."""
MOST_NAMED = 3
TRIAL_ROWS = 10


def explain(encoder: Encoder, queries: Sequence[Query]) -> None:
    """Say on stderr how each query was understood."""
    for text in dict.fromkeys(query.text for query in queries):
        understood = encoder.explain(text, EXPLAINED)
        if understood:
            named = ", ".join(f"{name} {weight:.2f}" for name, weight in understood)
            say(f"amr predict: {text!r} is understood as {named}")


@dataclass(frozen=True)
class MomentTable:
    """For each query its moments over all recordings, best first.

    A row: recording, from when to when, score as a bar and a number, and the file where the id alone does not
    lead to it.

    Args:
        places: files and clocks of the recordings.
        inputs: the recordings, folders and patterns that were named.
        rows: at most so many a query; None: the moments of a recording stay together, in their order.
        least: the score below which moments were dropped.
        with_clock: times of day in place of seconds, where they are known.
    """

    places: Places
    inputs: Sequence[str]
    rows: int | None = None
    least: float | None = None
    with_clock: bool = False

    def lines(self, predictions: Iterable[Prediction]) -> list[str]:
        """All queries', an empty line between them."""
        by_query: dict[str, list[tuple[str, list[float]]]] = {}
        for prediction in predictions:
            found = by_query.setdefault(prediction.query, [])
            found += [(prediction.vid, window) for window in prediction.windows]
        lines: list[str] = []
        for query, found in by_query.items():
            lines += ["", query] if lines else [query]
            if self.rows is not None:
                found = sorted(found, key=lambda moment: -moment[1][2])
            lines += self.moments(found[: self.rows])
            if self.rows is not None and len(found) > self.rows:
                lines.append(f"  … and {len(found) - self.rows} more; --top {len(found)} shows them")
            if not found:
                lines.append(nothing(self.least))
        return lines

    def moments(self, found: list[tuple[str, list[float]]]) -> list[str]:
        """Rows of one query, set in columns."""
        cells = [
            ("  " + vid, self.times(vid, start_s, end_s), f"{bar(score)} {score:.2f}", self.file(vid))
            for vid, (start_s, end_s, score) in found
        ]
        return columns(cells, right=frozenset({1}))

    def times(self, vid: str, start_s: float, end_s: float) -> str:
        """From when to when."""
        started = self.places.started(vid) if self.with_clock else None
        if started is None:
            return f"{clock(start_s)} – {clock(end_s)}"
        begin, end = (started + timedelta(seconds=seconds) for seconds in (start_s, end_s))
        return f"{begin:%Y-%m-%d %H:%M:%S} – {end:%H:%M:%S}"

    def file(self, vid: str) -> str:
        """The recording's file; empty where the id leads there: it, or its folder, was named."""
        return file_to_show(self.places.path(vid), self.inputs)


def file_to_show(path: str, inputs: Sequence[str]) -> str:
    """A recording's file; empty where its id leads there: it, or its folder, is one of the inputs."""
    named = {os.path.normpath(each) for each in inputs}
    place = os.path.normpath(path)
    return "" if not path or place in named or os.path.dirname(place) in named else path  # noqa: PTH120  # "" stays ""


def nothing(least: float | None) -> str:
    """What stands where no moment does."""
    if least is None:
        return "  nothing found"
    return f"  nothing scores {least:g} or more; --min-score 0 shows what comes nearest"


def advise(audio: Sequence[str], searched_s: float) -> None:
    """After a search of much sound, in seconds: how the next one need not encode it again."""
    if audio and searched_s >= LONG_S:
        named = " ".join(map(shlex.quote, audio[:MOST_NAMED])) + (" ..." if len(audio) > MOST_NAMED else "")
        say(f"hint: amr extract {named} -o feats.h5 encodes these once; amr predict then asks feats.h5")


def print_trials(trials: Sequence[Trial], output: Path | None, *, force: bool, as_table: bool) -> None:
    """The window's settings and what they score, best first; on standard output where there is no other."""
    from amr.formats.jsonl import write_objects
    from amr.formats.streams import open_text_output

    opened = open_text_output(output, force=force, stream=True) if output else nullcontext(sys.stdout)
    with opened as file:
        if not as_table:
            write_objects(file, (trial.record() for trial in trials))
            return
        rows: list[tuple[str, ...]] = [("", "--fraction", "--filter", "--gap", "R1@0.5", "R1@0.7", "mAP")]
        for place, trial in enumerate(trials[:TRIAL_ROWS], start=1):
            rows.append((str(place), *(f"{value:g}" for value in trial.record().values())))
        file.writelines(line + "\n" for line in columns(rows, right=frozenset(range(7))))
