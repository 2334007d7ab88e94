"""Wrong input of many kinds: one line that says where and what, the right exit code, nothing half-written.

Each case runs in this process, in a folder of its own; afterwards the folder must hold what it held before.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile

from amr.cli.main import run
from amr.encoders.base import EncoderIdentity
from amr.encoders.registry import identity_of
from amr.errors import ExitCode
from amr.formats.features.output import open_feature_output

TRUTH = {"qid": 1, "query": "a dog", "duration": 60, "vid": "a", "relevant_windows": [[3, 9]]}
ANSWER = {"qid": 1, "query": "a dog", "vid": "a", "pred_relevant_windows": [[3, 9, 0.5]]}


@dataclass(frozen=True)
class Case:
    """A command line, what it prints on stderr, and how it ends."""

    name: str
    arguments: list[str]
    code: ExitCode
    says: tuple[str, ...]
    files: Callable[[], dict[str, bytes]] = dict
    stdin: str | None = None


def wav(seconds: float = 1.0, rate_hz: int = 8000, subtype: str = "PCM_16") -> bytes:
    out = io.BytesIO()
    samples = np.random.default_rng(0).normal(0, 0.1, round(seconds * rate_hz)).astype(np.float32)
    soundfile.write(out, samples, rate_hz, format="WAV", subtype=subtype)
    return out.getvalue()


def flac() -> bytes:
    out = io.BytesIO()
    soundfile.write(out, np.random.default_rng(0).normal(0, 0.1, 40_000), 8000, format="FLAC")
    return out.getvalue()


def nan_wav() -> bytes:
    out = io.BytesIO()
    soundfile.write(out, np.array([0.1, np.nan, 0.1] * 1000), 8000, format="WAV", subtype="FLOAT")
    return out.getvalue()


def header_wav(rate_hz: int = 8000, channels: int = 1, claimed: int = 0) -> bytes:
    """A RIFF header by hand, with no sample behind it."""
    block = 2 * channels
    fmt = struct.pack("<HHIIHH", 1, channels, rate_hz, rate_hz * block, block, 16)
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", claimed)
    return b"RIFF" + struct.pack("<I", len(body) + claimed & 0xFFFFFFFF) + body


def jsonl(*records: object) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def features(identity: EncoderIdentity, ids: tuple[str, ...] = ("a",)) -> bytes:
    path = Path("made.h5")
    with open_feature_output(path, identity_json=identity.to_json(), store="float16") as writer:
        for recording in ids:
            writer.add(recording, np.zeros((3, identity.dimension), np.float32), duration_s=1.9)
    data = path.read_bytes()
    path.unlink()
    return data


def own() -> bytes:
    return features(identity_of("yamnet"))


def foreign() -> bytes:
    return features(EncoderIdentity("other", "0" * 64, 48_000, 48_000, 48_000, 768, 768, 512))


def other_hdf5(attribute: object = None) -> bytes:
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file["x"] = np.arange(3)
        if attribute is not None:
            file.attrs["amr_format"] = attribute
    return out.getvalue()


def newer() -> bytes:
    out = io.BytesIO(own())
    with h5py.File(out, "r+") as file:
        file.attrs["schema"] = 99
    return out.getvalue()


def linked() -> bytes:
    out = io.BytesIO(own())
    with h5py.File(out, "r+") as file:
        del file["audio/frames"]
        file["audio/frames"] = h5py.ExternalLink("/etc/passwd", "/x")
    return out.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)  # type: ignore[arg-type]
    return out.getvalue()


ASK = ["predict", "--query", "a dog"]
EXTRACT = ["extract", "x.wav", "-o", "out.h5"]
BAD, USAGE, MISSING = ExitCode.BAD_INPUT, ExitCode.USAGE, ExitCode.MISSING


def sound(name: str, data: Callable[[], bytes], *says: str, file: str = "x.wav") -> list[Case]:
    """The same broken recording for extract and for predict."""
    return [
        Case(
            f"extract {name}", ["extract", file, "-o", "out.h5"], BAD, (file, *says), lambda: {file: data()}
        ),
        Case(f"predict {name}", [*ASK, file], BAD, (file, *says), lambda: {file: data()}),
    ]


def scored(name: str, data: Callable[[], bytes], *says: str) -> list[Case]:
    """The same wrong annotations for score and for predict."""
    files = lambda: {"gt.jsonl": data(), "p.jsonl": jsonl(ANSWER)}  # noqa: E731
    asked = lambda: {"gt.jsonl": data(), "f.h5": own()}  # noqa: E731
    return [
        Case(f"score {name}", ["score", "p.jsonl", "gt.jsonl"], BAD, says, files),
        Case(f"tune {name}", ["predict", "--tune", "gt.jsonl", "f.h5"], BAD, says, asked),
    ]


CASES = [
    *sound("an empty file", lambda: b""),
    *sound("text named .wav", lambda: b"this is no sound\n" * 50),
    *sound("a header without sound", header_wav),
    *sound("a rate of 0 Hz", lambda: header_wav(rate_hz=0)),
    *sound("no channel", lambda: header_wav(channels=0)),
    *sound("a cut wav", lambda: wav()[:5000]),
    *sound("a wav that claims 100 hours", lambda: header_wav(claimed=4_000_000_000) + b"\0" * 100),
    *sound("a cut flac", lambda: flac()[:20_000], file="x.flac"),
    *sound("NaN samples", nan_wav, "NaN"),
    *sound("a picture named .mp3", lambda: b"\x89PNG\r\n\x1a\n" + b"\0" * 400, file="x.mp3"),
    *scored("a line cut in the middle", lambda: jsonl(TRUTH)[:-20], "gt.jsonl:1: ", "cut off"),
    *scored("a second line that is no JSON", lambda: jsonl(TRUTH) + b"{]\n", "gt.jsonl:2: ", "JSON"),
    *scored("a line that is a list", lambda: b"[1]\n", "gt.jsonl:1: ", "a number"),
    *scored("bytes that are not UTF-8", lambda: b'{"query": "\xff"}\n', "gt.jsonl:1: ", "UTF-8"),
    *scored("gzip", lambda: gzip.compress(jsonl(TRUTH)), "gt.jsonl:1: "),
    *scored("an empty file of lines", lambda: b"\n\n", "gt.jsonl: ", "holds no"),
    *scored("a missing key", lambda: jsonl({"qid": 1}), "gt.jsonl:1: ", "is missing"),
    *scored("a qid of wrong type", lambda: jsonl({**TRUTH, "qid": [1]}), "'qid' is a list"),
    *scored("a query of wrong type", lambda: jsonl({**TRUTH, "query": 3}), "'query' is a number"),
    *scored("windows of wrong type", lambda: jsonl({**TRUTH, "relevant_windows": "3-9"}), "a string"),
    *scored("windows of three", lambda: jsonl({**TRUTH, "relevant_windows": [[1, 2, 3]]}), "expected 2"),
    Case("score without files", ["score", "p.jsonl", "gt.jsonl"], BAD, ("gt.jsonl", "no such file")),
    Case(
        "score a folder",
        ["score", ".", "gt.jsonl"],
        BAD,
        ("is a folder",),
        lambda: {"gt.jsonl": jsonl(TRUTH)},
    ),
    Case("score standard input twice", ["score", "-", "-"], USAGE, ("only one",), stdin=""),
    Case(
        "score ids that do not match",
        ["score", "p.jsonl", "gt.jsonl"],
        BAD,
        ("p.jsonl", "1 only in p.jsonl (2), 1 only in gt.jsonl (1)"),
        lambda: {"p.jsonl": jsonl({**ANSWER, "qid": 2}), "gt.jsonl": jsonl(TRUTH)},
    ),
    Case(
        "score windows some with a score and some without",
        ["score", "p.jsonl", "gt.jsonl"],
        BAD,
        ("p.jsonl:1: ", "some have none"),
        lambda: {
            "p.jsonl": jsonl({**ANSWER, "pred_relevant_windows": [[1, 2], [3, 4, 0.5]]}),
            "gt.jsonl": jsonl(TRUTH),
        },
    ),
    Case("predict without input", ASK, USAGE, ("no feats.h5 here",)),
    Case("predict a missing file", [*ASK, "none.wav"], BAD, ("none.wav", "no such file")),
    Case("predict a missing feature file", [*ASK, "none.h5"], BAD, ("none.h5", "no such")),
    Case(
        "predict without a question",
        ["predict", "f.h5"],
        USAGE,
        ("there is no query",),
        lambda: {"f.h5": own()},
    ),
    Case(
        "predict an empty question",
        ["predict", "--query", " ", "f.h5"],
        BAD,
        ("printable",),
        lambda: {"f.h5": own()},
    ),
    Case("predict text named .h5", [*ASK, "f.h5"], BAD, ("f.h5",), lambda: {"f.h5": b"no HDF5\n"}),
    Case("predict an empty .h5", [*ASK, "f.h5"], BAD, ("f.h5",), lambda: {"f.h5": b""}),
    Case("predict a cut feature file", [*ASK, "f.h5"], BAD, ("f.h5",), lambda: {"f.h5": own()[:3000]}),
    Case("predict HDF5 of something else", [*ASK, "f.h5"], BAD, ("f.h5",), lambda: {"f.h5": other_hdf5()}),
    Case(
        "predict HDF5 of a strange kind",
        [*ASK, "f.h5"],
        BAD,
        ("f.h5",),
        lambda: {"f.h5": other_hdf5("model")},
    ),
    Case("predict a newer schema", [*ASK, "f.h5"], BAD, ("f.h5", "99"), lambda: {"f.h5": newer()}),
    Case(
        "predict an external link", [*ASK, "f.h5"], BAD, ("f.h5", "ExternalLink"), lambda: {"f.h5": linked()}
    ),
    Case(
        "predict features of an encoder that is not here",
        [*ASK, "--encoder", "yamnet", "f.h5"],
        BAD,
        ("f.h5", "0" * 64, identity_of("yamnet").weights_sha256),
        lambda: {"f.h5": foreign()},
    ),
    Case(
        "predict one recording in two files",
        [*ASK, "f.h5", "g.h5"],
        BAD,
        ("f.h5", "g.h5"),
        lambda: {"f.h5": own(), "g.h5": own()},
    ),
    Case(
        "predict files of two encoders",
        [*ASK, "f.h5", "g.h5"],
        BAD,
        ("g.h5",),
        lambda: {"f.h5": own(), "g.h5": foreign()},
    ),
    Case(
        "predict a recording that is not there",
        ["predict", "--queries", "q.jsonl", "f.h5"],
        BAD,
        ("q.jsonl:1: ", "elsewhere"),
        lambda: {"f.h5": own(), "q.jsonl": jsonl({"query": "x", "vid": "elsewhere"})},
    ),
    Case(
        "predict an unknown model", [*ASK, "--model", "gpt", "f.h5"], USAGE, ("gpt",), lambda: {"f.h5": own()}
    ),
    Case(
        "predict an unknown prior",
        [*ASK, "--model", "prior:x", "f.h5"],
        USAGE,
        ("'x'",),
        lambda: {"f.h5": own()},
    ),
    Case(
        "predict with an unknown encoder",
        [*ASK, "--encoder", "nope", "x.wav"],
        USAGE,
        ("nope",),
        lambda: {"x.wav": wav()},
    ),
    Case(
        "predict with a hop that no patches make",
        [*ASK, "--hop", "0.123", "x.wav"],
        USAGE,
        ("--hop",),
        lambda: {"x.wav": wav()},
    ),
    Case(
        "predict on a strange device",
        [*ASK, "--device", "tpu", "x.wav"],
        USAGE,
        ("tpu",),
        lambda: {"x.wav": wav()},
    ),
    Case(
        "predict on a GPU that is not here",
        [*ASK, "--device", "cuda:77", "x.wav"],
        MISSING,
        ("cuda:77",),
        lambda: {"x.wav": wav()},
    ),
    Case(
        "predict a tree without features",
        [*ASK, "tree"],
        BAD,
        ("tree",),
        lambda: {"tree/a.npz": npz(x=np.zeros(3))},
    ),
    Case(
        "predict a cut npz",
        [*ASK, "tree"],
        BAD,
        ("tree",),
        lambda: {"tree/a.npz": npz(features=np.zeros((9, 9)))[:200]},
    ),
    Case(
        "predict into an output that exists",
        [*ASK, "f.h5", "-o", "out.jsonl"],
        BAD,
        ("out.jsonl", "exists", "--force"),
        lambda: {"f.h5": own(), "out.jsonl": b"precious"},
    ),
    Case(
        "predict into a folder that is not there",
        [*ASK, "f.h5", "-o", "no/out"],
        BAD,
        ("no/out",),
        lambda: {"f.h5": own()},
    ),
    Case("extract nothing", ["extract", "-o", "out.h5"], USAGE, ()),
    Case("extract a missing file", EXTRACT, BAD, ("x.wav", "no such file")),
    Case(
        "extract a folder without sound",
        ["extract", ".", "-o", "out.h5"],
        BAD,
        ("holds no audio",),
        lambda: {"a.txt": b"x"},
    ),
    Case("extract a pattern without match", ["extract", "*.wav", "-o", "out.h5"], BAD, ("*.wav",)),
    Case(
        "extract an impossible shard", [*EXTRACT, "--shard", "3/2"], USAGE, ("3/2",), lambda: {"x.wav": wav()}
    ),
    Case(
        "extract into a file that exists",
        EXTRACT,
        BAD,
        ("out.h5", "exists"),
        lambda: {"x.wav": wav(), "out.h5": b"x"},
    ),
    Case(
        "extract into a folder that is a file",
        ["extract", "x.wav", "-o", "x.wav/out.h5"],
        BAD,
        ("out.h5",),
        lambda: {"x.wav": wav()},
    ),
    Case(
        "extract queries that are wrong",
        [*EXTRACT, "--queries", "q.jsonl"],
        BAD,
        ("q.jsonl:1: ",),
        lambda: {"x.wav": wav(), "q.jsonl": b"{]\n"},
    ),
    Case("extract names of nothing", ["extract", "-", "-o", "out.h5"], BAD, ("<stdin>",), stdin="\n"),
]


def test_there_are_at_least_forty_kinds() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 40


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_line_the_right_code_and_nothing_left_behind(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, data in case.files().items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    if case.stdin is not None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(case.stdin.encode())))
    before = tree(tmp_path)
    code = run(case.arguments)
    captured = capfd.readouterr()
    lines = captured.err.splitlines()
    assert code == case.code, captured.err
    assert lines[0].startswith(f"amr {case.arguments[0]}: error: "), captured.err
    assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("hint: ")), captured.err
    assert all(said in captured.err for said in case.says), captured.err
    assert captured.out == ""
    assert tree(tmp_path) == before


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder and what it holds."""
    return {
        os.path.relpath(os.path.join(where, name), folder): Path(where, name).read_bytes()  # noqa: PTH118
        for where, _, names in os.walk(folder)
        for name in names
    }
