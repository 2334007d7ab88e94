"""Networks of other packages (entry points ``amr.models``), by the example of ``examples/uvcom``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from training_world import TINY_NETWORK

import amr
from amr.errors import InputError, MissingError, PluginError, UsageError
from amr.formats.describe import describe
from amr.models.architectures import Architecture, OwnNetwork, find_architecture, find_preset, preset_names
from amr.models.build import build_network, total_loss
from amr.models.checkpoint import read_checkpoint
from amr.models.inputs import NetworkInputs, pad_inputs
from amr.models.lighthouse import read_lighthouse
from amr.models.targets import Targets
from amr.training.plan import TrainingPlan

EXAMPLES = Path(__file__).parents[2] / "examples"
SHAPES = Path(__file__).parents[1] / "data" / "uvcom_shapes.json"
"""Names and shapes of Lighthouse's UVCOM of 2 layers, 32 wide, as its state dictionary has them."""
SETTINGS = {
    f"network.{name}": value for name, value in TINY_NETWORK.items() if name not in ("audio_dim", "text_dim")
}
SLOTS = {"network.options.text_slots": 2, "network.options.audio_slots": 3}


def write_metadata(folder: Path, entry: str = "uvcom = amr_uvcom:UVCOM") -> Path:
    """What installing a package leaves in ``site-packages`` for others to find its networks by."""
    info = folder / "amr_uvcom-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: amr-uvcom\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(f"[amr.models]\n{entry}\n")
    return folder


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    assert 'uvcom = "amr_uvcom:UVCOM"' in (EXAMPLES / "uvcom" / "pyproject.toml").read_text()
    monkeypatch.syspath_prepend(str(EXAMPLES / "uvcom"))
    monkeypatch.syspath_prepend(str(write_metadata(tmp_path / "site")))
    find_architecture.cache_clear()
    yield
    find_architecture.cache_clear()


def tiny(**options: Any) -> Any:
    """A network with random weights, in evaluation mode."""
    torch.manual_seed(3)
    config = replace(
        find_preset("uvcom").network,
        **{**TINY_NETWORK, "hidden_dim": 32},
        options={"text_slots": 3, "audio_slots": 4, **options},
    )
    return build_network(config)


def some_inputs(*lengths: tuple[int, int]) -> NetworkInputs:
    rng = np.random.default_rng(0)
    audio = [rng.normal(size=(frames, 8)).astype(np.float32) for frames, _ in lengths]
    text = [rng.normal(size=(tokens, 8)).astype(np.float32) for _, tokens in lengths]
    return pad_inputs(audio, text)


def item(inputs: NetworkInputs, row: int, frames: int, tokens: int) -> NetworkInputs:
    return NetworkInputs(inputs.audio[row : row + 1, :frames], inputs.text[row : row + 1, :tokens])


@pytest.mark.usefixtures("installed")
def test_it_is_a_preset_like_ours() -> None:
    assert {"best", "am-detr", "uvcom"} <= set(preset_names())
    assert find_preset("uvcom").network.queries == 30


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("walk", ["released", "paper"])
def test_an_item_alone_equals_the_item_in_a_batch(walk: str) -> None:
    network = tiny(walk=walk).eval()
    lengths = ((11, 3), (4, 7), (1, 1))
    inputs = some_inputs(*lengths)
    with torch.no_grad():
        together = network(inputs, negatives=True)
        for row, (frames, tokens) in enumerate(lengths):
            alone = network(item(inputs, row, frames, tokens))
            torch.testing.assert_close(together.spans[:, row], alone.spans[:, 0], atol=1e-5, rtol=0)
            torch.testing.assert_close(together.logits[:, row], alone.logits[:, 0], atol=1e-5, rtol=0)
            torch.testing.assert_close(together.saliency[row, :frames], alone.saliency[0], atol=1e-5, rtol=0)
            assert not together.saliency[row, frames:].any()
        other = network(NetworkInputs(inputs.audio[1:2, :4], inputs.text[2:3, :1]))
    torch.testing.assert_close(together.negative_saliency[1, :4], other.saliency[0], atol=1e-5, rtol=0)


