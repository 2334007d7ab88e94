"""One HTML file to look at and listen to: everything in it, nothing fetched but the sound it stands beside.

Text of data files reaches the page as JSON in which no character can end a script element, and from there
only as text nodes. A content security policy in the page allows its own script by hash and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from itertools import pairwise
from typing import Any

from amr.report.records import Case

SCRIPT_PARTS = ("common.js", "data.js", "list.js", "detail.js", "sound.js", "keys.js")
CURVE_POINTS = 240
TIME_DECIMALS = 3


@dataclass(frozen=True)
class PageClip:
    """A stretch of a recording, embedded.

    Args:
        start_s, end_s: where it lies in the recording.
        sound: ``data:`` URL.
    """

    start_s: float
    end_s: float
    sound: str


@dataclass(frozen=True)
class PageRecording:
    """What the page has of one recording.

    Args:
        duration_s: its length.
        link: URL of the file, relative to the page; empty when the page does not link it.
        image: ``data:`` URL of its spectrogram; empty when there is none.
        clips: embedded stretches.
    """

    duration_s: float
    link: str = ""
    image: str = ""
    clips: list[PageClip] = field(default_factory=list)


def build_page(
    cases: Sequence[Case], recordings: Mapping[str, PageRecording], *, title: str, embedded: bool = False
) -> str:
    """The page as one string.

    Args:
        cases: what is shown, grouped by question.
        recordings: by recording id; a case whose recording is missing shows its moments without sound.
        embedded: whether sound was embedded rather than linked, for the page's messages.
    """
    cases = by_question(cases)
    vids = list(dict.fromkeys(case.vid for case in cases))
    lengths = {vid: longest(vid, cases, recordings) for vid in vids}
    place = {vid: index for index, vid in enumerate(vids)}
    data = {
        "truth": any(case.truth is not None for case in cases),
        "embedded": embedded,
        "recordings": [recording_data(vid, lengths[vid], recordings.get(vid)) for vid in vids],
        "cases": [case_data(case, place[case.vid], lengths[case.vid]) for case in cases],
    }
    script, style = scoped(map(asset, SCRIPT_PARTS)), asset("common.css") + asset("page.css")
    parts = {
        "policy": html.escape(policy(script, style)),
        "title": html.escape(title.encode("utf-8", "replace").decode("utf-8")),
        "style": style,
        "script": script,
        "data": script_safe_json(data),
    }
    return fill(asset("page.html"), parts)


def by_question(cases: Sequence[Case]) -> list[Case]:
    """Questions in the order in which they come, each with its recordings, that of the best score first."""
    place = {query: number for number, query in enumerate(dict.fromkeys(case.query for case in cases))}

    def order(case: Case) -> tuple[int, float]:
        return place[case.query], -unit(case.predicted[0].score) if case.predicted else 1.0

    return sorted(cases, key=order)


def longest(vid: str, cases: Sequence[Case], recordings: Mapping[str, PageRecording]) -> float:
    """A recording's length: as its sound says, else as the files say, else as its moments need."""
    if vid in recordings:
        return recordings[vid].duration_s
    return max(case.known_s for case in cases if case.vid == vid)


def recording_data(vid: str, duration_s: float, known: PageRecording | None) -> dict[str, Any]:
    data: dict[str, Any] = {"vid": vid, "duration": round(duration_s, TIME_DECIMALS)}
    if known is not None:
        clips = [{"start": clip.start_s, "end": clip.end_s, "sound": clip.sound} for clip in known.clips]
        data |= {"audio": known.link, "image": known.image, "clips": clips}
    return data


def case_data(case: Case, recording: int, duration_s: float) -> dict[str, Any]:
    """One case for the script: times within the recording, scores in [0, 1], curve in per cent."""
    found = [[*inside(moment, duration_s), round(unit(moment.score), 4)] for moment in case.predicted]
    truth = None if case.truth is None else [inside(moment, duration_s) for moment in case.truth]
    return {
        "qid": str(case.qid),
        "query": case.query,
        "r": recording,
        "p": found,
        "t": truth,
        "s": thinned(case.saliency, CURVE_POINTS),
        "iou": None if case.top_iou is None else round(case.top_iou, 4),
    }


def inside(moment: Sequence[float], duration_s: float) -> list[float]:
    return [round(min(max(value, 0.0), duration_s), TIME_DECIMALS) for value in moment[:2]]


def unit(score: float) -> float:
    return min(max(score, 0.0), 1.0) if score == score else 0.0


def thinned(curve: Sequence[float], points: int) -> list[int]:
    """The curve in whole per cent, peaks kept: each point is the highest value of its even share."""
    count = min(points, len(curve))
    edges = [index * len(curve) // count for index in range(count + 1)] if count else []
    return [round(100 * max(curve[a:b])) for a, b in pairwise(edges)]


def script_safe_json(data: Any) -> str:
    """JSON that can stand in a script element: ASCII only, and no ``<``, ``>`` or ``&`` in it."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def policy(script: str, style: str) -> str:
    """The page's content security policy: its own script and style by hash, sound from beside it."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src '{source_hash(script)}'",
            f"style-src '{source_hash(style)}'",
            "img-src data:",
            "media-src 'self' data: file:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def source_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def scoped(parts: Iterable[str]) -> str:
    """The parts of a page's script in one scope of their own."""
    return '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"


def asset(name: str) -> str:
    """A file of the page, as it is in the package."""
    return resources.files("amr.report").joinpath("assets").joinpath(name).read_text(encoding="utf-8")


def fill(template: str, parts: Mapping[str, str]) -> str:
    """The template with ``{{name}}`` replaced, once each; what is put in is never looked at again."""
    pieces = template.split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        filled += [parts[name], rest]
    return "".join(filled)
