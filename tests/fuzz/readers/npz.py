"""A tree of ``.npz`` features: the same bytes as a recording's file and as a query's."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

import numpy as np

from amr.errors import AmrError
from amr.formats.features.npz import NpzTree, member_names, read_array, read_shape

from ..archives import change_member, packed
from ..target import Target
from ..told import tell


def npy(array: np.ndarray) -> bytes:  # type: ignore[type-arg]  # of any type, that is the point
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def seeds() -> list[bytes]:
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((3, 4)).astype(np.float32)
    arrays = [frames, frames.astype(np.float16), np.asfortranarray(frames, np.float64), frames[:0], frames[0]]
    odd = [
        np.array([["a"]]),
        np.array([[None]], dtype=object),
        np.ones((2, 2), np.int64),
        np.full((1, 2), np.nan),
    ]
    each = [packed([("features.npy", npy(array))]) for array in [*arrays, *odd]]
    both = packed([("features.npy", npy(frames)), ("last_hidden_state.npy", npy(frames))])
    text = packed([("last_hidden_state.npy", npy(frames))])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, features=np.zeros((50, 8), np.float32))
    return [*each, both, text, buffer.getvalue()]


def read(data: bytes, folder: Path) -> None:
    for name in ("x.npz", "qid1.npz"):
        (folder / name).write_bytes(data)
    single = folder / "x.npz"
    with suppress(AmrError):
        tree(folder)
    tell(single)
    for key in member_names(single):
        with suppress(AmrError):
            read_shape(single, key)
            read_array(single, key)


def tree(folder: Path) -> None:
    with NpzTree(folder) as features:
        for recording in features:
            assert recording.frames.shape[1] == features.dimension
        features.packed()
        if features.has_text("", qid=1):
            features.text("", qid=1)


TARGET = Target(
    read=read,
    seeds=seeds,
    modules=("amr.formats.features.npz", "amr.formats.untrusted.zips"),
    words=(
        b"\x93NUMPY",
        b"'descr': '<f8'",
        b"'shape': (9999999999, 2)",
        b"'fortran_order': True",
        b"(-1, 2)",
    ),
    mutate=lambda data, rng, raw: change_member(data, rng, raw) if rng.random() < 0.7 else raw(data),
    max_bytes=8192,
)
