"""Formats beyond libsndfile, decoded by an ``ffmpeg`` binary and read from its pipe.

ffmpeg writes Sun's AU form: a header of six numbers, then samples to the end, which suits a pipe.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from amr.errors import InputError, MissingError

AU_HEADER = struct.Struct(">4s5I")  # magic, offset of the samples, bytes of samples, encoding, rate, channels
AU_MAGIC = b".snd"
AU_FLOAT = 6
LARGEST_AU_OFFSET = 2**16
MOST_CHANNELS = 1024
BLOCK_SAMPLES = 2**18
CONTAINERS = (
    "mov,matroska,asf,avi,flv,mpeg,mpegts,rm,aac,loas,ac3,eac3,dts,truehd,mp3,ape,wv,tta,tak,mpc,mpc8,amr,amrnb,"
    "amrwb,gsm,dsf,iff,wav,w64,aiff,au,caf,flac,ogg"
)
"""Forms that hold their sound. Others that ffmpeg knows name files to be read: concat, HLS, DASH, images."""


class FfmpegDecoder:
    """An audio track as ffmpeg decodes it; satisfies :class:`amr.audio.decode.Decoder`.

    Raises:
        MissingError: there is no ``ffmpeg`` on the path.
        InputError: ffmpeg finds no sound in the file.
    """

    def __init__(self, path: Path) -> None:
        binary = shutil.which("ffmpeg")
        if binary is None:
            raise MissingError(
                "is in a format that needs ffmpeg, and no ffmpeg is on the PATH",
                where=path,
                hint="install ffmpeg, or convert the file to WAV, FLAC, OGG or MP3",
            )
        self._path = path
        self._messages: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
        self._process = subprocess.Popen(
            command(binary, path),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._messages,
        )
        assert self._process.stdout is not None
        self._pipe = self._process.stdout
        try:
            self.sample_rate_hz, self.channels = self._read_header()
        except BaseException:
            self.close()
            raise

    def _read_header(self) -> tuple[int, int]:
        head = self._pipe.read(AU_HEADER.size)
        if len(head) < AU_HEADER.size:
            self._raise_if_failed()
            raise InputError("holds no sound that ffmpeg can read", where=self._path)
        magic, offset, _, encoding, rate_hz, channels = AU_HEADER.unpack(head)
        sane = AU_HEADER.size <= offset <= LARGEST_AU_OFFSET and 1 <= channels <= MOST_CHANNELS
        if magic != AU_MAGIC or encoding != AU_FLOAT or not sane:
            raise InputError("ffmpeg answered with something that is not sound", where=self._path)
        self._pipe.read(offset - AU_HEADER.size)
        return rate_hz, channels

    def blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        frame_bytes = 4 * self.channels
        wanted = max(1, BLOCK_SAMPLES // self.channels) * frame_bytes
        while data := self._pipe.read(wanted):
            whole = len(data) - len(data) % frame_bytes
            yield np.frombuffer(data[:whole], dtype=">f4").astype(np.float32).reshape(-1, self.channels)
        self._raise_if_failed()

    def _raise_if_failed(self) -> None:
        if self._process.wait() != 0:
            self._messages.seek(0)
            lines = self._messages.read(4000).decode("utf-8", "replace").strip().splitlines()
            raise InputError(
                f"ffmpeg cannot read it ({lines[-1] if lines else 'no reason given'})", where=self._path
            )

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


def command(binary: str, path: Path) -> list[str]:
    """The command line; ``file:`` keeps a name from being an option or an address."""
    reading = ["-protocol_whitelist", "file,pipe", "-format_whitelist", CONTAINERS, "-i", f"file:{path}"]
    writing = ["-map", "0:a:0", "-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
    return [binary, "-nostdin", "-v", "error", "-xerror", *reading, *writing]
