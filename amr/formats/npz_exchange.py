"""Between feature files and the ``.npz`` trees in which the field publishes features.

A tree says nothing of its encoder, of durations, or of the queries' words. Annotations, or a list of queries,
bring durations and words; what they contradict or lack is told, and nothing is guessed in silence.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from amr.errors import InputError
from amr.formats.features import FeatureReader
from amr.formats.features_write import FeatureWriter
from amr.formats.notices import Notices
from amr.formats.npz import AUDIO_KEY, HOP_S, SUFFIX, TEXT_KEY, TEXT_PREFIX, WINDOW_S, NpzTree
from amr.formats.queries import Query
from amr.formats.streams import open_output

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
        qids: of queries whose vectors tell the text's size; none of them there: the audio's size.
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
    """Every recording of a tree, and the queries that are named.

    Durations are those that the queries bring; a recording that they do not have is as long as its frames.

    Raises:
        InputError: a file of the tree is damaged, or has another size than the others.
    """
    durations_s = {q.vid: q.duration_s for q in queries if q.duration_s is not None}
    recordings = 0
    for recording in tree:
        duration_s = durations_s.get(recording.id)
        if duration_s is None:
            notices.add("no query tells the duration, the frames do", recording.id)
            duration_s = recording.duration_s
        elif len(recording.frames) != math.ceil(duration_s):
            count = len(recording.frames)
            notices.add(f"frames and duration differ: {count} frames of 1 s, {duration_s:g} s", recording.id)
        writer.add(recording.id, recording.frames, duration_s=duration_s)
        recordings += 1
    return Exchanged(recordings, import_queries(tree, writer, queries, notices))


def import_queries(tree: NpzTree, writer: FeatureWriter, queries: Iterable[Query], notices: Notices) -> int:
    """The vectors of each different text, once; the tree has a file for each qid."""
    first: dict[str, npt.NDArray[np.float32]] = {}
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
) -> Exchanged:
    """Write a tree: ``clap/{vid}.npz``, and ``clap_text/qid{qid}.npz`` for every query.

    Raises:
        InputError: an id is no plain file name, a file exists and ``force`` is not set.
    """
    if not (math.isclose(reader.hop_s, HOP_S) and math.isclose(reader.window_s, WINDOW_S)):
        notices.add(
            f"frames of {reader.window_s:g} s every {reader.hop_s:g} s; readers of trees take 1 s for granted"
        )
    audio, text = folder / AUDIO_FOLDER, folder / TEXT_FOLDER
    for part in (audio, text) if queries else (audio,):
        part.mkdir(parents=True, exist_ok=True)
    for recording in reader:
        name = plain_name(recording.id, reader.name)
        write_npz(audio / f"{name}{SUFFIX}", {AUDIO_KEY: recording.frames}, force=force)
    written = 0
    for query in queries:
        if not reader.has_text(query.text, qid=query.qid):
            notices.add(f"no vectors of {query.text!r} in the file", query.where)
            continue
        tokens = reader.text(query.text, qid=query.qid).tokens
        name = plain_name(str(query.qid), query.where)
        write_npz(text / f"{TEXT_PREFIX}{name}{SUFFIX}", {TEXT_KEY: tokens}, force=force)
        written += 1
    return Exchanged(len(reader), written)


def plain_name(name: str, where: str) -> str:
    """A name that can only mean a file of the folder it is put in. Raises ``InputError``."""
    if not name or name in (".", "..") or "/" in name or "\\" in name or "\0" in name:
        raise InputError(f"{name!r} cannot be the name of a file", where=where)
    return name


def write_npz(path: Path, arrays: Mapping[str, npt.NDArray[np.float32]], *, force: bool) -> None:
    """One uncompressed ``.npz``, complete or not at all; the same arrays give the same bytes."""
    content = io.BytesIO()
    np.savez(
        content, allow_pickle=False, **{key: values.astype(np.float32) for key, values in arrays.items()}
    )
    with open_output(path, force=force) as file:
        file.write(content.getvalue())
