"""How much sound a header claims, and how much there is: recorders lose power, sizes of 32 bits wrap.

WAV, RF64, W64, AIFF, CAF and AU say in their header how many bytes of sound follow. Where these end, the file
ends, or another chunk begins; what is neither is sound.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from amr.audio.view import FileView, Piece

MOST_CHUNKS = 4096
STRAY_BYTES = 16  # behind the sound: padding, no sound of its own
WRAP = 2**32
UNKNOWN = (range(0x7FFF0000, 0x80000001), range(0xFFFF0000, 2**32), range(2**63 - 2**16, 2**64))
"""Sizes of writers that could not seek back: ffmpeg's, sox's and arecord's, in 32 and 64 bits."""
TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN", b"3DI")
KNOWN_NAMES = (
    "LISTlistid3 ID3 bextiXMLcue smplinstfactJUNKjunkPAD FLLRPEAKafsp_PMXaxmlchnaacidlevlolym"
    "MARKCOMTANNONAMEAUTH(c) APPLMIDIINSTCOMMFVERCHANinfomarkstrgfreeuuidpaktkuki"
)
KNOWN_CHUNKS = frozenset(KNOWN_NAMES[at : at + 4] for at in range(0, len(KNOWN_NAMES), 4))


@dataclass(frozen=True)
class Layout:
    """How a form is cut into chunks.

    Args:
        first: offset of the first chunk.
        size: of a chunk, as :mod:`struct` reads it.
        sound: the chunk that holds the sound.
        name_bytes: length of a chunk's name.
        align: chunks begin at multiples of it.
        lead: bytes in the sound's chunk before the sound.
        counts_header: whether a size counts name and size too.
        file_size_at: where the size of the whole file less 8 stands; 0: nowhere.
    """

    first: int
    size: str
    sound: bytes
    name_bytes: int = 4
    align: int = 2
    lead: int = 0
    counts_header: bool = False
    file_size_at: int = 0

    @property
    def header(self) -> int:
        """Bytes of a chunk's header."""
        return self.name_bytes + struct.calcsize(self.size)


W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")
WAVE = Layout(12, "<I", b"data", file_size_at=4)
LAYOUTS = {
    b"RIFF": WAVE,
    b"RIFX": Layout(12, ">I", b"data", file_size_at=4),
    b"RF64": WAVE,
    b"BW64": WAVE,
    b"FORM": Layout(12, ">I", b"SSND", lead=8, file_size_at=4),
    b"caff": Layout(8, ">q", b"data", align=1, lead=4),
    b"riff": Layout(40, "<Q", b"data" + W64_TAIL, name_bytes=16, align=8, counts_header=True),
}
KINDS = (b"WAVE", b"AIFF", b"AIFC")


@dataclass(frozen=True)
class Claim:
    """What a header says of its sound.

    Args:
        start: offset in the file, where several are joined; all others are counted from there.
        begin: offset of the first byte of sound.
        claimed: bytes; None: the form's own way to say that it is not known.
        found: bytes that there are.
        end: offset where the file, or this one of several, ends.
        size_at: where the claim stands.
        size: how it is written, for :mod:`struct`.
        extra: what the claim counts besides the sound.
        is_unknown: it is the size of a writer that did not know it.
        is_whole: the file's own size in the header is true.
        more: further chunks of sound behind the first one, of which libsndfile takes the last.
    """

    start: int
    begin: int
    claimed: int | None
    found: int
    end: int
    size_at: int
    size: str
    extra: int
    is_unknown: bool
    is_whole: bool
    more: tuple[range, ...] = ()

    @property
    def sound(self) -> range:
        """The bytes of sound in the file."""
        return range(self.start + self.begin, self.start + self.begin + self.found)

    def pieces(self, found: int) -> tuple[Piece, ...]:
        """The file with ``found`` as its claim, and all of its sound in one chunk."""
        found += sum(map(len, self.more))
        size = struct.pack(self.size, found + self.extra)
        claim_end = self.start + self.size_at + len(size)
        return (
            range(self.start, self.start + self.size_at),
            size,
            range(claim_end, self.sound.stop),
            *self.more,
        )

    @property
    def fits(self) -> bool:
        """Whether the true size can be written in its place."""
        room: int = 2 ** (8 * struct.calcsize(self.size)) - 1
        return self.found + self.extra < room


def read_claim(path: Path, start: int = 0) -> Claim | None:
    """What the header at ``start`` claims; None where it is none of these forms."""
    size = path.stat().st_size
    with FileView(path, [range(start, size)]) as file:
        head = read(file, 0, 24)
        if head[:4] in (b".snd", b"dns."):
            return au_claim(head, start, size - start)
        layout = LAYOUTS.get(head[:4])
        if layout is None or (layout.file_size_at and head[8:12] not in KINDS):
            return None
        return chunk_claim(file, start, size - start, layout)