@pytest.mark.usefixtures("installed")
def test_the_walk_is_the_formula_with_its_matrices_written_out() -> None:
    from amr_uvcom.network import random_walk, unit

    torch.manual_seed(0)
    frames, slots, w = torch.randn(2, 9, 16), torch.randn(2, 4, 16), 0.5
    share = (5 * unit(slots) @ unit(frames).mT).softmax(1)
    rows = share / share.sum(-1, keepdim=True)
    matrix = torch.eye(9) - w**2 * share.mT @ rows
    mixed = w * share.mT @ slots + frames
    for walk, by in (("released", matrix), ("paper", torch.linalg.inv(matrix))):
        torch.testing.assert_close(random_walk(frames, slots, None, walk), (1 - w) * by @ mixed)


@pytest.mark.usefixtures("installed")
def test_slots_gather_by_expectation_maximisation() -> None:
    from amr_uvcom.network import gathered, unit

    torch.manual_seed(0)
    start, x = torch.randn(3, 5), torch.randn(1, 7, 5)
    slots = start
    for _ in range(4):  # a vector at a time
        share = torch.zeros(3, 7)
        for column in range(7):
            distance = torch.stack([(unit(s) - unit(x[0, column])).square().sum() for s in slots])
            share[:, column] = (-0.5 * distance / 1.2**2).softmax(0)
        slots = torch.stack([(row[:, None] * x[0]).sum(0) / row.sum() for row in share])
    torch.testing.assert_close(gathered(start, x, None, 4)[0], slots)


@pytest.mark.usefixtures("installed")
def test_its_own_losses_are_in_the_total_and_reach_their_maps() -> None:
    network = tiny(contrast=2.0)
    inputs = some_inputs((6, 2), (6, 3), (4, 2))
    targets = one_target_each(inputs)
    parts = total_loss(network(inputs), targets, inputs.frame_mask(), find_preset("uvcom").loss)
    assert parts["added"] == parts["contrast_across"] + parts["contrast_within"] > 0
    parts["total"].backward()
    assert network.contrast_text.layers[0].weight.grad.abs().sum() > 0
    once = total_loss(tiny(contrast=1.0)(inputs), targets, inputs.frame_mask(), find_preset("uvcom").loss)
    torch.testing.assert_close(2 * once["added"], parts["added"].detach(), check_stride=False)


def one_target_each(inputs: NetworkInputs) -> Targets:
    mask = inputs.frame_mask()
    batch = len(mask)
    relevance = mask & (torch.arange(mask.shape[1]) < 2)
    pairs: Tensor = torch.zeros(batch, 2, dtype=torch.int64)
    return Targets(
        spans=torch.tensor([[[0.2, 0.3]]]).expand(batch, -1, -1),
        span_mask=torch.ones(batch, 1, dtype=torch.bool),
        relevance=relevance,
        positive=pairs,
        negative=pairs + 2,
        rankable=torch.ones(batch, dtype=torch.bool),
    )


@pytest.mark.usefixtures("installed")
def test_it_trains_predicts_is_calibrated_and_is_named_by_its_file(tmp_path: Path) -> None:
    queries, features, model = (
        EXAMPLES / "queries.jsonl",
        tmp_path / "feats.h5",
        tmp_path / "uvcom.safetensors",
    )
    amr.extract(EXAMPLES / "audio", features, queries=queries)
    settings = SETTINGS | SLOTS
    amr.train(
        queries,
        model,
        features=features,
        preset="uvcom",
        settings=settings,
        batch_size=4,
        epochs=1,
        threads=1,
    )
    stored = read_checkpoint(model)
    assert (stored.preset, stored.config.architecture) == ("uvcom", "uvcom")
    assert stored.config.options == {"text_slots": 2, "audio_slots": 3}
    calibrated = tmp_path / "calibrated.safetensors"
    words = [EXAMPLES / "calibrate_scores.py", model, queries, features, "-o", calibrated]
    places = (tmp_path / "site", EXAMPLES / "uvcom", EXAMPLES.parent)
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, places))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert read_checkpoint(calibrated).history[-1].startswith("calibrated on queries.jsonl: sigmoid(")
    plain, changed = (read_checkpoint(path).weights["score_head.weight"] for path in (model, calibrated))
    assert not torch.equal(plain, changed)


