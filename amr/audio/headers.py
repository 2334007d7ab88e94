"""What the first and last bytes of an audio file tell: whether it is whole. Decoders do not always say."""

from __future__ import annotations

import re
from pathlib import Path

LARGEST_OGG_PAGE_BYTES = 27 + 255 + 255 * 255
OGG_HEADER_BYTES = 27
OGG_MAGIC = b"OggS"

# libsndfile's log of a header says "data : 264600 (should be 132278)" where less follows than is claimed.
CLAIM = re.compile(r"(?:data|SSND|Data Size|riff|Riff size)\s*:\s*(\d+) \(should be (\d+)\)")
# Claims of writers that could not seek back: ffmpeg's and sox's, in 32 and 64 bits.
UNKNOWN_LENGTHS = (range(0x7FFF0000, 0x80000000), range(0xFFFF0000, 2**32), range(2**63 - 2**16, 2**64))
HEADER_BYTES = 8  # some of the claims count the chunk's own header


def missing_bytes(header_log: str) -> tuple[int, int] | None:
    """``(found, claimed)`` bytes of sound where libsndfile's header log tells of a file that was cut."""
    for match in CLAIM.finditer(header_log):
        claimed, found = int(match[1]), int(match[2])
        if claimed > found + HEADER_BYTES and not any(claimed in lengths for lengths in UNKNOWN_LENGTHS):
            return found, claimed
    return None


def read_tail(path: Path, size: int) -> bytes:
    """The last ``size`` bytes of a file, or all of it."""
    with open(path, "rb") as file:
        length = file.seek(0, 2)
        file.seek(max(0, length - size))
        return file.read(size)


def ogg_is_cut(path: Path) -> bool:
    """Whether an Ogg file ends inside a page."""
    tail = read_tail(path, LARGEST_OGG_PAGE_BYTES)
    at = tail.rfind(OGG_MAGIC)
    while at >= 0:
        page = tail[at:]
        segments = page[26] if len(page) >= OGG_HEADER_BYTES else 0
        lacing = page[OGG_HEADER_BYTES : OGG_HEADER_BYTES + segments]
        if len(page) < OGG_HEADER_BYTES or len(lacing) < segments:
            return True
        if page[4] == 0:  # the version of every Ogg page: else these four letters are sound
            return len(page) < OGG_HEADER_BYTES + segments + sum(lacing)
        at = tail.rfind(OGG_MAGIC, 0, at)
    return True


def mp3_has_length(path: Path) -> bool:
    """Whether an MP3 carries a tag that says how many frames it has; else its length is only estimated."""
    with open(path, "rb") as file:
        head = file.read(10)
        skip = id3_bytes(head)
        file.seek(skip)
        first_frame = file.read(256)
    return any(tag in first_frame for tag in (b"Xing", b"Info", b"VBRI"))


def id3_bytes(head: bytes) -> int:
    """Length of an ID3v2 tag from its first ten bytes; 0 where there is none."""
    if not head.startswith(b"ID3") or len(head) < 10:
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | (byte & 0x7F)
    return 10 + size + (10 if head[5] & 0x10 else 0)
