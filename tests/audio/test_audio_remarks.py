"""What is odd about recordings is said, once a kind; what is passed over in folders is counted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from archive_world import Tool
from audio_forms import FFMPEG, LESS, LOST, RATE_HZ, claims, ffmpeg, melody, mixed_as, write

from amr.audio.files import find_audio
from amr.errors import InputError

FAKE = ("--encoder", "feature_fakes:FakeEncoder", "--device", "cpu")
PASSED_OVER = "is called sound but cannot be read, skipped"


@pytest.fixture
def tool(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tool:
    monkeypatch.chdir(tmp_path)
    return Tool(capfd, monkeypatch)


def make(folder: Path, names: dict[str, object]) -> None:
    """A folder of files, each by its maker."""
    folder.mkdir(exist_ok=True)
    for name, maker in names.items():
        maker(folder).rename(folder / name)  # type: ignore[operator]


ODD = {
    "a.wav": claims("wav", 8000),
    "b.aiff": claims("aiff", 4000),
    "c.w64": claims("w64", 4000),
    "d.wav": mixed_as([[1, -1]]),
    "e.wav": mixed_as([[0, 0, 0, 0, 1]]),
    "f.wav": mixed_as([[1, 1]]),
}


def test_extract_says_each_kind_once(tool: Tool, tmp_path: Path) -> None:
    make(tmp_path / "audio", ODD)
    done = tool("extract", "audio", "-o", "f.h5", *FAKE)
    assert done.returncode == 0
    warnings = [line for line in done.stderr.splitlines() if "warning" in line]
    assert sorted(warnings) == [
        f"amr extract: warning: audio/a.wav: {LESS} (3 times, this is the first)",
        f"amr extract: warning: audio/d.wav: {LOST} (2 times, this is the first)",
    ]
    assert "warning" not in tool("extract", "audio", "-o", "f.h5", "-f", "-q", *FAKE).stderr


def test_predict_says_each_kind_once(tool: Tool, tmp_path: Path) -> None:
    make(tmp_path / "audio", {name: ODD[name] for name in ("a.wav", "d.wav", "e.wav")})
    done = tool("predict", "--query", "a bell", "--top-k", "1", "audio")
    assert f"amr predict: warning: audio/a.wav: {LESS}\n" in done.stderr
    assert f"amr predict: warning: audio/d.wav: {LOST} (2 times, this is the first)\n" in done.stderr


@pytest.mark.parametrize("name", ["a.wav", "b.aiff", "c.w64"])
def test_strict_refuses(tool: Tool, tmp_path: Path, name: str) -> None:
    make(tmp_path / "audio", {name: ODD[name], "f.wav": ODD["f.wav"]})
    done = tool("extract", "audio", "-o", "f.h5", "--strict", *FAKE)
    assert (done.returncode, f"error: audio/{name}: its header claims less sound" in done.stderr) == (5, True)
    going = tool("extract", "audio", "-o", "g.h5", "--strict", "--keep-going", *FAKE)
    assert (going.returncode, "1 broken, the rest is done" in going.stderr) == (5, True)
    assert tool("predict", "--query", "a bell", "--strict", f"audio/{name}").returncode == 3


def test_strict_takes_what_is_not_wrong(tool: Tool, tmp_path: Path) -> None:
    """A length that is not known, and channels that cancel, are no contradiction."""
    make(
        tmp_path / "audio", {"a.wav": claims("wav", 0xFFFFFFFF), "d.wav": ODD["d.wav"], "f.wav": ODD["f.wav"]}
    )
    assert tool("extract", "audio", "-o", "f.h5", "--strict", *FAKE).returncode == 0


@pytest.mark.parametrize("weights", [[[1, -1]], [[0, 0, 0, 0, 0, 1]], [[1, 1], [1, -1]]])
def test_an_example_is_mixed_in_the_same_way(tool: Tool, tmp_path: Path, weights: list[list[float]]) -> None:
    write(tmp_path / "base.wav").rename(tmp_path / "rec.wav")
    mixed_as(weights)(tmp_path).rename(tmp_path / "clip.wav")
    write(tmp_path / "plain.wav")
    odd = tool("predict", "--like", "clip.wav", "--top-k", "1", "rec.wav")
    plain = tool("predict", "--like", "plain.wav", "--top-k", "1", "rec.wav")
    assert f"amr predict: warning: clip.wav: {LOST}" in odd.stderr
    ends = [one.records[0]["pred_relevant_windows"][0] for one in (odd, plain)]
    assert np.allclose(ends[0], ends[1], atol=0.06)


def test_simulate_says_it_too(tool: Tool, tmp_path: Path) -> None:
    make(tmp_path / "fg", {"a.wav": ODD["a.wav"], "d.wav": ODD["d.wav"], "e.wav": ODD["e.wav"]})
    (tmp_path / "bg").mkdir()
    noise = np.random.default_rng(0).normal(0, 0.01, (40 * RATE_HZ, 1))
    soundfile.write(tmp_path / "bg/n.wav", noise * [[1, -1]], RATE_HZ)
    rows = "\n".join(f"{name}.wav,a bell" for name in "ade")
    (tmp_path / "fg/list.csv").write_text(f"file,captions\n{rows}\n")
    sources = ("--foreground", "fg/list.csv", "--background", "bg")
    done = tool(
        "simulate", *sources, "--count", "2", "--length", "20", "--short-background", "repeat", "-o", "out"
    )
    assert done.returncode == 0, done.stderr
    assert f"a.wav: {LESS}" in done.stderr
    assert f"{LOST} (3 times, this is the first)" in done.stderr or f"{LOST} (2 times" in done.stderr


@pytest.mark.parametrize("endings", [["raw"], ["raw", "pcm", "mid"], ["aup3", "m4p", "sd2", "RAW"]])
def test_sound_that_cannot_be_read_is_counted_in_folders(
    tool: Tool, tmp_path: Path, endings: list[str]
) -> None:
    make(tmp_path / "audio", {"f.wav": ODD["f.wav"]})
    for number, ending in enumerate(endings):
        (tmp_path / f"audio/{number}.{ending}").write_bytes(bytes(100))
    (tmp_path / "audio/notes.txt").write_text("none")
    done = tool("extract", "audio", "-o", "f.h5", *FAKE)
    count = f" ({len(endings)} times, this is the first)" if len(endings) > 1 else ""
    assert f"amr extract: warning: audio/0.{endings[0]}: {PASSED_OVER}{count}\n" in done.stderr
    assert done.stderr.count(PASSED_OVER) == 1


@pytest.mark.parametrize(
    ("ending", "codec"),
    [("ts", "mp2"), ("mts", "mp2"), ("m2ts", "ac3"), ("wmv", "wmav2"), ("mpg", "mp2"), ("flv", "aac")],
)
@pytest.mark.skipif(FFMPEG is None, reason="needs ffmpeg")
def test_endings_that_ffmpeg_reads_are_found_in_folders(tmp_path: Path, ending: str, codec: str) -> None:
    source = write(tmp_path / "source.wav", rate_hz=44_100)
    (tmp_path / "audio").mkdir()
    form = {"mts": ["-f", "mpegts"], "m2ts": ["-f", "mpegts"], "wmv": ["-f", "asf"]}.get(ending, [])
    ffmpeg("-i", source, "-c:a", codec, *form, tmp_path / f"audio/x.{ending}")
    (tmp_path / "audio/program.ts").write_text("export const x = 1;\n")
    [found] = find_audio([str(tmp_path / "audio")])
    assert (found.id, found.path.name) == ("x", f"x.{ending}")


def test_a_sphere_file_is_found_and_read(tmp_path: Path) -> None:
    header = b"NIST_1A\n   1024\nchannel_count -i 1\nsample_rate -i 16000\nsample_n_bytes -i 2\n"
    header += b"sample_byte_format -s2 01\nsample_coding -s3 pcm\nsample_count -i 96000\nend_head\n"
    sound = (melody() * 32767).astype("<i2").tobytes()
    (tmp_path / "x.sph").write_bytes(header.ljust(1024) + sound)
    [found] = find_audio([str(tmp_path)])
    from amr.audio.read import read_audio

    assert read_audio(found.path, None)[1] == 6.0


def test_clips_of_odd_recordings_hold_the_moment(tool: Tool, tmp_path: Path) -> None:
    """Joined, claimed and late sound is cut where it is heard; channels stay as they are."""
    make(tmp_path / "audio", {"a.wav": ODD["a.wav"], "d.wav": ODD["d.wav"]})
    lines = [
        {"qid": vid, "query": "x", "vid": vid, "duration": 6.0, "relevant_windows": [[4.0, 5.0]]}
        for vid in ("a", "d")
    ]
    Path("gt.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    done = tool("convert", "gt.jsonl", "--clips", "clips", "--audio", "audio")
    assert done.returncode == 0, done.stderr
    from audio_forms import heard_tones

    for path, channels in zip(sorted(Path("clips").iterdir()), (1, 2), strict=True):
        sound, rate_hz = soundfile.read(path, always_2d=True, dtype="float32")
        assert sound.shape == (RATE_HZ, channels)
        assert heard_tones(sound[:, 0], rate_hz) == [4]


def test_neither_reads_it_and_both_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from amr.audio.read import read_audio

    path = tmp_path / "x.wav"
    path.write_bytes(b"nothing of the kind " * 99)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"libsndfile: .+; no ffmpeg to try it with is on the PATH"):
        read_audio(path, None)
    if FFMPEG is not None:
        monkeypatch.setenv("PATH", str(Path(FFMPEG).parent))
        with pytest.raises(InputError, match=r"libsndfile: .+; ffmpeg cannot read it \(.+\)"):
            read_audio(path, None)
