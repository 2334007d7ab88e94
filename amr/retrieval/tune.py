"""Choosing the sliding window's threshold and filter on annotated recordings.

The AM-DETR paper (arXiv 2409.15672, section V-A) tunes the threshold of the binarisation and the length of
the median filter on a validation split. Here every combination of a small grid is tried on the same curves.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from amr.arrays import Float32Array
from amr.errors import InputError
from amr.formats.annotations import Annotation
from amr.metrics.exact import RankedQueries, exact_scores
from amr.metrics.ragged import Ragged, gather
from amr.metrics.results import MAX_ANSWERS
from amr.moments import FrameGrid, Span
from amr.retrieval.recordings import Collection
from amr.retrieval.window import WindowOptions, find_moments
from amr.retrieval.window_finder import WindowFinder

FRACTIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
FILTERS_S = (0.0, 1.5, 2.5, 4.5)
GAPS_S = (0.0, 1.0, 2.0)


@dataclass(frozen=True)
class TuningExample:
    """One annotated query: its similarity curve ``(frames,)`` and the moments that it means."""

    curve: Float32Array
    grid: FrameGrid
    duration_s: float
    moments: list[Span]


@dataclass(frozen=True)
class Trial:
    """What one setting scores, in per cent."""

    options: WindowOptions
    r1_at_05: float
    r1_at_07: float
    mean_ap: float

    def record(self) -> dict[str, float]:
        """The setting as the command line's options, and its figures."""
        return {
            "fraction": self.options.fraction,
            "filter": self.options.filter_s,
            "gap": self.options.gap_s,
            "R1@0.5": self.r1_at_05,
            "R1@0.7": self.r1_at_07,
            "mAP": self.mean_ap,
        }


def gather_examples(
    annotations: Sequence[Annotation], collection: Collection, finder: WindowFinder
) -> Iterator[TuningExample]:
    """The curves of all annotated queries, a recording at a time.

    Raises:
        InputError: an annotation names a recording that is not there.
    """
    by_vid: dict[str, list[Annotation]] = {}
    for annotation in annotations:
        if annotation.vid not in collection:
            raise InputError(f"recording {annotation.vid!r} is not among those given", where=annotation.where)
        by_vid.setdefault(collection.spelt(annotation.vid), []).append(annotation)
    collection.prepare(list(by_vid))
    for vid, of_recording in by_vid.items():
        recording = collection.load(vid)
        curves = finder.similarity(recording, [annotation.query for annotation in of_recording])
        for annotation, curve in zip(of_recording, curves.T, strict=True):
            if annotation.moments:
                yield TuningExample(curve, recording.grid, recording.duration_s, annotation.moments)


def setting_grid(start: WindowOptions) -> list[WindowOptions]:
    """The grid: fraction of the way from base to peak, median filter, gap that is closed."""
    return [
        replace(start, threshold=None, fraction=fraction, filter_s=filter_s, gap_s=gap_s)
        for fraction, filter_s, gap_s in itertools.product(FRACTIONS, FILTERS_S, GAPS_S)
    ]


def tune(examples: Sequence[TuningExample], candidates: Sequence[WindowOptions]) -> list[Trial]:
    """Every candidate's figures, best mAP first; of equal ones the earlier candidate first.

    Raises:
        InputError: there is no example with a moment.
    """
    if not examples:
        raise InputError("no annotation has a moment to tune on", where="--tune")
    trials = [try_options(examples, options) for options in candidates]
    return sorted(trials, key=lambda trial: -trial.mean_ap)


def try_options(examples: Sequence[TuningExample], options: WindowOptions) -> Trial:
    """R1 and mAP of one setting."""
    found = [
        find_moments(example.curve, example.grid, example.duration_s, options)[:MAX_ANSWERS]
        for example in examples
    ]
    ranked = [[moment[:2] for moment in moments] for moments in found]
    truth = [example.moments for example in examples]
    scores = exact_scores(RankedQueries(pack(ranked), pack(truth)))
    assert scores is not None  # every example has a moment
    recall = scores.recall_at_1()
    return Trial(options, recall["0.5"], recall["0.7"], scores.mean_average_precision()["average"])


def pack(items: Sequence[Sequence[tuple[float, float]]]) -> Ragged:
    """Lists of intervals as one ragged array."""
    owner = np.repeat(np.arange(len(items)), [len(item) for item in items])
    rows = np.array([row for item in items for row in item], dtype=np.float64).reshape(-1, 2)
    return gather(owner, rows, len(items))
