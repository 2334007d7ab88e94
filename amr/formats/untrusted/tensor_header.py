"""The header of a safetensors file: which tensors lie where, and metadata, believed where it can be true.

A safetensors file is a length, a JSON object of that length, and raw numbers. Reading one executes nothing,
but what it says of itself is a stranger's word.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from amr.errors import InputError
from amr.formats.streams import require_readable

# Ours is about 20 kB: names, shapes and a few kilobytes of provenance.
MAX_HEADER_BYTES = 16 * 1024 * 1024
MAX_AXES = 64
"""As many as torch and numpy know; the product of a million sizes takes hours."""
METADATA_KEY = "__metadata__"
BYTES_PER_NUMBER = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}


class TensorPlace(NamedTuple):
    """Where a tensor's numbers lie.

    Args:
        dtype: as safetensors names it.
        shape: sizes.
        first, stop: bytes, counted from the end of the header.
    """

    dtype: str
    shape: tuple[int, ...]
    first: int
    stop: int

    @property
    def numbers(self) -> int:
        return math.prod(self.shape)

    @property
    def num_bytes(self) -> int:
        return self.numbers * BYTES_PER_NUMBER[self.dtype]


def read_header(path: str | Path) -> dict[str, Any]:
    """The JSON header of a safetensors file, read only when its claimed length can be.

    Raises:
        InputError: there is no such file or no header, or it claims more than the file or a header can hold.
    """
    require_readable(path)
    size = Path(path).stat().st_size
    with open(path, "rb") as file:
        start = file.read(8)
        if len(start) < 8:
            raise InputError(f"cut short: {size} bytes, expected a safetensors file", where=path)
        (length,) = struct.unpack("<Q", start)
        if length > min(MAX_HEADER_BYTES, size - 8):
            raise InputError(
                f"its header claims {length} bytes of a file of {size}: cut short, or no safetensors file",
                where=path,
            )
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError) as error:
            raise InputError("its header is not JSON: no safetensors file", where=path) from error
    if not isinstance(header, dict):
        raise InputError("its header is not a JSON object: no safetensors file", where=path)
    return header


def read_metadata(header: Mapping[str, Any], path: str | Path) -> dict[str, str]:
    """What the header says besides the tensors; nothing where it says nothing.

    Raises:
        InputError: it is no object of texts.
    """
    metadata = header.get(METADATA_KEY, {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise InputError(f"{METADATA_KEY} in its header is not an object of texts", where=path)
    return metadata


def tensor_places(header: Mapping[str, Any], path: str | Path) -> dict[str, TensorPlace]:
    """Every tensor of a header.

    Raises:
        InputError: one has no shape, a type that safetensors lacks, or no place.
    """
    return {name: tensor_place(name, entry, path) for name, entry in header.items() if name != METADATA_KEY}


def tensor_place(name: str, entry: Any, path: str | Path) -> TensorPlace:
    """One tensor of a header."""
    fields = entry if isinstance(entry, dict) else {}
    dtype, shape, place = fields.get("dtype"), sizes(fields.get("shape")), sizes(fields.get("data_offsets"))
    if not isinstance(dtype, str) or dtype not in BYTES_PER_NUMBER:
        raise InputError(f"weight {name} has a type that no weight has", where=path)
    if shape is None or place is None or len(place) != 2:
        raise InputError(f"weight {name} has no shape, or no place", where=path)
    return TensorPlace(dtype, shape, *place)


def sizes(values: object) -> tuple[int, ...] | None:
    """Whole numbers that a file could be measured in; None where they are something else."""
    if not isinstance(values, (list, tuple)) or len(values) > MAX_AXES:
        return None
    if not all(type(value) is int and 0 <= value < 2**63 for value in values):
        return None
    return tuple(values)
