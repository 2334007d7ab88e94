"""``amr predict --prior``: other scores in the same order, whichever way the recordings are searched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from archive_prototypes import toy_network
from archive_world import Tool, ToyEncoder, identity, write_features

from amr.models.checkpoint import Checkpoint, write_checkpoint
from amr.retrieval.presence import Curve, Presence, estimated_share

ASKED = ["--query", "a dog barks", "--query", "rain", "--encoder", "test_prior_cli:Encoder"]
PRESENCE = Presence(Curve(1.1, 0.4), Curve(0.5, -0.2), Curve(1.4, 0.1))


class Encoder(ToyEncoder):
    """As a plug-in is made."""

    def __init__(self, *, hop_s: float | None = None, device: str = "cpu") -> None:
        del hop_s, device
        super().__init__()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``feats.h5``, the model ``toy.safetensors``, and ``plain.safetensors``, which knows of no presence."""
    folder = tmp_path_factory.mktemp("prior")
    write_features(folder / "feats.h5", [30, 41, 7, 64, 1, 25, 90, 33] * 5)
    network = toy_network()
    config = replace(
        network.config,
        window_frames=32,
        queries=4,
        level_weight=12.0,
        level_shift=-4.0,
        level_similarity=0.01,
    )
    weights = network.state_dict()
    write_checkpoint(folder / "plain.safetensors", Checkpoint(config, identity(), weights=weights))
    config = replace(
        config,
        right_slope=PRESENCE.right.slope,
        right_shift=PRESENCE.right.shift,
        there_slope=PRESENCE.wrong_but_there.slope,
        there_shift=PRESENCE.wrong_but_there.shift,
        there_level_slope=1.4,
        there_level_shift=0.1,
    )
    write_checkpoint(folder / "toy.safetensors", Checkpoint(config, identity(), weights=weights))
    return folder


@pytest.fixture
def tool(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path) -> Tool:
    monkeypatch.chdir(folder)
    return Tool(capfd, monkeypatch)


def ask(tool: Tool, *options: object, model: str = "toy.safetensors") -> list[dict[str, Any]]:
    done = tool("predict", "feats.h5", *ASKED, "--model", model, "--format", "json", *options)
    assert done.returncode == 0, done.stderr
    return done.records


def places(records: list[dict[str, Any]]) -> list[Any]:
    return [
        (each["qid"], each["vid"], [window[:2] for window in each["pred_relevant_windows"]])
        for each in records
    ]


def scores(records: list[dict[str, Any]]) -> list[float]:
    return [window[2] for each in records for window in each["pred_relevant_windows"]]


@pytest.mark.parametrize("share", [0.01, 0.5, 1.0])
@pytest.mark.parametrize(
    "way", [[], ["--top", 7], ["--top", 3, "--group", "recording"], ["--top", 7, "--shortlist", "exact"]]
)
def test_the_order_stays_and_scores_are_those_of_the_share(
    tool: Tool, share: float, way: list[object]
) -> None:
    plain, found = ask(tool, *way), ask(tool, *way, "--prior", share)
    assert places(found) == places(plain)
    assert scores(found) == pytest.approx(PRESENCE.corrected(np.array(scores(plain)), share), abs=6e-5)
    assert {each["prior"] for each in found} == {share}
    assert not any("prior" in each for each in plain)


def test_what_is_dropped_goes_by_the_new_scores(tool: Tool) -> None:
    everything = scores(ask(tool, "--prior", 0.2))
    ordered = np.unique(everything)
    place = len(ordered) // 2 + int(np.argmax(np.diff(ordered[len(ordered) // 2 :])))
    least = float(ordered[place : place + 2].mean())  # in the widest gap: none is as good as it
    for way in ([], ["--top", 1000], ["--top", 1000, "--shortlist", "exact"]):
        kept = scores(ask(tool, *way, "--prior", 0.2, "--min-score", least))
        assert sorted(kept) == pytest.approx(sorted(score for score in everything if score > least), abs=1e-4)


def test_the_share_is_that_of_all_questions_and_recordings(tool: Tool) -> None:
    best = [max(scores([each]), default=0.0) for each in ask(tool)]
    share = estimated_share(PRESENCE.there(np.array(best)))
    for way in ([], ["--top", 5], ["--top-k", 2]):
        found = tool(
            "predict",
            "feats.h5",
            *ASKED,
            "--model",
            "toy.safetensors",
            "--format",
            "json",
            *way,
            "--prior",
            "auto",
        )
        assert found.returncode == 0
        assert {each["prior"] for each in found.records} == {round(share, 4)}
        assert f"an estimated {round(share, 4):.1%} of 80 queries" in found.stderr


def test_an_archive_is_estimated_by_its_first_look(tool: Tool) -> None:
    way = ["--top", 5, "--shortlist", "exact"]
    found = ask(tool, *way, "--prior", "auto")
    assert places(found) == places(ask(tool, *way))
    [share] = {each["prior"] for each in found}
    assert scores(found) == scores(ask(tool, *way, "--prior", share))


@pytest.mark.parametrize("model", ["window", "plain.safetensors", "prior:whole"])
def test_scores_that_are_not_calibrated_for_it(tool: Tool, model: str) -> None:
    done = tool("predict", "feats.h5", *ASKED, "--model", model, "--prior", "0.1")
    assert done.returncode == 2
    assert "--prior: the scores of the model" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("share", ["0", "2", "most"])
def test_what_is_no_share_is_refused_before_any_work(tool: Tool, share: str) -> None:
    done = tool("predict", "missing.h5", *ASKED, "--prior", share)
    assert done.returncode == 2
    assert "is not a share of present queries" in done.stderr
