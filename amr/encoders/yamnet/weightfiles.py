"""Where the embedded weights lie, and the check that they are whole."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from amr.arrays import AnyArray, Float32Array
from amr.errors import MissingError

Tensors = dict[str, AnyArray]

SUMS_NAME = "SHA256SUMS"


def weights_folder() -> Path:
    """The folder of the weights inside the installed package."""
    return Path(__file__).parent / "weights"


def read_sums(folder: Path) -> dict[str, str]:
    """sha256 of each weight file, by name, as the converter recorded them."""
    path = folder / SUMS_NAME
    if not path.exists():
        raise MissingError("the embedded weights are missing", where=path, hint="reinstall amr")
    pairs = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    return {name: digest for digest, name in pairs}


def read_weights(name: str) -> bytes:
    """The bytes of a weight file, after its sha256 was found right.

    Raises:
        MissingError: the file is absent, or other bytes than the package was made with.
    """
    path = weights_folder() / name
    if not path.exists():
        raise MissingError("embedded weights are missing", where=path, hint="reinstall amr")
    data = path.read_bytes()
    expected, found = read_sums(weights_folder())[name], hashlib.sha256(data).hexdigest()
    if found != expected:
        what = f"embedded weights are damaged: sha256 {found[:12]}…, expected {expected[:12]}…"
        raise MissingError(what, where=path, hint="reinstall amr")
    return data


def read_tensors(name: str) -> Tensors:
    """The tensors of an embedded safetensors file, checked, as numpy arrays."""
    from safetensors.numpy import load

    tensors: Tensors = load(read_weights(name))
    return tensors


def dequantise_rows(tensors: Tensors, name: str) -> Float32Array:
    """The float32 matrix of int8 rows with one scale a row."""
    scale = tensors[f"{name}.scale"].astype(np.float32)
    matrix: Float32Array = tensors[name].astype(np.float32) * scale[:, None]
    return matrix
