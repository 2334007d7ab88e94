"""``curves``: what answers where ``best`` takes other features, and where it does not."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import clap_published as published
import numpy as np
import pytest
import soundfile
from archive_world import Tool

import amr
from amr.encoders.base import EncoderIdentity
from amr.encoders.registry import load_encoder
from amr.formats.features.open import open_features
from amr.formats.features.write import FeatureWriter, create_feature_file
from amr.formats.untrusted.tensor_header import METADATA_KEY, read_header
from amr.functional import sigmoid
from amr.models.checkpoint import read_checkpoint, write_checkpoint
from amr.models.config import CALIBRATED_FIELDS
from amr.models.model_file import open_model
from amr.models.presets import PRESETS
from amr.retrieval.window import default_options
from amr.retrieval.window_finder import WindowFinder
from amr.tasks.networks import (
    AUTO,
    CURVES,
    CURVES_HOPS_S,
    EARLIER_FEATURES,
    OTHER_FEATURES,
    SHIPPED,
    WINDOW,
    shipped_for,
    shipped_path,
)
from amr.training.curve_kinds import HOPS_S

AUDIO = Path(__file__).parents[2] / "examples" / "audio"
SHEEP = AUDIO / "sheepfield.ogg"
LARGEST_BYTES = 1_000_000


@pytest.fixture
def tool(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tool:
    return Tool(capfd, monkeypatch)


@pytest.fixture(scope="module")
def clap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a CLAP of the published layout with random weights."""
    return published.write_hub_folder(tmp_path_factory.mktemp("clap"))


@pytest.fixture(scope="module")
def coarse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features of the embedded encoder at another hop than ``best`` takes."""
    path = tmp_path_factory.mktemp("coarse") / "coarse.h5"
    amr.extract([AUDIO], path, hop_s=0.96)
    return path


def windows(records: list[dict[str, Any]]) -> list[list[list[float]]]:
    return [record["pred_relevant_windows"] for record in records]


class Only:
    """As much of an encoder as the choice looks at."""

    def __init__(self, identity: EncoderIdentity) -> None:
        self.identity = identity


def at_hop(hop_s: float) -> EncoderIdentity:
    own = load_encoder().identity
    return replace(own, name="other", hop_samples=round(hop_s * own.sample_rate_hz))


OWN = EncoderIdentity.from_json(read_header(shipped_path())[METADATA_KEY]["encoder"])


@pytest.mark.parametrize(
    ("identity", "chosen", "said"),
    [
        (OWN, SHIPPED, ""),
        (replace(OWN, name="other"), CURVES, OTHER_FEATURES),
        (replace(OWN, weights_sha256="0" * 64), CURVES, OTHER_FEATURES),
        (replace(OWN, normalisation="none"), CURVES, EARLIER_FEATURES),
        (at_hop(0.1), CURVES, OTHER_FEATURES),
        (at_hop(1.0), CURVES, OTHER_FEATURES),
        (at_hop(0.05), WINDOW, "takes frames 0.05 s apart"),
        (at_hop(2.0), WINDOW, "takes frames 2 s apart"),
    ],
)
def test_which_one_answers_goes_by_the_encoder_and_is_said(
    caplog: pytest.LogCaptureFixture, identity: EncoderIdentity, chosen: str, said: str
) -> None:
    with caplog.at_level(logging.INFO, logger="amr"):
        assert shipped_for(Only(identity)) == chosen  # type: ignore[arg-type]  # as much as is needed
    assert [said in line for line in caplog.messages] == [True] * bool(said)


def test_its_hops_are_those_of_its_training() -> None:
    assert CURVES_HOPS_S[0] == min(HOPS_S)
    assert CURVES_HOPS_S[1] == pytest.approx(max(HOPS_S), rel=0.05)


def test_it_is_small_and_calibrated_and_names_its_recipe() -> None:
    assert shipped_path(CURVES).stat().st_size <= LARGEST_BYTES
    header = open_model(shipped_path(CURVES)).header
    history, config = header.history, header.config
    assert header.preset == CURVES
    assert config == replace(PRESETS[CURVES].network, **{n: getattr(config, n) for n in CALIBRATED_FIELDS})
    assert config.moment_slope > 0
    assert config.level_weight > 0
    assert config.right_slope > 0
    assert history[0].startswith("amr train ")
    assert history[-1].startswith("calibrated on ")


def test_stored_features_are_answered_without_torch(tool: Tool, coarse: Path) -> None:
    asked = ("predict", "--query", "a sheep bleats", str(coarse))
    command = (
        "import sys; from amr.cli.main import run; code = run(sys.argv[1:]); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    alone = subprocess.run(
        [sys.executable, "-c", command, *asked], capture_output=True, text=True, check=True
    )
    assert alone.stdout == tool(*asked, "--model", CURVES).stdout
    assert alone.stderr == f"amr predict: {OTHER_FEATURES}\n"


def test_it_answers_from_python_by_name_and_unnamed(coarse: Path) -> None:
    [unnamed, *_] = amr.predict(["a sheep bleats"], [coarse])
    [named, *_] = amr.predict(["a sheep bleats"], [coarse], model=CURVES)
    [window, *_] = amr.predict(["a sheep bleats"], [coarse], model=WINDOW)
    assert unnamed.windows == named.windows
    assert unnamed.windows != window.windows
    auto, by_name = (
        amr.load_model(name, hop_s=0.96).find("a sheep bleats", SHEEP) for name in (AUTO, CURVES)
    )
    assert auto == by_name


@pytest.mark.parametrize("encoder", ["clap", "clap-dense"])
def test_clap_is_searched_by_it_with_words_and_with_clips(
    tool: Tool, monkeypatch: pytest.MonkeyPatch, clap: Path, tmp_path: Path, encoder: str
) -> None:
    monkeypatch.setenv("AMR_CLAP_WEIGHTS", str(clap))
    features, clip = tmp_path / "feats.h5", tmp_path / "bleat.wav"
    samples, rate_hz = soundfile.read(SHEEP)
    soundfile.write(clip, samples[10 * rate_hz : 12 * rate_hz], rate_hz)
    assert (
        tool(
            "extract", SHEEP, AUDIO / "lumberjack.ogg", "--encoder", encoder, "-o", features, "-q"
        ).returncode
        == 0
    )
    for asked in (("--query", "a dog"), ("--like", clip), ("--query", "a dog", "--like", clip)):
        found = tool("predict", *asked, features)
        assert (found.returncode, found.stderr) == (0, f"amr predict: {OTHER_FEATURES}\n")
        assert found.stdout == tool("predict", *asked, features, "--model", CURVES).stdout
        assert found.stdout != tool("predict", *asked, features, "--model", WINDOW).stdout
        for record in found.records:
            moments = record["pred_relevant_windows"]
            assert moments
            assert all(0 <= start_s < end_s <= record["duration"] for start_s, end_s, _ in moments)
            assert all(0 <= score <= 1 for *_, score in moments)


def test_a_curve_that_says_nothing_has_an_answer(tmp_path: Path) -> None:
    """Of an encoder whose joint space is empty, as the example of a plug-in's is."""
    features = tmp_path / "flat.h5"
    identity = Flat().identity.to_json()
    create_feature_file(features, identity_json=identity, store="float16")
    writer = FeatureWriter(features, identity_json=identity)
    writer.add("flat", np.zeros((30, 1024), np.float32), duration_s=30.0)
    writer.add("short", np.zeros((1, 1024), np.float32), duration_s=1.0)
    writer.close()
    model = amr.load_model(CURVES, encoder=Flat())
    for record in amr.predict(["a dog"], [features], model=model):
        assert record.windows
        assert np.isfinite(record.windows).all()


