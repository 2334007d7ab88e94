"""Annotations, predictions and queries: the same bytes read as each of them, and written again."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from amr.errors import AmrError
from amr.formats import scoring
from amr.formats.annotations import read_annotations
from amr.formats.jsonl import write_objects
from amr.formats.notices import Notices
from amr.formats.predictions import read_predictions
from amr.formats.queries import read_queries

from ..target import RawMutation, Target
from ..told import tell
from ..trees import change_line

ANNOTATION = {
    "qid": "x1_1",
    "query": "A car horn blares",
    "duration": 299,
    "vid": "x1",
    "relevant_windows": [[27, 28], [289.5, 290]],
    "relevant_clip_ids": [13],
    "saliency_scores": [[0, 1, 4]],
}
PREDICTION = {
    "qid": 7,
    "query": "Ein Hund bellt — laut",
    "vid": "x1",
    "duration": 299.0,
    "pred_relevant_windows": [[26.9, 28.1, 0.83], [140, 141, 0.2]],
    "pred_saliency_scores": [0.1, 0.9],
}


def seeds() -> list[bytes]:
    unscored = {**PREDICTION, "pred_relevant_windows": [[1, 2], [3, 4]]}
    records = [ANNOTATION, PREDICTION, unscored, {"query": "rain", "qid": 1, "vid": "a.b"}]
    lines = [json.dumps(record).encode() for record in records]
    plain = [b"a dog barks\n\n  rain \n", "\ufeffglas\r\n".encode(), b"\n\n{}\n"]
    return [*lines, *plain, lines[0] + b"\n" + lines[0] + b"\n\n" + lines[1], b'{"qid": "\\ud800"}']


def read(data: bytes, folder: Path) -> None:
    path = folder / "records.jsonl"
    path.write_bytes(data)
    tell(path)
    each: list[Callable[[], None]] = [
        lambda: annotations(path),
        lambda: predictions(path),
        lambda: queries(path),
        lambda: truth(path),
        lambda: answers(path),
    ]
    for one in each:
        with suppress(AmrError):
            one()


def annotations(path: Path) -> None:
    found = read_annotations(path, Notices())
    assert all(moment.length_s > 0 for one in found for moment in one.moments)
    written([one.record() for one in found])


def predictions(path: Path) -> None:
    found = read_predictions(path)
    assert all(len(one.moments) == len(one.windows) for one in found)
    written([one.record() for one in found])


def queries(path: Path) -> None:
    written([{"qid": one.qid, "query": one.text, "vid": one.vid, **one.extra} for one in read_queries(path)])


def truth(path: Path) -> None:
    found = scoring.read_truth(path, with_labels=True)
    scoring.contradiction(found.columns)
    found.take([0])


def answers(path: Path) -> None:
    found = scoring.read_answers(path, with_curves=True)
    scoring.contradiction(found.columns)
    found.take([0])


def written(records: list[dict[str, object]]) -> None:
    """What was read can be written, as UTF-8."""
    with io.TextIOWrapper(io.BytesIO(), encoding="utf-8") as file:
        write_objects(file, records)


def mutate(data: bytes, rng: random.Random, raw: RawMutation) -> bytes:
    return change_line(data, rng) if rng.random() < 0.6 else raw(data)


TARGET = Target(
    read=read,
    seeds=seeds,
    modules=(
        "amr.formats.jsonl",
        "amr.formats.fields",
        "amr.formats.annotations",
        "amr.formats.predictions",
        "amr.formats.queries",
        "amr.formats.scoring",
    ),
    words=(b'"relevant_windows"', b'"pred_relevant_windows"', b"NaN", b"1e999", b"\\ud800", b"\xef\xbb\xbf"),
    mutate=mutate,
)
