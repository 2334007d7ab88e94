"""The network: its size, what it may depend on, and that every part of it can learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.arrays import Float32Array
from amr.models.build import total_loss
from amr.models.config import NetworkConfig
from amr.models.detr.network import DetrNetwork, count_parameters
from amr.models.inputs import NetworkInputs, NetworkOutputs, pad_inputs
from amr.models.presets import PRESETS, Preset, sized
from amr.models.targets import make_targets
from amr.models.windows import similarity_curves

ROUNDING = 2e-5
# What bf16 autocast may move at these sizes: it keeps 8 bits of each product.
BF16_SPAN, BF16_SCORE = 0.03, 0.05

PLAIN = PRESETS["am-detr"]
EXTRA = {
    "similarity": replace(PLAIN, network=replace(PLAIN.network, similarity_channels=2)),
    "quality": replace(PLAIN, loss=replace(PLAIN.loss, score_loss="varifocal", overlap_loss="diou")),
}
NAMES = sorted((PRESETS | EXTRA).keys() - {"best", "curves"})  # another network: test_models_frames.py


def small(name: str) -> Preset:
    """A preset with its switches as they are and its sizes tiny."""
    preset = sized((PRESETS | EXTRA)[name], audio_dim=12, text_dim=6)
    network = replace(preset.network, hidden_dim=16, heads=2, feedforward_dim=32, queries=5)
    return replace(preset, network=network)


def stirred(config: NetworkConfig, seed: int = 0) -> DetrNetwork:
    """A network whose parameters have all left their initial values, as after training."""
    torch.manual_seed(seed)
    network = DetrNetwork(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.eval()


Item = tuple[Float32Array, Float32Array, Float32Array]


def item(seed: int, config: NetworkConfig, frames: int, tokens: int) -> Item:
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(frames, config.audio_dim)).astype(np.float32),
        rng.normal(size=(tokens, config.text_dim)).astype(np.float32),
        similarity_curves(rng.random(frames), max(1, config.similarity_channels)),
    )


def batch_of(items: list[Item], config: NetworkConfig) -> NetworkInputs:
    curves = [one[2] for one in items] if config.similarity_channels else None
    return pad_inputs([one[0] for one in items], [one[1] for one in items], curves)


def run(network: DetrNetwork, items: list[Item]) -> NetworkOutputs:
    with torch.no_grad():
        return network(batch_of(items, network.config))


def largest_difference(a: NetworkOutputs, row_a: int, b: NetworkOutputs, row_b: int, frames: int) -> float:
    return max(
        float((a.spans[:, row_a] - b.spans[:, row_b]).abs().max()),
        float((a.logits[:, row_a] - b.logits[:, row_b]).abs().max()),
        float((a.saliency[row_a, :frames] - b.saliency[row_b, :frames]).abs().max()),
    )


def test_am_detr_has_the_published_number_of_parameters() -> None:
    assert count_parameters(DetrNetwork(PRESETS["am-detr"].network)) == 7_123_237


def test_am_detr_parts_have_the_published_numbers_of_parameters() -> None:
    network = DetrNetwork(PRESETS["am-detr"].network)
    assert count_parameters(network.cross) == 1_579_522
    assert count_parameters(network.encoder) == 1_579_522
    assert count_parameters(network.decoder) == 3_160_837
    assert count_parameters(network.span_head) == 132_098
    assert count_parameters(network.text_projection) == 264_704
    assert count_parameters(network.audio_projection) == 265_220
    assert count_parameters(network.text_positions) == 8_704


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 5)), min_size=1, max_size=5),
    seed=st.integers(0, 999),
)
def test_an_item_alone_equals_the_item_in_any_batch(
    name: str, sizes: list[tuple[int, int]], seed: int
) -> None:
    network = stirred(small(name).network, seed)
    items = [item(seed + n, network.config, *size) for n, size in enumerate(sizes)]
    together = run(network, items)
    turned = run(network, items[::-1])
    for row, one in enumerate(items):
        alone = run(network, [one])
        frames = len(one[0])
        assert largest_difference(alone, 0, together, row, frames) < ROUNDING
        assert largest_difference(alone, 0, turned, len(items) - 1 - row, frames) < ROUNDING


@pytest.mark.parametrize("name", NAMES)
def test_values_in_the_padding_change_nothing(name: str) -> None:
    network = stirred(small(name).network)
    inputs = batch_of([item(1, network.config, 7, 4), item(2, network.config, 3, 2)], network.config)
    assert inputs.audio_mask is not None
    assert inputs.text_mask is not None
    loud = NetworkInputs(
        audio=torch.where(inputs.audio_mask.unsqueeze(-1), inputs.audio, 1e3),
        text=torch.where(inputs.text_mask.unsqueeze(-1), inputs.text, -1e3),
        audio_mask=inputs.audio_mask,
        text_mask=inputs.text_mask,
        curves=inputs.curves,
    )
    with torch.no_grad():
        quiet_answer, loud_answer = network(inputs), network(loud)
    for row, frames in enumerate((7, 3)):
        assert largest_difference(quiet_answer, row, loud_answer, row, frames) < ROUNDING
    assert float(loud_answer.saliency[1, 3:].abs().max()) == 0.0


def test_lighthouses_mask_lets_batch_mates_in_and_ours_does_not() -> None:
    config = small("am-detr").network
    exact = stirred(config)
    leaking = stirred(replace(config, cross_mask="lighthouse"))
    items = [item(n, config, frames, tokens) for n, (frames, tokens) in enumerate([(9, 5), (6, 2), (8, 4)])]
    rows = range(len(items))
    alone = [run(exact, [one]) for one in items]
    worst = [
        max(largest_difference(alone[n], 0, run(network, items), n, len(items[n][0])) for n in rows)
        for network in (exact, leaking)
    ]
    assert worst[0] < ROUNDING
    assert worst[1] > 1e-3
    assert largest_difference(run(leaking, items[:1]), 0, alone[0], 0, 9) < ROUNDING


@pytest.mark.parametrize("name", NAMES)
def test_first_question_kept_from_call_to_call_changes_nothing(name: str) -> None:
    network = stirred(small(name).network)
    inputs = batch_of([item(1, network.config, 7, 4), item(2, network.config, 3, 2)], network.config)
    with torch.no_grad():
        plain, kept = network(inputs), network(inputs, first=network.first_queries())
    assert torch.equal(plain.spans, kept.spans)
    assert torch.equal(plain.logits, kept.logits)


@pytest.mark.parametrize("name", NAMES)
def test_training_without_dropout_equals_evaluation(name: str) -> None:
    config = replace(small(name).network, dropout=0.0, input_dropout=0.0)
    network = stirred(config)
    items = [item(1, config, 7, 4), item(2, config, 3, 2)]
    evaluated = run(network, items)
    trained = run(network.train(), items)
    for row, frames in enumerate((7, 3)):
        assert largest_difference(evaluated, row, trained, row, frames) < ROUNDING


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_stays_within_its_tolerance(name: str) -> None:
    network = stirred(small(name).network)
    inputs = batch_of([item(n, network.config, 20, 5) for n in range(4)], network.config)
    with torch.no_grad():
        exact = network(inputs)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            coarse = network(inputs)
    assert coarse.spans.dtype == coarse.logits.dtype == coarse.saliency.dtype == torch.float32
    assert float((exact.spans - coarse.spans).abs().max()) < BF16_SPAN
    assert float((exact.score_logits.sigmoid() - coarse.score_logits.sigmoid()).abs().max()) < BF16_SCORE


def without_gradient(config: NetworkConfig) -> set[str]:
    """Parameters that cannot learn, by the published construction.

    The table of text positions enters no result. In the decoder's first layer every query's content is 0, so
    that all values are alike and whom a query attends to changes nothing. A bias of keys adds the same to
    every logit of a softmax.
    """
    first = "decoder.layers.0.query_attention."
    if config.decoding == "embeddings":
        return {first + "input.weight"}  # queries, keys and values of nothing, in one matrix
    blind = {first + "value.weight"}
    for part in ("query_content", "query_position", "key_content", "key_position"):
        blind |= {f"{first}{part}.weight", f"{first}{part}.bias"}
    for layer in range(config.decoder_layers):
        for kind in ("query_attention", "frame_attention"):
            for part in ("content", "position"):
                blind.add(f"decoder.layers.{layer}.{kind}.key_{part}.bias")
    if config.unused_text_positions:
        blind |= {"text_positions.table.weight", "text_positions.norm.weight", "text_positions.norm.bias"}
    if config.gate_pooling == "attention":
        blind.add("gate.pooling.weight.bias")
    return blind


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_parameter_that_the_preset_uses(name: str) -> None:
    preset = small(name)
    config = replace(preset.network, dropout=0.0, input_dropout=0.0)
    network = stirred(config).train()
    inputs = batch_of([item(n, config, 12 - n, 5 - n) for n in range(4)], config)
    starts_and_ends = [0.1, 0.4, 0.6, 0.9, 0.0, 0.5, 0, 0, 0.3, 0.7, 0, 0, 0, 0, 0, 0]
    ends = torch.tensor(starts_and_ends).view(4, 2, 2)
    span_mask = ends[..., 1] > ends[..., 0]
    torch.manual_seed(1)
    targets = make_targets(ends, span_mask, inputs.frame_mask(), torch.rand(4, 12))
    outputs = network(inputs, negatives=preset.loss.negatives)
    total_loss(outputs, targets, inputs.frame_mask(), preset.loss)["total"].backward()
    largest = {
        key: 0.0 if p.grad is None else float(p.grad.abs().max()) for key, p in network.named_parameters()
    }
    assert {key for key, gradient in largest.items() if gradient < 1e-7} == without_gradient(config)


def test_negative_pairs_run_no_decoder_and_know_their_own_text() -> None:
    network = stirred(small("am-detr").network)
    first, second = item(1, network.config, 7, 4), item(2, network.config, 7, 4)
    calls = []
    network.decoder.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        outputs = network(batch_of([first, second, first], network.config), negatives=True)
        swapped = network(batch_of([(first[0], second[1], first[2])], network.config))
    assert len(calls) == 2
    assert outputs.negative_saliency is not None
    assert outputs.negative_valid is not None
    assert float((outputs.negative_saliency[0] - swapped.saliency[0]).abs().max()) < ROUNDING
    # The third item's next text, the first one's, is its own.
    assert outputs.negative_valid.tolist() == [True, True, False]


def test_negative_texts_can_be_chosen_and_be_more_than_the_items() -> None:
    network = stirred(small("am-detr").network)
    one, other = item(1, network.config, 7, 4), item(2, network.config, 7, 4)
    inputs = pad_inputs([one[0]], [one[1], other[1]])
    with torch.no_grad():
        outputs = network(inputs, negatives=True, negative_index=torch.tensor([1]))
        swapped = network(pad_inputs([one[0]], [other[1]]))
    assert outputs.negative_saliency is not None
    assert float((outputs.negative_saliency - swapped.saliency).abs().max()) < ROUNDING


def test_negatives_of_the_code_reading_pass_by_the_gate() -> None:
    network = stirred(small("lcs-detr-code").network)
    one, other = item(1, network.config, 7, 4), item(2, network.config, 7, 4)
    calls = []
    network.gated_cross[0].register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        network(batch_of([one, other], network.config), negatives=True)
    assert len(calls) == 1


def test_similarity_curves_are_the_curve_and_its_height_above_the_median() -> None:
    curves = similarity_curves(np.array([0.1, 0.5, 0.3]), 2)
    assert np.allclose(curves, [[0.1, -0.2], [0.5, 0.2], [0.3, 0.0]])
    with pytest.raises(ValueError, match="expected 1 or 2"):
        similarity_curves(np.array([0.1]), 3)


def test_a_network_that_takes_curves_refuses_to_go_without() -> None:
    config = small("similarity").network
    one = item(1, config, 7, 4)
    with pytest.raises(ValueError, match="2 curves a frame"):
        stirred(config)(pad_inputs([one[0]], [one[1]]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 3}, "hidden_dim"),
        ({"continuity_kernel": 4}, "odd"),
        ({"saliency": "gate"}, "needs a gate"),
        ({"amplifier": True}, "need a gate"),
        ({"plain_cross": False}, "no text would reach"),
        ({"gate": "sideways"}, "expected one of"),
        ({"queries": 0}, "expected 1 to"),
        ({"queries": 2.5}, "whole number"),
        ({"dropout": 1.0}, "dropout"),
        ({"tef_first": 1}, "true or false"),
        ({"gate_scale": "20"}, "a number"),
        ({"gate": "rows", "plain_cross": False, "negatives_bypass_gate": True}, "plain_cross"),
        ({"no_such_switch": 1}, "unknown field"),
    ],
)
def test_a_configuration_that_cannot_be_says_why(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NetworkConfig.from_fields(NetworkConfig().to_fields() | change)


def test_a_configuration_survives_json_fields() -> None:
    for preset in PRESETS.values():
        assert NetworkConfig.from_fields(preset.network.to_fields()) == preset.network


@pytest.mark.parametrize("name", NAMES)
def test_a_training_step_never_asks_the_device_for_a_value(name: str) -> None:
    """Tensors without values: any look at one, as by ``.item()`` or a branch, raises."""
    preset = small(name)
    config = preset.network
    with torch.device("meta"):
        network = DetrNetwork(config).train()
        inputs = NetworkInputs(
            audio=torch.rand(4, 9, config.audio_dim),
            text=torch.rand(4, 5, config.text_dim),
            audio_mask=torch.ones(4, 9, dtype=torch.bool),
            text_mask=torch.ones(4, 5, dtype=torch.bool),
            curves=torch.rand(4, 9, 2) if config.similarity_channels else None,
        )
        real = torch.ones(4, 3, dtype=torch.bool)
        targets = make_targets(torch.rand(4, 3, 2), real, inputs.frame_mask(), torch.rand(4, 9))
        outputs = network(inputs, negatives=preset.loss.negatives)
        loss = total_loss(outputs, targets, inputs.frame_mask(), preset.loss)["total"]
        loss.backward()
    assert loss.device.type == "meta"
