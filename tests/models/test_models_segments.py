"""Segments: sums and marginals against every segmentation of short stretches, counted one by one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from amr.models.build import build_network, total_loss
from amr.models.config import NetworkConfig
from amr.models.frames.constants import RULED_OUT
from amr.models.frames.segments import (
    LENGTH_CLASSES,
    choose_segments,
    fine_spans,
    forward_backward,
    log_partition,
    segment_scores,
    segmentation_loss,
)
from amr.models.inputs import NetworkInputs, NetworkOutputs
from amr.models.presets import PRESETS, sized
from amr.models.spans import to_ends
from amr.models.targets import Targets, make_targets

ROUNDING = 1e-5


def segmentations(frames: int, begin: int = 0) -> Iterator[list[tuple[int, int]]]:
    """Every set of moments (first frame, last frame) that share no frame."""
    yield []
    for first in range(begin, frames):
        for last in range(first, frames):
            for rest in segmentations(frames, last + 1):
                yield [(first, last), *rest]


def random_scores(frames: int, seed: int, real: int | None = None) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    inside = torch.randn(1, frames, generator=generator)
    ends = torch.randn(1, frames, 2, generator=generator)
    by_length = torch.randn(LENGTH_CLASSES, generator=generator)
    mask = torch.arange(frames).unsqueeze(0) < (frames if real is None else real)
    return segment_scores(inside, ends, by_length, mask)


def weight(scores: Tensor, moments: list[tuple[int, int]]) -> float:
    return math.exp(sum(float(scores[0, first, last]) for first, last in moments))


def test_segmentations_are_counted_once() -> None:
    assert [len(list(segmentations(frames))) for frames in range(5)] == [1, 2, 5, 13, 34]


def test_a_moments_score() -> None:
    inside = torch.tensor([[1.0, 2.0, 4.0, 8.0, 16.0]])
    ends = torch.stack((10 * inside, 100 * inside), dim=-1)
    by_length = 0.5 * torch.arange(LENGTH_CLASSES)
    scores = segment_scores(inside, ends, by_length, torch.tensor([[True] * 4 + [False]]))[0]
    assert scores[1, 1] == 20 + 2 + 200
    assert scores[1, 2] == pytest.approx(20 + 2 + 4 + 400 + 0.5)
    assert scores[0, 3] == pytest.approx(10 + 15 + 800 + 1.0)
    assert scores[2, 1] == scores[1, 4] == scores[4, 4] == -torch.inf


@settings(max_examples=30)
@given(st.integers(1, 6), st.integers(0, 10_000), st.integers(0, 3))
def test_the_sum_and_the_marginals_are_exact(frames: int, seed: int, padding: int) -> None:
    scores = random_scores(frames + padding, seed, real=frames)
    total, chances = forward_backward(scores)
    weights = {tuple(moments): weight(scores, moments) for moments in segmentations(frames)}
    whole = sum(weights.values())
    assert float(total) == pytest.approx(math.log(whole), abs=ROUNDING)
    for first in range(frames + padding):
        for last in range(frames + padding):
            holding = sum(each for moments, each in weights.items() if (first, last) in moments)
            assert float(chances[0, first, last]) == pytest.approx(holding / whole, abs=ROUNDING)


def test_the_gradient_is_that_of_the_recursion() -> None:
    scores = random_scores(5, seed=3).double()
    possible = scores.isfinite()
    values = scores[possible].clone().requires_grad_()

    def summed(values: Tensor) -> Tensor:
        return log_partition(torch.full_like(scores, -torch.inf).masked_scatter(possible, values))

    assert torch.autograd.gradcheck(summed, (values,))


def labels(ends: list[tuple[float, float]], frames: int) -> tuple[Targets, Tensor]:
    spans = torch.tensor([ends])
    mask = torch.ones(1, frames, dtype=torch.bool)
    targets = make_targets(spans, torch.ones(1, len(ends), dtype=torch.bool), mask, torch.rand(1, frames))
    middles = (torch.arange(frames) + 0.5) / frames
    holds = (spans[..., :1] <= middles) & (middles < spans[..., 1:])
    return targets, holds


def test_the_loss_is_that_of_the_labelled_segmentation() -> None:
    scores = random_scores(6, seed=1)
    targets, holds = labels([(0.5, 1.0), (0.0, 1 / 3)], frames=6)
    chance = weight(scores, [(0, 1), (3, 5)]) / sum(weight(scores, each) for each in segmentations(6))
    assert float(segmentation_loss(scores, targets, holds)) == pytest.approx(-math.log(chance), abs=ROUNDING)


def test_of_moments_that_share_frames_the_shortest_is_labelled() -> None:
    scores = random_scores(6, seed=2)
    targets, holds = labels([(0.0, 1.0), (0.0, 1 / 3)], frames=6)
    alone, its_holds = labels([(0.0, 1 / 3)], frames=6)
    expected = segmentation_loss(scores, alone, its_holds)
    assert segmentation_loss(scores, targets, holds) == pytest.approx(expected, abs=ROUNDING)


def test_an_absent_query_is_labelled_with_no_moment() -> None:
    scores = random_scores(4, seed=5)
    targets, holds = labels([(0.0, 0.5)], frames=4)
    none = targets._replace(span_mask=torch.zeros(1, 1, dtype=torch.bool))
    assert float(segmentation_loss(scores, none, holds & False)) == pytest.approx(
        float(log_partition(scores))
    )


def proposing(frames: int, reach: float) -> NetworkOutputs:
    """Frames that each propose a moment which ends ``reach`` frames to both sides of their middle."""
    middles = ((torch.arange(frames) + 0.5) / frames).unsqueeze(0)
    spans = torch.stack((middles, torch.full_like(middles, 2 * reach / frames)), dim=-1)
    zero = torch.zeros(1, frames)
    return NetworkOutputs(
        spans.unsqueeze(0), torch.zeros(1, 1, frames, 2), zero, zero.unsqueeze(-1), middles=middles
    )


def test_ends_lie_within_a_frame_of_the_segments() -> None:
    first, last, mask = torch.tensor([[2]]), torch.tensor([[4]]), torch.ones(1, 10, dtype=torch.bool)
    near = to_ends(fine_spans(proposing(10, reach=0.8), first, last, mask))
    assert near.flatten().tolist() == pytest.approx([0.17, 0.53])
    far = to_ends(fine_spans(proposing(10, reach=5), first, last, mask))
    assert far.flatten().tolist() == pytest.approx([0.1, 0.6])


def test_answers_are_the_likeliest_moments_with_what_is_like_them() -> None:
    scores = torch.full((1, 20, 20), -torch.inf)
    scores[0, 2, 5], scores[0, 2, 6] = 3.0, 2.0
    scores[0, 12, 12] = 0.0
    found = choose_segments(
        proposing(20, reach=0.5), scores, torch.ones(1, 20, dtype=torch.bool), replace(small(), queries=3)
    )
    chances = found.score_logits[-1].sigmoid()[0].tolist()
    either = math.exp(3) + math.exp(2)
    assert chances[:2] == pytest.approx([either / (1 + either), 0.5], abs=1e-4)
    assert found.score_logits[-1][0, 2] == RULED_OUT
    later = math.exp(2) / either
    assert to_ends(found.spans)[0, 0, 0].tolist() == pytest.approx([0.1, (6 + later) / 20], abs=1e-4)


def small(**changes: object) -> NetworkConfig:
    preset = sized(PRESETS["best"], audio_dim=12, text_dim=6)
    shape = replace(preset.network, hidden_dim=16, feedforward_dim=32, encoder_layers=2, quality=False)
    return replace(shape, prototypes=0, prototype_axes=0, **changes)  # type: ignore[arg-type]


def inputs(frames: int = 24, batch: int = 3) -> NetworkInputs:
    generator = torch.Generator().manual_seed(0)
    return NetworkInputs(
        audio=torch.randn(batch, frames, 12, generator=generator),
        text=torch.randn(batch, 2, 6, generator=generator),
        audio_mask=torch.arange(frames).unsqueeze(0) < torch.tensor([[frames], [frames - 7], [frames]]),
        curves=torch.randn(batch, frames, 2, generator=generator),
    )


@pytest.mark.parametrize("quality", [False, True])
def test_a_network_learns_segments_by_heart(quality: bool) -> None:
    torch.manual_seed(0)
    network = build_network(small(dropout=0.0, input_dropout=0.0, quality=quality))
    given = inputs()
    mask = given.frame_mask()
    ends = torch.tensor([[[0.2, 0.5], [0.7, 0.9]], [[0.1, 0.3], [0, 0]], [[0, 0], [0, 0]]])
    real = torch.tensor([[True, True], [True, False], [False, False]])
    targets = make_targets(ends, real, mask, torch.rand(mask.shape))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(150):
        loss = total_loss(network(given), targets, mask, PRESETS["best"].loss)["total"]
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    with torch.inference_mode():
        found = network.eval()(given)
    scores = found.score_logits[-1].sigmoid()
    assert (scores[0, :2] > 0.9).all()
    assert scores[0, 2] < 0.1
    assert scores[1, 0] > 0.9
    assert scores[2, 0] < 0.1
    spans = to_ends(found.spans[-1])
    assert spans[0, :2].sort(0).values.flatten().tolist() == pytest.approx([0.2, 0.5, 0.7, 0.9], abs=0.02)
    assert spans[1, 0].tolist() == pytest.approx([0.1, 0.3], abs=0.02)


def test_answers_do_not_depend_on_the_padding() -> None:
    torch.manual_seed(1)
    network = build_network(small()).eval()
    given = inputs()
    alone = NetworkInputs(
        given.audio[1:2, :17],
        given.text[1:2],
        curves=None if given.curves is None else given.curves[1:2, :17],
    )
    with torch.inference_mode():
        together, single = network(given), network(alone)
    torch.testing.assert_close(together.spans[:, 1:2], single.spans, atol=1e-5, rtol=0)
    torch.testing.assert_close(together.logits[:, 1:2], single.logits, atol=1e-4, rtol=0)


def test_segments_belong_to_frames_that_propose() -> None:
    with pytest.raises(ValueError, match="segments belongs to proposing = frames"):
        NetworkConfig(segments=True)