class Flat:
    """Every similarity is 0."""

    def __init__(self) -> None:
        self.identity = replace(at_hop(1.0), joint_dimension=1)
        self.words = load_encoder()

    def encode_audio(self, samples: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def encode_text(self, queries: list[str]) -> Any:
        return self.words.encode_text(queries)

    def joint_audio(self, frames: np.ndarray) -> np.ndarray:
        return np.zeros((len(frames), 1), np.float32)

    joint_text = joint_audio

    def explain(self, query: str, top: int) -> list[tuple[str, float]]:
        return []


def test_an_archive_is_ranked_by_similarity_and_answered_by_it(tool: Tool, coarse: Path) -> None:
    asked = ("predict", "--query", "a sheep bleats", "--top", "3", coarse)
    everything = tool(*asked, "--shortlist", "all")
    assert tool("predict", "--index", coarse).returncode == 0
    listed = tool(*asked, "--shortlist", "50")
    assert listed.stdout == everything.stdout
    assert tool(*asked, "--shortlist", "exact").returncode == 2


def test_a_score_is_that_it_is_there_times_that_this_is_it(coarse: Path, tmp_path: Path) -> None:
    shipped = read_checkpoint(shipped_path(CURVES))
    plain = tmp_path / "plain.safetensors"
    write_checkpoint(plain, replace(shipped, config=replace(shipped.config, level_weight=0.0)))
    query = "a sheep bleats"
    window = WindowFinder(load_encoder(hop_s=0.96), default_options("yamnet"))
    found, alone = (list(amr.predict([query], [coarse], model=name)) for name in (CURVES, plain))
    with open_features(str(coarse)) as features:
        for one, other in zip(found, alone, strict=True):
            curve = window.curves(features.frames(one.vid).astype(np.float32), [query])[:, 0]
            highest = float(window.heights(curve, features.hop_s).max())
            there = sigmoid(np.array(shipped.config.level_weight * highest + shipped.config.level_shift))
            assert 0.02 < there < 0.98
            assert one.windows[0][:2] == other.windows[0][:2]
            assert one.windows[0][2] == pytest.approx(there * other.windows[0][2], abs=2e-4)


def test_scores_are_for_another_share_of_present_questions(tool: Tool, coarse: Path) -> None:
    asked = ("predict", "--query", "a sheep bleats", coarse)
    plain, rare = (tool(*asked, *more).records for more in ((), ("--prior", "0.01")))
    highest = [max(each[0][2] for each in windows(records)) for records in (plain, rare)]
    assert highest[1] < highest[0] / 2


def test_features_that_do_not_say_their_encoder_are_those_of_the_one_that_is_named(
    tool: Tool, monkeypatch: pytest.MonkeyPatch, clap: Path, tmp_path: Path
) -> None:
    """A published tree of ``.npz``."""
    monkeypatch.setenv("AMR_CLAP_WEIGHTS", str(clap))
    features, tree = tmp_path / "feats.h5", tmp_path / "tree"
    assert tool("extract", SHEEP, "--encoder", "clap", "-o", features, "-q").returncode == 0
    (tree / "clap").mkdir(parents=True)
    with open_features(str(features)) as reader:
        np.savez(tree / "clap" / "sheepfield.npz", features=reader.frames("sheepfield").astype(np.float32))
    asked = ("predict", "--query", "a dog", "--encoder", "clap")
    found = tool(*asked, tree)
    assert (found.returncode, found.stderr) == (0, f"amr predict: {OTHER_FEATURES}\n")
    [[best, *_]] = windows(found.records)
    [[same, *_]] = windows(tool(*asked, features).records)
    assert best == pytest.approx(same, abs=0.05)
