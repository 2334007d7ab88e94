"""Prototypes: what the regression is, by the obvious way, and what its curves depend on."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from amr.models.frames.constants import KERNEL, PROTOTYPE_CURVES
from amr.models.frames.prototypes import RIDGE, Prototypes, Whitening, even, kernel

AUDIO_DIM, TEXT_DIM, AXES = 8, 6, 5
MEANING = torch.tensor([0, 0, 1, 2, 2, 2, 3])


def unit(*shape: int) -> Tensor:
    return functional.normalize(torch.randn(*shape), dim=-1)


def fitted(capacity: int = 10) -> tuple[Prototypes, Tensor, Tensor]:
    torch.manual_seed(0)
    prototypes = Prototypes(AUDIO_DIM, TEXT_DIM, AXES, capacity)
    sentences, wanted = unit(len(MEANING), TEXT_DIM), unit(4, AXES)
    prototypes.fit(sentences, MEANING, wanted)
    return prototypes, sentences, wanted


def solved(sentences: Tensor, meaning: Tensor, wanted: Tensor, asked: Tensor) -> Tensor:
    """Kernel ridge regression, one observation a meaning, written down once more."""
    squares = torch.cdist(sentences, sentences) ** 2
    counts = torch.tensor([int((meaning == each).sum()) for each in meaning]).double()
    duals = torch.linalg.solve(torch.exp(-KERNEL * squares) + RIDGE * counts.diag(), wanted[meaning])
    return torch.exp(-KERNEL * torch.cdist(asked, sentences) ** 2) @ duals


def test_the_kernel_is_a_gaussian_of_the_distance() -> None:
    torch.manual_seed(1)
    one, other = unit(4, 3).double(), unit(5, 3).double()
    assert torch.allclose(kernel(one, other), torch.exp(-KERNEL * torch.cdist(one, other) ** 2), atol=1e-9)


def test_sentences_get_what_ridge_regression_says() -> None:
    prototypes, sentences, wanted = fitted()
    new = unit(3, TEXT_DIM)
    for asked in (sentences, new):
        found = prototypes.meaning(asked[:, None], None)
        expected = solved(sentences.double(), MEANING, wanted.double(), asked.double())
        assert torch.allclose(found.double(), expected, atol=5e-3)


def test_what_is_left_out_is_what_the_other_meanings_say() -> None:
    prototypes, sentences, wanted = fitted()
    untaught = prototypes.meaning(sentences[:, None], None, torch.zeros(len(MEANING)))
    for each in range(4):
        own = torch.eq(MEANING, each)
        others = ~own
        expected = solved(
            sentences[others].double(), MEANING[others], wanted.double(), sentences[own].double()
        )
        assert torch.allclose(untaught[own].double(), expected, atol=5e-3)


def test_taught_lies_between_both_and_asks_nothing_of_new_sentences() -> None:
    prototypes, sentences, _ = fitted()
    text = torch.cat((sentences[:2], unit(1, TEXT_DIM)))[:, None]
    whole, none = (prototypes.meaning(text, None, torch.full((3,), part)) for part in (1.0, 0.0))
    half = prototypes.meaning(text, None, torch.full((3,), 0.5))
    assert torch.allclose(half, (whole + none) / 2, atol=1e-6)
    assert torch.equal(whole, prototypes.meaning(text, None))
    assert torch.equal(none[2], whole[2])
    assert not torch.allclose(none[0], whole[0], atol=1e-2)


def test_less_is_known_of_sentences_far_from_all() -> None:
    torch.manual_seed(0)
    prototypes = Prototypes(AUDIO_DIM, TEXT_DIM, AXES, 2)
    prototypes.fit(torch.eye(2, TEXT_DIM), torch.tensor([0, 1]), unit(2, AXES))
    known, far = torch.eye(2, TEXT_DIM)[:1], -torch.eye(2, TEXT_DIM)[:1]
    lengths = [float(prototypes.meaning(each[None], None).norm()) for each in (known, far)]
    assert lengths[0] > 0.8 > 0.1 > lengths[1]


def test_a_meaning_without_a_sentence_is_passed_over() -> None:
    torch.manual_seed(0)
    sentences, wanted = unit(4, TEXT_DIM), unit(3, AXES)
    found = []
    for meaning, prototypes in (([0, 0, 2, 2], wanted), ([0, 0, 1, 1], wanted[[0, 2]])):
        one = Prototypes(AUDIO_DIM, TEXT_DIM, AXES, 4)
        one.fit(sentences, torch.tensor(meaning), prototypes)
        found.append(one.meaning(sentences[:, None], None, torch.zeros(4)))
    assert torch.equal(*found)


def test_room_that_is_left_changes_nothing() -> None:
    (exact, sentences, _), (roomy, _, _) = fitted(len(MEANING)), fitted(20)
    asked = torch.cat((sentences, unit(2, TEXT_DIM)))[:, None]
    assert torch.allclose(exact.meaning(asked, None), roomy.meaning(asked, None), atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("real", [4, 7])
def test_curves_know_nothing_of_padding(real: int) -> None:
    prototypes, sentences, _ = fitted()
    frames, text = unit(2, 7, AXES), sentences[:2, None]
    mask = torch.tensor([[True] * 7, [True] * real + [False] * (7 - real)])
    both = prototypes(frames, mask, text, None)
    alone = prototypes(frames[1:, :real], None, text[1:], None)
    assert torch.allclose(both.logit[1, :real], alone.logit[0], atol=1e-5)
    assert torch.allclose(both.curves[1, :real], alone.curves[0], atol=1e-5)
    assert both.curves.shape == (2, 7, PROTOTYPE_CURVES)


@torch.no_grad()
def test_the_logit_is_the_cosine_on_a_scale_and_the_peak_is_one() -> None:
    prototypes, sentences, _ = fitted()
    frames = unit(1, 9, AXES)
    found = prototypes(frames, None, sentences[:1, None], None)
    meant = prototypes.meaning(sentences[:1, None], None)
    cosine = functional.cosine_similarity(frames[0], meant)
    assert torch.allclose(found.logit[0], prototypes.scale * cosine + prototypes.shift, atol=1e-5)
    assert int(found.curves[0, :, 2].argmax()) == int(cosine.argmax())
    assert 0.5 < float(found.curves[0, :, 2].max()) < 1.0


def test_whitened_axes_have_unit_variance_and_no_mean() -> None:
    torch.manual_seed(0)
    mixing = torch.randn(12, 12) * torch.logspace(0, -1, 12)[:, None]
    frames = torch.randn(5000, 12) @ mixing + 3.0
    whitening = Whitening(12, 5)
    whitening.fit(frames)
    white = whitening(frames)
    assert white.shape == (5000, 5)
    assert white.mean(0).abs().max() < 0.05
    covariance = torch.cov(white.T)
    off_diagonal = covariance - covariance.diag().diag()
    assert off_diagonal.abs().max() < 0.02
    # By falling variance; the floor takes more from the lesser axes.
    assert covariance.diag().diff().max() < 0.01
    assert 0.5 < covariance.diag().min() < covariance.diag().max() <= 1.01
    # As float16 keeps them, whatever the order of the sums.
    assert torch.equal(whitening.axes, whitening.axes.half().float())
    again = Whitening(12, 5)
    again.fit(frames.flip(0))
    assert torch.equal(again.axes, whitening.axes)
    assert torch.equal(again.mean, whitening.mean)


def test_constant_frames_can_be_whitened() -> None:
    whitening = Whitening(4, 4)
    whitening.fit(torch.full((7, 4), 2.0))
    assert torch.isfinite(whitening(torch.randn(3, 4))).all()


def test_frames_are_heard_by_direction_whatever_their_size() -> None:
    torch.manual_seed(0)
    prototypes = Prototypes(AUDIO_DIM, TEXT_DIM, AXES, 1)
    frames = torch.rand(300, AUDIO_DIM)
    prototypes.whitening.fit(even(frames))
    heard = prototypes.directions(frames)
    assert heard.shape == (300, AXES)
    assert torch.allclose(heard.norm(dim=-1), torch.ones(300), atol=1e-5)
    assert torch.allclose(prototypes.directions(3 * frames + 1), heard, atol=1e-3)
