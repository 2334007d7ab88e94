"""Frames of MPEG audio: where sound of one kind begins and ends in a file, which tags do not say reliably.

A decoder believes the length that an encoder wrote into the first frame (Xing, Info), or guesses it from the
first frame's bit rate; of joined files it gives the first one then, and of a capture some part.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

from amr.audio.view import read_at

CHUNK_BYTES = 1 << 20
MOST_RUNS = 10_000
VERSION_1 = 3
BIT_RATES_KBPS = {
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""By whether it is MPEG 1, and the layer; 0 stands for a free format, whose frames cannot be stepped over."""
RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8000)}
MONO = 3
TRAILING_TAGS_BYTES = 4096  # ID3v1, Lyrics3, APE: behind the last frame
SLACK_FRAMES = 2  # encoders count the frame of their tag, or do not
TAG_FRAMES, TAG_BYTES = 1, 2
TAGS = (b"Xing", b"Info")
ID3V1_BYTES = 128


class Frame(NamedTuple):
    """The header of a frame.

    Args:
        kind: what all frames of one sound share: version, layer, rate, and whether it is mono.
        size: bytes; 0: free format.
        side_bytes: from the header's end to where a tag would stand.
    """

    kind: tuple[int, int, int, bool]
    size: int
    side_bytes: int


@dataclass(frozen=True)
class Run:
    """Frames of one kind without a gap between them.

    Args:
        begin: offset of the first.
        end: offset behind the last.
        frames: how many there are.
        kind: see :class:`Frame`.
    """

    begin: int
    end: int
    frames: int
    kind: tuple[int, int, int, bool]


def parse_frame(header: bytes) -> Frame | None:
    """A frame's four bytes of header; None where they are none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bit_rate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or bit_rate == 15 or rate == 3:
        return None
    is_1, is_mono = version == VERSION_1, header[3] >> 6 == MONO
    rate_hz = RATES_HZ[version][rate]
    bits = BIT_RATES_KBPS[is_1, layer][bit_rate] * 1000
    if layer == 1:
        size = (12 * bits // rate_hz + padding) * 4
    else:
        size = (144 if is_1 or layer == 2 else 72) * bits // rate_hz + padding
    side = (17 if is_mono else 32) if is_1 else (9 if is_mono else 17)
    return Frame((version, layer, rate_hz, is_mono), size if bits else 0, side)


def id3_bytes(head: bytes) -> int:
    """Length of an ID3v2 tag from its first ten bytes; 0 where there is none."""
    if not head.startswith(b"ID3") or len(head) < 10:
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | (byte & 0x7F)
    return 10 + size + (10 if head[5] & 0x10 else 0)


@dataclass(frozen=True)
class LengthTag:
    """What a first frame says of the frames that follow it; None: it leaves that out."""

    frames: int | None
    bytes: int | None


def read_length_tag(first_frame: bytes) -> LengthTag | None:
    """The tag in a first frame; None where it is plain sound."""
    frame = parse_frame(first_frame)
    if frame is None:
        return None
    tag = first_frame[4 + frame.side_bytes :]
    if tag[:4] in TAGS and len(tag) >= 16:
        flags, first, second = struct.unpack(">3I", tag[4:16])
        frames = first if flags & TAG_FRAMES else None
        size = (second if frames is not None else first) if flags & TAG_BYTES else None
        return LengthTag(frames, size)
    if first_frame[36:40] == b"VBRI" and len(first_frame) >= 54:
        size, frames = struct.unpack(">2I", first_frame[46:54])
        return LengthTag(frames, size)
    return None


@dataclass(frozen=True)
class FrameRun:
    """Bytes of an MPEG file that can be decoded on their own.

    Args:
        part: which bytes.
        says_length: whether its first frame says truly how many follow.
    """

    part: range
    says_length: bool


def mpeg_stretches(path: Path) -> tuple[list[FrameRun], int]:
    """The sounds in an MPEG file, and how many bytes between them are no tags either.

    There are none where the file as it is will be decoded to its end.
    """
    size = path.stat().st_size
    begin = id3_bytes(read_at(path, 0, 10))
    tag = read_length_tag(read_at(path, begin, 256))
    if tag is not None and tag.bytes and ends_there(path, begin + tag.bytes, size):
        return [], 0
    runs = list(islice(find_runs(path, begin, size), MOST_RUNS))
    if any(run.frames == 0 for run in runs) and len(runs) == 1:
        return [], 0
    lost_bytes = sum(between(path, run.end, after.begin) for run, after in pairwise(runs))
    return [stretch(path, run) for run in runs], lost_bytes


def ends_there(path: Path, end: int, size: int) -> bool:
    """Whether nothing but tags stands behind the end that a tag says."""
    if size - end > TRAILING_TAGS_BYTES:
        return False
    with closing(Bytes(path)) as data:
        return next_frame(data, end, size) < 0


def stretch(path: Path, run: Run) -> FrameRun:
    """A run, without a first frame that says a wrong length."""
    head = read_at(path, run.begin, 256)
    frame, tag = parse_frame(head), read_length_tag(head)
    assert frame is not None
    if tag is None:
        return FrameRun(range(run.begin, run.end), says_length=False)
    is_true = tag.frames is not None and tag.frames >= run.frames - SLACK_FRAMES
    return FrameRun(range(run.begin + (0 if is_true else frame.size), run.end), says_length=is_true)


def between(path: Path, begin: int, end: int) -> int:
    """Bytes between two runs less the tags that end the first and begin the second."""
    if read_at(path, begin, 3) == b"TAG":
        begin += ID3V1_BYTES
    return max(0, end - begin - id3_bytes(read_at(path, begin, 10)))


class Bytes:
    """A file's bytes by offset, read in chunks; offsets mostly grow."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115  # closed by find_runs
        self._chunk, self._begin = b"", 0

    def at(self, offset: int, count: int) -> bytes:
        inside = offset - self._begin
        if not 0 <= inside <= len(self._chunk) - count:
            self._file.seek(offset)
            self._chunk, self._begin, inside = self._file.read(CHUNK_BYTES), offset, 0
        return self._chunk[inside : inside + count]

    def next_sync(self, offset: int) -> int:
        """The next byte 0xFF from an offset on; -1 where there is none."""
        while self.at(offset, 1):
            inside = self._chunk.find(b"\xff", offset - self._begin)
            if inside >= 0:
                return self._begin + inside
            offset = self._begin + len(self._chunk)
        return -1

    def close(self) -> None:
        self._file.close()