@pytest.mark.usefixtures("installed")
def test_switches_that_cannot_be_are_refused() -> None:
    for options, message in (
        ({"text_slot": 2}, "none of UVCOM's"),
        ({"text_slots": 0}, "expected 1 to 1000"),
        ({"walk": "run"}, "expected one of released, paper"),
        ({"contrast": "much"}, "options.contrast"),
    ):
        with pytest.raises(InputError, match=message):
            tiny(**options)
    unused = replace(find_preset("uvcom").network, gate="rows")
    with pytest.raises(
        InputError, match="'uvcom' cannot be built: gate is 'rows', but this network does not use it"
    ):
        build_network(unused)
    for value, message in ((1, "none is named"), ([1], "expected a number")):
        with pytest.raises(UsageError, match=message):
            TrainingPlan.of_preset("am-detr").with_fields({"network": {"options": {"x": value}}}, "--set")


def test_without_the_package_its_files_are_refused_with_what_is_missing(
    tmp_path: Path, installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training_world import IDENTITY

    from amr.models.checkpoint import Checkpoint, write_checkpoint

    network = tiny()
    path = tmp_path / "model.safetensors"
    write_checkpoint(path, Checkpoint(network.config, IDENTITY, preset="uvcom", weights=network.state_dict()))
    assert read_checkpoint(path).config == network.config
    monkeypatch.setattr("amr.plugins.entry_points", lambda group: [])
    find_architecture.cache_clear()
    with pytest.raises(MissingError, match="network 'uvcom' is not part of amr"):
        read_checkpoint(path)
    with pytest.raises(UsageError, match="no preset 'uvcom'"):
        find_preset("uvcom")


def test_an_architecture_names_fields_that_exist() -> None:
    with pytest.raises(ValueError, match="uses names 'hiden_dim', which NetworkConfig does not have"):
        Architecture(find_preset("am-detr"), OwnNetwork, uses=("heads", "hiden_dim"))


def test_a_package_whose_entry_point_is_no_architecture_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(write_metadata(tmp_path, "odd = json:dumps")))
    with pytest.raises(PluginError, match="network 'odd' is function, expected"):
        find_architecture("odd")
    monkeypatch.setenv("AMR_MODELS", "gone=no_such_module:MINE")
    with pytest.raises(PluginError, match="network 'gone' cannot be imported: ModuleNotFoundError"):
        find_preset("gone")


def write_theirs(path: Path, **changed: Any) -> None:
    """A checkpoint of Lighthouse's layout with random weights."""
    generator = torch.Generator().manual_seed(1)
    shapes = json.loads(SHAPES.read_text())
    weights = {name: 0.2 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    options = {
        "model_name": "uvcom",
        "nheads": 2,
        "dropout": 0.1,
        "max_v_l": 300,
        "max_q_l": 32,
        "em_iter": 4,
    }
    torch.save({"model": weights | changed.pop("model", {}), "opt": options | changed}, path)


@pytest.mark.usefixtures("installed")
def test_lighthouses_checkpoints_are_read(tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    write_theirs(path)
    checkpoint = read_lighthouse(path)
    config = checkpoint.config
    assert (config.audio_dim, config.text_dim, config.hidden_dim, config.queries) == (12, 6, 32, 30)
    assert (config.cross_layers, config.encoder_layers, config.decoder_layers) == (2, 2, 2)
    assert config.options == {"text_slots": 3, "audio_slots": 4, "gather_rounds": 4}
    with torch.no_grad():
        outputs = checkpoint.build()(NetworkInputs(torch.randn(1, 5, 12), torch.randn(1, 2, 6)))
    assert outputs.spans.shape == (2, 1, 30, 2)
    assert describe(path).facts["network"] == "uvcom"
    assert "take it" in describe(path).notes[0]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    "changed",
    [
        {"model": {"CIM.txt_mu": torch.zeros(3)}},
        {"model": {"CIM.something_else.weight": torch.zeros(3)}},
        {"model": {"CIM.moment_fusion.multihead_attn.in_proj_weight": torch.zeros(3)}},
        {"model": {"CIM.vid_mu": torch.full((4, 32), torch.nan)}},
        {"em_iter": "many"},
        {"nheads": 7},
    ],
)
def test_others_are_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    path = tmp_path / "best.ckpt"
    write_theirs(path, **changed)
    with pytest.raises(InputError, match=r"best\.ckpt|uvcom"):
        read_lighthouse(path)
