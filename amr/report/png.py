"""A small PNG encoder: sixteen shades of ink on nothing, so that a page's own background shows through."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from amr.arrays import UInt8Array

SHADES = 16
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def ink_png(shade: UInt8Array) -> bytes:
    """A picture ``(height, width)`` of shades 0 (clear) to 15 (black) as PNG, 4 bits a pixel.

    Chunks and filter as in the PNG specification (ISO/IEC 15948): palette of black, transparency a shade.
    """
    height, width = shade.shape
    even = np.pad(shade, ((0, 0), (0, width % 2)))
    packed = (even[:, 0::2] << 4) | even[:, 1::2]  # (height, ceil(width / 2))
    rows = np.pad(packed, ((0, 0), (1, 0)))  # filter type 0 before each row
    header = struct.pack(">IIBBBBB", width, height, 4, 3, 0, 0, 0)
    alpha = bytes(round(255 * level / (SHADES - 1)) for level in range(SHADES))
    return b"".join(
        [
            SIGNATURE,
            chunk(b"IHDR", header),
            chunk(b"PLTE", bytes(3 * SHADES)),
            chunk(b"tRNS", alpha),
            chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            chunk(b"IEND", b""),
        ]
    )


def chunk(kind: bytes, content: bytes) -> bytes:
    """One PNG chunk: length, kind, content, checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
