"""Foreign checkpoints: archives of torch.save, as plain data and as networks of ours."""

from __future__ import annotations

import pickle
import warnings
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from amr.arrays import AnyArray
from amr.errors import AmrError
from amr.formats.untrusted.torch_file import read_torch_file, widened
from amr.models.lighthouse import read_lighthouse

from ..archives import change_member, packed
from ..target import Target
from ..told import tell

# A tensor as torch.save pickles it, in the words of protocol 0 and 2 by hand: torch is not needed to fuzz.
TENSOR = (
    b"ctorch._utils\n_rebuild_tensor_v2\n((S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI4\ntQ"
    b"I0\n(I2\nI2\nt(I2\nI1\ntI00\nccollections\nOrderedDict\n)RtR"
)


def seeds() -> list[bytes]:
    numbers = bytes(16)
    plain: list[Any] = [
        {"model": OrderedDict(a=1)},
        [1.5, (2, "x")],
        {"opt": {"lr": 1e-4, "s": {1, 2}}},
        b"\xff",
    ]
    pickles = [pickle.dumps(value, protocol) for value in plain for protocol in (0, 2, 4)]
    hostile = [b"cos\nsystem\n(S'true'\ntR.", b"(dS'model'\n" + TENSOR + b"s.", TENSOR + b"."]
    namespace = b"cargparse\nNamespace\n)R(dS'lr'\nF0.1\nsb."
    scalar = b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR"
    scalar += b"S'\\x00\\x00\\x00\\x00\\x00\\x00\\xf0?'\ntR."
    return [
        packed([("archive/data.pkl", one), ("archive/data/0", numbers), ("archive/version", b"3\n")])
        for one in [*pickles, *hostile, namespace, scalar]
    ]


def read(data: bytes, folder: Path) -> None:
    path = folder / "model.ckpt"
    path.write_bytes(data)
    tell(path)
    with suppress(AmrError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for array in tensors(read_torch_file(path)):
            widened(array).sum()
    read_lighthouse(path)


def tensors(objects: object) -> list[AnyArray]:
    """The tensors of plain containers, however deep."""
    found, todo, seen = [], [objects], set()
    while todo:
        one = todo.pop()
        if isinstance(one, np.ndarray):
            found.append(one)
        elif isinstance(one, (dict, list, tuple)) and id(one) not in seen:
            seen.add(id(one))
            todo += list(one.values()) if isinstance(one, dict) else list(one)
    return found


TARGET = Target(
    read=read,
    seeds=seeds,
    modules=(
        "amr.formats.untrusted.torch_file",
        "amr.formats.untrusted.zips",
        "amr.models.lighthouse",
    ),
    words=(
        TENSOR,
        b"ctorch._utils\n_rebuild_parameter\n",
        b"ctorch\nBFloat16Storage\n",
        b"c_codecs\nencode\n(Vx\nVlatin1\ntR",
        b"cos\nsystem\n",
        b"cbuiltins\neval\n",
        b"c__builtin__\ngetattr\n",
        b"I99999999999\n",
        b"\x8a\xff",
        b"\x95\x00\x00\x00\x00\x00\x00\x00\x40",
    ),
    mutate=lambda data, rng, raw: change_member(data, rng, raw) if rng.random() < 0.8 else raw(data),
    max_bytes=4096,
)
