"""Decoding and resampling: any format, rate, channels and length, in bounded memory; whole files only."""

from __future__ import annotations

import os
import stat
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.arrays import Float32Array
from amr.audio.claims import read_claim
from amr.audio.decode import open_decoder
from amr.audio.joined import ends_stream, last_ogg_page
from amr.audio.mix import mean_of
from amr.audio.mp3 import id3_bytes, read_length_tag
from amr.audio.noise import library_chatter_hidden
from amr.audio.read import MonoStream, read_audio
from amr.audio.resample import Resampler
from amr.errors import InputError, MissingError

Floats = Float32Array


def tone(samples: int, rate_hz: int, channels: int = 1) -> Floats:
    """Sines of a different pitch in each channel, ``(samples, channels)``."""
    time_s = np.arange(samples)[:, None] / rate_hz
    return (0.3 * np.sin(2 * np.pi * (440 + 110 * np.arange(channels)) * time_s)).astype(np.float32)


def noise(samples: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, samples).astype(np.float32)


@pytest.mark.parametrize("duration_s", [0.3, 0.975, 59.9, 300.4])
@pytest.mark.parametrize("rate_hz", [8000, 44_100])
def test_every_sample_of_odd_lengths(tmp_path: Path, duration_s: float, rate_hz: int) -> None:
    count = round(duration_s * rate_hz)
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(count, rate_hz), rate_hz)
    samples, decoded_s = read_audio(path, 16_000)
    assert decoded_s == count / rate_hz
    assert len(samples) == -(-count * 16_000 // rate_hz)
    middle = slice(1000, -1000) if count > 8000 else slice(400, -400)
    assert np.abs(samples - tone(len(samples), 16_000)[:, 0])[middle].max() < 2e-3


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_any_rate_and_channels(tmp_path: Path, rate_hz: int, channels: int) -> None:
    path = tmp_path / "x.wav"
    sound = tone(rate_hz // 2 + 7, rate_hz, channels)
    soundfile.write(path, sound, rate_hz, subtype="FLOAT")
    own, decoded_s = read_audio(path, None)
    assert np.allclose(own, sound.mean(axis=1), atol=1e-6)
    resampled, _ = read_audio(path, 16_000)
    reference = soxr.resample(sound.mean(axis=1), rate_hz, 16_000)
    shared = min(len(reference), len(resampled))
    assert np.abs(resampled[:shared] - reference[:shared]).max() < 1e-5
    assert len(resampled) == -(-len(sound) * 16_000 // rate_hz)
    assert decoded_s == len(sound) / rate_hz


@settings(max_examples=40)
@given(
    st.integers(1, 5000),
    st.sampled_from(
        [(44_100, 16_000), (8000, 16_000), (16_000, 16_000), (192_000, 48_000), (11_025, 44_100)]
    ),
    st.lists(st.integers(1, 700), min_size=1, max_size=5),
)
def test_blocks_do_not_change_the_resampled_sound(
    count: int, rates: tuple[int, int], sizes: list[int]
) -> None:
    sound = noise(count)

    def resampled(sizes: list[int]) -> Floats:
        resampler, out, at, turn = Resampler(*rates), [np.zeros(0, np.float32)], 0, 0
        while at < count:
            size = sizes[turn % len(sizes)]
            out += resampler.push(sound[at : at + size])
            at, turn = at + size, turn + 1
        return np.concatenate([*out, *resampler.finish()])

    whole = resampled([count])
    assert np.array_equal(resampled(sizes), whole)
    assert len(whole) == -(-count * rates[1] // rates[0])


def test_the_mean_of_channels_is_the_same_in_any_block() -> None:
    sound = noise(9000).reshape(-1, 3)
    whole = mean_of(sound)
    parts = [mean_of(sound[at : at + 17]) for at in range(0, len(sound), 17)]
    assert np.array_equal(np.concatenate(parts), whole)
    assert np.allclose(whole, sound.mean(axis=1), atol=1e-7)


FORMATS = {"wav": "PCM_16", "flac": "PCM_16", "ogg": "VORBIS", "opus": "OPUS", "mp3": "MPEG_LAYER_III"} | {
    "aiff": "PCM_16",
    "au": "PCM_16",
    "caf": "PCM_16",
    "w64": "PCM_16",
    "rf64": "PCM_16",
}


def write_format(folder: Path, name: str, sound: Floats, rate_hz: int) -> Path:
    path = folder / f"x.{name}"
    container = {"opus": "OGG"}.get(name, name.upper())
    soundfile.write(path, sound, rate_hz, subtype=FORMATS[name], format=container)
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_and_its_first_half(tmp_path: Path, name: str) -> None:
    rate_hz = 48_000
    sound = tone(rate_hz * 3, rate_hz)[:, 0] + 0.05 * noise(rate_hz * 3)
    path = write_format(tmp_path, name, sound, rate_hz)
    samples, duration_s = read_audio(path, None)
    assert duration_s == 3.0
    assert np.corrcoef(samples, sound)[0, 1] > 0.97
    cut = tmp_path / f"cut.{name}"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with library_chatter_hidden(), pytest.raises(InputError) as caught:
        read_audio(cut, 16_000)
    assert caught.value.where == str(cut)


def mp3_frames(data: bytes) -> list[int]:
    """Where the frames of an MPEG 1 layer III stream begin."""
    bit_rates = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]
    at, starts = 0, []
    while at + 4 <= len(data):
        starts.append(at)
        at += 144_000 * bit_rates[data[at + 2] >> 4] // 44_100 + (data[at + 2] >> 1 & 1)
    return starts


def test_an_mp3_without_a_length_tag_is_read_to_its_end(tmp_path: Path) -> None:
    """Its length is estimated from the first frame, and there libsndfile stops: a third would be lost."""
    rate_hz = 44_100
    quiet, loud = 0.1 * tone(rate_hz * 2, rate_hz)[:, 0], noise(rate_hz * 4)
    path = tmp_path / "tagged.mp3"
    options = {
        "format": "MP3",
        "subtype": "MPEG_LAYER_III",
        "bitrate_mode": "VARIABLE",
        "compression_level": 0.3,
    }
    soundfile.write(path, np.concatenate([quiet, loud, quiet]), rate_hz, **options)
    data = path.read_bytes()
    starts = mp3_frames(data)
    bare = tmp_path / "bare.mp3"
    bare.write_bytes(data[starts[1] :])
    assert read_length_tag(data[:256]) is not None
    assert read_length_tag(bare.read_bytes()[:256]) is None
    with library_chatter_hidden():
        _, tagged_s = read_audio(path, None)
        samples, duration_s = read_audio(bare, None)
        claimed = soundfile.SoundFile(bare).frames
    assert tagged_s == 8.0
    assert len(samples) == (len(starts) - 1) * 1152
    assert duration_s == pytest.approx(8.0, abs=0.1)
    assert not np.isclose(claimed, len(samples), rtol=0.05)


def test_id3_tags_are_stepped_over() -> None:
    assert id3_bytes(b"ID3\x04\x00\x00\x00\x00\x02\x01") == 10 + 257
    assert id3_bytes(b"ID3\x04\x00\x10\x00\x00\x02\x01") == 20 + 257
    assert id3_bytes(b"\xff\xfb\x90\x64") == 0


def wav(
    sound: bytes,
    *,
    rate_hz: int = 16_000,
    channels: int = 1,
    bits: int = 16,
    kind: int = 1,
    claim: int | None = None,
) -> bytes:
    """A WAV file by hand, so that its header can lie."""
    size = len(sound) if claim is None else claim
    frame = channels * bits // 8
    rates = (rate_hz, rate_hz * frame % 2**32, frame % 2**16)
    riff = struct.pack("<4sI4s", b"RIFF", (size + 36) % 2**32, b"WAVE")
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, kind, channels, *rates, bits)
    header = riff + form + struct.pack("<4sI", b"data", size)
    return header + sound


PCM = (noise(16_000) * 20_000).astype("<i2").tobytes()


@pytest.mark.parametrize("claim", [0xFFFFFFFF, 0x7FFFF000 + 36, 0xFFFFFFFF - 36])
def test_a_wav_from_a_pipe_does_not_know_its_length(tmp_path: Path, claim: int) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(wav(PCM, claim=claim))
    assert read_audio(path, None)[1] == 1.0


def with_sample(value: float) -> bytes:
    sound = noise(16_000)
    sound[9000] = value
    return wav(sound.astype("<f4").tobytes(), bits=32, kind=3)


def changed(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


BROKEN: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", r"is empty \(0 bytes\)"),
    "text": (b"this is a text, whatever its name says\n" * 40, "cannot be read as audio"),
    "html": (b"<!DOCTYPE html><html>404</html>", "is a web page, not audio"),
    "zeros": (b"\0" * 5000, "cannot be read as audio"),
    "half a header": (wav(PCM)[:30], "cannot be read as audio"),
    "a header alone": (wav(b""), "holds no samples"),
    "a header and less": (wav(b"", claim=32_000), "is cut|holds no samples"),
    "cut": (wav(PCM)[:-5000], "is cut: 27000 bytes of sound, the header says 32000"),
    "100 hours claimed": (wav(PCM, rate_hz=8000, claim=2_880_000_000), "header says 2880000000"),
    "0 Hz": (wav(PCM, rate_hz=0), "0 Hz|cannot be read as audio"),
    "4 GHz": (wav(PCM, rate_hz=4_000_000_000), "4000000000 Hz|-294967296 Hz|cannot be read as audio"),
    "0 channels": (wav(PCM, channels=0), "cannot be read as audio|0 channels"),
    "65535 channels": (wav(PCM, channels=65_535), "cannot be read as audio"),
    "0 bits": (wav(PCM, bits=0), "cannot be read as audio"),
    "an unknown codec": (wav(PCM, kind=0x1234), "cannot be read as audio"),
    "NaN": (with_sample(float("nan")), "holds NaN or infinite samples"),
    "infinity": (with_sample(float("-inf")), "holds NaN or infinite samples"),
    "absurd": (with_sample(2.5e38), "holds samples above 1e15"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_wav_is_named(tmp_path: Path, kind: str) -> None:
    content, message = BROKEN[kind]
    path = tmp_path / "x.wav"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_audio(path, 16_000)
    assert caught.value.where == str(path)


def flac_with(change: Callable[[bytes], bytes], folder: Path) -> Path:
    path = write_format(folder, "flac", noise(48_000), 48_000)
    path.write_bytes(change(path.read_bytes()))
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1000],
        lambda data: changed(data, len(data) // 2, b"\xaa" * 3000),
        lambda data: changed(data, 21, b"\x0f\xff\xff\xff\xff"),  # 2^36 samples claimed
    ],
    ids=["cut", "a hole", "a claim"],
)
def test_a_broken_flac_is_named(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(InputError, match=r"damaged or cut|is cut|cannot be read as audio"):
        read_audio(flac_with(change, tmp_path), 16_000)


def test_an_ogg_cut_anywhere_but_between_pages_is_seen(tmp_path: Path) -> None:
    data = write_format(tmp_path, "ogg", noise(150_000), 16_000).read_bytes()
    for length in range(200, len(data), len(data) // 25):
        between = data[length : length + 4] == b"OggS"
        assert bool(last_ogg_page(data[:length])) == between
    assert ends_stream(last_ogg_page(data))
    assert not last_ogg_page(b"nothing of the kind")


@pytest.mark.parametrize(
    ("claim", "following", "found"),
    [
        (32_000, b"", 32_000),
        (32_000, b"LIST\4\0\0\0INFO", 32_000),
        (500, b"", 32_000),
        (500, b"LIST\4\0\0\0INFO", 32_012),
        (0, b"", 32_000),
        (0xFFFFFFFF, b"", 32_000),
        (40_000, b"", 32_000),
    ],
)
def test_what_a_header_claims_and_what_there_is(
    tmp_path: Path, claim: int, following: bytes, found: int
) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(wav(PCM, claim=claim) + following)
    read = read_claim(path)
    assert read is not None
    assert (read.claimed, read.found) == (claim, found)
    assert read.is_unknown == (claim in (0, 0xFFFFFFFF))


def test_things_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such audio file"):
        read_audio(tmp_path / "none.wav", None)
    with pytest.raises(InputError, match="is a folder"):
        read_audio(tmp_path, None)
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(InputError, match="not a regular file"):
        read_audio(tmp_path / "pipe.wav", None)


def test_the_duration_is_known_at_the_end_only(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(wav(PCM))
    stream = MonoStream(path, 16_000)
    with pytest.raises(ValueError, match="not been read to its end"):
        _ = stream.duration_s
    assert sum(len(block) for block in stream) == 16_000
    assert stream.duration_s == 1.0


def test_names_with_dashes_quotes_and_foreign_bytes(tmp_path: Path) -> None:
    for name in (b"-x.wav", b"a 'b' \"c\".wav", b"caf\xe9.wav", "犬.wav".encode()):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        path.write_bytes(wav(PCM))
        assert read_audio(path, 8000)[1] == 1.0


FAKE_FFMPEG = """#!{python}
import struct, sys
path = sys.argv[sys.argv.index("-i") + 1]
assert path.startswith("file:"), path
data = open(path[5:], "rb").read()
if data.startswith(b"broken"):
    sys.exit("partial file: moov atom not found")

def element(kind, content):
    return bytes.fromhex(kind) + struct.pack(">Q", 1 << 56 | len(content)) + content

if not data.startswith(b"silent"):
    audio = element("b5", struct.pack(">d", 22050)) + element("9f", bytes([2]))
    out = sys.stdout.buffer
    out.write(element("1a45dfa3", b"") + bytes.fromhex("18538067ff"))
    out.write(element("1654ae6b", element("ae", element("e1", audio))))
    sound = b"".join(struct.pack("<2f", n / 22050, -0.5) for n in range(22050))
    for second in range(2):
        part = sound[second * 88200 : second * 88200 + 88200]
        block = element("a3", struct.pack(">BhB", 0x81, 0, 0x80) + part)
        out.write(element("1f43b675", element("e7", struct.pack(">H", 500 * second)) + block))
    if data.startswith(b"cut"):
        out.flush()
        sys.exit("stream ends early")
"""


@pytest.fixture
def ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "ffmpeg"
    program.write_text(FAKE_FFMPEG.replace("{python}", sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.usefixtures("ffmpeg")
def test_other_formats_come_through_ffmpeg(tmp_path: Path) -> None:
    path = tmp_path / "-x.m4a"
    path.write_bytes(b"sound")
    samples, duration_s = read_audio(path, None)
    assert duration_s == 1.0
    assert np.allclose(samples, (np.arange(22_050) / 22_050 - 0.5) / 2, atol=1e-6)
    with open_decoder(path) as decoder:  # given up half way: ffmpeg does not stay
        assert decoder.channels == 2
        assert len(next(decoder.blocks())) > 0


@pytest.mark.usefixtures("ffmpeg")
@pytest.mark.parametrize(
    ("content", "message"),
    [(b"broken", "moov atom not found"), (b"silent", "no sound that ffmpeg"), (b"cut", "stream ends early")],
)
def test_what_ffmpeg_cannot_read_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.m4a"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_audio(path, 16_000)


def test_without_ffmpeg_that_is_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "x.m4a"
    path.write_bytes(b"\0\0\0\x20ftypM4A ")
    with pytest.raises(MissingError, match="needs ffmpeg, and no ffmpeg is on the PATH"):
        read_audio(path, 16_000)


MEMORY = """
import resource, sys
from amr.audio.read import MonoStream
stream = MonoStream(sys.argv[1], 16000)
count = sum(len(block) for block in stream)
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_kb(path: Path) -> int:
    run = subprocess.run(
        [sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True
    )
    return int(run.stdout.split()[1])


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    rate_hz, minutes = 48_000, 40
    minute = (noise(rate_hz * 60 * 2) * 20_000).astype("<i2").tobytes()
    path = tmp_path / "long.wav"
    with open(path, "wb") as file:
        file.write(wav(b"", rate_hz=rate_hz, channels=2, claim=len(minute) * minutes))
        for _ in range(minutes):
            file.write(minute)
    short = tmp_path / "short.wav"
    short.write_bytes(wav(minute, rate_hz=rate_hz, channels=2))
    assert path.stat().st_size > 400e6
    assert peak_kb(path) < peak_kb(short) + 20_000
