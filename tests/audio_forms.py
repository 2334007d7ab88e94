"""Forms and damages of audio that tests make, and the table of them in ``docs/formats.md``.

The sound of every case is a melody: a tone of its own for each second, which shows what is heard when.
``python tests/audio_forms.py`` writes the table anew.
"""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from amr.arrays import Float32Array

PAGE = Path(__file__).parent.parent / "docs" / "formats.md"
BEGIN, END = "<!-- forms: made by python tests/audio_forms.py -->\n", "<!-- forms end -->\n"
RATE_HZ = 16_000
FFMPEG = shutil.which("ffmpeg")

Tones = Sequence[int | None]
ALL: Tones = (0, 1, 2, 3, 4, 5)
LESS = "its header claims less sound than there is; it is read to the end of the file"
MORE = "its header claims more sound than there is; what is there is taken"
UNKNOWN = "its header does not say how much sound there is; it is read to the end of the file"
LOST = "its channels cancel or drown each other in their mean; the strongest one is taken there"
NO_END = "ends without its end mark, so that a part may be missing; what is there is taken"
TRACKS = "has several sound tracks; their sum is used"
JUNK = "holds bytes between its frames that are not sound; they are skipped"
CLOCK = "its clock goes back; what follows is put behind what was before"


@dataclass(frozen=True)
class Case:
    """One line of the table, and a test.

    Args:
        kind: the part of the table.
        what: the file, in words.
        make: writes it into a folder.
        heard: which tone in each second; None: silence. Empty: the file is refused.
        says: the remark or the error; empty: nothing.
        by: what decodes it.
    """

    kind: str
    what: str
    make: Callable[[Path], Path]
    heard: Tones = ALL
    says: str = ""
    by: str = "libsndfile"
    needs_ffmpeg: bool = False


CASES: list[Case] = []


