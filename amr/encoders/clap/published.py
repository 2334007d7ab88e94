"""The tensors of published weights, whichever form the file has: a ``.pt`` or a ``.safetensors``, mapped.

Nothing is unpickled with code execution, and nothing is read before it is used: a tensor is a view of the
file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from amr.arrays import AnyArray
from amr.errors import InputError
from amr.formats.untrusted.tensor_header import TensorPlace, read_header, tensor_places
from amr.formats.untrusted.torch_file import BFLOAT16, is_torch_file, read_torch_file, widened

Tensors = dict[str, AnyArray]

STORED_TYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": BFLOAT16,
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "U8": np.dtype("<u1"),
}


def read_published(path: Path) -> Tensors:
    """The tensors of a file of weights, by their published names, as views of the file.

    Raises:
        InputError: it is neither form, is damaged, or holds no tensors.
    """
    return read_torch(path) if is_torch_file(path) else read_safetensors(path)


def read_torch(path: Path) -> Tensors:
    """A file of torch.save: the tensors of ``state_dict`` or ``model``, or of the file itself."""
    state = read_torch_file(path)
    for key in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping):
        raise InputError("holds no state_dict", where=path)
    tensors = {str(k): widened(v) for k, v in state.items() if isinstance(v, np.ndarray)}
    if not tensors:
        raise InputError("holds no tensors", where=path)
    return tensors


def read_safetensors(path: Path) -> Tensors:
    """A safetensors file; bfloat16, which numpy does not have, as float32."""
    try:
        places = tensor_places(read_header(path), path)
    except InputError as error:
        raise InputError(
            f"is neither a whole safetensors file nor one of torch.save ({error.what})",
            where=path,
            hint="the published weights are a .safetensors or a .pt file",
        ) from error
    with open(path, "rb") as file:
        start = 8 + int.from_bytes(file.read(8), "little")
    data: AnyArray = np.memmap(path, np.uint8, mode="r")[start:]
    return {name: view_of(data, name, place, path) for name, place in places.items()}


def view_of(data: AnyArray, name: str, place: TensorPlace, path: Path) -> AnyArray:
    """One tensor of a safetensors file."""
    part = data[place.first : place.stop]
    if place.dtype not in STORED_TYPES or not len(part) == place.stop - place.first == place.num_bytes:
        raise InputError(f"damaged: {name} does not lie in the file", where=path)
    return widened(part.view(STORED_TYPES[place.dtype]).reshape(place.shape))


def digest_tensors(tensors: Mapping[str, AnyArray]) -> str:
    """sha256 of names, shapes and float32 values: the same for the same weights in another kind of file."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        values = np.ascontiguousarray(tensors[name], dtype="<f4")
        digest.update(f"{name} {list(values.shape)}\n".encode())
        digest.update(values.reshape(-1).data)
    return digest.hexdigest()
