"""Forms beyond libsndfile, decoded by an ``ffmpeg`` binary and read from its pipe, each sample at its time.

Containers have a clock: sound may begin late or have gaps, and stays where a player plays it.
"""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from amr.arrays import Float32Array
from amr.audio.decoder import BLOCK_SAMPLES, LOSSY_STEP
from amr.audio.files import TRANSPORT_STREAM_SYNC
from amr.audio.matroska import MatroskaReader
from amr.audio.view import read_at
from amr.errors import InputError, MissingError

MOST_CHANNELS = 1024
CONTAINERS = (
    "mov,matroska,asf,avi,flv,mpeg,mpegts,rm,aac,loas,ac3,eac3,dts,truehd,mp3,ape,wv,tta,tak,mpc,mpc8,amr,amrnb,"
    "amrwb,gsm,dsf,dss,iff,wav,w64,aiff,au,caf,flac,ogg,nistsphere,shn,voc,g722,mxf,gxf,wtv,dv,mlp,vqf,xwma,iamf"
)
"""Forms that hold their sound. Others that ffmpeg knows name files to be read: concat, HLS, DASH, images."""
SMALLEST_GAP_S = 0.1  # less is how containers round
RESTART_S = 1.0  # a clock that goes back further begins anew: joined files
LONGEST_GAP_S = 24 * 3600.0
MOST_MEMORY_BYTES = 2**33
PROGRAM_STREAM = b"\x00\x00\x01\xba"
NO_SOUND = re.compile(r"matches no streams|does not contain any stream")
NOT_READ = re.compile(r"\[(\w+) @ [^\]]*\] Format not on whitelist")
PREFIX = re.compile(r"^\[[^\]]*\] ")
NO_TRACK = "holds no sound: it is a video or a picture without a sound track"
MIXED_TRACKS = "has several sound tracks; their sum is used"
CLOCK_RESTARTS = "its clock goes back; what follows is put behind what was before"


