"""Files that are several files end to end: a radio's capture, ``cat a.ogg b.ogg``, a recorder that went on.

Decoders stop where the first one ends. Here is where each of them lies.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from amr.audio.mp3 import id3_bytes
from amr.audio.view import read_at

CHUNK_BYTES = 1 << 18
LONGEST_MAGIC = 64
MOST_BOXES = 100_000
MOST_LINKS = 10_000

OGG_HEADER_BYTES = 27
LARGEST_OGG_PAGE_BYTES = OGG_HEADER_BYTES + 255 + 255 * 255
OGG_MAGIC = b"OggS"
OGG_FLAGS_AT, OGG_LAST = 5, 4
OGG_FIRST_PAGE = re.compile(rb"OggS\x00[\x02\x03\x06\x07]")
LARGEST_FIRST_PAGE = 1024  # they hold one short header
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
ALL_BITS = 0xFFFFFFFF

MAGICS = {
    b"fLaC": re.compile(rb"fLaC[\x00\x80]\x00\x00\x22"),
    b"\x30\x26\xb2\x75": re.compile(
        rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"
    ),  # ASF
    b"FLV\x01": re.compile(rb"FLV\x01[\x00-\x05]\x00\x00\x00\x09\x00\x00\x00\x00"),
    b"TTA1": re.compile(rb"TTA1[\x01\x03]\x00[\x01-\xff]\x00[\x08\x10\x18\x20]\x00"),
}
"""What some forms begin with, and how each file in a joined one begins, long enough to be no sound."""
MATROSKA_MAGIC = b"\x1a\x45\xdf\xa3"


def find_links(path: Path) -> list[range]:
    """Which bytes are a file of their own; of a plain file that is one, all of it."""
    size = path.stat().st_size
    tag = id3_bytes(read_at(path, 0, 10))
    starts = sorted(set(islice(begins(path, size, tag), MOST_LINKS)))
    if not starts or starts[0] > tag:  # else what stands before the first one is a tag
        starts.insert(0, 0)
    return [range(begin, end) for begin, end in zip(starts, [*starts[1:], size], strict=True)]


def begins(path: Path, size: int, tag: int) -> Iterator[int]:
    """Where files begin in a file that begins with a tag of so many bytes, as far as its form is known."""
    head = read_at(path, tag, 12)
    if head.startswith(OGG_MAGIC):
        yield from ogg_begins(path)
    elif head[4:8] == b"ftyp":
        yield from boxed_begins(path, size, mp4_box, b"ftyp")
    elif head.startswith(MATROSKA_MAGIC):
        yield from boxed_begins(path, size, matroska_element, MATROSKA_MAGIC)
    elif pattern := MAGICS.get(head[:4]):
        yield from matches(path, head[:4], pattern)


def matches(path: Path, magic: bytes, pattern: re.Pattern[bytes]) -> Iterator[int]:
    """Offsets of a pattern that begins with ``magic``, read in chunks.

    Numpy looks for its first letters at even and odd places, four times as fast as :mod:`re` would alone.
    """
    even, odd = np.frombuffer(magic[:2], np.uint16), np.frombuffer(magic[1:3], np.uint16)
    chunk = bytearray(LONGEST_MAGIC + CHUNK_BYTES)
    begin = -LONGEST_MAGIC
    with open(path, "rb", buffering=0) as file:
        while True:
            count = file.readinto(memoryview(chunk)[LONGEST_MAGIC:])
            end = LONGEST_MAGIC + count
            words = np.frombuffer(chunk, np.uint16, end // 2)
            places = {*(2 * np.flatnonzero(words == even)), *(2 * np.flatnonzero(words == odd) - 1)}
            for at in sorted(places):
                if 0 <= at < (count or end) and pattern.match(chunk, at, end):
                    yield begin + int(at)
            if not count:
                return
            chunk[:LONGEST_MAGIC] = chunk[count:end]
            begin += count


def ogg_begins(path: Path) -> Iterator[int]:
    """Where a new link of an Ogg chain begins: at first pages of its streams, which stand together."""
    end = -1
    for at in matches(path, OGG_MAGIC, OGG_FIRST_PAGE):
        page = read_at(path, at, LARGEST_FIRST_PAGE)
        length = ogg_page_bytes(page)
        if length is None or length > len(page) or not ogg_checksum_holds(page[:length]):
            continue
        if at > end:
            yield at
        end = max(end, at + length)


def ogg_page_bytes(page: bytes) -> int | None:
    """A page's length by its header; None where the header is not complete."""
    segments = page[26] if len(page) >= OGG_HEADER_BYTES else 256
    lacing = page[OGG_HEADER_BYTES : OGG_HEADER_BYTES + segments]
    return OGG_HEADER_BYTES + segments + sum(lacing) if len(lacing) == segments else None


def ogg_checksum_holds(page: bytes) -> bool:
    """Whether a page's checksum is that of its bytes: :mod:`zlib`'s, with all bits in the other order."""
    zeroed = page[:22] + bytes(4) + page[26:]
    checksum = zlib.crc32(zeroed.translate(REVERSED), ALL_BITS) ^ ALL_BITS
    return int(f"{checksum:032b}"[::-1], 2) == int.from_bytes(page[22:26], "little")


def last_ogg_page(tail: bytes) -> bytes:
    """The last page of an Ogg file, from its last ``LARGEST_OGG_PAGE_BYTES``; empty where it is cut."""
    at = tail.rfind(OGG_MAGIC)
    while at >= 0:
        page = tail[at:]
        length = ogg_page_bytes(page)
        if length is None:
            return b""
        if page[4] == 0:  # the version of every Ogg page: else these four letters are sound
            return page[:length] if len(page) >= length else b""
        at = tail.rfind(OGG_MAGIC, 0, at)
    return b""


def ends_stream(page: bytes) -> bool:
    """Whether an Ogg page says that it is the last one of its stream."""
    return bool(page[OGG_FLAGS_AT] & OGG_LAST)


def boxed_begins(
    path: Path, size: int, read_box: Callable[[bytes], tuple[bytes, int]], first: bytes
) -> Iterator[int]:
    """Where the first kind of box stands again, among boxes that say how long they are."""
    at = 0
    for _ in range(MOST_BOXES):
        kind, length = read_box(read_at(path, at, 16))
        if kind == first:
            yield at
        at += length
        if length <= 0 or at >= size:
            return


def mp4_box(head: bytes) -> tuple[bytes, int]:
    """Kind and length of a box; a length of 0: to the end of the file, or it is none."""
    length = int.from_bytes(head[:4], "big")
    if length == 1:
        length = int.from_bytes(head[8:16], "big")
    return head[4:8], length if length >= 8 else 0


def matroska_element(head: bytes) -> tuple[bytes, int]:
    """Kind and length of a top-level element; a length of 0: to the end of the file, or it is none."""
    width = 9 - head[4].bit_length() if len(head) >= 13 and head[4] else 0
    if not width:
        return head[:4], 0
    value = int.from_bytes(head[4 : 4 + width], "big") & ((1 << 7 * width) - 1)
    return head[:4], 0 if value == (1 << 7 * width) - 1 else 4 + width + value
