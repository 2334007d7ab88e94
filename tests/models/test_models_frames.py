"""The network whose frames propose: what its results may depend on, its labels, losses and answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from amr.models.build import build_network, total_loss
from amr.models.config import NetworkConfig
from amr.models.frames.answers import choose
from amr.models.frames.constants import RULED_OUT, SAME_IOU, VOTING_IOU, VOTING_POWER
from amr.models.frames.layers import along_time
from amr.models.frames.level import COSINE_LEVEL, SIMILARITY_LEVEL, SMOOTHING
from amr.models.frames.losses import frame_targets
from amr.models.frames.network import FrameNetwork, compressed, proposals
from amr.models.frames.prototypes import even
from amr.models.inputs import NetworkInputs, NetworkOutputs, pad_inputs
from amr.models.presets import PRESETS, Preset, sized
from amr.models.spans import to_centre_width, to_ends
from amr.models.targets import Targets, make_targets
from amr.models.windows import similarity_curves
from amr.moments import FrameGrid, interval_iou

AUDIO_DIM, TEXT_DIM, ROUNDING = 12, 6, 2e-5


def small() -> Preset:
    preset = sized(PRESETS["best"], audio_dim=AUDIO_DIM, text_dim=TEXT_DIM)
    network = replace(preset.network, hidden_dim=16, feedforward_dim=32, prototypes=9, encoder_layers=2)
    return replace(preset, network=network)


def stirred(config: NetworkConfig) -> FrameNetwork:
    """A network whose parameters have all left their initial values, as after training."""
    torch.manual_seed(0)
    network = build_network(config)
    assert isinstance(network, FrameNetwork)
    fit(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.eval()


def fit(network: FrameNetwork) -> None:
    """Prototypes of random data."""
    assert network.prototypes is not None
    with torch.no_grad():
        network.prototypes.whitening.fit(even(torch.rand(200, AUDIO_DIM)))
        sentences = torch.nn.functional.normalize(torch.randn(7, TEXT_DIM), dim=-1)
        directions = torch.nn.functional.normalize(torch.randn(4, AUDIO_DIM), dim=-1)
        network.prototypes.fit(sentences, torch.tensor([0, 0, 1, 2, 2, 2, 3]), directions)


def batch_of(*lengths: int, seed: int = 0, channels: int = 2) -> NetworkInputs:
    rng = np.random.default_rng(seed)
    return pad_inputs(
        [rng.normal(size=(n, AUDIO_DIM)).astype(np.float32) for n in lengths],
        [rng.normal(size=(3 + n % 3, TEXT_DIM)).astype(np.float32) for n in lengths],
        [
            similarity_curves(rng.random(n), 2) if channels <= 2 else rng.random((n, channels))
            for n in lengths
        ],
        [(np.arange(n) + 0.4) / n for n in lengths],
    )


def alone(inputs: NetworkInputs, index: int, frames: int) -> NetworkInputs:
    """One item of a batch, without its padding."""
    assert inputs.curves is not None
    assert inputs.middles is not None
    tokens = inputs.text[index : index + 1]
    mask = None if inputs.text_mask is None else inputs.text_mask[index : index + 1]
    cut = slice(0, frames)
    return NetworkInputs(
        audio=inputs.audio[index : index + 1, cut],
        text=tokens,
        text_mask=mask,
        curves=inputs.curves[index : index + 1, cut],
        middles=inputs.middles[index : index + 1, cut],
    )


def labels(inputs: NetworkInputs, ends: list[list[tuple[float, float]]]) -> Targets:
    most = max(len(each) for each in ends)
    padded = [each + [(0.0, 0.0)] * (most - len(each)) for each in ends]
    values = torch.tensor(padded)
    mask = inputs.frame_mask()
    return make_targets(values, values[..., 1] > values[..., 0], mask, torch.rand(mask.shape))


@pytest.mark.parametrize("frames", [1, 2, 5, 40])
@pytest.mark.parametrize("dilation", [1, 3, 16])
def test_the_convolution_of_evaluation_is_that_of_training(frames: int, dilation: int) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Conv1d(6, 6, 5, padding=2 * dilation, groups=6, dilation=dilation)
    x = torch.randn(3, frames, 6)
    learning = along_time(layer, x)
    with torch.inference_mode():
        torch.testing.assert_close(along_time(layer, x), learning.detach(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_queries_of_one_stretch_share_its_audio(name: str) -> None:
    torch.manual_seed(0)
    config = sized(PRESETS[name], audio_dim=AUDIO_DIM, text_dim=TEXT_DIM).network
    network = build_network(config).eval()
    apart = batch_of(7, 11, 7, 11, 3, channels=config.similarity_channels)
    # Items 2 and 3 hear what items 0 and 1 hear, under sentences and curves of their own.
    order = torch.tensor([0, 1, 0, 1, 4])
    assert apart.audio_mask is not None
    apart = replace(apart, audio=apart.audio[order], audio_mask=apart.audio_mask[order])
    rows = torch.tensor([0, 1, 4])
    assert apart.audio_mask is not None
    shared = replace(
        apart,
        audio=apart.audio[rows],
        audio_mask=apart.audio_mask[rows],
        stretch=torch.tensor([0, 1, 0, 1, 2]),
    )
    assert torch.equal(shared.frame_mask(), apart.frame_mask())
    with torch.inference_mode():
        one, other = network(apart), network(shared)
    for what in ("spans", "logits", "saliency"):
        torch.testing.assert_close(getattr(other, what), getattr(one, what), rtol=0, atol=ROUNDING)


def test_every_score_of_a_stretch_is_multiplied_by_the_chance_that_it_is_there() -> None:
    inputs = batch_of(14, 9, 1)
    assert inputs.curves is not None
    plain = stirred(small().network)
    config = replace(small().network, level_weight=4.0, level_shift=-1.0, level_similarity=0.3)
    levelled = FrameNetwork(config).eval()
    levelled.load_state_dict(plain.state_dict())
    before, after = plain(inputs), levelled(inputs)
    assert torch.equal(before.spans, after.spans)
    exists = before.score_logits[-1] > RULED_OUT
    assert torch.equal(exists, after.score_logits[-1] > RULED_OUT)
    assert plain.prototypes is not None
    heard = plain.prototypes.directions(compressed(inputs.audio))
    cosine = plain.prototypes(heard, inputs.audio_mask, inputs.text, inputs.text_mask).cosine
    for index, frames in enumerate((14, 9, 1)):
        own, similar = cosine[index, :frames], inputs.curves[index, :frames, 0]
        curve = own - COSINE_LEVEL * own.mean() + 0.3 * (similar - SIMILARITY_LEVEL * similar.mean())
        held = functional.pad(curve[None, None], (2, 2), mode="replicate")
        smooth = functional.conv1d(held, torch.tensor(SMOOTHING)[None, None])
        there = torch.sigmoid(4 * smooth.max() - 1)
        scores, found = before.score_logits[-1, index].sigmoid(), after.score_logits[-1, index].sigmoid()
        torch.testing.assert_close(found[exists[index]], (scores * there)[exists[index]])


def test_a_level_needs_frames_that_propose_and_what_it_is_made_of() -> None:
    with pytest.raises(ValueError, match="level_weight belongs to proposing = frames"):
        NetworkConfig(level_weight=1.0)
    with pytest.raises(ValueError, match="similarity_channels is 0"):
        replace(small().network, similarity_channels=0, level_similarity=1.0)
    with pytest.raises(ValueError, match="prototypes is 0"):
        replace(small().network, prototypes=0, prototype_axes=0, level_weight=1.0)


@pytest.mark.parametrize("training", [True, False])
def test_a_result_does_not_depend_on_padding_or_batch_mates(training: bool) -> None:
    config = replace(small().network, dropout=0.0, input_dropout=0.0, level_weight=3.0)
    network = stirred(config).train(training)
    lengths = (14, 9, 1)
    inputs = batch_of(*lengths)
    together = network(inputs)
    for index, frames in enumerate(lengths):
        single = network(alone(inputs, index, frames))
        count = single.spans.shape[2]
        for whole, part in ((together.spans, single.spans), (together.logits, single.logits)):
            torch.testing.assert_close(whole[:, index : index + 1, :count], part, atol=ROUNDING, rtol=0)
        assert torch.all(together.saliency[index, frames:] == 0)


def test_shifting_the_frames_shifts_the_proposals() -> None:
    """No positions go in, so away from the ends only what a frame hears decides."""
    config = replace(small().network, encoder_layers=0, dropout=0.0, input_dropout=0.0)
    network = stirred(config).train()
    inputs = batch_of(40)
    assert inputs.curves is not None
    shifted = NetworkInputs(
        audio=inputs.audio.roll(5, 1),
        text=inputs.text,
        curves=inputs.curves.roll(5, 1),
        middles=inputs.middles,
    )
    here, there = network(inputs), network(shifted)
    torch.testing.assert_close(there.logits[0, 0, 12:35], here.logits[0, 0, 7:30], atol=ROUNDING, rtol=0)
    moved = here.spans[0, 0, 7:30] + torch.tensor([5 / 40, 0.0])
    torch.testing.assert_close(there.spans[0, 0, 12:35], moved, atol=ROUNDING, rtol=0)


def test_gradients_reach_every_parameter() -> None:
    preset = small()
    network = stirred(replace(preset.network, dropout=0.0, input_dropout=0.0)).train()
    inputs = batch_of(12, 10, 9)
    targets = labels(inputs, [[(0.1, 0.4), (0.6, 0.9)], [(0.0, 0.5)], []])
    total_loss(network(inputs), targets, inputs.frame_mask(), preset.loss)["total"].backward()
    still = {
        name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 1e-8
    }
    # Keys' biases add the same to every logit of a softmax; they are a third of one vector here.
    assert still == set()


def test_a_training_step_never_asks_the_device_for_a_value() -> None:
    """Tensors without values: any look at one, as by ``.item()`` or a branch, raises."""
    preset = small()
    with torch.device("meta"):
        network = build_network(preset.network)
        inputs = NetworkInputs(
            audio=torch.rand(4, 9, AUDIO_DIM),
            text=torch.rand(6, 5, TEXT_DIM),
            audio_mask=torch.ones(4, 9, dtype=torch.bool),
            text_mask=torch.ones(6, 5, dtype=torch.bool),
            curves=torch.rand(4, 9, 2),
            own_share=torch.rand(4),
        )
        assert isinstance(network, FrameNetwork)
        assert network.prototypes is not None
        network.prototypes.left_out = torch.rand(9, AUDIO_DIM)
        real = torch.ones(4, 3, dtype=torch.bool)
        targets = make_targets(torch.rand(4, 3, 2), real, inputs.frame_mask(), torch.rand(4, 9))
        loss = total_loss(network(inputs), targets, inputs.frame_mask(), preset.loss)["total"]
        loss.backward()
        answers = network.eval()(inputs)
    assert loss.device.type == "meta"
    assert answers.spans.shape == (1, 4, preset.network.queries, 2)


def test_each_frame_takes_the_shortest_moment_that_holds_its_middle() -> None:
    inputs = batch_of(10)
    middles = (torch.arange(10) + 0.5).unsqueeze(0) / 10
    # A long moment, a short one inside it, one between two middles.
    ends = torch.tensor([[[0.0, 0.6], [0.2, 0.4], [0.86, 0.94]]])
    targets = labels(inputs, [[(0.0, 0.6), (0.2, 0.4), (0.86, 0.94)]])
    found = frame_targets(targets, middles, inputs.frame_mask())
    assert found.inside[0].tolist() == [True] * 6 + [False] * 2 + [True, False]
    starts = to_ends(found.spans)[0, :, 0]
    torch.testing.assert_close(starts[[0, 1, 2, 3, 4, 5, 8]], ends[0, [0, 0, 1, 1, 0, 0, 2], 0])


def test_a_proposal_can_be_shorter_than_a_frame_and_miss_its_middle() -> None:
    mask = torch.ones(1, 10, dtype=torch.bool)
    middles = (torch.arange(10) + 0.5).unsqueeze(0) / 10
    spans = to_ends(proposals(middles, torch.full((1, 10), -9.0), torch.full((1, 10), 2.0), mask))
    assert torch.all(spans[..., 0] > middles)
    assert torch.all(spans[..., 1] > spans[..., 0])


def greedy(ends: np.ndarray, logits: np.ndarray, count: int) -> list[tuple[float, float, float]]:
    """The obvious way, one item."""
    scores, alive = 1 / (1 + np.exp(-logits)), np.ones(len(logits), dtype=bool)
    out: list[tuple[float, float, float]] = []
    while alive.any() and len(out) < count:
        best = int(np.argmax(np.where(alive, logits, -np.inf)))
        overlap = interval_iou(ends[best], ends)
        weight = np.where(overlap >= VOTING_IOU, scores**VOTING_POWER, 0.0)
        mean = (ends * weight[:, None]).sum(0) / weight.sum() if weight.sum() else ends[best]
        out.append((float(mean[0]), float(mean[1]), float(logits[best])))
        alive &= overlap < SAME_IOU
        alive[best] = False
    return out


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 30))
def test_answers_are_those_of_the_obvious_suppression(seed: int, frames: int) -> None:
    rng = np.random.default_rng(seed)
    ends = np.sort(rng.random((frames, 2)), axis=1)
    logits = rng.normal(size=frames)
    spans = to_centre_width(torch.tensor(ends)).view(1, 1, frames, 2)
    outputs = NetworkOutputs(
        spans=spans,
        logits=torch.stack((torch.tensor(logits), torch.zeros(frames)), dim=-1).view(1, 1, frames, 2),
        saliency=torch.zeros(1, frames),
        frames=torch.zeros(1, frames, 1),
    )
    chosen = choose(outputs, torch.ones(1, frames, dtype=torch.bool), 5)
    want = greedy(ends, logits, 5)
    found = to_ends(chosen.spans[0, 0]).numpy()
    got_logits = chosen.score_logits[0, 0].numpy()
    np.testing.assert_allclose(found[: len(want)], [each[:2] for each in want], atol=1e-9)
    np.testing.assert_allclose(got_logits[: len(want)], [each[2] for each in want], atol=1e-9)
    assert np.all(got_logits[len(want) :] == RULED_OUT)


@torch.no_grad()
def test_the_losses_of_parts_add_up_to_the_batch() -> None:
    preset = small()
    network = stirred(replace(preset.network, dropout=0.0, input_dropout=0.0)).train()
    inputs = batch_of(12, 12, 12, 12)
    ends = [[(0.1, 0.4)], [(0.2, 0.9)], [(0.0, 0.5)], []]
    number = torch.tensor(20.0)
    loss = preset.loss
    whole = total_loss(network(inputs), labels(inputs, ends), inputs.frame_mask(), loss, num_targets=number)
    parts = []
    for rows in (slice(0, 1), slice(1, 4)):
        assert inputs.curves is not None
        assert inputs.middles is not None
        part = NetworkInputs(
            audio=inputs.audio[rows],
            text=inputs.text[rows],
            text_mask=None if inputs.text_mask is None else inputs.text_mask[rows],
            curves=inputs.curves[rows],
            middles=inputs.middles[rows],
        )
        parts.append(
            total_loss(network(part), labels(part, ends[rows]), part.frame_mask(), loss, num_targets=number)
        )
    assert float(whole["total"]) == pytest.approx(sum(float(each["total"]) for each in parts), rel=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gate": "rows"}, "gate"),
        ({"tef": "fixed"}, "tef"),
        ({"plain_cross": True}, "plain_cross"),
        ({"prototype_axes": 0}, "prototype_axes"),
        ({"prototypes": 0, "prototype_axes": 0, "similarity_channels": 0}, "no text"),
    ],
)
def test_a_configuration_that_cannot_be_says_why(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NetworkConfig.from_fields(PRESETS["best"].network.to_fields() | change)


def test_middles_lie_where_the_grid_says() -> None:
    grid = FrameGrid(window_s=0.975, hop_s=0.48, num_frames=124)
    middles = grid.middles(range(124), 60.0) * 60.0
    np.testing.assert_allclose(middles, [grid.centre_s(frame) for frame in range(124)], atol=1e-9)
    part = range(10, 50)
    span = grid.span_s(10, 49, 60.0)
    seconds = span.start_s + grid.middles(part, 60.0) * span.length_s
    np.testing.assert_allclose(seconds, [grid.centre_s(frame) for frame in part], atol=1e-9)