def case(
    kind: str,
    what: str,
    heard: Tones = ALL,
    says: str = "",
    by: str = "libsndfile",
    *,
    needs_ffmpeg: bool = False,
) -> Callable[[Callable[[Path], Path]], Callable[[Path], Path]]:
    """Put a maker under the table."""

    def register(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
        CASES.append(Case(kind, what, make, heard, says, by, needs_ffmpeg or by == "ffmpeg"))
        return make

    return register


def frequency_hz(tone: int) -> int:
    return 400 + 150 * tone


def melody(tones: Tones = ALL, rate_hz: int = RATE_HZ) -> Float32Array:
    """``(samples,)``, a second for each tone."""
    time_s = np.arange(rate_hz) / rate_hz
    silence = np.zeros(rate_hz)
    parts = [silence if t is None else 0.3 * np.sin(2 * np.pi * frequency_hz(t) * time_s) for t in tones]
    return np.concatenate([np.zeros(0), *parts]).astype(np.float32)


def heard_tones(samples: Float32Array, rate_hz: int) -> list[int | None]:
    """The tone of each second, by its middle."""
    tones: list[int | None] = []
    for second in range(round(len(samples) / rate_hz)):
        part = samples[int((second + 0.2) * rate_hz) : int((second + 0.8) * rate_hz)]
        part = part - part.mean()
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
        peak_hz = float(spectrum.argmax()) / 0.6
        tones.append(None if np.abs(part).max() < 0.003 else round((peak_hz - frequency_hz(0)) / 150))
    return tones


def write(path: Path, tones: Tones = ALL, rate_hz: int = RATE_HZ, channels: int = 1, **form: str) -> Path:
    """A melody as a file of libsndfile's."""
    sound = np.repeat(melody(tones, rate_hz)[:, None], channels, axis=1)
    with soundfile.SoundFile(path, "w", rate_hz, channels, **form) as file:
        for start in range(0, len(sound), rate_hz):
            file.write(sound[start : start + rate_hz])
    return path


def ffmpeg(*words: str | Path) -> None:
    assert FFMPEG is not None
    subprocess.run([FFMPEG, "-nostdin", "-v", "error", "-y", *map(str, words)], check=True)


def through_ffmpeg(path: Path, *words: str, tones: Tones = ALL, rate_hz: int = RATE_HZ) -> Path:
    """A melody as a file of ffmpeg's."""
    ffmpeg("-i", write(path.with_suffix(".source.wav"), tones, rate_hz), *words, path)
    path.with_suffix(".source.wav").unlink()
    return path


def join(path: Path, *parts: Path | bytes) -> Path:
    """``cat a b > c``."""
    contents = [part if isinstance(part, bytes) else part.read_bytes() for part in parts]
    path.write_bytes(b"".join(contents))
    for part in parts:
        if isinstance(part, Path):
            part.unlink()
    return path


def change(path: Path, mark: bytes, offset: int, new: bytes) -> Path:
    """Other bytes at ``offset`` from where a mark stands first."""
    data = path.read_bytes()
    at = data.index(mark) + offset
    path.write_bytes(data[:at] + new + data[at + len(new) :])
    return path


# --- several files end to end -----------------------------------------------------------------------------

JOINED = "Several files end to end"
HALVES: tuple[Tones, Tones] = ((0, 1, 2), (3, 4, 5))


def joined(name: str, rates_hz: Sequence[int] = (RATE_HZ, RATE_HZ), **form: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        parts = [write(folder / f"{n}{name}", HALVES[n], rates_hz[n], **form) for n in range(2)]
        return join(folder / name, *parts)

    return make


OPUS = {"format": "OGG", "subtype": "OPUS"}
case(JOINED, "Ogg Vorbis, two links")(joined("x.ogg"))
case(JOINED, "Opus, two links")(joined("x.opus", (48_000, 48_000), **OPUS))
case(JOINED, "Ogg Vorbis, 8 kHz after 44.1 kHz")(joined("x.ogg", (44_100, 8000)))
case(JOINED, "FLAC, `cat a b`")(joined("x.flac"))
case(JOINED, "FLAC, 44.1 kHz after 16 kHz")(joined("x.flac", (16_000, 44_100)))
case(JOINED, "MP3, `cat a b`")(joined("x.mp3"))
case(JOINED, "MP3, 48 kHz after 22.05 kHz")(joined("x.mp3", (22_050, 48_000)))
case(JOINED, "WAV, `cat a b`")(joined("x.wav"))
case(JOINED, "AIFF, `cat a b`")(joined("x.aiff"))
case(JOINED, "CAF, `cat a b`")(joined("x.caf"))
case(JOINED, "W64, `cat a b`")(joined("x.w64"))


@case(JOINED, "Ogg, three links: Vorbis stereo, Opus, FLAC of one channel", by="both", needs_ffmpeg=True)
def three_links(folder: Path) -> Path:
    first = write(folder / "a.ogg", (0, 1), 44_100, 2)
    second = write(folder / "b.ogg", (2, 3), 48_000, **OPUS)
    return join(
        folder / "x.ogg", first, second, through_ffmpeg(folder / "c.ogg", "-c:a", "flac", tones=(4, 5))
    )


@case(JOINED, "Ogg Vorbis, a link without samples between two")
def empty_link(folder: Path) -> Path:
    parts = [write(folder / f"{n}.ogg", tones) for n, tones in enumerate(((0, 1, 2), (), (3, 4, 5)))]
    return join(folder / "x.ogg", *parts)


@case(JOINED, "Ogg Vorbis, the same file twice", heard=(0, 1, 2, 0, 1, 2))
def same_twice(folder: Path) -> Path:
    data = write(folder / "a.ogg", (0, 1, 2)).read_bytes()
    return join(folder / "x.ogg", data, data)


@case(JOINED, "FLAC of three channels after one")
def flac_channels(folder: Path) -> Path:
    return join(
        folder / "x.flac",
        write(folder / "a.flac", (0, 1)),
        write(folder / "b.flac", (2, 3, 4, 5), channels=3),
    )


ID3 = b"ID3\x04\x00\x00\x00\x00\x02\x00" + bytes(256)


@case(JOINED, "MP3 with ID3 tags before, between and behind")
def mp3_tags(folder: Path) -> Path:
    first, second = (write(folder / f"{n}.mp3", HALVES[n], 44_100) for n in range(2))
    return join(folder / "x.mp3", ID3, first, b"TAG" + bytes(125), ID3, second, b"TAG" + bytes(125))


@case(JOINED, "MP3 with a web page between", says=JUNK)
def mp3_junk(folder: Path) -> Path:
    first, second = (write(folder / f"{n}.mp3", HALVES[n], 44_100) for n in range(2))
    return join(folder / "x.mp3", first, b"<html>404 Not Found</html>\n" * 90, second)


@case(JOINED, "MP3 whose length tag was written after 2 s")
def mp3_early(folder: Path) -> Path:
    path = write(folder / "x.mp3", ALL, 44_100)
    data = path.read_bytes()
    at = data.index(b"Info" if b"Info" in data else b"Xing")
    return change(path, data[at : at + 4], 8, struct.pack(">2I", 76, 9000))


@case(JOINED, "MP3 and, behind its tag, 8 kHz of it that are shorter than tags may be")
def mp3_little_behind(folder: Path) -> Path:
    first, second = (
        write(folder / f"{n}.mp3", HALVES[n], rate_hz, bitrate_mode="CONSTANT", compression_level=0.99)
        for n, rate_hz in enumerate((44_100, 8000))
    )
    return join(folder / "x.mp3", first, b"TAG" + bytes(125), second)


@case(JOINED, "FLAC with ID3 tags before, between and behind")
def flac_tagged(folder: Path) -> Path:
    first, second = (write(folder / f"{n}.flac", HALVES[n]) for n in range(2))
    id3 = b"ID3\x03\0\0\0\0\x01\0" + bytes(128)
    return join(folder / "x.flac", id3, first, id3, second, b"TAG" + bytes(125))


for ending, codec in (
    ("aac", "aac"),
    ("m4a", "aac"),
    ("mka", "flac"),
    ("wma", "wmav2"),
    ("tta", "tta"),
    ("ts", "mp2"),
):

    def make_joined(folder: Path, ending: str = ending, codec: str = codec) -> Path:
        parts = [
            through_ffmpeg(folder / f"{n}.{ending}", "-c:a", codec, tones=HALVES[n], rate_hz=44_100)
            for n in range(2)
        ]
        return join(folder / f"x.{ending}", *parts)

    case(JOINED, f".{ending}, `cat a b`", by="ffmpeg")(make_joined)


@case(JOINED, "WavPack, `cat a b`", heard=(), says="ffmpeg cannot read it", by="ffmpeg")
def joined_wavpack(folder: Path) -> Path:
    parts = [through_ffmpeg(folder / f"{n}.wv", tones=HALVES[n]) for n in range(2)]
    return join(folder / "x.wv", *parts)


# --- headers ----------------------------------------------------------------------------------------------

CLAIMS = "Headers that are wrong about their sound"
SIZES: dict[str, tuple[bytes, int, str, int]] = {
    "wav": (b"data", 4, "<I", 0),
    "aiff": (b"SSND", 4, ">I", 8),
    "w64": (b"data\xf3\xac", 16, "<Q", 24),
    "caf": (b"data", 4, ">q", 4),
    "rf64": (b"ds64", 16, "<Q", 0),
    "au": (b".snd", 8, ">I", 0),
}
"""Where each form writes how many bytes of sound there are: mark, offset, number, what counts besides."""
BYTES = 2 * len(ALL) * RATE_HZ


def claims(form: str, claimed: int, cut_bytes: int = 0) -> Callable[[Path], Path]:
    mark, offset, number, extra = SIZES[form]

    def make(folder: Path) -> Path:
        path = write(folder / f"x.{form}", subtype="PCM_16", **{"endian": "BIG"} if form == "au" else {})
        change(path, mark, offset, struct.pack(number, claimed + extra if claimed >= 0 else claimed))
        path.write_bytes(path.read_bytes()[: path.stat().st_size - cut_bytes])
        return path

    return make


for form in SIZES:
    title = form.upper()
    case(CLAIMS, f"{title}: 8000 bytes claimed, the size was written early", says=LESS)(claims(form, 8000))
    case(CLAIMS, f"{title}: 0 bytes claimed, power was lost", says=UNKNOWN)(claims(form, 0))
    case(CLAIMS, f"{title}: 200 bytes more claimed than there are", says=MORE)(claims(form, BYTES + 200))
    case(
        CLAIMS,
        f"{title}: the second half is missing",
        heard=(),
        says="is cut: … bytes of sound, the header says …",
    )(claims(form, BYTES, BYTES // 2))
for claimed, writer in (
    (0x80000000, "arecord"),
    (0xFFFFFFFF, "ffmpeg, to a pipe"),
    (0x7FFFF000, "sox, to a pipe"),
):
    case(CLAIMS, f"WAV: 0x{claimed:X} bytes claimed ({writer})", says=UNKNOWN)(claims("wav", claimed))
case(CLAIMS, "AIFF: 0xFFFFFFFF bytes claimed", says=UNKNOWN)(claims("aiff", 0xFFFFFFF7))
case(CLAIMS, "AU: 0xFFFFFFFF bytes claimed, its way to say that it is not known")(claims("au", 0xFFFFFFFF))
case(CLAIMS, "CAF: -1 bytes claimed, its way to say that it is not known")(claims("caf", -1))


@case(CLAIMS, "WAV: 3 s more claimed than there are, the size of the file is true", says=MORE)
def three_seconds_more(folder: Path) -> Path:
    return claims("wav", BYTES + 3 * 2 * RATE_HZ)(folder)


@case(CLAIMS, "WAV of 24 bits and 6 channels: 6000 bytes claimed", says=LESS)
def wide_and_early(folder: Path) -> Path:
    path = write(folder / "x.wav", channels=6, subtype="PCM_24", format="WAVEX")
    return change(path, b"data", 4, struct.pack("<I", 6000))


@case(CLAIMS, "WAV of IMA ADPCM: 4096 bytes claimed", says=LESS)
def adpcm_early(folder: Path) -> Path:
    return change(write(folder / "x.wav", subtype="IMA_ADPCM"), b"data", 4, struct.pack("<I", 4096))


@case(CLAIMS, "WAV, a LIST chunk behind the sound")
def chunk_behind(folder: Path) -> Path:
    return join(folder / "x.wav", write(folder / "a.wav"), b"LIST\x1a\0\0\0INFOISFT\x0e\0\0\0Lavf59.27.100\0")


@case(CLAIMS, "WAV, a chunk of another program behind the sound, and an ID3 tag")
def odd_chunk_behind(folder: Path) -> Path:
    return join(folder / "x.wav", write(folder / "a.wav"), b"xyz \x04\0\0\0\1\2\3\4", b"TAG" + bytes(125))


@case(CLAIMS, "FLAC whose length is not known (written to a pipe)")
def flac_from_a_pipe(folder: Path) -> Path:
    return change(write(folder / "x.flac"), b"fLaC", 21, bytes([0xF0, 0, 0, 0, 0]))


@case(CLAIMS, "stereo FLAC of 24 bits whose length is not known")
def stereo_flac_from_a_pipe(folder: Path) -> Path:
    return change(
        write(folder / "x.flac", channels=2, subtype="PCM_24"), b"fLaC", 21, bytes([0x70, 0, 0, 0, 0])
    )


@case(CLAIMS, "FLAC from ffmpeg's pipe", needs_ffmpeg=True)
def flac_from_ffmpeg(folder: Path) -> Path:
    assert FFMPEG is not None
    source = write(folder / "a.wav")
    with open(folder / "x.flac", "wb") as file:
        piped = subprocess.run(
            [FFMPEG, "-v", "error", "-i", source, "-f", "flac", "-"], stdout=subprocess.PIPE
        )
        file.write(piped.stdout)
    source.unlink()
    return folder / "x.flac"


FLAC_BYTES_OF_LENGTH = 21


def flac_claims(samples: int, kept: float = 1.0, behind: bytes = b"") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = write(folder / "x.flac")
        change(path, b"fLaC", FLAC_BYTES_OF_LENGTH, b"\xf0" + struct.pack(">I", samples))
        data = path.read_bytes()
        path.write_bytes(data[: round(kept * len(data))] + behind)
        return path

    return make


SAMPLES = len(ALL) * RATE_HZ
case(CLAIMS, "FLAC: 1 s claimed, the length was written early", says=LESS)(flac_claims(RATE_HZ))
case(CLAIMS, "FLAC: half a second more claimed than there is", says=MORE)(flac_claims(SAMPLES + RATE_HZ // 2))
case(CLAIMS, "FLAC: a minute claimed", heard=(), says="is cut: … s of sound, the header says 60.0 s")(
    flac_claims(60 * RATE_HZ)
)
case(CLAIMS, "FLAC: the second half is missing", heard=(), says="is …cut…")(flac_claims(SAMPLES, 0.5))
case(CLAIMS, "FLAC, zeros up to the end of a block of the disk behind it")(
    flac_claims(SAMPLES, behind=bytes(5000))
)


def cut_in_chunks(form: str, mark: bytes, size: str, lead: int) -> Callable[[Path], Path]:
    """The sound of a file in three chunks, with another one between."""

    def make(folder: Path) -> Path:
        path = write(folder / f"x.{form}", subtype="PCM_16")
        data = path.read_bytes()
        at = data.index(mark)
        begin = at + 8 + lead
        parts = [data[begin + start : begin + start + BYTES // 3] for start in range(0, BYTES, BYTES // 3)]
        chunks = [mark + struct.pack(size, lead + len(part)) + bytes(lead) + part for part in parts]
        chunks.insert(1, b"LIST" + struct.pack(size, 4) + b"INFO")
        body = data[8:at] + b"".join(chunks)
        path.write_bytes(data[:4] + struct.pack(size, len(body)) + body)
        return path

    return make


case(CLAIMS, "WAV, its sound in three chunks")(cut_in_chunks("wav", b"data", "<I", 0))
case(CLAIMS, "AIFF, its sound in three chunks")(cut_in_chunks("aiff", b"SSND", ">I", 8))


@case(CLAIMS, "Opus that ends between two pages, after 3 s", (0, 1, 2), NO_END, needs_ffmpeg=True)
def ogg_without_its_end(folder: Path) -> Path:
    path = through_ffmpeg(folder / "x.opus", "-c:a", "libopus", "-page_duration", "1000000")
    data = path.read_bytes()
    pages = [found.start() for found in re.finditer(b"OggS", data)]
    path.write_bytes(data[: pages[5]])
    return path


# --- the clock of containers ------------------------------------------------------------------------------

TIMES = "Containers: clock and tracks"
PICTURE = ("-f", "lavfi", "-i", "testsrc=s=64x64:r=5:d=8")


def late(name: str, codec: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        source = write(folder / "source.wav", rate_hz=48_000)
        ffmpeg(
            *PICTURE,
            "-itsoffset",
            "2",
            "-i",
            source,
            "-map",
            "0:v",
            "-map",
            "1:a",
            "-c:a",
            codec,
            folder / name,
        )
        source.unlink()
        return folder / name

    return make


for ending, codec in (("mp4", "aac"), ("mkv", "flac"), ("ts", "mp2"), ("mov", "pcm_s16le")):
    case(
        TIMES, f".{ending}, whose sound begins 2 s after its picture", heard=(None, None, *ALL), by="ffmpeg"
    )(late(f"x.{ending}", codec))


def gap(name: str, codec: str, seconds: int) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        later = f"asetpts='if(gte(T,3),PTS+{seconds}/TB,PTS)'"
        return through_ffmpeg(folder / name, "-af", f"asetnsamples=n=800:p=0,{later}", "-c:a", codec)

    return make


for name, codec, seconds in (("x.mka", "pcm_s16le", 2), ("x.mkv", "flac", 1), ("x.mp4", "aac", 4)):
    heard: Tones = (0, 1, 2, *[None] * seconds, 3, 4, 5)
    case(TIMES, f"{name[1:]}, a gap of {seconds} s in its sound", heard, by="ffmpeg")(
        gap(name, codec, seconds)
    )


def tracks(name: str, melodies: Sequence[Tones], rates_hz: Sequence[int]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        parts = [
            write(folder / f"{n}.wav", tones, rate_hz)
            for n, (tones, rate_hz) in enumerate(zip(melodies, rates_hz, strict=True))
        ]
        inputs = [word for part in parts for word in ("-i", str(part))]
        maps = [word for n in range(len(parts)) for word in ("-map", f"{n}:a")]
        ffmpeg(*inputs, *maps, "-c:a", "aac", folder / name)
        for part in parts:
            part.unlink()
        return folder / name

    return make


SILENCE: Tones = (None,) * 6
case(TIMES, "two sound tracks, the first one silent", says=TRACKS, by="ffmpeg")(
    tracks("x.mp4", (SILENCE, ALL), (RATE_HZ, RATE_HZ))
)
case(TIMES, "three sound tracks, each of them heard for a third", says=TRACKS, by="ffmpeg")(
    tracks(
        "x.mkv",
        ((0, 1, *[None] * 4), (None, None, 2, 3, None, None), (*[None] * 4, 4, 5)),
        (RATE_HZ, RATE_HZ, RATE_HZ),
    )
)
case(TIMES, "two sound tracks of 44.1 and 16 kHz", says=TRACKS, by="ffmpeg")(
    tracks("x.mkv", ((0, 1, 2, *[None] * 3), (*[None] * 3, 3, 4, 5)), (44_100, RATE_HZ))
)
for ending in ("mp4", "mkv", "avi"):

    def mute(folder: Path, ending: str = ending) -> Path:
        ffmpeg(*PICTURE, folder / f"x.{ending}")
        return folder / f"x.{ending}"

    says = "holds no sound: it is a video or a picture without a sound track"
    case(TIMES, f".{ending} without a sound track", heard=(), says=says, by="ffmpeg")(mute)


@case(
    TIMES,
    ".mka, of which the second half is missing",
    heard=(0, 1, 2),
    says="ffmpeg reports: File ended…",
    by="ffmpeg",
)
def cut_matroska(folder: Path) -> Path:
    path = through_ffmpeg(folder / "x.mka", "-c:a", "pcm_s16le", "-cluster_time_limit", "100")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


@case(TIMES, ".m4a, of which the end is missing", heard=(), says="ffmpeg cannot read it", by="ffmpeg")
def cut_m4a(folder: Path) -> Path:
    path = through_ffmpeg(folder / "x.m4a", "-c:a", "aac")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


# --- channels ---------------------------------------------------------------------------------------------

CHANNELS = "Channels"


def mixed_as(weights: Sequence[Sequence[float]]) -> Callable[[Path], Path]:
    """Each row is a part of the melody: the factor of each channel. A little noise is in all of them."""

    def make(folder: Path) -> Path:
        sound = melody()
        rows = np.array(weights, np.float32)[np.arange(len(sound)) * len(weights) // len(sound)]
        noise = np.random.default_rng(0).normal(0, 1e-4, rows.shape).astype(np.float32)
        soundfile.write(folder / "x.wav", rows * sound[:, None] + noise, RATE_HZ, subtype="FLOAT")
        return folder / "x.wav"

    return make


case(CHANNELS, "stereo")(mixed_as([[1, 0.8]]))
case(CHANNELS, "stereo, one channel dead")(mixed_as([[0, 1]]))
case(CHANNELS, "stereo, one channel inverted", says=LOST)(mixed_as([[1, -1]]))
case(CHANNELS, "stereo, one channel inverted and weaker", says=LOST)(mixed_as([[1, -0.8]]))
case(CHANNELS, "stereo, inverted for the middle third", says=LOST)(mixed_as([[1, 1], [1, -1], [1, 1]]))
case(CHANNELS, "8 channels, one alive", says=LOST)(mixed_as([[0, 0, 0, 0, 0, 1, 0, 0]]))
case(CHANNELS, "6 channels, the centre alone", says=LOST)(mixed_as([[0, 0, 1, 0, 0, 0]]))
case(CHANNELS, "4 channels, two against two", says=LOST)(mixed_as([[1, 1, -1, -1]]))
case(CHANNELS, "8 channels, another one alive in each third", says=LOST)(
    mixed_as([[0, 0, 0, 0, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 1, 0]])
)


@case(CHANNELS, "stereo, one channel inverted, both with a constant offset", says=LOST)
def offset(folder: Path) -> Path:
    sound = melody()[:, None] * np.array([1, -1], np.float32) + np.float32(0.4)
    soundfile.write(folder / "x.wav", sound, RATE_HZ, subtype="FLOAT")
    return folder / "x.wav"


# --- endings that do not fit ------------------------------------------------------------------------------

INSIDE = "Other sound than the ending says"
case(INSIDE, "M4A called .mp3", by="ffmpeg")(
    lambda folder: through_ffmpeg(folder / "x.m4a", "-c:a", "aac").rename(folder / "x.mp3")
)
case(INSIDE, "ALAC in CAF, of ffmpeg", by="ffmpeg")(
    lambda folder: through_ffmpeg(folder / "x.caf", "-c:a", "alac")
)
case(INSIDE, "FLAC in Ogg", by="ffmpeg")(lambda folder: through_ffmpeg(folder / "x.ogg", "-c:a", "flac"))
case(INSIDE, "MP3 in WAV", needs_ffmpeg=True)(
    lambda folder: through_ffmpeg(folder / "x.wav", "-c:a", "libmp3lame")
)
case(INSIDE, "G.726 in WAV", by="ffmpeg")(
    lambda folder: through_ffmpeg(folder / "x.wav", "-c:a", "g726", "-ar", "8000", rate_hz=8000)
)
case(INSIDE, "Speex in Ogg", by="ffmpeg")(lambda folder: through_ffmpeg(folder / "x.ogg", "-c:a", "libspeex"))
case(INSIDE, "WAV called .mp3")(lambda folder: write(folder / "x.wav").rename(folder / "x.mp3"))
case(INSIDE, "FLAC called .wav")(lambda folder: write(folder / "x.flac").rename(folder / "x.wav"))


def named(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


PAGE_404 = b"<!DOCTYPE html><html>404</html>"
case(INSIDE, "a web page called .mp3", (), "is a web page, not audio")(named("x.mp3", PAGE_404))
case(INSIDE, "a web page called .m4a", (), "is a web page, not audio")(named("x.m4a", PAGE_404))
case(INSIDE, "a text called .wav", (), "cannot be read as audio (libsndfile: …; …ffmpeg…)", "both")(
    named("x.wav", b"no sound, whatever the name says\n" * 40)
)
case(INSIDE, "zeros called .flac", (), "cannot be read as audio (libsndfile: …; …ffmpeg…)", "both")(
    named("x.flac", bytes(5000))
)
case(INSIDE, "a picture called .mp3", (), "cannot be read as audio (libsndfile: Format not recognised; …)")(
    named("x.mp3", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0" + bytes(900))
)
case(INSIDE, "NUT, which ffmpeg reads and amr does not", (), "is of a form that is not read (nut)", "ffmpeg")(
    lambda folder: through_ffmpeg(folder / "x.nut", "-c:a", "pcm_s16le")
)


def table() -> str:
    """The table of the page."""
    parts = []
    for kind in dict.fromkeys(one.kind for one in CASES):
        parts.append(f"\n### {kind}\n\n| file | decoded by | read | message |\n|---|---|---|---|\n")
        parts += [row(one) for one in CASES if one.kind == kind]
    return "".join(parts) + f"\n{len(CASES)} files.\n"


def row(one: Case) -> str:
    heard = ("all of it" if None not in one.heard else "all of it, at its time") if one.heard else "refused"
    if one.heard and len([tone for tone in one.heard if tone is not None]) < len(ALL):
        heard = "what is there"
    said = f"`{one.says}`" if one.says else ""
    return f"| {one.what} | {one.by} | {heard} | {said} |\n"


def page(text: str) -> str:
    """The page with the table of today."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
