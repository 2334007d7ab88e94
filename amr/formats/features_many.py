"""Several feature files, or trees, as if they were one: parts are merged by naming them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from amr.errors import InputError
from amr.formats.features import (
    FeatureReader,
    FloatFrames,
    PackedFrames,
    Recording,
    StoredText,
    read_packed,
    unknown_query,
    unknown_recording,
)
from amr.moments import FrameGrid


class ManyFeatures:
    """Readers one after the other; satisfies :class:`amr.formats.features.FeatureReader`.

    Raises:
        InputError: they were made by different encoders, or hold the same recording.
    """

    def __init__(self, parts: Sequence[FeatureReader]) -> None:
        self.parts = list(parts)
        for part in self.parts[1:]:
            require_alike(self.parts[0], part)
        self._refuse_doubles()

    def _refuse_doubles(self) -> None:
        owner: dict[str, FeatureReader] = {}
        for part in self.parts:
            for recording_id in part.ids:
                if recording_id in owner:
                    raise InputError(
                        f"recording {recording_id!r} is in {owner[recording_id].name} as well",
                        where=part.name,
                        hint="name each recording's features once",
                    )
                owner[recording_id] = part
        self._owner = owner

    @property
    def name(self) -> str:
        return ", ".join(part.name for part in self.parts)

    @property
    def identity_json(self) -> str | None:
        return self.parts[0].identity_json

    @property
    def window_s(self) -> float:
        return self.parts[0].window_s

    @property
    def hop_s(self) -> float:
        return self.parts[0].hop_s

    @property
    def dimension(self) -> int:
        return self.parts[0].dimension

    @cached_property
    def ids(self) -> Sequence[str]:
        return list(self._owner)

    @cached_property
    def queries(self) -> Sequence[str]:
        return list(dict.fromkeys(query for part in self.parts for query in part.queries))

    def __len__(self) -> int:
        return len(self._owner)

    def __contains__(self, recording_id: object) -> bool:
        return recording_id in self._owner

    def __iter__(self) -> Iterator[Recording]:
        for part in self.parts:
            yield from part

    def _part(self, recording_id: str) -> FeatureReader:
        try:
            return self._owner[recording_id]
        except KeyError:
            raise unknown_recording(self, recording_id) from None

    def frames(self, recording_id: str) -> FloatFrames:
        return self._part(recording_id).frames(recording_id)

    def num_frames(self, recording_id: str) -> int:
        return self._part(recording_id).num_frames(recording_id)

    def duration_s(self, recording_id: str) -> float:
        return self._part(recording_id).duration_s(recording_id)

    def source(self, recording_id: str) -> str:
        return self._part(recording_id).source(recording_id)

    def grid(self, recording_id: str) -> FrameGrid:
        return self._part(recording_id).grid(recording_id)

    def has_text(self, query: str, *, qid: int | str | None = None) -> bool:
        return any(part.has_text(query, qid=qid) for part in self.parts)

    def text(self, query: str, *, qid: int | str | None = None) -> StoredText:
        for part in self.parts:
            if part.has_text(query, qid=qid):
                return part.text(query, qid=qid)
        raise unknown_query(self, query)

    def packed(self, ids: Sequence[str] | None = None) -> PackedFrames:
        if ids is not None:
            dtype = np.result_type(*(part.packed([]).frames.dtype for part in self.parts))
            return read_packed(self, ids, dtype)
        packs = [part.packed() for part in self.parts]
        counts = np.concatenate([np.diff(pack.start) for pack in packs])
        return PackedFrames(
            ids=[recording_id for pack in packs for recording_id in pack.ids],
            start=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            frames=np.concatenate([pack.frames for pack in packs]),
            duration_s=np.concatenate([pack.duration_s for pack in packs]),
        )

    def close(self) -> None:
        for part in self.parts:
            part.close()

    def __enter__(self) -> ManyFeatures:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def require_alike(first: FeatureReader, other: FeatureReader) -> None:
    """Refuse features of two encoders, printing both identities."""
    if identity_of(first) != identity_of(other) or first.dimension != other.dimension:
        raise InputError(
            f"made by {describe_identity(other)}, but {first.name} by {describe_identity(first)}",
            where=other.name,
            hint="features of different encoders cannot be mixed",
        )


def identity_of(reader: FeatureReader) -> object:
    return json.loads(reader.identity_json) if reader.identity_json is not None else None


def describe_identity(reader: FeatureReader) -> str:
    if reader.identity_json is None:
        return f"an unknown encoder of {reader.dimension} dimensions"
    return f"encoder {reader.identity_json}"
