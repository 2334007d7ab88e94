"""Figures of predictions, scores and training runs, and the page that plays the moments.

Figures are ``matplotlib.figure.Figure`` objects. They are drawn and saved in one style, so
:func:`write_figure` takes the function that draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from amr.errors import InputError, UsageError
from amr.formats.annotations import read_annotations
from amr.formats.jsonl import read_objects
from amr.formats.notices import Notices
from amr.formats.predictions import read_predictions
from amr.formats.streams import STDIO, open_output, open_text_output, reserved_output
from amr.report import score_figures
from amr.report.canvas import require_matplotlib, save, style
from amr.report.moments_figure import moments_figure
from amr.report.overview import overview
from amr.report.page import build_page
from amr.report.page_sound import SoundOptions, page_recordings
from amr.report.records import Case, match_cases
from amr.report.results import judge, judge_by_length
from amr.report.text_figure import text_figure
from amr.report.training_figure import training_figure
from amr.retrieval.distinct import merge_overlapping
from amr.tasks.callbacks import OnProgress, Progress, ignore_progress, log, logged_notices
from amr.tasks.recordings import find_recordings

LOG_ENDING = ".log.jsonl"
FIGURE_COLUMNS, FIGURE_BANDS = 900, 96


def read_cases(source: str, truth: str | None, notices: Notices) -> list[Case]:
    """Predictions with their truth."""
    annotations = read_annotations(truth, notices) if truth is not None else []
    return match_cases(read_predictions(source), annotations, notices)


def without_repetition(cases: Sequence[Case]) -> list[Case]:
    """The cases without moments that a better one covers in part, as in tables and on the served page."""
    shown = [replace(case, predicted=merge_overlapping(case.predicted)) for case in cases]
    left_out = sum(len(case.predicted) for case in cases) - sum(len(case.predicted) for case in shown)
    if left_out:
        log.info(f"{left_out} moments that better ones cover in part are not shown")
    return shown


def choose_case(cases: list[Case], qid: str | None) -> Case:
    """The case that is drawn: the only one, or the one with this ``qid``."""
    chosen = [case for case in cases if qid is None or str(case.qid) == qid]
    if len(chosen) == 1:
        return chosen[0]
    shown = ", ".join(str(case.qid) for case in (chosen or cases)[:5])
    if chosen and qid is None:
        raise UsageError(
            f"the file answers {len(cases)} queries, a figure shows one of them: {shown}, ...",
            where="--qid",
            hint="name one with --qid, or see all of them with --html page.html",
        )
    found = f"{len(chosen)} times" if chosen else "not"
    raise InputError(f"{qid!r} is {found} in the file, which has: {shown}", where="--qid")


def draw_text(
    source: str,
    *,
    truth: str | None = None,
    qid: str | None = None,
    limit: int | None = None,
    width: int = 80,
) -> Iterator[list[str]]:
    """Pictures in plain characters: the lines of one query after the other.

    Args:
        source: predictions (JSONL).
        truth: annotations (JSONL).
        qid: this query only.
        limit: so many queries at most.
        width: characters a line.

    Raises:
        InputError: a file is wrong, or no query has this ``qid``.
    """
    with logged_notices() as notices:
        cases = read_cases(source, truth, notices)
        chosen = [case for case in cases if qid is None or str(case.qid) == qid][:limit]
        if not chosen:
            choose_case(cases, qid)
        for case in chosen:
            yield text_figure(case, width)


def write_page(
    source: str,
    target: str,
    *,
    truth: str | None = None,
    audio: Sequence[str] = (),
    title: str | None = None,
    limit: int | None = None,
    spectrograms: bool = True,
    embed: int = 0,
    force: bool = False,
    on_progress: OnProgress = ignore_progress,
) -> None:
    """Write one HTML file with the moments of all queries, to look at and listen to.

    Args:
        source: predictions (JSONL).
        target: the page; ``-`` is standard output.
        truth: annotations (JSONL).
        audio: the recordings: files, folders or patterns. Those that are missing are silent in the page.
        title: of the page; None: the name of ``source``.
        limit: so many queries at most.
        spectrograms: draw every recording.
        embed: put the ``embed`` best and all true moments into the page; 0 links the files.

    Raises:
        InputError: a file is wrong or damaged, or the page exists and ``force`` is not set.
    """
    with reserved_output(target, force=force, stream=True), logged_notices() as notices:
        cases = without_repetition(read_cases(source, truth, notices)[:limit])
        vids = {case.vid for case in cases}
        files = find_recordings(audio, vids).paths
        if audio and (silent := len(vids) - len(files)):
            log.warning(f"{silent} of {len(vids)} recordings are not among --audio and will be silent")
        folder = Path() if target == STDIO else Path(target).parent
        options = SoundOptions(folder=folder, images=spectrograms, embed=embed)
        done, total = count(1), len(files)
        on_progress(Progress("recording", total=total))
        recordings = page_recordings(
            cases, files, options, lambda: on_progress(Progress("recording", next(done), total))
        )
        page = build_page(cases, recordings, title=title or Path(source).name, embedded=bool(embed))
        with open_text_output(target, force=force, stream=True) as file:
            file.write(page)


def write_figure(draw: Callable[[], Any], target: str | Path, image: str, *, force: bool = False) -> None:
    """Draw a figure into a file, or for ``-`` to standard output.

    Args:
        draw: one of the functions below with its arguments.
        image: ``png`` or ``svg``.

    Raises:
        MissingError: matplotlib is not installed.
        InputError: the file exists and ``force`` is not set, or what is drawn is wrong.
    """
    require_matplotlib()
    with reserved_output(target, force=force, stream=True), style():
        figure = draw()
        with open_output(target, force=force, stream=True) as file:
            save(figure, file, image)


def draw_moments(
    source: str,
    *,
    truth: str | None = None,
    qid: str | None = None,
    audio: Sequence[str] = (),
    picture: str = "spectrogram",
) -> Any:
    """The figure of one query: its moments, saliency, and recording where ``audio`` has it.

    Args:
        source: predictions (JSONL).
        truth: annotations (JSONL).
        qid: the query; None: the only one.
        picture: ``spectrogram`` or ``waveform``.
    """
    with logged_notices() as notices:
        case = choose_case(read_cases(source, truth, notices), qid)
        sound = None
        if audio:
            files = find_recordings(audio, [case.vid])
            if case.vid not in files.paths:
                raise InputError(
                    f"the recording {case.vid!r} was not found; there are: {files.shown}", where="--audio"
                )
            sound = overview(files.paths[case.vid], columns=FIGURE_COLUMNS, bands=FIGURE_BANDS)
        return moments_figure(case, sound, picture=picture)


def draw_training(source: str) -> Any:
    """The curves of a training run.

    Args:
        source: the run's log (JSONL), its model, or the folder of both.
    """
    log_file = find_log(source)
    figure = training_figure([record for _, record in read_objects(log_file)])
    if figure is None:
        raise InputError("holds no loss, score or learning rate to draw", where=log_file)
    return figure


def find_log(source: str) -> str:
    """The log of a model, the only one of a folder, or the file itself."""
    path = Path(source)
    if path.is_dir():
        logs = sorted(str(log) for log in path.glob(f"*{LOG_ENDING}"))
        if len(logs) != 1:
            found = f"{len(logs)} logs ({', '.join(logs[:3])})" if logs else "no log"
            raise InputError(
                f"holds {found}, expected one *{LOG_ENDING}", where=source, hint="name the log itself"
            )
        return logs[0]
    beside = source + LOG_ENDING
    return beside if Path(beside).exists() else source


def draw_scores(kind: str, sources: Sequence[str], truth: str, *, iou: float = 0.7) -> Any:
    """A figure that compares predictions with the truth.

    Args:
        kind: ``iou``, ``length``, ``reliability`` or ``compare``.
        sources: predictions (JSONL), a file a system; ``reliability`` shows the first.
        truth: annotations (JSONL).
        iou: from which a moment is right; ``kind="iou"`` shows all thresholds.
    """
    with logged_notices() as notices:
        annotations = read_annotations(truth, notices)
        systems = [(Path(source).stem, read_predictions(source)) for source in sources]
        if kind == "length":
            return score_figures.length_figure(judge_by_length(systems, annotations, notices), iou=iou)
        results = [judge(name, answers, annotations, notices) for name, answers in systems]
        if not len(results[0].top_iou):
            raise InputError("holds no moment to judge by", where=truth)
        if kind == "iou":
            return score_figures.iou_figure(results)
        if kind == "reliability":
            return score_figures.reliability_figure(results[0], iou=iou)
        return score_figures.comparison_figure(results, iou=iou)
