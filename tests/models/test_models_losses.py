"""Losses and labels: by hand, against slow obvious versions, and on data that broke others."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from amr.models.build import total_loss
from amr.models.detr.losses import score_loss
from amr.models.detr.matching import match
from amr.models.inputs import NetworkOutputs
from amr.models.loss_config import LossConfig, MatchingCost
from amr.models.presets import PRESETS
from amr.models.spans import distance_iou, generalised_iou, iou, logit, to_centre_width, to_ends
from amr.models.targets import Targets, jittered, make_targets, relevant_frames

BATCH, QUERIES, FRAMES, LAYERS = 4, 6, 12, 2


def outputs(seed: int = 0, *, negatives: bool = True) -> NetworkOutputs:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return NetworkOutputs(
        spans=draw(LAYERS, BATCH, QUERIES, 2).sigmoid(),
        logits=draw(LAYERS, BATCH, QUERIES, 2),
        saliency=draw(BATCH, FRAMES),
        frames=draw(BATCH, FRAMES, 8),
        negative_saliency=draw(BATCH, FRAMES) if negatives else None,
        negative_valid=torch.tensor([True, True, True, False]) if negatives else None,
    )


def frame_mask() -> Tensor:
    return torch.arange(FRAMES) < torch.tensor([FRAMES, 9, FRAMES, 5]).unsqueeze(1)


def targets(**switches: object) -> Targets:
    """Items with two targets, one, none, and one that covers everything."""
    ends = torch.zeros(BATCH, 2, 2)
    ends[0] = torch.tensor([[0.1, 0.4], [0.5, 0.9]])
    ends[1, 0] = torch.tensor([0.2, 0.6])
    ends[3, 0] = torch.tensor([0.0, 1.0])
    mask = torch.tensor([[True, True], [True, False], [False, False], [True, False]])
    noise = torch.rand(BATCH, FRAMES, generator=torch.Generator().manual_seed(1))
    return make_targets(ends, mask, frame_mask(), noise, **switches)  # type: ignore[arg-type]


def test_span_forms_are_inverse_of_each_other() -> None:
    ends = torch.rand(20, 2).sort(-1).values
    assert torch.allclose(to_ends(to_centre_width(ends)), ends, atol=1e-6)
    assert torch.allclose(logit(torch.tensor([0.2, 0.7])).sigmoid(), torch.tensor([0.2, 0.7]))
    assert torch.isfinite(logit(torch.tensor([0.0, 1.0]))).all()


def test_overlaps_by_hand() -> None:
    a, b = to_centre_width(torch.tensor([[0.0, 0.2], [0.5, 1.0]])), torch.tensor([[0.0, 0.3], [0.0, 1.0]])
    b = to_centre_width(b)
    assert torch.allclose(iou(a, b), torch.tensor([2 / 3, 0.5]))
    assert torch.allclose(generalised_iou(a, b), torch.tensor([2 / 3, 0.5]))
    apart = generalised_iou(a[0], to_centre_width(torch.tensor([0.5, 1.0])))
    assert float(apart) == pytest.approx(-0.3)
    assert float(distance_iou(a[1], b[1])) == pytest.approx(0.5 - 0.25**2)
    empty = torch.tensor([0.5, 0.0])
    assert float(generalised_iou(empty, empty)) == 0.0


def slow_total(out: NetworkOutputs, want: Targets, mask: Tensor, config: LossConfig) -> float:
    """AM-DETR's loss item by item, pair by pair."""
    total = 0.0
    for layer in range(LAYERS):
        l1, giou, ce = [], [], []
        matching = match(
            out.spans[layer], out.score_logits[layer], want.spans, want.span_mask, config.matching
        )
        for b in range(BATCH):
            pairs = {
                int(matching.query[b, t]): t for t in range(want.spans.shape[1]) if bool(want.span_mask[b, t])
            }
            for q in range(QUERIES):
                label = 0 if q in pairs else 1
                weight = 1.0 if q in pairs else config.background_weight
                cross_entropy = functional.cross_entropy(out.logits[layer, b, q], torch.tensor(label))
                ce.append(weight * float(cross_entropy))
                if q in pairs:
                    span, target = out.spans[layer, b, q], want.spans[b, pairs[q]]
                    l1 += (span - target).abs().tolist()
                    giou.append(1 - float(generalised_iou(span, target)))
        mean = [sum(values) / len(values) for values in (l1, giou, ce)]
        total += config.l1 * mean[0] + config.overlap * mean[1] + config.score * mean[2]
    return total + slow_saliency(out, want, mask, config)


