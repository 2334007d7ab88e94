"""All encoders of the package keep the contract, the example of a plug-in too, and breaches are noticed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import clap_published as published
import numpy as np
import pytest

from amr.cli.main import run
from amr.encoders.base import Encoder, TextFeatures
from amr.encoders.conformance import problems
from amr.encoders.registry import load_encoder
from amr.encoders.yamnet.encoder import YamnetEncoder

REPOSITORY = Path(__file__).parents[2]
EXAMPLE = REPOSITORY / "examples" / "encoder_plugin"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("weights")
    return {
        "AMR_CLAP_WEIGHTS": str(published.write_hub_folder(root / "laion")),
        "AMR_MSCLAP_WEIGHTS": str(published.write_microsoft_pth(root / "microsoft")),
    }


@pytest.mark.parametrize(
    ("name", "hop_s"),
    [
        ("yamnet", None),
        ("yamnet", 1.0),
        ("clap", None),
        ("clap", 0.5),
        ("clap-dense", None),
        ("clap-dense", 0.3125),
        ("clap-dense", 10.0),
        ("msclap", None),
    ],
)
def test_built_in_encoders_conform(
    name: str, hop_s: float | None, weights: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, path in weights.items():
        monkeypatch.setenv(variable, path)
    assert problems(load_encoder(name, hop_s=hop_s)) == []


class Broken:
    """YAMNet, but for one method or property that a test replaces."""

    def __init__(self, **replaced: Any) -> None:
        self.inner = YamnetEncoder()
        self.replaced = replaced

    def __getattr__(self, name: str) -> Any:
        return self.replaced[name] if name in self.replaced else getattr(self.inner, name)


def found_in(encoder: object) -> str:
    conforming: Encoder = encoder  # type: ignore[assignment]  # broken on purpose
    return "; ".join(problems(conforming))


def normalised_over_the_batch(samples: np.ndarray) -> np.ndarray:
    frames = YamnetEncoder().encode_audio(samples)
    return frames / np.abs(frames).max()


def padded_text(queries: list[str]) -> list[TextFeatures]:
    features = YamnetEncoder().encode_text(queries)
    longest = max((len(f.tokens) for f in features), default=0)
    return [
        TextFeatures(np.pad(f.tokens, ((0, longest - len(f.tokens)), (0, 0))), f.pooled) for f in features
    ]


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"encode_audio": normalised_over_the_batch}, "alone and among others differ"),
        ({"encode_audio": lambda s: np.zeros((len(s), 1, 1024), np.float32)}, "expected float32"),
        ({"encode_audio": lambda s: YamnetEncoder().encode_audio(s).astype(np.float64)}, "float64"),
        ({"encode_text": padded_text}, "alone and among others differ shapes"),
        ({"joint_text": lambda p: np.ones((len(p), 3), np.float32)}, "joint_text is float32"),
        ({"explain": lambda query, top: [(query, 1.0)] * 9}, "at most two names"),
    ],
)
def test_breaches_are_noticed(replaced: dict[str, Any], message: str) -> None:
    assert message in found_in(Broken(**replaced))


def test_the_command_tells_and_exits() -> None:
    command = [sys.executable, "-m", "amr.encoders.conformance"]
    done = subprocess.run([*command, "yamnet"], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout == "yamnet: no problems\n"
    assert subprocess.run(command, capture_output=True, check=False, cwd=REPOSITORY).returncode == 2


def test_the_example_is_forty_lines() -> None:
    lines = (EXAMPLE / "wavlm_encoder.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 40


def test_the_example_conforms() -> None:
    """Its own test, with a tiny model that is made there; runs where ``transformers`` is installed."""
    pytest.importorskip("transformers", reason="the example needs transformers")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-c",
        "/dev/null",
        "--rootdir",
        str(EXAMPLE),
        str(EXAMPLE),
    ]
    paths = os.pathsep.join([str(EXAMPLE), str(REPOSITORY)])
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        env={**os.environ, "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_small_example_conforms_and_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (REPOSITORY / "examples" / "loudness_encoder.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 60
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(REPOSITORY / "examples")
    name, feats = "loudness_encoder:LoudnessEncoder", str(tmp_path / "loud.h5")
    assert problems(load_encoder(name)) == []
    assert run(["extract", "audio/lumberjack.ogg", "--encoder", name, "-o", feats, "-q"]) == 0
    monkeypatch.setenv("AMR_ENCODERS", f"loudness={name}")
    assert run(["predict", "--query", "a deep hum", feats]) == 0
    assert '"vid": "lumberjack"' in capsys.readouterr().out
