"""What libsndfile reads, with the checks that it leaves out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from amr.audio.claims import Claim
from amr.audio.decoder import BLOCK_SAMPLES, LOSSY_STEP, Samples, quarter_second
from amr.audio.joined import LARGEST_OGG_PAGE_BYTES, ends_stream, last_ogg_page
from amr.audio.mp3 import ID3V1_BYTES
from amr.audio.view import FileView, Piece, read_at
from amr.errors import InputError

UNKNOWN_FRAMES = 2**62  # libsndfile's "not known" lies above
MOST_BIT_RATE_CHANGE = 64  # 8 to 320 kbit/s: libsndfile guesses an MP3's length by its first frame
MPEG_SLACK_FRAMES = 3 * 1152  # encoders and decoders count their delay, or the tag's own frame, differently
CLAIM_SLACK_BYTES = 8  # some claims count the chunk's own header
MOST_MISSING_S, MOST_MISSING_SHARE = 10.0, 1 / 8
"""Less than both is a header that is a little wrong; more is a copy that is not complete. The share does not
count where the file's own size stands truly in the header."""
SMALL_CLAIM_BYTES = 2**24 * 15  # divisible by the bytes of a sample, of any number up to 6 channels, and 8
LOSSY_SUBTYPES = ("VORBIS", "OPUS")  # others that lose something have steps
BIG_ENDIAN_FORMATS = ("AIFF", "AU", "CAF")

NO_FRAMES = "File does not exist"  # what it says of a file of which libmpg123 knows no frame

CLAIMS_UNKNOWN = "its header does not say how much sound there is; it is read to the end of the file"
CLAIMS_LESS = "its header claims less sound than there is; it is read to the end of the file"
NO_END = "ends without its end mark, so that a part may be missing; what is there is taken"
CLAIMS_MORE = "its header claims more sound than there is; what is there is taken"


class EndlessView(FileView):
    """A file that claims to be longer than it is, so that a guessed length does not cut its sound."""

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        if whence == os.SEEK_END:
            return super().seek(len(self) * MOST_BIT_RATE_CHANGE + offset)
        return super().seek(offset, whence)

    def readinto(self, buffer: Any, /) -> int:
        """The bytes; at the claimed end zeros, as libsndfile must be able to look for a tag there."""
        if self.tell() < len(self) * MOST_BIT_RATE_CHANGE - ID3V1_BYTES:
            return super().readinto(buffer)
        memoryview(buffer)[:] = bytes(len(buffer))
        return len(buffer)


class OpenSound(soundfile.SoundFile):  # type: ignore[misc]  # soundfile comes without types
    """A sound file that closes the view it reads from; without a length it cannot be entered."""

    def __init__(self, file: bytes | FileView, **form: Any) -> None:
        self._view = file if isinstance(file, FileView) else None
        try:
            super().__init__(file, **form)
        except BaseException:
            self._close_view()
            raise

    def seekable(self) -> bool:
        return bool(self.frames < UNKNOWN_FRAMES and super().seekable())

    def close(self) -> None:
        super().close()
        self._close_view()

    def _close_view(self) -> None:
        if self._view is not None:
            self._view.close()


@dataclass(frozen=True)
class Source:
    """A file, or what is to be seen of it.

    Args:
        path: the file.
        pieces: what is seen, where that is not the whole file as it is.
        claim: what its header says of its size, where that is wrong.
        is_endless: libsndfile would stop where it guesses the end, and must see none.
        remark: what is to be said of it; it is damage.
        claimed_frames: samples of a channel by a header that is wrong, where the pieces have none.
    """

    path: Path
    pieces: tuple[Piece, ...] | None = None
    claim: Claim | None = None
    is_endless: bool = False
    remark: str = ""
    claimed_frames: int | None = None

    def open(self) -> soundfile.SoundFile:
        """Raises ``soundfile.LibsndfileError``."""
        if self.pieces is None:
            return OpenSound(os.fsencode(self.path))
        if self.is_endless:
            return OpenSound(EndlessView(self.path, self.pieces))
        if self.claim is None or self.claim.fits:
            return OpenSound(FileView(self.path, self.pieces))
        return self._open_raw(self.claim)

    def _open_raw(self, claim: Claim) -> soundfile.SoundFile:
        """Sound that its header has no room for: what it is, by a small claim; then without a header."""
        with OpenSound(FileView(self.path, claim.pieces(SMALL_CLAIM_BYTES))) as file:
            endian = "BIG" if file.format in BIG_ENDIAN_FORMATS else "LITTLE"
            endian = endian if file.endian == "FILE" else file.endian
            return OpenSound(
                FileView(self.path, [claim.sound]),
                samplerate=file.samplerate,
                channels=file.channels,
                format="RAW",
                subtype=file.subtype,
                endian=endian,
            )

    def tail(self, size: int) -> bytes:
        """The last bytes."""
        whole = self.pieces[-1] if self.pieces else range(self.path.stat().st_size)
        assert isinstance(whole, range)
        return read_at(self.path, max(whole.start, whole.stop - size), min(size, len(whole)))


