"""Where the published files of an encoder are, and their tensors: a ``.pt`` or a ``.safetensors``, mapped.

Nothing is unpickled with code execution, and nothing is read before it is used: a tensor is a view of the
file.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from amr.encoders.download import WebFile, cache_folder, fetch
from amr.errors import InputError, MissingError
from amr.formats.safe_pickle import Archive, StoredTensor, is_torch_file

Array = npt.NDArray[np.generic]
Tensors = dict[str, Array]

WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt")
MAX_HEADER_BYTES = 64 * 2**20
NUMPY_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "U8": "<u1",
}


@dataclass(frozen=True)
class Publication:
    """What an encoder needs from outside.

    Args:
        name: of the encoder, and of its cache folder.
        variable: environment variable that names the weights: a file, or the folder of all files.
        weights: the published weights.
        vocabulary: of the tokeniser; merges: likewise.
    """

    name: str
    variable: str
    weights: WebFile
    vocabulary: WebFile
    merges: WebFile


def find_weights(publication: Publication, given: str | None) -> Path:
    """The file of the weights: the one given, by option or by environment, else a cached or fetched one.

    Raises:
        MissingError: there is none, or it may not be fetched.
        InputError: the folder that was given holds none, or several.
    """
    given = given or os.environ.get(publication.variable)
    if given:
        path = Path(given).expanduser()
        if path.is_dir():
            return only_weights(path, publication.weights.name)
        if not path.exists():
            raise MissingError("no such file of weights", where=path, hint=f"{publication.variable} names it")
        return path
    return find_file(publication, publication.weights, beside=None)


def only_weights(folder: Path, preferred: str) -> Path:
    """The one file of weights in a folder."""
    found = sorted(path for path in folder.iterdir() if path.suffix in WEIGHT_SUFFIXES)
    named = [path for path in found if path.name == preferred]
    if len(named or found) == 1:
        return (named or found)[0]
    names = ", ".join(path.name for path in found) or "none"
    raise InputError(f"expected one file of weights in this folder, found {names}", where=folder)


def find_file(publication: Publication, file: WebFile, beside: Path | None) -> Path:
    """A published file: beside the weights, in our cache, in the hub's own cache, else fetched."""
    if beside is not None and (beside.parent / file.name).exists():
        return beside.parent / file.name
    ours = cache_folder(publication.name)
    if (ours / file.name).exists():
        return ours / file.name
    for snapshot in hub_snapshots(file.hub_names):
        if (snapshot / file.name).exists():
            return snapshot / file.name
    return fetch(file, ours)


def hub_snapshots(names: Iterable[str]) -> list[Path]:
    """Snapshots of repositories in the hub's local cache, as its own client keeps them."""
    home = os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
    hub = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub")
    folders = (hub / f"models--{name.replace('/', '--')}" / "snapshots" for name in names)
    return [snapshot for folder in folders if folder.is_dir() for snapshot in sorted(folder.iterdir())]


def read_published(path: Path) -> Tensors:
    """The tensors of a file of weights, by their published names, as views of the file.

    Raises:
        InputError: it is neither form, is damaged, or holds no tensors.
    """
    return read_torch(path) if is_torch_file(path) else read_safetensors(path)


def read_torch(path: Path) -> Tensors:
    """A file of torch.save: the tensors of ``state_dict`` or ``model``, or of the file itself."""
    archive = Archive(path)
    state = archive.objects
    for key in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping):
        raise InputError("holds no state_dict", where=path)
    stored = {str(k): v for k, v in state.items() if isinstance(v, StoredTensor)}
    if not stored:
        raise InputError("holds no tensors", where=path)
    return {name: archive.array(tensor) for name, tensor in stored.items()}


def read_safetensors(path: Path) -> Tensors:
    """A safetensors file; bfloat16, which numpy does not have, as float32."""
    size = path.stat().st_size
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 0 < length <= min(size, MAX_HEADER_BYTES):
                raise ValueError("no header")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        return {name: view_of(path, 8 + length, entry) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"is neither a whole safetensors file nor one of torch.save ({error})",
            where=path,
            hint="the published weights are a .safetensors or a .pt file",
        ) from error


def view_of(path: Path, data_start: int, entry: Any) -> Array:
    """One tensor of a safetensors file. Raises as numpy does when it does not lie in the file."""
    code, shape, (first, stop) = str(entry["dtype"]), tuple(entry["shape"]), entry["data_offsets"]
    dtype = np.dtype(NUMPY_TYPES[code])
    if stop - first != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"a tensor of {list(shape)} in {stop - first} bytes")
    if stop == first:
        return np.zeros(shape, dtype)
    array: Array = np.memmap(path, dtype=dtype, mode="r", offset=data_start + first, shape=shape)
    return widen(array) if code == "BF16" else array


def widen(halves: Array) -> Array:
    """bfloat16, read as 16-bit numbers, to float32."""
    wide: Array = (halves.astype(np.uint32) << 16).view(np.float32)
    return wide


def digest_tensors(tensors: Mapping[str, Array]) -> str:
    """sha256 of names, shapes and float32 values: the same for the same weights in another kind of file."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        values = np.ascontiguousarray(tensors[name], dtype="<f4")
        digest.update(f"{name} {list(values.shape)}\n".encode())
        digest.update(values.reshape(-1).data)
    return digest.hexdigest()
