"""The measures of sound event detection at large, by ``sed_scores_eval`` (extra ``sed``).

Event-based F1 with collars and segment-based F1 (Mesaros et al., Appl. Sci. 6, 2016), intersection-based F1
and PSDS (Bilen et al., ICASSP 2020; thresholds as Ebbers et al., ICASSP 2022). This file only brings moments
into that library's form and back; windows of one class that overlap are one event, as the form holds one
score a time and class.
"""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from amr.errors import MissingError, install_command
from amr.metrics.sed_frames import Key, Window

COLLAR_S = 0.2
OFFSET_RATE = 0.2
"""An offset may be off by the collar or by this share of the true event, whichever is more (DCASE)."""

SEGMENT_S = 1.0
PSDS: dict[str, dict[str, float | None]] = {
    "PSDS1": {"dtc": 0.7, "gtc": 0.7, "cttc": None, "alpha_ct": 0.0, "alpha_st": 1.0},
    "PSDS2": {"dtc": 0.1, "gtc": 0.1, "cttc": 0.3, "alpha_ct": 0.5, "alpha_st": 1.0},
}
"""The two scenarios of DCASE 2021 to 2024, Task 4."""

MAX_FALSE_ALARMS_AN_HOUR = 100.0


def library_measures(
    durations_s: Mapping[str, float],
    classes: Sequence[str],
    truth: Mapping[Key, list[Window]],
    answers: Mapping[Key, list[Window]],
    threshold: float,
) -> dict[str, Any]:
    """The library's figures as shares; see :func:`amr.metrics.sed_frames.make_frames` for the arguments.

    Raises:
        MissingError: ``sed_scores_eval`` is not installed.
    """
    library = import_library()
    floor = floor_below(answers, threshold)
    scores = score_frames(durations_s, classes, answers, floor)
    events = {vid: true_events(vid, classes, truth, duration_s) for vid, duration_s in durations_s.items()}
    lengths = dict(durations_s)
    collars = {"onset_collar": COLLAR_S, "offset_collar": COLLAR_S, "offset_collar_rate": OFFSET_RATE}
    event = library.collar_based.fscore(scores, events, threshold=threshold, **collars)
    segment = library.segment_based.fscore(
        scores, events, lengths, threshold=threshold, segment_length=SEGMENT_S
    )
    parts = {"dtc_threshold": 0.5, "gtc_threshold": 0.5}
    shared = library.intersection_based.fscore(scores, events, threshold=threshold, **parts)
    return {
        "event": averages(event),
        "segment": averages(segment),
        "intersection": averages(shared),
        **{name: psds(library, scores, events, lengths, setting) for name, setting in PSDS.items()},
    }


def import_library() -> Any:
    """``sed_scores_eval``.

    Raises:
        MissingError: it is not installed, or does not work with what is.
    """
    try:
        with warnings.catch_warnings():  # of its own sources and its dependencies'
            warnings.simplefilter("ignore")
            importlib.import_module("sed_scores_eval.intersection_based")
            return importlib.import_module("sed_scores_eval")
    except ImportError as error:
        raise MissingError(
            f"event and segment measures need sed_scores_eval ({error})",
            where="--events",
            hint=install_command("sed"),
        ) from error


def averages(found: tuple[Any, ...]) -> dict[str, float]:
    """Micro and macro F1, and micro precision and recall."""
    f1, precision, recall, _ = found
    return {
        "F1": float(f1["micro_average"]),
        "F1_macro": float(f1["macro_average"]),
        "P": float(precision["micro_average"]),
        "R": float(recall["micro_average"]),
    }


def psds(library: Any, scores: Any, events: Any, durations_s: Any, setting: Mapping[str, Any]) -> float:
    """One polyphonic sound detection score."""
    value, *_ = library.intersection_based.psds(
        scores,
        events,
        durations_s,
        dtc_threshold=setting["dtc"],
        gtc_threshold=setting["gtc"],
        cttc_threshold=setting["cttc"],
        alpha_ct=setting["alpha_ct"],
        alpha_st=setting["alpha_st"],
        unit_of_time="hour",
        max_efpr=MAX_FALSE_ALARMS_AN_HOUR,
    )
    return float(value)


def true_events(
    vid: str, classes: Sequence[str], truth: Mapping[Key, list[Window]], duration_s: float
) -> list[tuple[float, float, str]]:
    """A recording's true moments as events inside it; those that cannot be are left out."""
    windows = (
        (max(0.0, start), min(duration_s, end), name)
        for name in classes
        for start, end in truth.get((vid, name), ())
    )
    return sorted(window for window in windows if is_event(window[0], window[1]))


def is_event(start_s: float, end_s: float) -> bool:
    return math.isfinite(start_s) and math.isfinite(end_s) and end_s > start_s


def floor_below(answers: Mapping[Key, list[Window]], threshold: float) -> float:
    """A score below every predicted one and below the threshold."""
    scores = [window[2] for windows in answers.values() for window in windows if math.isfinite(window[2])]
    return min(0.0, threshold, *scores) - 1.0


def score_frames(
    durations_s: Mapping[str, float],
    classes: Sequence[str],
    answers: Mapping[Key, list[Window]],
    floor: float,
) -> dict[str, Any]:
    """The library's score tables: a row between any two ends of windows, a column a class.

    ``floor`` is the score where nothing is predicted.
    """
    library = importlib.import_module("sed_scores_eval.base_modules.scores")
    tables = {}
    for vid, duration_s in durations_s.items():
        windows = [usable(answers.get((vid, name), ()), duration_s) for name in classes]
        edges = {0.0, duration_s}.union(*({edge for row in rows for edge in row[:2]} for rows in windows))
        times = np.array(sorted(edges))
        grid = np.full((len(times) - 1, len(classes)), floor)
        for column, rows in enumerate(windows):
            for start_s, end_s, score in rows:
                inside = (times[:-1] >= start_s) & (times[:-1] < end_s)
                grid[inside, column] = np.maximum(grid[inside, column], score)
        tables[vid] = library.create_score_dataframe(grid, timestamps=times, event_classes=list(classes))
    return tables


def usable(windows: Iterable[Window], duration_s: float) -> list[tuple[float, float, float]]:
    """Predicted windows inside the recording, with a score that is a number."""
    clipped = [(max(0.0, start), min(duration_s, end), score) for start, end, score in windows]
    return [row for row in clipped if is_event(row[0], row[1]) and math.isfinite(row[2])]