def slow_saliency(out: NetworkOutputs, want: Targets, mask: Tensor, config: LossConfig) -> float:
    assert out.negative_saliency is not None
    assert out.negative_valid is not None
    hinge = contrast = negative = 0.0
    for b in range(BATCH):
        own = out.saliency[b][mask[b]]
        other = out.negative_saliency[b][mask[b]] if bool(out.negative_valid[b]) else own[:0]
        negative += float(-(1 - other.sigmoid()).log().sum())
        relevant = want.relevance[b][mask[b]]
        if not bool(want.span_mask[b].any()):
            negative += float(-(1 - own.sigmoid()).log().sum())
        if bool(relevant.any()):
            shares = (torch.cat((own, other)) / config.temperature).log_softmax(0)[: len(own)]
            contrast += float(-shares[relevant].mean()) / 12
        if bool(want.rankable[b]):
            for up, down in zip(want.positive[b], want.negative[b], strict=True):
                gap = config.margin + float(out.saliency[b, down] - out.saliency[b, up])
                hinge += 2 * max(gap, 0.0) / want.positive.shape[1]
    return config.saliency * (hinge + contrast + negative) / BATCH


def test_total_equals_the_slow_sum_over_pairs() -> None:
    for seed in range(3):
        out, want, config = outputs(seed), targets(), LossConfig()
        fast = total_loss(out, want, frame_mask(), config)["total"]
        assert float(fast) == pytest.approx(slow_total(out, want, frame_mask(), config), rel=1e-5)


@pytest.mark.parametrize("score", ["cross_entropy", "focal", "quality_focal", "varifocal"])
@pytest.mark.parametrize("overlap", ["giou", "diou"])
@pytest.mark.parametrize("class_cost", ["probability", "focal"])
def test_every_form_is_finite_and_has_gradients(score: str, overlap: str, class_cost: str) -> None:
    config = replace(
        LossConfig(),
        score_loss=score,
        overlap_loss=overlap,
        matching=MatchingCost(class_cost=class_cost),  # type: ignore[arg-type]
    )
    logits = torch.randn(LAYERS, BATCH, QUERIES, 2, requires_grad=True)
    spans = torch.randn(LAYERS, BATCH, QUERIES, 2, requires_grad=True)
    out = replace(outputs(), logits=logits, spans=spans.sigmoid())
    parts = total_loss(out, targets(), frame_mask(), config)
    parts["total"].backward()
    assert all(bool(torch.isfinite(part)) for part in parts.values())
    for leaf in (logits, spans):
        assert leaf.grad is not None
        assert bool(torch.isfinite(leaf.grad).all())
        assert float(leaf.grad.abs().sum()) > 0


def test_focal_loss_by_hand_on_both_readings_of_alpha() -> None:
    logits = torch.tensor([[1.0, -0.5]])
    matching = match(
        torch.tensor([[[0.5, 0.2], [0.1, 0.1]]]),
        logits,
        torch.tensor([[[0.5, 0.2]]]),
        torch.ones(1, 1, dtype=torch.bool),
        MatchingCost(),
    )
    p, q = torch.tensor(1.0).sigmoid(), torch.tensor(-0.5).sigmoid()
    foreground, background = -((1 - p) ** 2) * p.log(), -(q**2) * (1 - q).log()
    for reading, weights in (("foreground", (0.25, 0.75)), ("background", (0.75, 0.25))):
        config = replace(LossConfig(), score_loss="focal", focal_alpha_on=reading)  # type: ignore[arg-type]
        expected = (weights[0] * foreground + weights[1] * background) / 2
        assert float(score_loss(logits, matching, torch.ones(1, 1), config)) == pytest.approx(float(expected))


@pytest.mark.parametrize("form", ["quality_focal", "varifocal"])
def test_quality_losses_are_least_where_the_score_is_the_iou(form: str) -> None:
    matching = match(
        torch.tensor([[[0.5, 0.2]]]),
        torch.zeros(1, 1),
        torch.tensor([[[0.5, 0.3]]]),
        torch.ones(1, 1, dtype=torch.bool),
        MatchingCost(),
    )
    config = replace(LossConfig(), score_loss=form)  # type: ignore[arg-type]
    quality = torch.tensor([[0.6]])
    scores = torch.linspace(0.05, 0.95, 19)
    losses = [
        float(score_loss(torch.logit(s).view(1, 1), matching, quality, config)) for s in scores.unbind()
    ]
    assert float(scores[losses.index(min(losses))]) == pytest.approx(0.6)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_losses_never_ask_the_device_for_a_value(preset: str) -> None:
    config = PRESETS[preset].loss
    with torch.device("meta"):
        mask = torch.ones(BATCH, FRAMES, dtype=torch.bool)
        want = make_targets(
            torch.rand(BATCH, 3, 2),
            torch.ones(BATCH, 3, dtype=torch.bool),
            mask,
            torch.rand(BATCH, FRAMES),
            jitter=0.1,
            jitter_noise=torch.rand(BATCH, 3, 2),
        )
        out = NetworkOutputs(
            spans=torch.rand(LAYERS, BATCH, QUERIES, 2),
            logits=torch.rand(LAYERS, BATCH, QUERIES, 2),
            saliency=torch.rand(BATCH, FRAMES),
            frames=torch.rand(BATCH, FRAMES, 8),
            negative_saliency=torch.rand(BATCH, FRAMES),
            negative_valid=torch.ones(BATCH, dtype=torch.bool),
        )
        assert total_loss(out, want, mask, config)["total"].shape == ()


