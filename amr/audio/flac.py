"""FLAC: how many samples there are by its last frame, whatever its header claims.

libsndfile believes the header: of a recording whose length was written early it gives the beginning, and of
one that claims a sample too many it gives an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from amr.audio.view import Piece, read_at

MAGIC = b"fLaC"
INFO_AT, BLOCK_SIZE_AT, TOTAL_AT, TOTAL_BYTES = 8, 10, 21, 5
TOTAL_BITS = 36
TAILS_BYTES = (1 << 16, 1 << 20, 1 << 24)
"""How far before the end the last frame is looked for; the largest holds any frame."""
LONGEST_HEADER = 16
SYNCS = (b"\xff\xf8", b"\xff\xf9")  # blocks of one size, whose frames are numbered; of several: samples are
SIZE_OF_BLOCK = {1: 192, **{code: 576 << (code - 2) for code in range(2, 6)}}
SIZE_OF_BLOCK |= {code: 256 << (code - 8) for code in range(8, 16)}
BYTES_OF_BLOCK = {6: 1, 7: 2}
BYTES_OF_RATE = {12: 1, 13: 2, 14: 2}
MOST_CHANNEL_CODE = 10


@dataclass(frozen=True)
class FlacClaim:
    """A header that does not say what there is.

    Args:
        samples: of a channel, as it claims.
        pieces: the file with a header that says that the length is not known.
    """

    samples: int
    pieces: tuple[Piece, ...]


def read_flac_claim(path: Path, part: range) -> FlacClaim | None:
    """What the header of a FLAC claims, where its last frame says something else; None where they agree."""
    head = read_at(path, part.start, TOTAL_AT + TOTAL_BYTES)
    if not head.startswith(MAGIC) or len(head) < TOTAL_AT + TOTAL_BYTES:
        return None
    samples = int.from_bytes(head[TOTAL_AT:], "big") & ((1 << TOTAL_BITS) - 1)
    if samples in (0, samples_by_frames(path, part, int.from_bytes(head[BLOCK_SIZE_AT:][:2], "big"))):
        return None
    unknown = bytes([head[TOTAL_AT] & 0xF0]) + bytes(TOTAL_BYTES - 1)
    begin = part.start + TOTAL_AT
    return FlacClaim(samples, (range(part.start, begin), unknown, range(begin + TOTAL_BYTES, part.stop)))


def samples_by_frames(path: Path, part: range, block_size: int) -> int | None:
    """Samples of a channel to the end of the last frame; None where there is no frame."""
    for size in TAILS_BYTES:
        tail = read_at(path, max(part.start, part.stop - size), min(size, len(part)))
        at = len(tail)
        while (at := max(tail.rfind(sync, 0, at) for sync in SYNCS)) >= 0:
            end = frame_end(tail[at : at + LONGEST_HEADER], block_size)
            if end is not None:
                return end
        if size >= len(part):
            break
    return None


def frame_end(head: bytes, block_size: int) -> int | None:
    """The number of the sample behind a frame, from the bytes that it begins with; None: it is no frame."""
    if len(head) < 6 or head[3] >> 4 > MOST_CHANNEL_CODE or head[3] & 1:
        return None
    size_code, rate_code = head[2] >> 4, head[2] & 15
    number_bytes = max(1, leading_ones(head[4]))
    size_bytes, rate_bytes = BYTES_OF_BLOCK.get(size_code, 0), BYTES_OF_RATE.get(rate_code, 0)
    size_at = 4 + number_bytes
    end = size_at + size_bytes + rate_bytes
    if size_code == 0 or rate_code == 15 or len(head) <= end or crc8(head[:end]) != head[end]:
        return None
    number = head[4] & (0x7F >> (number_bytes - (number_bytes == 1)))
    for byte in head[5:size_at]:
        number = number << 6 | (byte & 0x3F)
    size = int.from_bytes(head[size_at : size_at + size_bytes], "big") + 1
    return number * (1 if head[1] & 1 else block_size) + SIZE_OF_BLOCK.get(size_code, size)


def leading_ones(byte: int) -> int:
    """How many bits are set from the highest one on."""
    return 8 - (byte ^ 0xFF).bit_length()


def crc8(data: bytes) -> int:
    """The checksum of a frame's header: x^8 + x^2 + x + 1."""
    checksum = 0
    for byte in data:
        checksum ^= byte
        for _ in range(8):
            checksum = (checksum << 1 ^ (0x07 if checksum & 0x80 else 0)) & 0xFF
    return checksum