def au_claim(head: bytes, start: int, size: int) -> Claim | None:
    """An AU header: after its sound nothing can follow."""
    if len(head) < 24:
        return None
    order = ">" if head[:4] == b".snd" else "<"
    begin, claimed = struct.unpack(order + "2I", head[4:12])
    if begin > size:
        return None
    return Claim(
        start=start,
        begin=begin,
        claimed=None if claimed == WRAP - 1 else claimed,
        found=size - begin,
        end=size,
        size_at=8,
        size=order + "I",
        extra=0,
        is_unknown=claimed == 0,
        is_whole=False,
    )


def chunk_claim(file: FileView, start: int, size: int, layout: Layout) -> Claim | None:
    """The claim of the chunk that holds the sound."""
    at, wide_at, wide = layout.first, 0, 0
    name, length = read_chunk(file, at, layout)
    for _ in range(MOST_CHUNKS):
        if length is None or name == layout.sound:
            break
        if name == b"ds64" and at == layout.first:
            wide_at, (wide,) = at + 16, struct.unpack("<Q", read(file, at + 16, 8).ljust(8, b"\0"))
        at = next_chunk(at, length, layout)
        name, length = read_chunk(file, at, layout)
    if length is None or name != layout.sound:
        return None
    begin = at + layout.header + layout.lead
    is_wide = bool(wide_at) and length == WRAP - 1
    claimed = wide if is_wide else length - layout.lead
    found, end = measure(file, begin, claimed, size, layout)
    at_file_size = read(file, layout.file_size_at, 4)
    return Claim(
        start=start,
        begin=begin,
        claimed=None if layout.size == ">q" and length == -1 else max(claimed, 0),
        found=found,
        end=end,
        size_at=wide_at if is_wide else at + layout.name_bytes,
        size="<Q" if is_wide else layout.size,
        extra=0 if is_wide else layout.lead + layout.counts_header * layout.header,
        is_unknown=claimed <= 0
        or any(claimed in lengths or (not is_wide and length in lengths) for lengths in UNKNOWN),
        is_whole=bool(layout.file_size_at)
        and abs(8 + struct.unpack(layout.size, at_file_size)[0] - end) <= 1,
        more=tuple(later_sound(file, start, begin + found, end, layout)),
    )


def later_sound(file: FileView, start: int, at: int, end: int, layout: Layout) -> Iterator[range]:
    """The sound of further chunks of it, from the first one's end on, as offsets in the file."""
    at = next_chunk(at - layout.header, 0, layout)
    for _ in range(MOST_CHUNKS):
        name, length = read_chunk(file, at, layout)
        if length is None or not is_name(name):
            return
        if name == layout.sound:
            begin = at + layout.header + layout.lead
            yield range(start + begin, start + max(begin, min(at + layout.header + length, end)))
        at = next_chunk(at, length, layout)


def measure(file: FileView, begin: int, claimed: int, size: int, layout: Layout) -> tuple[int, int]:
    """``(bytes of sound, offset where the file ends)``, whatever is claimed."""
    available = max(0, size - begin)
    if claimed < 0 or claimed >= available:
        return available, size
    for wrapped in range(claimed, available + 1, WRAP):
        for padded in {wrapped, -(-(begin + wrapped) // layout.align) * layout.align - begin}:
            end = chunks_end(file, begin + padded, size, layout)
            if end is not None:
                return wrapped, end
    return available, size


def chunks_end(file: FileView, at: int, size: int, layout: Layout) -> int | None:
    """Where the chunks from ``at`` on end, or another file begins; None where no chunk stands there."""
    for number in range(MOST_CHUNKS):
        if begins_file(read(file, at, 16)):
            return at
        if size - at <= STRAY_BYTES or read(file, at, 11).startswith(TAGS):
            return size
        name, length = read_chunk(file, at, layout)
        if length is None or not is_name(name):
            return size if number else None
        if next_chunk(at, length, layout) > size + layout.align:
            return size if number or name[:4].decode("latin1") in KNOWN_CHUNKS else None
        at = next_chunk(at, length, layout)
    return size


def begins_file(head: bytes) -> bool:
    """Whether another file of these forms begins with these bytes."""
    layout = LAYOUTS.get(head[:4])
    if layout is None:
        return head.startswith(b".snd\0\0")
    if layout.file_size_at:
        return head[8:12] in KINDS
    return head.startswith((b"caff\0\1\0\0", b"riff\x2e\x91\xcf\x11"))


def read_chunk(file: FileView, at: int, layout: Layout) -> tuple[bytes, int | None]:
    """Name and length of a chunk; None at the end of the file, or where it cannot be."""
    head = read(file, at, layout.header)
    if len(head) < layout.header:
        return b"", None
    (length,) = struct.unpack(layout.size, head[layout.name_bytes :])
    return head[: layout.name_bytes], length - layout.counts_header * layout.header


def next_chunk(at: int, length: int, layout: Layout) -> int:
    end = at + layout.header + max(length, 0)
    return -(-end // layout.align) * layout.align


def is_name(name: bytes) -> bool:
    """Whether these bytes can be a chunk's name: printable, the rest of a GUID as may be."""
    return name[:4].isascii() and name[:4].decode("ascii").isprintable()


def read(file: FileView, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)
