"""Moments of class prompts judged as sound events, in frames."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from amr import __version__
from amr.errors import InputError
from amr.evaluation.percent import Block
from amr.evaluation.report import file_block
from amr.evaluation.sed_files import EventFiles, read_events
from amr.formats.scoring import Source
from amr.formats.streams import display_name, open_input
from amr.formats.untrusted.bounds import read_whole
from amr.metrics.results import two_decimals
from amr.metrics.sed_frames import THRESHOLD, Key, Rates, Window, class_rates, make_frames, rates, sweep
from amr.metrics.sed_labels import labels_of, parse_labels
from amr.metrics.sed_library import import_library, library_measures

log = logging.getLogger("amr")

SWEEP_THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))


@dataclass(frozen=True)
class EventScores:
    """Scores of sound event detection.

    Args:
        report: what ``amr score --task sed --format json`` prints.
        remarks: what was strange, and what to beware of; they are also logged as warnings.
    """

    report: Block
    remarks: list[str]

    def record(self) -> Block:
        """The object that ``amr score --task sed --format json`` prints."""
        return self.report


def score_events(
    predictions: Source,
    annotations: Source,
    *,
    partial: bool = False,
    threshold: float | None = None,
    tune_on: tuple[Source, Source] | None = None,
    labels: str | None = None,
    events: bool = False,
) -> EventScores:
    """Score predicted moments as sound events: every query of the annotations is a class.

    Args:
        predictions: JSONL or records, with scores.
        annotations: JSONL or records, with durations.
        partial: leave out predictions about other recordings and classes.
        threshold: windows scored above it are events; default: 0.5.
        tune_on: predictions and annotations whose best threshold is taken instead.
        labels: file of lines ``LABEL<tab>PROMPT``, to report labels.
        events: add the measures of ``sed_scores_eval``.

    Raises:
        InputError: a file is wrong, or the two do not fit.
        MissingError: ``events`` without ``sed_scores_eval``.
    """
    if events:
        import_library()  # what is missing is said before any work
    files = read_events(predictions, annotations, partial=partial)
    label_of = read_labels(labels, files)
    remarks, tuning = list(files.remarks), None
    if tune_on is not None:
        development = read_events(*tune_on, partial=partial)
        remarks += development.remarks
        if development.truth_columns.sha256 == files.truth_columns.sha256:
            remarks.append("tuned on the ground truth that is scored: the result is not a test")
        tuning = tuning_block(development)
        threshold = tuning["threshold"]
    report = event_block(files, THRESHOLD if threshold is None else threshold, tuning, label_of)
    if events:
        frames = (files.durations_s, files.classes, files.truth, files.answers)
        report["library"] = in_percent(library_measures(*frames, report["threshold"]))
    for remark in remarks:
        log.warning(remark)
    return EventScores(report, remarks)


def read_labels(source: str | None, files: EventFiles) -> dict[str, str]:
    """Label of each class; the prompt itself without a file.

    Raises:
        InputError: the file is wrong, or a class of the reference has no label.
    """
    if source is None:
        return {name: name for name in files.classes}
    name = display_name(source)
    with open_input(source) as file:
        try:
            text = read_whole(file, name).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(f"is not UTF-8 text (byte {error.start})", where=name) from error
    labels = labels_of(parse_labels(text.splitlines(), name))
    missing = [prompt for prompt in files.classes if prompt not in labels]
    if missing:
        raise InputError(f"has no label for the class {missing[0]!r} of the reference", where=name)
    return labels


def tuning_block(development: EventFiles) -> Block:
    """The best threshold of some files, and where it comes from."""
    threshold, found = sweep(development.frames()).best()
    return {
        "ground_truth": file_block(development.truth_columns),
        "predictions": file_block(development.answer_columns),
        "threshold": threshold,
        **rates_block(found),
    }


def event_block(files: EventFiles, threshold: float, tuning: Block | None, label_of: dict[str, str]) -> Block:
    """The JSON product."""
    frames = files.frames()
    best_threshold, best = sweep(frames).best()
    by_class = class_rates(frames, threshold)
    return {
        "frame_micro": rates_block(rates(frames, threshold)),
        "threshold": threshold,
        "tuned_on": tuning,
        "classes": {label_of[name]: {"prompt": name, **rates_block(each)} for name, each in by_class.items()},
        "sweep": [{"threshold": level, **rates_block(rates(frames, level))} for level in SWEEP_THRESHOLDS],
        "best_on_these_files": {"threshold": best_threshold, **rates_block(best)},
        "frames": len(frames.true),
        "active_frames": int(frames.true.sum()),
        "pairs": len(files.durations_s) * len(files.classes),
        "pairs_without_prediction": files.pairs_without_prediction(),
        "always_active": rates_block(always_active(files)),
        "ground_truth": file_block(files.truth_columns),
        "predictions": file_block(files.answer_columns),
        "amr_version": __version__,
    }


def always_active(files: EventFiles) -> Rates:
    """What every class of a recording, active all the time, would give: the level of chance."""
    everything: dict[Key, list[Window]] = {
        key: [(0.0, files.durations_s[key[0]], 1.0)] for key in files.truth
    }
    return rates(make_frames(files.durations_s, files.classes, files.truth, everything), THRESHOLD)


def rates_block(found: Rates) -> dict[str, float]:
    """Per cent."""
    shares = {"P": found.precision, "R": found.recall, "F1": found.f1}
    return {name: two_decimals(100 * share) for name, share in shares.items()}


def in_percent(measures: dict[str, Any]) -> Block:
    """The library's figures, in per cent."""
    return {
        name: in_percent(value) if isinstance(value, dict) else two_decimals(100 * value)
        for name, value in measures.items()
    }
