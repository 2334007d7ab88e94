"""A Lighthouse or DCASE tree of ``.npz`` files: one file a recording, one a query.

``{vid}.npz`` holds ``features (frames, dim)``; ``qid{qid}.npz`` holds ``last_hidden_state (tokens, dim)``.
The files say nothing of the encoder, the hop or the duration: the published ones have a window and a hop of
1 s, which is what is assumed here, and the identity is unknown. A recording's duration is taken from its
frames; it may differ from the annotated one by a second, which is no error.
"""

from __future__ import annotations

import math
import tokenize
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np
import numpy.lib.format as npy

from amr.arrays import Float32Array, FloatingArray
from amr.audio.names import Spellings, id_of_file_name
from amr.errors import InputError
from amr.formats.features.base import (
    FeatureReader,
    PackedFrames,
    StoredRecording,
    StoredText,
    read_packed,
    unknown_query,
)
from amr.formats.untrusted.zips import refuse_bomb, zip_failures

WINDOW_S = 1.0
HOP_S = 1.0
AUDIO_KEY = "features"
TEXT_KEY = "last_hidden_state"
TEXT_PREFIX = "qid"
SUFFIX = ".npz"


class NpzTree(FeatureReader):
    """A folder of ``.npz`` features, read file by file.

    Args:
        root: the folder; audio and text may lie in it or in folders below (``clap/``, ``clap_text/``).

    Raises:
        InputError: it holds no features, or two files of one name.
    """

    identity_json = None
    window_s = WINDOW_S
    hop_s = HOP_S

    def __init__(self, root: str | Path) -> None:
        self.name = str(root)
        paths = sorted(path for path in Path(root).rglob(f"*{SUFFIX}") if path.is_file())
        audio, text = split_tree(paths)
        self._audio = by_name(audio, prefix="")
        self._text = by_name(text, prefix=TEXT_PREFIX)
        self._text_spellings = Spellings(self._text)
        if not self._audio:
            raise InputError(
                f"holds no {SUFFIX} file with the key {AUDIO_KEY!r}",
                where=root,
                hint="give a feature file (.h5), or the folder of an npz tree",
            )

    @cached_property
    def dimension(self) -> int:
        return read_shape(next(iter(self._audio.values())), AUDIO_KEY)[1]

    @property
    def _by_id(self) -> Mapping[str, Path]:
        return self._audio

    @property
    def qids(self) -> Sequence[str]:
        """The queries that have vectors, by qid as text."""
        return list(self._text)

    def __iter__(self) -> Iterator[StoredRecording]:
        for recording_id in self.ids:
            frames = self.frames(recording_id)
            yield StoredRecording(recording_id, frames, len(frames) * HOP_S)

    def frames(self, recording_id: str) -> Float32Array:
        path: Path = self._find(recording_id)
        frames = read_array(path, AUDIO_KEY)
        if frames.shape[1] != self.dimension:
            raise InputError(f"{frames.shape[1]} dimensions, the others have {self.dimension}", where=path)
        return frames

    def num_frames(self, recording_id: str) -> int:
        return read_shape(self._find(recording_id), AUDIO_KEY)[0]

    def duration_s(self, recording_id: str) -> float:
        return self.num_frames(recording_id) * HOP_S

    def source(self, recording_id: str) -> str:  # unknown to the tree
        self._find(recording_id)
        return ""

    def has_text(self, query: str, *, qid: int | str | None = None) -> bool:  # noqa: ARG002  # found by qid here
        return self._text_spellings.of(str(qid)) in self._text

    def text(self, query: str, *, qid: int | str | None = None) -> StoredText:
        """The vectors of ``qid``; the tree has no pooled vector, the mean of the tokens stands for it."""
        if not self.has_text(query, qid=qid):
            raise unknown_query(self, f"{query} (qid {qid})")
        path = self._text[self._text_spellings.of(str(qid))]
        tokens = read_array(path, TEXT_KEY)
        if len(tokens) == 0:
            raise InputError("holds a query of no tokens", where=path)
        return StoredText(tokens=tokens, pooled=tokens.mean(axis=0))

    def packed(self, ids: Sequence[str] | None = None) -> PackedFrames:
        return read_packed(self, self.ids if ids is None else ids, np.float32)

    def close(self) -> None:
        """Nothing is held open."""


