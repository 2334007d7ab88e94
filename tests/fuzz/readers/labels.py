"""Moments as text: the same bytes as CSV, RTTM, JAMS and Audacity's labels, and as a table of sources."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from pathlib import Path

from amr.errors import AmrError
from amr.formats.exchange.dcase_form import TEMPLATE, meta_yaml, parse_form
from amr.formats.exchange.forms import ENDINGS, FORMS, read_tracks, render_files
from amr.formats.exchange.tracks import Track, Window, file_stem, identified, read_text
from amr.formats.notices import Notices
from amr.simulation.tables import read_table

from ..target import RawMutation, Target
from ..trees import change

TRACKS = [
    Track("x.1", "a dog barks", [Window(1.0, 2.5, 0.75), Window(3.0, 4.0)], qid=1, duration_s=60.0),
    Track("x.1", "Glas — zerbricht", [Window(0.25, 0.5)], qid="b_2"),
]


def seeds() -> list[bytes]:
    rendered = [FORMS[form].render(TRACKS) for form in ("csv", "rttm", "audacity", "jams")]
    others = [
        "filename;onset;offset;event_label\na.wav;0,5;1,5;Speech\n",
        'vid\tquery\tstart\tend\tid\n"a\tb"\train\t1\t2\t"7"\n',
        "SPEAKER x 1 0.5 1.0 <NA> <NA> a_dog%20 <NA> <NA>\n;; note\nLEXEME x 1\n",
        "1.0\t2.0\train\n\\\t100\t200\n3,0\t4,0\tdog\r\n",
        'file_name,caption_1,caption_2,category\na b.wav,rain,"it, rains",weather\n',
        TEMPLATE.replace(" =\n", " = 1\n"),
    ]
    return [text.encode() for text in [*rendered, *others]]


def read(data: bytes, folder: Path) -> None:
    for ending, form in ENDINGS.items():
        path = folder / f"x.1{ending}"
        path.write_bytes(data)
        with suppress(AmrError):
            render(read_tracks(str(path), form, Notices()))
    with suppress(AmrError):
        read_table(folder / "x.1.csv", {})
    with suppress(AmrError):
        meta_yaml(parse_form(read_text(folder / "x.1.txt"), "form", 1), 1).encode()


def render(tracks: list[Track]) -> None:
    """What was read can be written in every form, as UTF-8, to a name inside one folder."""
    tracks = identified(tracks, tracks[:1], Notices())
    for form, how in FORMS.items():
        if not how.holds_one:
            how.render(tracks).encode("utf-8")
            continue
        for vid, text in render_files(tracks, form).items():
            text.encode("utf-8")
            with suppress(AmrError):
                assert (Path("/out") / file_stem(vid)).parent == Path("/out")


def mutate(data: bytes, rng: random.Random, raw: RawMutation) -> bytes:
    if data.lstrip()[:1] == b"{" and rng.random() < 0.7:
        try:
            return json.dumps(change(json.loads(data), rng)).encode("utf-8", "surrogatepass")
        except (ValueError, RecursionError):
            return raw(data)
    if rng.random() < 0.3:
        lines = data.splitlines(keepends=True) or [b""]
        lines[rng.randrange(len(lines))] = raw(rng.choice(lines))
        return b"".join(lines)
    return raw(data)


TARGET = Target(
    read=read,
    seeds=seeds,
    modules=(
        "amr.formats.exchange.csv",
        "amr.formats.exchange.rttm",
        "amr.formats.exchange.jams",
        "amr.formats.exchange.audacity",
        "amr.formats.exchange.tracks",
        "amr.formats.exchange.forms",
        "amr.formats.exchange.dcase_form",
        "amr.simulation.tables",
    ),
    words=(
        b"SPEAKER x 1 0 1 <NA> <NA> a <NA> <NA>\n",
        b"nan",
        b"inf",
        b"1e400",
        b"\r\n",
        b'"',
        b"\t",
        b"%FF",
        b"\\ud800",
    ),
    mutate=mutate,
)
