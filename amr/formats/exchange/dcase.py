"""The submission package of DCASE 2026 Task 6: outputs without scores, meta files, report, one zip.

Rules (challenge page of the task): every query of the evaluation list is answered on its recording with at
least one window ``[start, end]`` in order of confidence; at most four systems; one report as PDF; labels
``Lastname_Institute_task6_N``.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from amr.audio.names import Spellings, canonical
from amr.errors import InputError
from amr.formats.exchange.dcase_form import MAX_SYSTEMS, SubmissionForm, meta_yaml
from amr.formats.exchange.tracks import Track
from amr.formats.jsonl import line_of
from amr.formats.queries import Query

SLACK_S = 1.0
"""The list's durations are whole seconds, rounded up or one too many."""

PDF_SIGNATURE = b"%PDF-"
MIDNIGHT_1980 = (1980, 1, 1, 0, 0, 0)


def answers_in_order(tracks: Sequence[Track], queries: Sequence[Query], name: str) -> list[Track]:
    """The answers in the order of the evaluation list, one each.

    Args:
        name: the predictions' file, for messages.

    Raises:
        InputError: a query is not answered, is answered twice, on another recording, or without a window; an
            answer is to no query of the list; a window lies outside its recording.
    """
    spellings = Spellings({query.qid: None for query in queries if isinstance(query.qid, str)})
    by_qid: dict[int | str | None, Track] = {}
    for track in tracks:
        if isinstance(track.qid, str):
            track = replace(track, qid=spellings.of(track.qid))
        if track.qid in by_qid:
            raise InputError(f"qid {track.qid!r} is answered twice", where=track.where)
        by_qid[track.qid] = track
    missing = [query for query in queries if query.qid not in by_qid]
    if missing:
        qids = ", ".join(repr(query.qid) for query in missing[:3])
        raise InputError(
            f"{len(missing)} of {len(queries)} queries of the evaluation list are not answered: {qids}",
            where=name,
        )
    extra = set(by_qid) - {query.qid for query in queries}
    if extra:
        first = next(track for track in tracks if track.qid in extra)
        raise InputError(
            f"{len(extra)} predictions belong to no query of the evaluation list, the first is {first.qid!r}",
            where=first.where,
        )
    return [checked_answer(by_qid[query.qid], query) for query in queries]


def checked_answer(track: Track, query: Query) -> Track:
    """One answer that keeps the rules."""
    if query.vid is not None and canonical(track.vid) != canonical(query.vid):
        raise InputError(
            f"qid {track.qid!r} belongs to the recording {query.vid!r}, not to {track.vid!r}",
            where=track.where,
        )
    if not track.windows:
        raise InputError(f"qid {track.qid!r} has no window, at least one is needed", where=track.where)
    for window in track.windows:
        if window.start_s < 0 or (query.duration_s is not None and window.end_s > query.duration_s + SLACK_S):
            raise InputError(
                f"qid {track.qid!r}: the window [{window.start_s:g}, {window.end_s:g}] lies outside its "
                f"recording of {query.duration_s or float('nan'):g} s",
                where=track.where,
            )
    return track


def output_text(answers: Sequence[Track]) -> str:
    """A system's output: JSON Lines, windows best first and without scores."""
    return "".join(line_of(output_record(track)) + "\n" for track in answers)


def output_record(track: Track) -> dict[str, Any]:
    windows = [[window.start_s, window.end_s] for window in track.ranked]
    return {"qid": track.qid, "query": track.query, "vid": track.vid, "pred_relevant_windows": windows}


def package(outputs: Sequence[str], form: SubmissionForm, report: bytes, report_name: str) -> bytes:
    """The zip: ``task6/LABEL/LABEL.output.jsonl`` and ``.meta.yaml`` of each system, and the report beside.

    The same contents give the same bytes.

    Raises:
        InputError: there are too many systems, or the report is no PDF.
    """
    if len(outputs) > MAX_SYSTEMS:
        raise InputError(f"{len(outputs)} systems, the challenge takes {MAX_SYSTEMS}", where="INPUT")
    if not report.startswith(PDF_SIGNATURE):
        raise InputError("is not a PDF file", where=report_name)
    files: dict[str, bytes] = {}
    for number, output in enumerate(outputs, start=1):
        label = form.label(number)
        files[f"task6/{label}/{label}.output.jsonl"] = output.encode()
        files[f"task6/{label}/{label}.meta.yaml"] = meta_yaml(form, number).encode()
    files[f"task6/{form.team}.technical_report.pdf"] = report
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path, date_time=MIDNIGHT_1980)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, compress_type=zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