def find_runs(path: Path, begin: int, size: int) -> Iterator[Run]:
    """Runs of frames in order; tags and other bytes between them are stepped over."""
    data = Bytes(path)
    try:
        at = begin
        while (at := next_frame(data, at, size)) >= 0:
            run = follow(data, at, size)
            yield run
            at = run.end
    finally:
        data.close()


def next_frame(data: Bytes, at: int, size: int) -> int:
    """The next frame that is followed by two others, or by the end; -1 where there is none."""
    if tag := id3_bytes(data.at(at, 10)):
        at += tag
    while 0 <= (at := data.next_sync(at)) < size:
        frame = parse_frame(data.at(at, 4))
        if frame is not None and (frame.size == 0 or follows(data, at, frame, size)):
            return at
        at += 1
    return -1


def follows(data: Bytes, at: int, frame: Frame, size: int) -> bool:
    """Whether two frames of its kind stand behind a frame, as far as the file goes."""
    for _ in range(2):
        at += frame.size
        if at == size:
            return True
        after = parse_frame(data.at(at, 4))
        if after is None or after.kind != frame.kind:
            return False
        frame = after
    return True


def follow(data: Bytes, begin: int, size: int) -> Run:
    """The run that begins at a frame; it ends where a tag begins another one. A free format never ends."""
    first = parse_frame(data.at(begin, 4))
    assert first is not None
    at, frames, frame, tag_at = begin, 0, first, 4 + first.side_bytes
    while frame.kind == first.kind and at + frame.size <= size:
        if frame.size == 0:
            return Run(begin, size, 0, first.kind)
        if frames and data.at(at + tag_at, 4) in TAGS:
            break
        at, frames = at + frame.size, frames + 1
        following = parse_frame(data.at(at, 4))
        if following is None:
            break
        frame = following
    return Run(begin, at, frames, first.kind)