class FfmpegDecoder:
    """The sound tracks of a file as ffmpeg decodes them; satisfies :class:`amr.audio.decoder.Decoder`.

    Args:
        path: the file.
        part: which of its bytes are meant; None: all.
        strict: refuse what ffmpeg remarks on.

    Raises:
        MissingError: there is no ``ffmpeg`` on the path.
        InputError: ffmpeg finds no sound in the file.
    """

    num_frames = None
    step = LOSSY_STEP  # of most; ffmpeg is not asked

    def __init__(self, path: Path, part: range | None = None, *, strict: bool = False) -> None:
        binary = shutil.which("ffmpeg")
        if binary is None:
            raise MissingError(
                "is in a format that needs ffmpeg, and no ffmpeg is on the PATH",
                where=path,
                hint="install ffmpeg, or convert the file to WAV, FLAC, OGG or MP3",
            )
        self.remarks: list[str] = []
        self._path = path
        self._strict = strict
        words = partial(command, binary, path, part, is_broadcast=holds_broadcast(path))
        self._start(words())
        if self._reader.tracks.number > 1:
            self.close()
            self._start(words(tracks=self._reader.tracks.number))
            self.remarks.append(MIXED_TRACKS)
        self.sample_rate_hz, self.channels = self._reader.tracks.sample_rate_hz, self._reader.tracks.channels

    def _start(self, words: list[str]) -> None:
        """Run ffmpeg, and read its header."""
        self._messages: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
        self._process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._messages
        )
        limit_memory(self._process.pid)
        assert self._process.stdout is not None
        self._pipe = self._process.stdout
        try:
            self._read_header()
        except BaseException:
            self.close()
            raise

    def _read_header(self) -> None:
        try:
            self._reader = MatroskaReader(self._pipe)  # type: ignore[arg-type]
        except (ValueError, struct.error) as error:
            raise InputError("the output of ffmpeg is not audio", where=self._path) from error
        tracks = self._reader.tracks
        if not tracks.number:
            self._raise_if_failed()
            raise InputError("holds no sound that ffmpeg can read", where=self._path)
        if not 1 <= tracks.channels <= MOST_CHANNELS:
            raise InputError(f"ffmpeg says it has {tracks.channels} channels", where=self._path)

    def blocks(self, first: int = 0) -> Iterator[Float32Array]:
        position = 0
        for block in gathered(self._at_their_times(), BLOCK_SAMPLES // self.channels):
            if position + len(block) > first:
                yield block[max(0, first - position) :]
            position += len(block)
        self._raise_if_failed()
        if said := self._last_message():
            if self._strict:
                raise InputError(f"ffmpeg reports: {said}", where=self._path)
            self.remarks.append(f"ffmpeg reports: {said}")

    def _at_their_times(self) -> Iterator[Float32Array]:
        """Samples ``(n, channels)``, with silence where the clock goes on without them."""
        position, turned_back = 0, 0
        silence = np.zeros((max(1, BLOCK_SAMPLES // self.channels), self.channels), np.float32)
        for time_ms, data in self._reader.blocks():
            samples = np.frombuffer(data[: len(data) - len(data) % (4 * self.channels)], "<f4")
            samples = samples.reshape(-1, self.channels)
            early = round(time_ms * self.sample_rate_hz / 1000) + turned_back - position
            if early > LONGEST_GAP_S * self.sample_rate_hz:
                raise InputError(f"holds a gap of {early / self.sample_rate_hz:.0f} s", where=self._path)
            if early > SMALLEST_GAP_S * self.sample_rate_hz:
                for start in range(0, early, len(silence)):
                    yield silence[: early - start]
                position += early
            elif early < -RESTART_S * self.sample_rate_hz:
                turned_back -= early
                self.remarks.append(CLOCK_RESTARTS)
            elif early < -SMALLEST_GAP_S * self.sample_rate_hz:
                samples = samples[-early:]
            position += len(samples)
            yield samples

    def _last_message(self) -> str:
        lines = self._said().splitlines()
        return PREFIX.sub("", lines[-1]) if lines else ""

    def _said(self) -> str:
        self._messages.seek(0)
        return self._messages.read(4000).decode("utf-8", "replace").strip()

    def _raise_if_failed(self) -> None:
        if self._process.wait() != 0:
            if NO_SOUND.search(self._said()):
                raise InputError(NO_TRACK, where=self._path)
            if found := NOT_READ.search(self._said()):
                raise InputError(f"is of a form that is not read ({found[1]})", where=self._path)
            said = self._last_message() or "no reason given"
            raise InputError(f"ffmpeg cannot read it ({said})", where=self._path)

    def close(self) -> None:
        """Stop ffmpeg, wherever it is."""
        self._pipe.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._messages.close()

    def __enter__(self) -> FfmpegDecoder:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def gathered(parts: Iterator[Float32Array], least: int) -> Iterator[Float32Array]:
    """Parts put together to blocks of at least so many samples, but the last one."""
    held: list[Float32Array] = []
    count = 0
    for part in parts:
        held.append(part)
        count += len(part)
        if count >= least:
            yield np.concatenate(held)
            held, count = [], 0
    if count:
        yield np.concatenate(held)


def limit_memory(process_id: int) -> None:
    """Keep ffmpeg from filling the memory with silence between tracks; where the system can."""
    import resource

    with suppress(AttributeError, OSError, ValueError):
        resource.prlimit(process_id, resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))


def command(
    binary: str, path: Path, part: range | None = None, *, tracks: int = 1, is_broadcast: bool = False
) -> list[str]:
    """The command line; ``file:`` keeps a name from being an option or an address."""
    address = f"file:{path}"
    protocols = "file,pipe"
    if part is not None:
        address, protocols = f"subfile,,start,{part.start},end,{part.stop},,:{address}", "file,pipe,subfile"
    reading = ["-protocol_whitelist", protocols, "-format_whitelist", CONTAINERS, "-i", address]
    chosen = ["-map", "0:a"] if tracks == 1 else ["-filter_complex", mixing(tracks)]
    writing = [*chosen, "-c:a", "pcm_f32le", "-f", "matroska", "pipe:1"]
    if is_broadcast:  # its clock begins with the first stream that is read: so the picture is, too
        writing += ["-map", "0:a", "-map", "0:v?", "-c", "copy", "-f", "null", "-"]
    else:
        writing = ["-xerror", *writing]
    return [binary, "-nostdin", "-v", "error", *reading, *writing]


def holds_broadcast(path: Path) -> bool:
    """Whether a file is an MPEG transport or program stream, which may begin and break anywhere."""
    head = read_at(path, 0, 5)
    return TRANSPORT_STREAM_SYNC in (head[:1], head[4:]) or head.startswith(PROGRAM_STREAM)


def mixing(tracks: int) -> str:
    """The sum of tracks, each at its times."""
    names = [f"[t{number}]" for number in range(tracks)]
    parts = [f"[0:a:{number}]aresample=async=1:first_pts=0{name}" for number, name in enumerate(names)]
    together = f"{''.join(names)}amix=inputs={tracks}:duration=longest:dropout_transition=0:normalize=0"
    return ";".join([*parts, together])