def test_a_batch_of_one_has_no_negative_pair() -> None:
    """Its negative would be itself; the original pushes its own frames down there."""
    out = replace(outputs(), negative_valid=torch.zeros(BATCH, dtype=torch.bool))
    want = targets()
    with_targets = total_loss(out, want, frame_mask(), LossConfig())["negative_pair"]
    without = total_loss(replace(out, negative_saliency=None), want, frame_mask(), LossConfig())
    assert float(with_targets) == pytest.approx(float(without["negative_pair"]))


def test_an_item_without_targets_has_its_own_frames_pushed_down() -> None:
    out = outputs(negatives=False)
    parts = total_loss(out, targets(), frame_mask(), LossConfig())
    expected = functional.softplus(out.saliency[2]).sum() / BATCH
    assert float(parts["negative_pair"]) == pytest.approx(float(expected), rel=1e-6)


def test_a_batch_spread_over_processes_sums_to_the_whole() -> None:
    out, want, config = outputs(), targets(), replace(LossConfig(), saliency=0.0)
    whole = total_loss(out, want, frame_mask(), config)
    halves = []
    for rows in (slice(0, 2), slice(2, 4)):
        part = replace(out, spans=out.spans[:, rows], logits=out.logits[:, rows])
        part_targets = Targets(*(None if field is None else field[rows] for field in want))
        # Each process divides by half of all pairs, and the processes' losses are averaged.
        halves.append(
            total_loss(part, part_targets, frame_mask()[rows], config, num_targets=torch.tensor(2.0))
        )
    assert float(whole["total"]) == pytest.approx(sum(float(h["total"]) for h in halves) / 2, rel=1e-5)


def test_relevance_covers_all_windows_and_the_first_only_where_asked() -> None:
    both, first = targets(), targets(relevant_windows="first")
    # Frame middles at (i + 0.5) / 12: 0.1-0.4 holds 1..4 (0.125..0.375), 0.5-0.9 holds 6..10.
    assert both.relevance[0].nonzero().flatten().tolist() == [1, 2, 3, 4, 6, 7, 8, 9, 10]
    assert first.relevance[0].nonzero().flatten().tolist() == [1, 2, 3, 4]
    assert not both.relevance[2].any()
    assert both.relevance[3].tolist() == [True] * 5 + [False] * 7
    assert both.rankable.tolist() == [True, True, False, False]


def test_a_moment_between_two_frame_middles_marks_the_nearest_frame() -> None:
    ends = torch.tensor([[[0.51, 0.52]], [[0.999, 1.0]], [[0.0, 0.001]]])
    mask = torch.ones(3, 4, dtype=torch.bool)
    found = relevant_frames(ends, torch.ones(3, 1, dtype=torch.bool), mask)
    assert found.nonzero()[:, 1].tolist() == [2, 3, 0]


def test_sampled_frames_are_of_their_kind_and_differ_where_there_are_enough() -> None:
    for seed in range(20):
        noise = torch.rand(BATCH, FRAMES, generator=torch.Generator().manual_seed(seed))
        ends = torch.tensor([[[0.1, 0.4]], [[0.2, 0.6]], [[0.0, 0.09]], [[0.5, 0.8]]])
        mask = frame_mask()
        want = make_targets(ends, torch.ones(BATCH, 1, dtype=torch.bool), mask, noise)
        assert bool(want.relevance.gather(1, want.positive).all())
        assert bool((mask & ~want.relevance).gather(1, want.negative).all())
        assert want.positive[0, 0] != want.positive[0, 1]
        # One relevant frame: it is taken twice, as published.
        assert want.positive[2, 0] == want.positive[2, 1]


def test_jitter_moves_each_end_by_at_most_its_part_of_the_width() -> None:
    ends = torch.rand(50, 3, 2).sort(-1).values
    moved = jittered(ends, 0.1, torch.rand(50, 3, 2) * 2 - 1)
    width = ends[..., 1:] - ends[..., :1]
    assert bool(((moved - ends).abs() <= 0.1 * width + 1e-6).all())
    assert bool((moved[..., 1] >= moved[..., 0]).all())
    assert bool(((moved >= 0) & (moved <= 1)).all())