class SoundfileDecoder:
    """A source as libsndfile decodes it; satisfies :class:`amr.audio.decoder.Decoder`.

    Args:
        source: what to decode.
        strict: refuse what would be remarked on.

    Raises:
        InputError: the file is damaged, or cut.
    """

    def __init__(self, source: Source, file: soundfile.SoundFile, *, strict: bool) -> None:
        self.sample_rate_hz = int(file.samplerate)
        self.channels = int(file.channels)
        self.remarks: list[str] = []
        self._path = source.path
        self._file = file
        self._strict = strict
        self._is_mpeg = file.subtype.startswith("MPEG")
        self.step = LOSSY_STEP if self._is_mpeg or file.subtype in LOSSY_SUBTYPES else 0.0
        self._source = source
        if source.remark:
            self._remark(source.remark)
        self._check_claim()

    @property
    def num_frames(self) -> int | None:
        claimed = int(self._file.frames)
        return None if self._is_mpeg or claimed >= UNKNOWN_FRAMES else claimed

    def blocks(self, first: int = 0) -> Iterator[Samples]:
        if self._file.format == "OGG":
            self._check_last_page(last_ogg_page(self._source.tail(LARGEST_OGG_PAGE_BYTES)))
        skipped = self._enter(first)
        total = first - skipped
        for block in self._read_on():
            total += len(block)
            if skipped < len(block):
                yield block[skipped:]
            skipped = max(0, skipped - len(block))
        self._check_length(total)

    def _enter(self, first: int) -> int:
        """Go to a sample; how many have to be decoded to get there."""
        if not first or not self._file.seekable():
            return first
        with self._explained():
            self._file.seek(min(first, self._file.frames))
        return 0

    def _read_on(self) -> Iterator[Samples]:
        """Blocks to the end, of whole quarters of a second, as they are mixed."""
        quarter = quarter_second(self.sample_rate_hz, self.channels)
        count = max(1, BLOCK_SAMPLES // self.channels // quarter)
        buffer = np.empty((count * quarter, self.channels), dtype=np.float32)
        while len(block := self._read(buffer)):
            yield block

    def _read(self, buffer: Samples) -> Samples:
        if self._file.format == "FLAC" and self.num_frames is not None:  # what is behind it is no frame
            buffer = buffer[: self.num_frames - self._file.tell()]
        with self._explained():
            block: Samples = self._file.read(out=buffer)
        return block

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """libsndfile's failures as ours."""
        try:
            yield
        except soundfile.LibsndfileError as error:
            raise InputError(f"is damaged or cut ({reason(error)})", where=self._path) from error

    def _check_claim(self) -> None:
        """Judge a header that claims more or less bytes than there are."""
        claim = self._source.claim
        if claim is None or claim.claimed is None or abs(claim.claimed - claim.found) <= CLAIM_SLACK_BYTES:
            return
        if claim.is_unknown:
            self.remarks.append(CLAIMS_UNKNOWN)
        elif claim.claimed < claim.found:
            self._remark(CLAIMS_LESS)
        elif claim.found:
            what = f"is cut: {claim.found} bytes of sound, the header says {claim.claimed}"
            found_s = int(self._file.frames) / self.sample_rate_hz
            claimed_s = found_s * claim.claimed / claim.found
            self._judge_missing(found_s, claimed_s, what, is_whole=claim.is_whole)

    def _check_last_page(self, page: bytes) -> None:
        if not page:
            raise InputError("is cut: its last Ogg page is incomplete", where=self._path)
        if not ends_stream(page):
            self._remark(NO_END)

    def _check_length(self, total: int) -> None:
        claimed = self._source.claimed_frames or int(self._file.frames)
        if self._source.is_endless or claimed >= UNKNOWN_FRAMES:
            return
        if self._source.claimed_frames and total > claimed:
            self._remark(CLAIMS_LESS)
        if total < claimed - (MPEG_SLACK_FRAMES if self._is_mpeg else 0):
            found_s, claimed_s = total / self.sample_rate_hz, claimed / self.sample_rate_hz
            what = f"is cut: {found_s:.1f} s of sound, the header says {claimed_s:.1f} s"
            self._judge_missing(found_s, claimed_s, what)

    def _judge_missing(self, found_s: float, claimed_s: float, what: str, *, is_whole: bool = False) -> None:
        share = 1.0 if is_whole else MOST_MISSING_SHARE
        if claimed_s - found_s > min(MOST_MISSING_S, claimed_s * share):
            raise InputError(what, where=self._path)
        self._remark(CLAIMS_MORE, what)

    def _remark(self, what: str, error: str = "") -> None:
        if self._strict:
            raise InputError(error or what, where=self._path)
        self.remarks.append(what)


def reason(error: Exception) -> str:
    """libsndfile's words without the path and the full stop."""
    said = str(getattr(error, "error_string", error)).strip().rstrip(".")
    return "Format not recognised" if said.startswith(NO_FRAMES) else said
