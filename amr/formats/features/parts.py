"""Parts of a whole, made with ``--shard I/N``: which are lost, which are doubled, and joining them.

A part says in its history which part it is (``"shard": "3/8"``). A joined file has the histories of its
parts, so it counts as all of them.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amr.errors import InputError
from amr.formats.features.base import PART_SUFFIX, FeatureReader
from amr.formats.features.columns import chunk_rows
from amr.formats.features.origin import FOLDER, folder_from
from amr.formats.features.read import FeatureFile
from amr.formats.features.write import FeatureWriter

SHARD = re.compile(r"([1-9]\d*)/([1-9]\d*)")
COPIED_CHUNKS = 64  # at once: some 16 MB of frames, however long the recording

Shard = tuple[int, int]
"""Part ``(I, N)``, from 1."""


def shards_of(file: FeatureFile) -> set[Shard]:
    """The parts that a file is, or was joined from; empty for a whole one."""
    found = set()
    for entry in file.history:
        match = SHARD.fullmatch(str(entry.get("shard"))) if isinstance(entry, Mapping) else None
        if match and int(match[1]) <= int(match[2]):
            found.add((int(match[1]), int(match[2])))
    return found


def files_in(reader: FeatureReader) -> list[FeatureFile]:
    """The feature files behind a reader of one or several."""
    return [part for part in getattr(reader, "parts", [reader]) if isinstance(part, FeatureFile)]


def lost_parts(files: Sequence[FeatureFile]) -> list[str]:
    """What is missing where several parts are named, one line each: ``part 3/8 missing: feats.3of8.h5``.

    A part that is there less often than another of the same N is missing: two data sets may both be in 8.
    A single file is what somebody wanted.
    """
    if len(files) < 2:
        return []
    counts: dict[int, Counter[int]] = defaultdict(Counter)
    homes: dict[int, list[Path]] = defaultdict(list)
    for file in files:
        for index, count in shards_of(file):
            counts[count][index] += 1
            homes[count].append(file.path)
    lines = []
    for count, found in sorted(counts.items()):
        wanted = max(found.values())
        for index in range(1, count + 1):
            if found[index] < wanted:
                lines.append(f"part {index}/{count} missing{likely_name(index, count, homes[count])}")
    return lines


def likely_name(index: int, count: int, others: Sequence[Path]) -> str:
    """``: NAME``, and how far it is, where the names of the other parts show its name."""
    for path in others:
        sibling = sibling_name(path, index, count)
        if sibling is not None and sibling not in others:
            part = sibling.with_name(sibling.name + PART_SUFFIX)
            begun = f" (an interrupted run left {part}: end it with --resume)" if part.exists() else ""
            return f": {sibling}{begun}"
    return ""


def sibling_name(path: Path, index: int, count: int) -> Path | None:
    """The name of part ``index`` of ``count`` by another part's: ``x.1of8.h5`` gives ``x.3of8.h5``."""
    pattern = re.compile(rf"(?<!\d)(\d+)([-_. ]?of[-_. ]?|[-_.]){re.escape(str(count))}(?!\d)")
    matches = list(pattern.finditer(path.name))
    if not matches:
        return None
    match = matches[-1]
    digits = str(index).zfill(len(match[1]) if match[1].startswith("0") else 0)
    return path.with_name(path.name[: match.start(1)] + digits + path.name[match.end(1) :])


def require_each_once(files: Sequence[FeatureFile]) -> None:
    """Refuse parts of which one is named twice.

    Raises:
        InputError: names both files and the part.
    """
    owner: dict[Shard, FeatureFile] = {}
    for file in files:
        for shard in shards_of(file):
            other = owner.setdefault(shard, file)
            if other is not file and set(other.ids) & set(file.ids):
                raise InputError(
                    f"is part {shard[0]}/{shard[1]}, and so is {other.path}",
                    where=file.path,
                    hint="name each part once",
                )


def in_part_order(files: Iterable[FeatureFile]) -> list[FeatureFile]:
    """By part, whatever the order in which they were named; files that are no parts first."""
    return sorted(files, key=lambda file: (sorted(shards_of(file), key=lambda s: (s[1], s[0])), file.name))


def merged_history(files: Sequence[FeatureFile], beside: Path) -> Iterator[dict[str, Any]]:
    """The histories of several files, as seen from the folder ``beside``, an entry that several have once."""
    seen = []
    for file in files:
        for stored in file.history:
            entry = seen_from(beside, file, stored)
            if entry not in seen:
                seen.append(entry)
                yield entry


def seen_from(beside: Path, file: FeatureFile, entry: Any) -> Any:
    """An entry of a file's history, for a feature file in the folder ``beside``."""
    if not isinstance(entry, Mapping):
        return entry
    folder = folder_from(beside, file.path, str(entry.get(FOLDER, os.curdir)))
    other = {} if folder == os.curdir else {FOLDER: folder}
    kept = {key: value for key, value in entry.items() if key != FOLDER or other}
    return {key: other.get(key, value) for key, value in kept.items()} | other


def source_from(base: str, file: FeatureFile, recording_id: str) -> str:
    """How the path of a recording's audio is stored in a file whose paths begin at the folder ``base``."""
    source, own = file.source(recording_id), os.path.normpath(file.path.parent / file.folder)
    if not source or own == base or Path(source).is_absolute():
        return source
    return os.path.relpath(Path(own) / source, base)


def copy_texts(files: Sequence[FeatureFile], writer: FeatureWriter, texts: Iterable[str]) -> None:
    """Copy the vectors of these queries, each from the first file that has them."""
    for text in texts:
        for file in files:
            if file.has_text(text):
                writer.add_text(text, file.text(text))
                break


def copy_recording(
    file: FeatureFile,
    writer: FeatureWriter,
    recording_id: str,
    name: str | None = None,
    source: str | None = None,
) -> None:
    """Copy a recording as it lies, in blocks: the numbers do not change and memory is bounded.

    Args:
        name: what it is called there; None: as here.
        source: how the path of its audio is stored there; None: as here.
    """
    name = recording_id if name is None else name
    if name in writer.sources:
        return
    step = COPIED_CHUNKS * chunk_rows(file.dimension * 4)
    source = file.source(recording_id) if source is None else source
    with writer.recording(name, source=source) as recording:
        for piece in file.pieces(recording_id, step):
            recording.append(piece.astype(np.float32))
        recording.finish(file.duration_s(recording_id))
