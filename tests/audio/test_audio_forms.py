"""Every form and damage of audio that people have: heard whole, at its time, or refused in words."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
import pytest
from audio_forms import (
    ALL,
    CASES,
    FFMPEG,
    LESS,
    LOST,
    MORE,
    PAGE,
    RATE_HZ,
    Case,
    claims,
    heard_tones,
    melody,
    mixed_as,
    page,
    write,
)

from amr.arrays import Float32Array
from amr.audio.decode import open_decoder
from amr.audio.mix import Mixer, mean_of
from amr.audio.noise import library_chatter_hidden
from amr.audio.read import MonoStream
from amr.audio.stretch import length_s, read_mono
from amr.errors import InputError
from amr.simulation.decode import decode_whole


def fits(pattern: str, text: str) -> bool:
    return re.search(".*".join(map(re.escape, pattern.split("…"))), text) is not None


@pytest.mark.parametrize("one", CASES, ids=lambda one: f"{one.kind}-{one.what}")
def test_what_is_heard_and_what_is_said(one: Case, tmp_path: Path) -> None:
    if one.needs_ffmpeg and FFMPEG is None:
        pytest.skip("needs ffmpeg")
    path = one.make(tmp_path)
    stream = MonoStream(path, RATE_HZ)
    with library_chatter_hidden():
        if not one.heard:
            with pytest.raises(InputError) as caught:
                list(stream)
            assert fits(one.says, str(caught.value)), caught.value
            return
        samples = np.concatenate(list(stream))
        rest, rate_hz = read_mono(path, 1.0, 99.0)
        assert length_s(path) == pytest.approx(len(one.heard), abs=0.25)
    assert heard_tones(samples, RATE_HZ) == list(one.heard)
    assert stream.duration_s == pytest.approx(len(one.heard), abs=0.25)
    assert heard_tones(rest, rate_hz) == list(one.heard[1:])
    assert len(stream.remarks) == bool(one.says)
    assert not one.says or fits(one.says, stream.remarks[0])


def test_the_table_is_current() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), "run: python tests/audio_forms.py"


@pytest.mark.parametrize(
    ("form", "mark", "offset", "number", "bits"),
    [
        ("wav", b"data", 4, "<I", 16),
        ("aiff", b"SSND", 4, ">I", 16),
        ("au", b".snd", 8, ">I", 16),
        ("wav", b"data", 4, "<I", 24),
    ],
)
@pytest.mark.parametrize("wraps", [True, False])
def test_more_than_4_gib(
    tmp_path: Path, form: str, mark: bytes, offset: int, number: str, bits: int, wraps: bool
) -> None:
    """Sizes of 32 bits wrap, or say 0xFFFFFFFF; the file is sparse, its last second holds the last tone."""
    path = write(
        tmp_path / f"x.{form}", (0,), subtype=f"PCM_{bits}", **{"endian": "BIG"} if form == "au" else {}
    )
    data = path.read_bytes()
    step, second = bits // 8, RATE_HZ * bits // 8
    begin = len(data) - second
    last = write(
        tmp_path / f"y.{form}", (5,), subtype=f"PCM_{bits}", **{"endian": "BIG"} if form == "au" else {}
    )
    size = (2**32 // second + 61) * second
    claimed = (size + (8 if form == "aiff" else 0)) % 2**32 if wraps else 2**32 - 1
    at = data.index(mark) + offset
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(struct.pack(number, claimed))
        file.seek(begin + size - second)
        file.write(last.read_bytes()[-second:])
    with open_decoder(path) as decoder:
        assert decoder.num_frames == size // step
        first = size // step - 2 * RATE_HZ
        end = np.concatenate([block[:, 0].copy() for block in decoder.blocks(first)])
        assert heard_tones(end, RATE_HZ) == [None, 5]
        assert len(decoder.remarks) == (form != "au" or wraps)


@pytest.mark.parametrize(
    ("form", "claimed"), [("wav", 8000), ("aiff", 200_000), ("w64", 80_000), ("caf", 192_500)]
)
def test_strict_refuses_a_header_that_is_wrong(tmp_path: Path, form: str, claimed: int) -> None:
    path = claims(form, claimed)(tmp_path)
    with pytest.raises(InputError, match=r"claims less sound|is cut: 192000 bytes of sound, the header says"):
        list(MonoStream(path, RATE_HZ, strict=True))
    stream = MonoStream(path, RATE_HZ)
    list(stream)
    assert stream.remarks == [LESS if claimed < 192_000 else MORE]


@pytest.mark.parametrize("size", [1, 333, 4000, 4001, 10_000, 10**6])
@pytest.mark.parametrize("weights", [[[1, -1]], [[1, 1], [1, -1], [1, 1]], [[0, 0, 0, 1], [1, 0, 0, 0]]])
def test_a_mix_does_not_depend_on_the_blocks(tmp_path: Path, size: int, weights: list[list[float]]) -> None:
    import soundfile

    sound = soundfile.read(mixed_as(weights)(tmp_path), dtype="float32", always_2d=True)[0][
        : 30_000 if size == 1 else None
    ]
    whole = np.concatenate(list(Mixer(RATE_HZ, sound.shape[1]).mix([sound])))
    parts = [sound[at : at + size] for at in range(0, len(sound), size)]
    assert np.array_equal(np.concatenate(list(Mixer(RATE_HZ, sound.shape[1]).mix(parts))), whole)
    assert len(whole) == len(sound)


@pytest.mark.parametrize(
    "weights", [[[1, 1], [1, -1], [1, 1]], [[0, 0, 0, 1], [1, 0, 0, 0]], [[1, -1], [1, 1], [-1, 1]]]
)
def test_a_mix_that_changes_does_not_click(tmp_path: Path, weights: list[list[float]]) -> None:
    """Where nothing but the choice changes, no step is larger than the sound's own, and the level stays."""
    stream = MonoStream(mixed_as(weights)(tmp_path), None)
    mono, plain = np.concatenate(list(stream)), melody()
    assert np.abs(np.diff(mono)).max() < 1.2 * np.abs(np.diff(plain)).max()
    level = np.abs(mono.reshape(-1, RATE_HZ // 4)).max(axis=1)
    assert level.min() > 0.28
    assert level.max() < 0.32


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [1.0, 0.5, 0.0])
def test_ordinary_stereo_is_its_mean(seed: int, share: float) -> None:
    """Channels that share all, half or nothing of their sound, and pauses: the mean, to the bit."""
    draw = np.random.default_rng(seed)
    common, own = draw.normal(0, 0.1, (50_000, 1)), draw.normal(0, 0.1, (50_000, 2))
    sound = (share * common + (1 - share) * own).astype(np.float32)
    sound[20_000:30_000] *= 1e-4
    mixer = Mixer(RATE_HZ, 2)
    assert np.array_equal(np.concatenate(list(mixer.mix([sound]))), mean_of(sound))
    assert not mixer.has_lost


@pytest.mark.parametrize("channels", [2, 6, 8])
def test_what_is_no_number_in_any_channel_is_refused(tmp_path: Path, channels: int) -> None:
    import soundfile

    sound: Float32Array = np.zeros((3 * RATE_HZ, channels), np.float32)
    sound[:, 0] = melody((0, 1, 2))
    sound[RATE_HZ * 2, channels - 1] = np.nan
    path = tmp_path / "x.wav"
    soundfile.write(path, sound, RATE_HZ, subtype="FLOAT")
    with pytest.raises(InputError, match=r"holds NaN or infinite samples after 2\.0 s"):
        list(MonoStream(path, RATE_HZ))


def test_simulate_mixes_in_the_same_way(tmp_path: Path) -> None:
    for weights in ([[1, -1]], [[0, 0, 0, 0, 1, 0]], [[1, 1]]):
        path = mixed_as(weights)(tmp_path)
        stream = MonoStream(path, None)
        assert np.array_equal(decode_whole(path)[0], np.concatenate(list(stream)))
        assert stream.remarks == ([LOST] if weights != [[1, 1]] else [])
        assert heard_tones(decode_whole(path)[0], RATE_HZ) == list(ALL)
