"""JAMS, the JSON annotated music specification: one file a recording, here with namespace ``tag_open``.

Each query is one annotation, its moments are observations whose value is the query and whose confidence is
the score. The query's id is kept in the annotation's sandbox. (Humphrey et al., ISMIR 2014; schema 0.3.)
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from amr.errors import InputError
from amr.formats import fields
from amr.formats.exchange.tracks import Track, Window, is_score, moment_window
from amr.formats.jsonl import json_text, json_type, refuse_half_characters
from amr.formats.untrusted.bounds import MAX_LINE_BYTES

NAMESPACE = "tag_open"
JAMS_VERSION = "0.3.4"
MOST_BYTES = MAX_LINE_BYTES
"""A hundred thousand moments of one recording; parsed, JSON takes up to 25 times its length."""


def render(tracks: Iterable[Track], vid: str) -> str:
    """One recording's file."""
    tracks = list(tracks)
    known = [track.duration_s for track in tracks if track.duration_s is not None]
    ends = [window.end_s for track in tracks for window in track.windows]
    duration_s = max(known) if known else max(ends, default=0.0)
    document = {
        "annotations": [annotation(track, duration_s) for track in tracks],
        "file_metadata": {
            "title": vid,
            "artist": "",
            "release": "",
            "duration": duration_s,
            "identifiers": {"vid": vid},
            "jams_version": JAMS_VERSION,
        },
        "sandbox": {"duration_known": bool(known)},
    }
    return json_text(document, indent=2) + "\n"


def annotation(track: Track, duration_s: float) -> dict[str, Any]:
    """One query's annotation."""
    observations = [
        {
            "time": window.start_s,
            "duration": window.end_s - window.start_s,
            "value": track.query,
            "confidence": window.score,
        }
        for window in track.by_time
    ]
    return {
        "namespace": NAMESPACE,
        "time": 0.0,
        "duration": duration_s,
        "data": observations,
        "annotation_metadata": {
            "curator": {"name": "", "email": ""},
            "annotator": {},
            "version": "",
            "corpus": "",
            "annotation_tools": "amr",
            "annotation_rules": "",
            "validation": "",
            "data_source": "",
        },
        "sandbox": {"qid": track.qid, "query": track.query},
    }


def parse(text: str, name: str, vid: str) -> list[Track]:
    """The tracks of one file: every annotation whose values are texts, or the events of Scaper; others are
    passed over.

    Args:
        vid: the recording's id where the file does not have ours.

    Raises:
        InputError: it is not JSON, not JAMS, or an observation is wrong.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {error}", where=name) from error
    if not isinstance(document, dict) or not isinstance(document.get("annotations"), list):
        raise InputError("is not a JAMS file: it has no list of annotations", where=name)
    refuse_half_characters(document, name)
    metadata = document.get("file_metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    identifiers = metadata.get("identifiers")
    if isinstance(identifiers, dict) and isinstance(identifiers.get("vid"), str):
        vid = identifiers["vid"]
    sandbox = document.get("sandbox")
    is_known = not (isinstance(sandbox, dict) and sandbox.get("duration_known") is False)
    duration_s = fields.optional_number(metadata, "duration", name) if is_known else None
    duration_s = duration_s if duration_s is None or math.isfinite(duration_s) else None
    tracks: list[Track] = []
    for entry in document["annotations"]:
        tracks += annotation_tracks(entry, name, vid, duration_s)
    return tracks


def annotation_tracks(entry: Any, name: str, vid: str, duration_s: float | None) -> list[Track]:
    """The tracks of one annotation, one a value."""
    if not isinstance(entry, dict) or not isinstance(entry.get("data"), list):
        raise InputError("an annotation has no list 'data'", where=name)
    sandbox = entry.get("sandbox")
    qid = sandbox.get("qid") if isinstance(sandbox, dict) else None
    qid = qid if isinstance(qid, (int, str)) and not isinstance(qid, bool) else None
    windows: dict[str, list[Window]] = {}
    for item in entry["data"]:
        if not isinstance(item, dict):
            raise InputError(f"an observation is {json_type(item)}, expected an object", where=name)
        value = sound_of(item.get("value"))
        if isinstance(value, str):
            windows.setdefault(value, []).append(observation_window(item, name))
    if not windows and isinstance(sandbox, dict) and isinstance(sandbox.get("query"), str):
        windows = {sandbox["query"]: []}
    return [Track(vid, query, found, qid, duration_s, name) for query, found in windows.items()]


def sound_of(value: Any) -> Any:
    """What an observation says; of Scaper's events the foreground's label."""
    if isinstance(value, dict) and value.get("role") != "background":
        return value.get("label")
    return value


def observation_window(item: dict[str, Any], name: str) -> Window:
    """One observation's window."""
    start_s = fields.number(fields.required(item, "time", name), "'time'", name)
    length_s = fields.number(fields.required(item, "duration", name), "'duration'", name)
    confidence = item.get("confidence")
    score = None if confidence is None else fields.number(confidence, "'confidence'", name)
    return moment_window(start_s, round(start_s + length_s, 9), score if is_score(score) else None, name)
