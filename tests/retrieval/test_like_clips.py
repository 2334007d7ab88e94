"""Query by example: a clip finds its like, alone and with words, and a bad clip is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from archive_world import Tool, ToyEncoder

from amr.encoders.registry import load_encoder
from amr.encoders.running.stream import encode_recording
from amr.formats.features.output import open_feature_output
from amr.formats.queries import Query
from amr.moments import interval_iou
from amr.retrieval.like import ExampleClip, add_clips, direction, together, vector_of
from amr.retrieval.window import WindowOptions
from amr.retrieval.window_finder import WindowFinder

AUDIO = Path(__file__).parents[2] / "examples" / "audio"
SHEEP = (10.0, 11.4)
CHOPS = (27.0, 33.0)


@pytest.fixture
def tool(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tool:
    return Tool(capfd, monkeypatch)


def cut_out(recording: str, seconds: tuple[float, float], target: Path) -> Path:
    samples, rate_hz = soundfile.read(AUDIO / f"{recording}.ogg", always_2d=True)
    soundfile.write(target, samples[int(seconds[0] * rate_hz) : int(seconds[1] * rate_hz)], rate_hz)
    return target


@pytest.fixture(scope="module")
def feats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example recordings, extracted."""
    path = tmp_path_factory.mktemp("like") / "feats.h5"
    encoder = load_encoder("yamnet")
    with open_feature_output(path, identity_json=encoder.identity.to_json(), store="float16") as writer:
        for file in sorted(AUDIO.glob("*.ogg")):
            frames, _, duration_s = encode_recording(encoder, file)
            writer.add(file.stem, frames, duration_s=duration_s)
    return path


@pytest.mark.parametrize(("recording", "seconds"), [("sheepfield", SHEEP), ("lumberjack", CHOPS)])
def test_a_clip_finds_the_recording_and_the_moment_it_is_from(
    tool: Tool, feats: Path, tmp_path: Path, recording: str, seconds: tuple[float, float]
) -> None:
    clip = cut_out(recording, seconds, tmp_path / "clip.wav")
    best = tool("predict", "--like", clip, "--top", "9", feats).records[0]
    assert (best["vid"], best["query"], best["qid"]) == (recording, "like:clip.wav", f"{recording}_1")
    found = np.array(best["pred_relevant_windows"])
    assert interval_iou(found[:, :2], np.array(seconds)).max() > 0.3
    assert found[0, 2] > 0.4


def test_words_and_clip_are_one_query_and_keep_their_ids(tool: Tool, feats: Path, tmp_path: Path) -> None:
    clip = cut_out("sheepfield", SHEEP, tmp_path / "baa.wav")
    line = json.dumps({"query": "a sheep bleats", "qid": 7})
    found = tool("predict", "--queries", "-", "--like", clip, "--top", "1", feats, stdin=line).records
    assert [(r["vid"], r["qid"], r["query"]) for r in found] == [
        ("sheepfield", "sheepfield_7", "a sheep bleats like:baa.wav")
    ]


def test_the_index_answers_clips_as_well(tool: Tool, feats: Path, tmp_path: Path) -> None:
    clip = cut_out("lumberjack", CHOPS, tmp_path / "chop.wav")
    exact = tool("predict", "--like", clip, "--top", "3", "--shortlist", "all", feats)
    listed = tool("predict", "--like", clip, "--top", "3", "--index", "--shortlist", "50", "-q", feats)
    assert (listed.stdout, listed.stderr) == (exact.stdout, "")


def bad_clips() -> dict[str, tuple[bytes | np.ndarray | None, str]]:
    rate_hz = 16_000
    noise = np.random.default_rng(0).normal(0, 0.1, rate_hz * 61)
    return {
        "gone": (None, "no such"),
        "empty": (b"", ""),
        "broken": (b"RIFF\x00\x00\x00\x00WAVEfmt nothing", ""),
        "no audio": (b"Call me Ishmael. Some years ago, never mind how long precisely", ""),
        "silent": (np.zeros(rate_hz), "is silent"),
        "short": (noise[:800], "is 0.050 s long, an example needs at least 0.1 s"),
        "long": (noise, "is longer than 60 s"),
    }


@pytest.mark.parametrize("kind", sorted(bad_clips()))
def test_a_bad_clip_is_named(tool: Tool, feats: Path, tmp_path: Path, kind: str) -> None:
    content, message = bad_clips()[kind]
    clip = tmp_path / "clip.wav"
    if isinstance(content, bytes):
        clip.write_bytes(content)
    elif content is not None:
        soundfile.write(clip, content, 16_000)
    done = tool("predict", "--like", clip, feats)
    assert done.returncode == 3
    assert done.stdout == ""
    assert f"{clip}: " in done.stderr
    assert message in done.stderr


def test_clips_are_for_the_window_and_not_for_tuning(tool: Tool, feats: Path, tmp_path: Path) -> None:
    clip = cut_out("sheepfield", SHEEP, tmp_path / "baa.wav")
    prior = tool("predict", "--model", "prior", "--like", clip, feats)
    assert prior.returncode == 2
    assert "--model window" in prior.stderr
    assert tool("predict", "--tune", "x.jsonl", "--like", clip, feats).returncode == 2


class Directions(ToyEncoder):
    """Frames are their own joint space."""

    def joint_audio(self, frames: np.ndarray) -> np.ndarray:
        return frames[:, :10]


def test_elsewhere_a_clip_is_a_direction_and_clips_count_the_same() -> None:
    encoder = Directions()
    loud = ExampleClip("a", np.tile(np.eye(12, dtype=np.float32)[0] * 9, (50, 1)))
    quiet = ExampleClip("b", np.eye(12, dtype=np.float32)[1:2])
    assert np.allclose(vector_of([loud], encoder), np.eye(10)[0])
    assert np.allclose(vector_of([loud, quiet], encoder)[:3], [0.5**0.5, 0.5**0.5, 0])
    mixed = together(np.eye(10, dtype=np.float32)[2] * 5, np.eye(10, dtype=np.float32)[3] * 0.1, encoder)
    assert np.allclose(mixed[2:4], 0.5**0.5)


def test_a_mixture_sums_to_one_whatever_is_in_it() -> None:
    encoder = load_encoder("yamnet")
    rng = np.random.default_rng(0)
    clips = [ExampleClip(str(n), np.abs(rng.normal(size=(n + 1, 1024))).astype(np.float32)) for n in range(3)]
    example = vector_of(clips, encoder)
    finder = WindowFinder(encoder, WindowOptions())
    [query] = add_clips([Query("rain", qid=3, vid="a")], clips, finder)
    assert (query.text, query.qid, query.vid) == ("rain like:0 like:1 like:2", 3, "a")
    vectors = finder.joint_text([query.text, "rain"])
    assert np.allclose(vectors.sum(axis=1), 1, atol=1e-5)
    assert np.allclose(vectors[0], (vectors[1] + example) / 2, atol=1e-6)
    assert example.min() >= 0


def test_a_zero_vector_has_no_direction_and_makes_no_nan() -> None:
    assert np.array_equal(direction(np.zeros(4, dtype=np.float32)), np.zeros(4))
