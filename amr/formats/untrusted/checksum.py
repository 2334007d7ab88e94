"""The checksum in the header of our safetensors files: a changed bit is an error, not another answer.

``crc32`` in the metadata is that of the whole file with eight zeros in the sum's own place, in hexadecimal
digits. Files of earlier versions, and of others, have none.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

from amr.errors import InputError

CHECKSUM_KEY = "crc32"
UNSET = "0" * 8
FIELD = f'"{CHECKSUM_KEY}":"'.encode()
"""How the header, compact JSON, spells it; inside of texts quotes are escaped, so it is nowhere else."""


def with_checksum(data: bytes) -> bytes:
    """A file whose header has ``crc32`` as :data:`UNSET`, with its sum there."""
    at = data.index(FIELD + UNSET.encode()) + len(FIELD)
    return data[:at] + f"{zlib.crc32(data):08x}".encode() + data[at + len(UNSET) :]


def require_checksum(data: bytes, metadata: Mapping[str, object], where: str | Path) -> None:
    """Refuse bytes that are not those that were written. Raises ``InputError``.

    Args:
        data: the whole file.
        metadata: of its header.
    """
    stored = metadata.get(CHECKSUM_KEY)
    if stored is None:
        return
    at = data.find(FIELD) + len(FIELD)
    view = memoryview(data)  # whose slices are no copies
    found = zlib.crc32(view[at + len(UNSET) :], zlib.crc32(UNSET.encode(), zlib.crc32(view[:at])))
    if f"{found:08x}" != stored:
        raise InputError(
            "is damaged: its checksum does not match", where=where, hint="copy or download the file again"
        )