def split_tree(paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Files of recordings and files of queries; a recording may be called ``qid...``: the key decides."""
    audio: list[Path] = []
    text: list[Path] = []
    for path in paths:
        is_text = path.name.startswith(TEXT_PREFIX) and TEXT_KEY in member_names(path)
        (text if is_text else audio).append(path)
    return audio, text


def by_name(paths: Iterable[Path], *, prefix: str) -> dict[str, Path]:
    """Files by their name without prefix and suffix (vids contain dots); two of one name are refused."""
    found: dict[str, Path] = {}
    for path in paths:
        name = id_of_file_name(path.name.removesuffix(SUFFIX).removeprefix(prefix))
        if name in found:
            raise InputError(
                f"{name!r} is at {found[name]} as well",
                where=path,
                hint="name one dataset's folder at a time",
            )
        found[name] = path
    return found


def member_names(path: Path) -> list[str]:
    """The keys of an ``.npz`` file."""
    with open_archive(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def open_archive(path: Path) -> zipfile.ZipFile:
    """The archive, whose members claim no more than it can hold."""
    with zip_failures(path, "is not a complete .npz file"):
        archive = zipfile.ZipFile(path)
        try:
            refuse_bomb(archive, path)
        except BaseException:
            archive.close()
            raise
        return archive


def read_shape(path: Path, key: str) -> tuple[int, int]:
    """``(rows, dim)`` of an array, from its header alone."""
    return read_member(path, key)[0]


def read_array(path: Path, key: str) -> Float32Array:
    """``(rows, dim)`` float32; all values are finite numbers."""
    values = read_member(path, key, data=True)[1]
    if values is None or not np.all(np.isfinite(values)):
        raise InputError(f"{key!r} holds undefined values (NaN or infinite)", where=path)
    return values


def read_member(path: Path, key: str, *, data: bool = False) -> tuple[tuple[int, int], Float32Array | None]:
    """Shape and, if wanted, values of one array; nothing is unpickled and no claim is believed unseen."""
    with open_archive(path) as archive:
        names = {name.removesuffix(".npy"): name for name in archive.namelist()}
        if key not in names:
            found = ", ".join(sorted(names)[:8]) or "none"
            raise InputError(f"key {key!r} is missing; keys found: {found}", where=path)
        info = archive.getinfo(names[key])
        with zip_failures(path, f"{key!r} cannot be read"), archive.open(info) as member:
            shape, fortran, dtype = read_header(member)
            if dtype.kind != "f" or len(shape) != 2 or min(shape) < 0:
                raise InputError(
                    f"{key!r} is {dtype} of shape {shape}, expected two axes of floats", where=path
                )
            wanted = math.prod(shape) * dtype.itemsize
            if wanted > info.file_size:
                raise InputError(f"{key!r} claims {wanted} bytes, more than the file holds", where=path)
            if not data:
                return (shape[0], shape[1]), None
            content = member.read(wanted)
    if len(content) != wanted:
        raise InputError(f"{key!r} ends after {len(content)} of {wanted} bytes", where=path)
    values = np.frombuffer(content, dtype=dtype).reshape(shape, order="F" if fortran else "C")
    return (shape[0], shape[1]), finite_float32(values)


def read_header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """Shape, order and type of the array that begins here. Raises ``ValueError`` where none does."""
    version = npy.read_magic(member)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    try:
        shape, fortran, dtype = read(member)
    except (SyntaxError, TypeError, KeyError, tokenize.TokenError, RecursionError, MemoryError) as error:
        # The header is a Python literal of at most 10,000 letters: what its parser makes of odd ones.
        raise ValueError(f"its header is none: {error}") from error
    return shape, fortran, dtype


def finite_float32(values: FloatingArray) -> Float32Array:
    """The values as float32; one beyond its range becomes infinite, which :func:`read_array` refuses."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, dtype=np.float32)
