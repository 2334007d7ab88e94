"""Audio files as blocks of samples, never as a whole: libsndfile's formats, all others through ffmpeg."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import soundfile

from amr.audio.ffmpeg import FfmpegDecoder
from amr.audio.files import NATIVE_EXTENSIONS, audio_extension
from amr.audio.headers import missing_bytes, mp3_has_length, ogg_is_cut
from amr.errors import InputError

Samples = npt.NDArray[np.float32]

BLOCK_SAMPLES = 2**18  # of all channels together: 1 MB
SLOWEST_HZ, FASTEST_HZ = 100, 4_000_000  # below hydrophones for whales, above recorders for bats
UNKNOWN_FRAMES = 2**62  # libsndfile's "not known" lies above
MP3_SLACK_FRAMES = 3 * 1152  # encoders and decoders count their delay, or the tag's own frame, differently
# libsndfile stops an MP3 without a length tag where the first frame's bit rate (8 to 320 kbit/s) puts its
# end.
MOST_BIT_RATE_CHANGE = 64
ID3V1_BYTES = 128


class Decoder(Protocol):
    """An open audio file."""

    @property
    def sample_rate_hz(self) -> int: ...

    @property
    def channels(self) -> int: ...

    def blocks(self) -> Iterator[Samples]:
        """``(n, channels)`` in [-1, 1] until the end. Raises ``InputError`` where the file is damaged."""
        ...


@contextmanager
def open_decoder(path: Path) -> Iterator[Decoder]:
    """A recording, ready to be read once from its start.

    Raises:
        MissingError: it needs an ffmpeg that is not here.
        InputError: there is no such file; it is empty, no audio, or its header is nonsense.
    """
    require_audio_file(path)
    try:
        file = open_soundfile(path)
    except soundfile.LibsndfileError as error:
        if audio_extension(path.name) in NATIVE_EXTENSIONS:
            raise InputError(f"is no audio that can be read ({reason(error)})", where=path) from error
        with FfmpegDecoder(path) as decoder:
            check_header(path, decoder)
            yield decoder
        return
    with file:
        native = SoundfileDecoder(path, file)
        check_header(path, native)
        yield native


def require_audio_file(path: Path) -> None:
    """Refuse, in words, what is not a file with something in it."""
    if path.is_dir():
        raise InputError("is a folder, expected an audio file", where=path)
    if not path.exists():
        raise InputError("no such audio file", where=path)
    if not path.is_file():
        raise InputError("is not a regular file", where=path, hint="write the sound into a file first")
    try:
        with open(path, "rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from error
    if empty:
        raise InputError("is empty (0 bytes)", where=path)


def check_header(path: Path, decoder: Decoder) -> None:
    """Refuse rates that no recorder has, before anything is sized by them."""
    if not SLOWEST_HZ <= decoder.sample_rate_hz <= FASTEST_HZ:
        raise InputError(
            f"the header says {decoder.sample_rate_hz} Hz, expected {SLOWEST_HZ} to {FASTEST_HZ}", where=path
        )
    if decoder.channels < 1:
        raise InputError("the header says 0 channels", where=path)


def open_soundfile(path: Path) -> soundfile.SoundFile:
    file = soundfile.SoundFile(os.fsencode(path))
    if file.format == "MP3" and not mp3_has_length(path):
        file.close()
        return TaglessMp3(path)
    return file


def reason(error: Exception) -> str:
    """libsndfile's words without the path and the full stop."""
    return str(getattr(error, "error_string", error)).strip().rstrip(".")


class LongerFile(io.FileIO):
    """A file that claims to be longer than it is, so that an estimated length does not cut its sound."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")
        self._claimed = os.fstat(self.fileno()).st_size * MOST_BIT_RATE_CHANGE

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        if whence == os.SEEK_END:
            return super().seek(self._claimed + offset)
        return super().seek(offset, whence)

    def readinto(self, buffer: Any, /) -> int:  # typeshed's Buffer needs Python 3.12
        """The bytes; at the claimed end zeros, as libsndfile must be able to look for a tag there."""
        if self.tell() < self._claimed - ID3V1_BYTES:
            return super().readinto(buffer)
        memoryview(buffer)[:] = bytes(len(buffer))
        return len(buffer)


class TaglessMp3(soundfile.SoundFile):  # type: ignore[misc]  # soundfile comes without types
    """An MP3 that does not say how long it is, read until it ends."""

    def __init__(self, path: Path) -> None:
        self._bytes = LongerFile(path)
        try:
            super().__init__(self._bytes)
        except BaseException:
            self._bytes.close()
            raise

    def close(self) -> None:
        super().close()
        self._bytes.close()


class SoundfileDecoder:
    """What libsndfile reads, with the checks for a cut file that it leaves out."""

    def __init__(self, path: Path, file: soundfile.SoundFile) -> None:
        self._path = path
        self._file = file

    @property
    def sample_rate_hz(self) -> int:
        return int(self._file.samplerate)

    @property
    def channels(self) -> int:
        return int(self._file.channels)

    def blocks(self) -> Iterator[Samples]:
        self._refuse_cut_header()
        buffer = np.empty((max(1, BLOCK_SAMPLES // self.channels), self.channels), dtype=np.float32)
        total = 0
        while len(block := self._read(buffer)):
            total += len(block)
            yield block
        self._refuse_cut_sound(total)

    def _read(self, buffer: Samples) -> Samples:
        try:
            block: Samples = self._file.read(out=buffer)
        except soundfile.LibsndfileError as error:
            raise InputError(f"is damaged or cut ({reason(error)})", where=self._path) from error
        return block

    def _refuse_cut_header(self) -> None:
        missing = missing_bytes(self._file.extra_info)
        if missing:
            raise InputError(
                f"is cut: {missing[0]} bytes of sound, the header says {missing[1]}", where=self._path
            )
        if self._file.format == "OGG" and ogg_is_cut(self._path):
            raise InputError("is cut: its last Ogg page is not complete", where=self._path)

    def _refuse_cut_sound(self, total: int) -> None:
        claimed: Any = self._file.frames
        is_mp3 = self._file.format == "MP3"
        if claimed >= UNKNOWN_FRAMES or (is_mp3 and isinstance(self._file, TaglessMp3)):
            return
        if total < claimed - (MP3_SLACK_FRAMES if is_mp3 else 0):
            found_s, claimed_s = total / self.sample_rate_hz, claimed / self.sample_rate_hz
            raise InputError(
                f"is cut: {found_s:.1f} s of sound, the header says {claimed_s:.1f} s", where=self._path
            )
