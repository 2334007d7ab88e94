"""A plug-in author's mistakes: one line each, as theirs, from ``extract`` and from the conformance check."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from amr.cli.main import run
from amr.encoders import conformance
from amr.encoders.checked import CheckedEncoder
from amr.errors import ExitCode, PluginError

GOOD = '''
import numpy as np
from amr.encoders.base import EncoderIdentity, TextFeatures

class Loudness:
    """One number a second: how loud it is."""

    def __init__(self, *, hop_s=None, device="cpu"):
        self.identity = EncoderIdentity("loudness", "none", 8000, 8000, 8000, 1, 1, 1)

    def encode_audio(self, samples):
        windows = samples.reshape(len(samples), -1, 8000)
        return np.sqrt((windows**2).mean(-1, keepdims=True)).astype(np.float32)

    def encode_text(self, queries):
        return [self.features(query) for query in queries]

    def features(self, query):
        value = np.float32(len(query.split()))
        return TextFeatures(tokens=np.full((1, 1), value), pooled=np.full(1, value))

    def joint_audio(self, frames):
        return frames

    joint_text = joint_audio

    def explain(self, query, top):
        return []
'''
MISTAKES = {
    "a dict as identity": (
        'EncoderIdentity("loudness", "none", 8000, 8000, 8000, 1, 1, 1)',
        '{"name": "loudness"}',
        "identity is a dict, expected an EncoderIdentity",
    ),
    "a float as a size": (
        "8000, 8000, 8000, 1",
        "8000, 8000.0, 8000, 1",
        "identity.window_samples is 8000.0",
    ),
    "a module as a name": (
        '"loudness", "none"',
        '"my_enc:Loudness", "none"',
        "identity.name: 'my_enc:Loudness'",
    ),
    "an empty name": ('"loudness", "none"', '"", "none"', "identity.name is empty"),
    "no hash of the weights": ('"loudness", "none"', '"loudness", ""', "identity.weights_sha256 is empty"),
    "tuples as texts": (
        "TextFeatures(tokens=np.full((1, 1), value), pooled=np.full(1, value))",
        "(np.full((1, 1), value), np.full(1, value))",
        "encode_text gives a list of a tuple, expected TextFeatures",
    ),
    "undefined values of a text": (
        "np.float32(len(query.split()))",
        "np.float32(np.nan)",
        "encode_text gives undefined values",
    ),
    "a text too few": ("for query in queries]", "for query in queries[1:]]", "results for"),
    "lists as frames": (".astype(np.float32)", ".tolist()", "encode_audio is a list, expected a numpy array"),
    "double precision": ("astype(np.float32)", "astype(np.float64)", "encode_audio is float64"),
    "a method that is missing": ("def explain", "def explained", "has no method explain"),
    "an exception": ("windows = samples", "windows = sample", "encode_audio raised NameError"),
    "no hop": ("hop_s=None, ", "", "making it raised TypeError"),
    "a syntax error": ("class Loudness:", "class Loudness", "cannot be imported: SyntaxError"),
    "a missing package": (
        "import numpy as np",
        "import no_such_package",
        "cannot be imported: ModuleNotFound",
    ),
    "another class": ("class Loudness:", "class Noise:", "cannot be imported: AttributeError"),
}
NAMES = (f"my_enc_{number}" for number in range(10_000))  # a module is imported once


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a recording and a query; the import path comes back afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(0).normal(0, 0.1, 24_000), 8000)
    (tmp_path / "queries.jsonl").write_text(
        '{"qid": "1", "query": "a dog barks", "vid": "noise", "duration": 3.0}\n'
    )
    return tmp_path


def written(folder: Path, code: str) -> str:
    """The ``--encoder`` of a module with this code."""
    name = next(NAMES)
    (folder / f"{name}.py").write_text(code)
    return f"{name}:Loudness"


def test_features_of_a_module_in_the_current_folder(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = written(folder, GOOD)
    assert run(["extract", "noise.wav", "--encoder", name, "-o", "feats.h5", "-q"]) == ExitCode.COMPLETE
    assert run(["predict", "--query", "a dog barks", "feats.h5"]) == ExitCode.USAGE
    assert "AMR_ENCODERS=loudness=package.module:Class" in capsys.readouterr().err
    monkeypatch.setenv("AMR_ENCODERS", f"loudness={name}")
    assert run(["predict", "--query", "a dog barks", "feats.h5"]) == ExitCode.COMPLETE
    assert '"vid": "noise"' in capsys.readouterr().out


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_one_line(mistake: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right, wrong, message = MISTAKES[mistake]
    assert right in GOOD
    name = written(folder, GOOD.replace(right, wrong))
    command = [
        "extract",
        "noise.wav",
        "--queries",
        "queries.jsonl",
        "--encoder",
        name,
        "-o",
        "feats.h5",
        "-q",
    ]
    if mistake != "a method that is missing":  # extraction explains nothing
        assert run(command) == ExitCode.MISSING
        error, hint = capsys.readouterr().err.splitlines()
        assert message in error
        assert error.startswith((f"amr extract: error: encoder {name}: ", "amr extract: error: --encoder: "))
        assert ("-v adds the traceback" if "cannot be imported" in error else "conformance") in hint
    assert conformance.main([name]) == 1
    assert message in (printed := capsys.readouterr().out)
    assert "Traceback" not in printed


def test_the_conformance_check_names_every_breach(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert conformance.main([written(folder, GOOD)]) == 0
    bad = GOOD.replace("return frames", "return frames.astype(float)").replace("return []", "return None")
    assert conformance.main([written(folder, bad)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == [
        "joint_audio is float64 (3, 1), expected float32 (3, 1)",
        "explain gives a NoneType, expected a list of (name, weight)",
    ]
    assert conformance.main(["no_such_encoder"]) == ExitCode.USAGE


def test_what_an_encoder_does_not_understand_is_its_own_to_say() -> None:
    class Silent:
        pass

    class Saying:
        def __init__(self, limits: object) -> None:
            self.limits = limits

        def not_understood(self, queries: list[str], pooled: object) -> object:
            return self.limits

    pooled = np.zeros((2, 1), dtype=np.float32)
    assert CheckedEncoder(Silent(), "mine").not_understood(["a", "b"], pooled) == [[], []]
    said = [["words"], ["language"]]
    assert CheckedEncoder(Saying(said), "mine").not_understood(["a", "b"], pooled) == said
    for limits in ("words", [["words"]], [["words"], ["noise"]], [["words"], None]):
        with pytest.raises(PluginError, match="not_understood gives"):
            CheckedEncoder(Saying(limits), "mine").not_understood(["a", "b"], pooled)
