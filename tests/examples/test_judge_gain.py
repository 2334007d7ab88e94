"""``examples/judge_gain.py``: what it writes in place of a recording, and its table."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
from test_judge_default import EXAMPLES, load

from amr.arrays import Float64Array
from amr.cli.main import run

RATE_HZ = 8000
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ)


@pytest.fixture(scope="module")
def gain() -> Iterator[ModuleType]:
    yield from load("judge_gain")


def copy_of(gain: ModuleType, folder: Path, condition: str) -> Float64Array:
    """The tone as a condition has it, at the level of the tone."""
    source, target = folder / "tone.wav", folder / "copy.wav"
    soundfile.write(source, TONE, RATE_HZ, subtype="FLOAT")
    gain.write_copy(source, target, condition)
    samples: Float64Array = soundfile.read(target)[0]
    if condition.endswith("raised"):
        return samples
    return samples / 10 ** (float(condition.split(":")[0]) / 20)


def rms_db(samples: Float64Array) -> float:
    return float(10 * np.log10(np.mean(samples**2)))


@pytest.mark.parametrize(
    ("condition", "lost_db"),
    [
        ("0:PCM_16", -101.1),  # a step is 2^-15, and what is lost evenly spread over half a step to each side
        ("-60:PCM_16", -41.1),
        ("-60:PCM_24", -89.3),
        ("0:PCM_24:-70", -70.0),
        ("-60:PCM_24:-130", -70.0),
    ],
)
def test_what_a_copy_loses(gain: ModuleType, tmp_path: Path, condition: str, lost_db: float) -> None:
    assert rms_db(copy_of(gain, tmp_path, condition) - TONE) == pytest.approx(lost_db, abs=1.0)


def test_what_16_bits_hold_is_the_same_brought_up(gain: ModuleType, tmp_path: Path) -> None:
    soft = copy_of(gain, tmp_path, "-60:PCM_16")
    assert np.allclose(copy_of(gain, tmp_path, "-60:PCM_16:raised"), soft, atol=1e-6)


def test_floats_exceed_full_scale_and_integers_are_clipped(gain: ModuleType, tmp_path: Path) -> None:
    assert np.allclose(copy_of(gain, tmp_path, "90:FLOAT"), TONE, atol=1e-6)
    clipped = copy_of(gain, tmp_path, "12:PCM_16")
    assert np.allclose(clipped, np.clip(TONE, -(10**-0.6), 10**-0.6), atol=1e-4)


def test_a_table_of_three_recordings(
    gain: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_process(*words: object) -> None:
        assert run([str(word) for word in words]) == 0

    monkeypatch.setattr(gain, "amr", in_process)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "audio").symlink_to(EXAMPLES / "audio")
    shutil.copy(EXAMPLES / "queries.jsonl", tmp_path / "set" / "annotations.jsonl")
    first, drowned = gain.judge(tmp_path, tmp_path / "set", "best", ["0:PCM_24", "-60:PCM_16:-60"], 3)
    queries = len((EXAMPLES / "queries.jsonl").read_text("utf-8").splitlines())
    assert (first["queries"], first["against"]) == (queries, None)
    figure = first["figures"]["MR-full-R1@0.5"]
    lost = drowned["against"]["R1@0.5"]["difference"]
    assert lost < 0
    assert drowned["figures"]["MR-full-R1@0.5"] == pytest.approx(figure + lost)
    assert drowned["AUC"] < first["AUC"]
    assert gain.line_of("set", first).startswith(f"| set | {queries} | 0 PCM_24 | {figure:.1f} | ")
    assert f"| set | {queries} | -60 PCM_16 -60 | {figure + lost:.1f} {lost:+.1f} (" in gain.line_of(
        "set", drowned
    )


def test_without_an_interval_the_difference_stands_alone(gain: ModuleType) -> None:
    alone = {"difference": 0.0, "interval": None}
    row = {
        "condition": "90:FLOAT",
        "queries": 11,
        "figures": {"MR-full-R1@0.5": 81.8, "MR-full-R1@0.7": 72.7},
        "against": {"R1@0.5": alone, "R1@0.7": alone},
        "AUC": 80.0,
    }
    assert gain.line_of("set", row) == "| set | 11 | 90 FLOAT | 81.8 +0.0 | 72.7 +0.0 | 80.0 |"
