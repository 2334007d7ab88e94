"""``amr score --task sed``: moments of class prompts judged as sound events."""

from __future__ import annotations

import json
from typing import Any

from amr import __version__
from amr.cli.messages import warn
from amr.cli.score_options import Request, write_product
from amr.cli.score_report import file_block, printable
from amr.cli.score_sed_files import EventFiles, read_events
from amr.cli.score_table import HASH_DIGITS, Row, numbers, percent
from amr.errors import InputError
from amr.formats.streams import display_name, open_input
from amr.metrics.results import two_decimals
from amr.metrics.sed_frames import THRESHOLD, Key, Rates, Window, class_rates, make_frames, rates, sweep
from amr.metrics.sed_labels import labels_of, parse_labels
from amr.metrics.sed_library import import_library, library_measures

Blocks = dict[str, Any]

SWEEP_THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))


def score_events(request: Request) -> None:
    """Read, judge, write."""
    if request.events:
        import_library()  # what is missing is told before any work
    files = read_events(request.predictions[0], request.ground_truth, partial=request.partial)
    labels = read_labels(request.labels, files)
    sentences = list(files.sentences)
    threshold, tuning = chosen_threshold(request, files, sentences)
    blocks = event_blocks(files, threshold, tuning, labels)
    if request.events:
        measures = library_measures(files.durations_s, files.classes, files.truth, files.answers, threshold)
        blocks["library"] = in_percent(measures)
    warn("score", [printable(line) for line in sentences], quiet=request.quiet)
    as_json = json.dumps(blocks, indent=2, ensure_ascii=False) + "\n"
    as_text = "\n".join(map(printable, event_table(blocks))) + "\n"
    write_product(as_text if request.wants_table else as_json, request)


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
            text = file.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(f"is not UTF-8 text (byte {error.start})", where=name) from error
    labels = labels_of(parse_labels(text.splitlines(), name))
    missing = [prompt for prompt in files.classes if prompt not in labels]
    if missing:
        raise InputError(f"has no label for the class {missing[0]!r} of the reference", where=name)
    return labels


def chosen_threshold(
    request: Request, files: EventFiles, sentences: list[str]
) -> tuple[float, Blocks | None]:
    """The threshold, and where it comes from if it was tuned.

    Raises:
        InputError: the development files are wrong.
    """
    if request.tune_on is None:
        return (THRESHOLD if request.threshold is None else request.threshold), None
    development = read_events(*request.tune_on, partial=request.partial)
    sentences += development.sentences
    if development.truth_columns.sha256 == files.truth_columns.sha256:
        sentences.append("tuned on the ground truth that is scored: the result is no test")
    threshold, found = sweep(development.frames()).best()
    tuning = {
        "ground_truth": file_block(development.truth_columns),
        "predictions": file_block(development.answer_columns),
        "threshold": threshold,
        **rates_block(found),
    }
    return threshold, tuning


def event_blocks(
    files: EventFiles, threshold: float, tuning: Blocks | None, labels: dict[str, str]
) -> Blocks:
    """The JSON product."""
    frames = files.frames()
    points = sweep(frames)
    best_threshold, best = points.best()
    by_class = class_rates(frames, threshold)
    return {
        "frame_micro": rates_block(rates(frames, threshold)),
        "threshold": threshold,
        "tuned_on": tuning,
        "classes": {labels[name]: {"prompt": name, **rates_block(found)} for name, found in by_class.items()},
        "sweep": [{"threshold": level, **rates_block(rates(frames, level))} for level in SWEEP_THRESHOLDS],
        "best_on_these_files": {"threshold": best_threshold, **rates_block(best)},
        "frames": len(frames.true),
        "active_frames": int(frames.true.sum()),
        "pairs": len(files.durations_s) * len(files.classes),
        "pairs_without_prediction": files.unasked_pairs(),
        "always_active": rates_block(always_active(files)),
        "ground_truth": file_block(files.truth_columns),
        "predictions": file_block(files.answer_columns),
        "amr_version": __version__,
    }


def always_active(files: EventFiles) -> Rates:
    """What hearing every class that is in a recording all the time would give: the level of chance."""
    everything: dict[Key, list[Window]] = {
        key: [(0.0, files.durations_s[key[0]], 1.0)] for key in files.truth
    }
    return rates(make_frames(files.durations_s, files.classes, files.truth, everything), THRESHOLD)


def rates_block(found: Rates) -> dict[str, float]:
    """Per cent."""
    return {
        "P": two_decimals(100 * found.precision),
        "R": two_decimals(100 * found.recall),
        "F1": two_decimals(100 * found.f1),
    }


def in_percent(measures: dict[str, Any]) -> Blocks:
    """The library's figures, in per cent."""
    return {
        name: in_percent(value) if isinstance(value, dict) else two_decimals(100 * value)
        for name, value in measures.items()
    }


def event_table(blocks: Blocks) -> list[str]:
    """For a terminal."""
    truth, threshold = blocks["ground_truth"], blocks["threshold"]
    source = "tuned" if blocks["tuned_on"] else "given"
    best = blocks["best_on_these_files"]
    title = (
        f"{blocks['predictions']['file']} against {truth['file']} (sha256 {truth['sha256'][:HASH_DIGITS]}…)"
    )
    rows: list[Row] = [("frames of 1 s", "P", "R", "F1"), rates_row("micro", blocks["frame_micro"])]
    rows += [rates_row(label, found) for label, found in blocks["classes"].items()]
    rows += [rates_row("always active", blocks["always_active"])]
    lines = [title, "", f"threshold {threshold:g} ({source})", *numbers(rows)]
    lines += [
        "",
        f"best on these files, no test: threshold {best['threshold']:.4g}, F1 {percent(best['F1'])}",
    ]
    if "library" in blocks:
        lines += ["", *library_lines(blocks["library"])]
    return lines


def rates_row(name: str, found: Blocks) -> Row:
    return (name, percent(found["P"]), percent(found["R"]), percent(found["F1"]))


def library_lines(found: Blocks) -> list[str]:
    """Measures by sed_scores_eval."""
    rows: list[Row] = [("sed_scores_eval", "P", "R", "F1", "F1 macro")]
    for name in ("event", "segment", "intersection"):
        rows.append((*rates_row(name, found[name]), percent(found[name]["F1_macro"])))
    psds = ", ".join(f"{name} {percent(found[name])}" for name in found if name.startswith("PSDS"))
    return [*numbers(rows), psds]
