"""Between feature files and the ``.npz`` trees in which the field publishes features.

A tree says nothing of its encoder, of durations, or of the queries' words. Annotations, or a list of queries,
bring durations and words; what they contradict or lack is noticed, and nothing is guessed in silence.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from amr.arrays import Float32Array
from amr.audio.names import canonical, file_name_of
from amr.errors import InputError
from amr.formats.features.base import FeatureReader
from amr.formats.features.npz import AUDIO_KEY, HOP_S, SUFFIX, TEXT_KEY, TEXT_PREFIX, WINDOW_S, NpzTree
from amr.formats.features.write import FeatureWriter
from amr.formats.lock import sole_writer_in
from amr.formats.notices import Notices
from amr.formats.queries import Query
from amr.formats.streams import is_written, open_output

PUBLISHED_RATE_HZ = 44_100  # Microsoft CLAP 2023, the encoder of all published trees
UNKNOWN_ENCODER = "unknown"
# Where Lighthouse and the DCASE baseline look for a dataset's features.
AUDIO_FOLDER, TEXT_FOLDER = "clap", "clap_text"


@dataclass(frozen=True)
class Exchanged:
    """How much went over."""

    recordings: int
    queries: int


def unknown_identity(tree: NpzTree, qids: Iterable[int | str | None]) -> str:
    """The identity of a tree's features, as JSON: sizes, window and hop, and no name that nobody can check.

    Args:
        qids: of queries whose vectors have the text's size; where none is there, it is the audio's.
    """
    known = next((qid for qid in qids if tree.has_text("", qid=qid)), None)
    text_size = tree.dimension if known is None else tree.text("", qid=known).tokens.shape[1]
    fields = {
        "name": UNKNOWN_ENCODER,
        "weights_sha256": "",
        "sample_rate_hz": PUBLISHED_RATE_HZ,
        "window_samples": round(WINDOW_S * PUBLISHED_RATE_HZ),
        "hop_samples": round(HOP_S * PUBLISHED_RATE_HZ),
        "dimension": tree.dimension,
        "text_dimension": text_size,
        "joint_dimension": 0,
        "normalisation": "none",
        "framing": "",
    }
    return json.dumps(fields, sort_keys=True)


def import_tree(
    tree: NpzTree, writer: FeatureWriter, queries: Sequence[Query], notices: Notices
) -> Exchanged:
    """Every recording of a tree that the file has not yet, and the queries that are named.

    Durations are those that the queries bring; a recording that they do not have is as long as its frames.

    Raises:
        InputError: a file of the tree is damaged, or has another size than the others.
    """
    durations_s = {canonical(q.vid): q.duration_s for q in queries if q.vid and q.duration_s is not None}
    recordings = 0
    for recording in tree:
        duration_s = durations_s.get(canonical(recording.id))
        if duration_s is None:
            notices.add("no query gives the duration; it is taken from the frames", recording.id)
            duration_s = recording.duration_s
        elif len(recording.frames) != math.ceil(duration_s):
            count = len(recording.frames)
            notices.add(f"frames and duration differ: {count} frames of 1 s, {duration_s:g} s", recording.id)
        if recording.id not in writer.sources:
            writer.add(recording.id, recording.frames, duration_s=duration_s)
        recordings += 1
    return Exchanged(recordings, import_queries(tree, writer, queries, notices))


def import_queries(tree: NpzTree, writer: FeatureWriter, queries: Iterable[Query], notices: Notices) -> int:
    """The vectors of each different text, once; the tree has a file for each qid."""
    first: dict[str, Float32Array] = {}
    for query in queries:
        if not tree.has_text(query.text, qid=query.qid):
            notices.add(f"no vectors of qid {query.qid!r} in the tree", query.where)
            continue
        features = tree.text(query.text, qid=query.qid)
        if query.text not in first:
            first[query.text] = features.tokens
            writer.add_text(query.text, features)
        elif not np.array_equal(first[query.text], features.tokens):
            what = "the same words have other vectors elsewhere, the first are kept"
            notices.add(what, query.where)
    return len(first)


def export_tree(
    reader: FeatureReader,
    folder: Path,
    queries: Sequence[Query],
    notices: Notices,
    *,
    force: bool = False,
    resume: bool = False,
) -> Exchanged:
    """Write a tree: ``clap/{vid}.npz``, and ``clap_text/qid{qid}.npz`` for every query.

    Args:
        force: replace files that are there.
        resume: keep files that are there, if they are the same.

    Raises:
        InputError: an id is no plain file name, a file exists and neither ``force`` nor ``resume`` is set, or
            holds something else.
    """
    if not (math.isclose(reader.hop_s, HOP_S) and math.isclose(reader.window_s, WINDOW_S)):
        notices.add(
            f"frames of {reader.window_s:g} s every {reader.hop_s:g} s; readers of trees take 1 s for granted"
        )
    audio, text = folder / AUDIO_FOLDER, folder / TEXT_FOLDER
    for part in (audio, text) if queries else (audio,):
        part.mkdir(parents=True, exist_ok=True)
    with sole_writer_in(folder):
        for recording in reader:
            name = plain_name(recording.id, reader.name)
            path = audio / f"{name}{SUFFIX}"
            write_npz(path, {AUDIO_KEY: recording.frames}, force=force, resume=resume)
        written = 0
        for query in queries:
            if not reader.has_text(query.text, qid=query.qid):
                notices.add(f"no vectors of {query.text!r} in the file", query.where)
                continue
            tokens = reader.text(query.text, qid=query.qid).tokens
            name = plain_name(str(query.qid), query.where)
            path = text / f"{TEXT_PREFIX}{name}{SUFFIX}"
            write_npz(path, {TEXT_KEY: tokens}, force=force, resume=resume)
            written += 1
    return Exchanged(len(reader), written)


def plain_name(name: str, where: str) -> str:
    """An id as the name of a file of the folder it is put in. Raises ``InputError``."""
    if not name or name in (".", "..") or "\\" in name or "\0" in name:
        raise InputError(f"{name!r} cannot be the name of a file", where=where)
    return file_name_of(name)


def write_npz(path: Path, arrays: Mapping[str, Float32Array], *, force: bool, resume: bool) -> None:
    """One uncompressed ``.npz``, complete or not at all; the same arrays give the same bytes."""
    content = io.BytesIO()
    # Not allow_pickle=False: numpy before 2.1 would store it as an array.
    plain: dict[str, Any] = {key: values.astype(np.float32) for key, values in arrays.items()}
    np.savez(content, **plain)
    if resume and is_written(path, content.getvalue()):
        return
    with open_output(path, force=force) as file:
        file.write(content.getvalue())
