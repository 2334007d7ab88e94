"""Trained networks on recordings of any length: one answer for one window, sound ones for many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import random_checkpoint

from amr.arrays import Float32Array, FloatingArray
from amr.encoders.base import EncoderIdentity, TextFeatures
from amr.errors import InputError
from amr.formats.queries import Query
from amr.functional import sigmoid
from amr.models.checkpoint import Checkpoint, write_checkpoint
from amr.models.frames.shapes import SHAPES, curve_shapes, scale_of
from amr.models.inputs import pad_inputs
from amr.models.presets import PRESETS
from amr.models.spans import to_ends
from amr.models.torch_windows import TorchWindows
from amr.models.windows import LEAST_SCORE, WindowItem
from amr.moments import FrameGrid, Moment
from amr.retrieval.finders import Answer, Finder
from amr.retrieval.recordings import RecordingFrames
from amr.retrieval.trained.finder import TrainedFinder
from amr.retrieval.trained.model import MomentModel, load_model
from amr.retrieval.trained.requests import ModelRequest
from amr.retrieval.trained.windows import WindowAnswer, cut, extent, merge_moments, merge_saliency, suppress
from amr.retrieval.window import WindowOptions
from amr.retrieval.window_finder import WindowFinder

WINDOW = 20
ROUNDING = 2e-5


def identity(name: str = "toy") -> EncoderIdentity:
    return EncoderIdentity(
        name=name,
        weights_sha256="ab" * 32,
        sample_rate_hz=1000,
        window_samples=1000,
        hop_samples=500,
        dimension=12,
        text_dimension=6,
        joint_dimension=3,
    )


def checkpoint(preset: str = "am-detr", *, name: str = "toy", channels: int = 0) -> Checkpoint:
    return random_checkpoint(identity(name), preset, window_frames=WINDOW, channels=channels)


def ask(frames: int, seed: int = 0, tokens: int = 3) -> ModelRequest:
    rng = np.random.default_rng([seed, frames])
    return ModelRequest(
        name=f"recording {seed}",
        frames=rng.normal(size=(frames, 12)).astype(np.float32),
        grid=FrameGrid(window_s=1.0, hop_s=0.5, num_frames=frames),
        duration_s=0.5 * frames + 0.7,
        tokens=rng.normal(size=(tokens, 6)).astype(np.float32),
        similarity=rng.random(frames).astype(np.float32),
    )


def require_same(a: Answer, b: Answer) -> None:
    assert len(a.moments) == len(b.moments)
    for one, other in zip(sorted(a.moments), sorted(b.moments), strict=True):
        assert one == pytest.approx(other, abs=1e-3)
    assert a.saliency is not None
    assert b.saliency is not None
    assert np.allclose(a.saliency, b.saliency, atol=ROUNDING)


def in_time(moments: FloatingArray) -> FloatingArray:
    """Moments ``(n, 3)`` by start, then end."""
    return moments[np.lexsort(moments[:, 1::-1].round(3).T)]


@pytest.mark.parametrize("preset", sorted(PRESETS.keys() - {"curves"}))
def test_a_recording_that_fits_gets_the_networks_own_answer(preset: str) -> None:
    made = checkpoint(preset)
    model, network = MomentModel(made), made.build()
    for frames in (1, 7, WINDOW):
        one = ask(frames)
        (answer,) = model.predict([one])
        with torch.no_grad():
            middles = one.grid.middles(range(frames), one.duration_s)
            outputs = network(pad_inputs([one.frames], [one.tokens], middles=[middles]))
        ends = to_ends(outputs.spans[-1, 0]).clamp(0, 1).numpy() * one.duration_s
        scores = outputs.score_logits[-1, 0].sigmoid().numpy()
        order = np.argsort(-scores, kind="stable")
        expected = np.column_stack((ends, scores))[order]
        expected = expected[(expected[:, 2] > LEAST_SCORE) & (expected[:, 1] > expected[:, 0])]
        found = np.array(answer.moments).reshape(-1, 3)
        assert (np.diff(found[:, 2]) <= 0).all()
        # Scores of untrained networks differ in the last digit: their order is a matter of rounding.
        assert np.allclose(in_time(found), in_time(expected), atol=1e-4)
        assert answer.saliency is not None
        assert np.allclose(answer.saliency, outputs.saliency[0].sigmoid().numpy(), atol=ROUNDING)
        assert 0 <= answer.saliency.min() <= answer.saliency.max() <= 1


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_batch_size_threads_and_company_change_nothing(batch_size: int, threads: int) -> None:
    model = MomentModel(checkpoint(), batch_size=batch_size, threads=threads)
    asks = [ask(frames, seed=n, tokens=1 + n % 4) for n, frames in enumerate((3, 55, 20, 1, 31, 20))]
    together = model.predict(asks)
    for one, answer in zip(asks, together, strict=True):
        require_same(model.predict([one])[0], answer)


@pytest.mark.parametrize("preset", ["am-detr", "best"])
def test_queries_of_one_recording_are_answered_as_if_alone(preset: str) -> None:
    model = MomentModel(checkpoint(preset, channels=2), batch_size=4)
    asks = [
        replace(recording, tokens=other.tokens, similarity=recording.similarity[:: 1 - 2 * (n % 2)])
        for recording in (ask(20), ask(2 * WINDOW + 3, seed=1), ask(7, seed=2))
        for n, other in enumerate(ask(1, seed=seed, tokens=1 + seed) for seed in range(3))
        if recording.similarity is not None
    ]
    assert len(asks) == 9
    for one, answer in zip(asks, model.predict(asks), strict=True):
        require_same(model.predict([replace(one, frames=one.frames.copy())])[0], answer)


def ask_curves(frames: int, seed: int = 0) -> ModelRequest:
    """What the preset ``curves`` takes: frames of any size, and the same in a joint space."""
    joint = np.random.default_rng([seed, frames]).normal(size=(frames, 3)).astype(np.float32)
    return replace(ask(frames, seed), frames=np.zeros((frames, 99), np.float32), joint=joint)


def test_curves_see_the_whole_recording_through_a_window() -> None:
    model = MomentModel(checkpoint("curves", channels=len(SHAPES)))
    asks = [ask_curves(20), ask_curves(2 * WINDOW + 3), ask_curves(7, seed=2)]
    for one, answer in zip(asks, model.predict(asks), strict=True):
        require_same(model.predict([one])[0], answer)
    long = asks[1]
    assert long.similarity is not None
    assert long.joint is not None
    stretch = slice(WINDOW // 2, WINDOW // 2 + WINDOW)
    part = replace(long, frames=long.frames[stretch], joint=long.joint[stretch], first_frame=stretch.start)
    [found] = model.predict([part])
    window = curve_shapes(long.similarity[stretch], scale_of(long.similarity), long.joint[stretch])
    middles = long.grid.middles(range(stretch.start, stretch.stop), long.duration_s)
    [wanted] = model.network.answers([WindowItem(0, part.frames, part.tokens, window, middles)])
    assert max(each.score for each in found.moments) == pytest.approx(sigmoid(wanted.logits).max(), abs=1e-5)


def test_curves_say_what_they_lack() -> None:
    model = MomentModel(checkpoint("curves", channels=len(SHAPES)))
    with pytest.raises(InputError, match="lack the frames in the joint space"):
        model.predict([replace(ask_curves(9), joint=None)])
    model.require_encoder(identity("another"), "feats.h5")
    with pytest.raises(InputError, match="no joint space"):
        model.require_encoder(replace(identity("another"), joint_dimension=0), "feats.h5")


def test_answers_come_in_order_and_asks_are_taken_as_needed() -> None:
    model = MomentModel(checkpoint(), batch_size=2, threads=1)
    taken = []

    def asks() -> Iterator[ModelRequest]:
        for seed in range(6):
            taken.append(seed)
            yield ask(10 if seed else 70, seed=seed)

    stream = model.stream(asks())
    first = next(stream)
    assert first.saliency is not None
    assert len(first.saliency) == 70
    assert len(taken) <= 2
    assert len(list(stream)) == 5


def test_text_beyond_the_limit_is_cut_off() -> None:
    model = MomentModel(checkpoint())
    long = ask(9, tokens=7)
    require_same(model.predict([long])[0], model.predict([replace(long, tokens=long.tokens[:4])])[0])


def test_top_k_and_nms() -> None:
    model = MomentModel(checkpoint())
    (every,) = model.predict([ask(15)])
    (best,) = model.predict([ask(15)], top_k=2)
    assert best.moments == every.moments[:2]
    (apart,) = model.predict([ask(15)], nms=0.3)
    assert apart.moments == suppress(every.moments, 0.3)
    assert len(apart.moments) < len(every.moments)


def test_no_frames_is_an_empty_answer() -> None:
    (answer,) = MomentModel(checkpoint()).predict([ask(0)])
    assert answer.moments == []
    assert answer.saliency is not None
    assert answer.saliency.shape == (0,)


def test_a_network_that_takes_similarity_gets_it_from_the_whole_recording() -> None:
    model = MomentModel(checkpoint(channels=2))
    one = ask(12)
    (with_curve,) = model.predict([one])
    assert one.similarity is not None
    (other,) = model.predict([replace(one, similarity=one.similarity[::-1])])
    assert with_curve.moments != other.moments
    with pytest.raises(InputError, match="similarity to the query"):
        model.predict([replace(one, similarity=None)])


def test_what_the_network_cannot_take_is_refused_with_the_recordings_name() -> None:
    model = MomentModel(checkpoint())
    good = ask(5, seed=7)
    broken = good.frames.copy()
    broken[3, 2] = np.nan
    cases = [
        (replace(good, frames=good.frames[:, :5]), r"frames of shape \[5, 5\]"),
        (replace(good, frames=broken), "frames hold values that are not finite"),
        (replace(good, tokens=good.tokens[:, :2]), "text tokens of shape"),
        (replace(good, tokens=good.tokens[:0]), "no text tokens"),
    ]
    for case, message in cases:
        with pytest.raises(InputError, match=message) as caught:
            model.predict([case])
        assert caught.value.where == "recording 7"


def test_features_of_another_encoder_are_refused_with_both_names() -> None:
    model = MomentModel(checkpoint())
    model.require_encoder(identity(), "f.h5")
    with pytest.raises(InputError, match=r"other.*toy"):
        model.require_encoder(replace(identity(), name="other"), "f.h5")
    with pytest.raises(InputError, match="toy"):
        model.require_encoder(replace(identity(), weights_sha256="00"), "f.h5")


def test_an_unknown_encoder_accepts_features_of_its_sizes() -> None:
    model = MomentModel(checkpoint(name="unknown"))
    model.require_encoder(identity("anything"), "f.h5")
    with pytest.raises(InputError, match="unknown"):
        model.require_encoder(replace(identity(), dimension=13), "f.h5")


def test_load_model_reads_ours_and_keeps_the_bug_for_imports(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    made = checkpoint("lcs-detr")
    write_checkpoint(path, made)
    model = load_model(path)
    assert model.identity == identity()
    require_same(model.predict([ask(30)])[0], MomentModel(made).predict([ask(30)])[0])
    with pytest.raises(InputError, match=r"imported \.ckpt files only"):
        load_model(path, lighthouse_mask=True)
    path.write_bytes(b"nothing that is known")
    with pytest.raises(InputError, match="safetensors"):
        load_model(path)
    for absent in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError, match=r"folder|no such file"):
            load_model(absent)


@dataclass(frozen=True)
class ToyEncoder:
    """Counts how often a text is encoded."""

    identity: EncoderIdentity
    calls: list[str]

    def encode_audio(self, samples: Float32Array) -> Float32Array:
        raise NotImplementedError("not needed here")

    def encode_text(self, queries: list[str]) -> list[TextFeatures]:
        self.calls.extend(queries)
        rng = [np.random.default_rng(len(query)) for query in queries]
        return [TextFeatures(r.normal(size=(3, 6)).astype(np.float32), np.ones(6, np.float32)) for r in rng]

    def joint_audio(self, frames: Float32Array) -> Float32Array:
        return frames[:, :3]

    def joint_text(self, pooled: Float32Array) -> Float32Array:
        return pooled[:, :3]

    def explain(self, query: str, top: int) -> list[tuple[str, float]]:
        return []


def test_finder_encodes_each_query_once_and_answers_in_order() -> None:
    encoder = ToyEncoder(identity(), [])
    one = ask(33)
    recording = RecordingFrames("a", one.frames, one.grid, one.duration_s)
    curves = WindowFinder(encoder, WindowOptions())
    model = MomentModel(checkpoint(channels=1), batch_size=2)
    finder: Finder = TrainedFinder(model, curves.sentences, similarity=curves)
    dog, rain = Query("dog"), Query("rain")
    answers, others = finder.find([(recording, [dog, rain, dog]), (recording, [rain])])
    require_same(answers[0], answers[2])
    require_same(answers[1], others[0])
    assert answers[0].moments != answers[1].moments
    assert encoder.calls == ["dog", "rain"]


def test_a_long_recording_goes_through_in_batches_and_stays_inside_itself() -> None:
    model = MomentModel(checkpoint(), batch_size=8, threads=1)
    sizes = []
    assert isinstance(model.network, TorchWindows)
    model.network.network.register_forward_hook(lambda _, given, __: sizes.append(given[0].audio.shape[:2]))
    one = ask(3_001)
    (answer,) = model.predict([one])
    assert set(sizes[:-1]) == {(8, WINDOW)}
    assert answer.saliency is not None
    assert len(answer.saliency) == 3_001
    assert all(0 <= m.start_s <= m.end_s <= one.duration_s for m in answer.moments)
    assert [m.score for m in answer.moments] == sorted((m.score for m in answer.moments), reverse=True)


# --- windows ---


@settings(max_examples=100)
@given(frames=st.integers(0, 300), window=st.integers(1, 60))
def test_windows_cover_everything_and_overlap_by_half(frames: int, window: int) -> None:
    windows = cut(frames, window)
    assert {frame for one in windows for frame in one} == set(range(frames))
    assert all(len(one) == min(window, frames) for one in windows)
    for before, after in pairwise(windows):
        assert before.start < after.start <= before.start + max(1, window // 2)
    assert len(windows) == (0 if frames == 0 else 1) or frames > window


GRID = FrameGrid(window_s=1.0, hop_s=1.0, num_frames=100)


def heard(start: int, stop: int, *moments: tuple[float, float, float]) -> WindowAnswer:
    return WindowAnswer(
        range(start, stop), [Moment(*m) for m in moments], np.full(stop - start, 0.5, np.float32)
    )


def merged(*windows: WindowAnswer) -> list[Moment]:
    return merge_moments(windows, GRID, 100.0)


def test_extent_of_the_whole_grid_is_the_recording() -> None:
    grid = FrameGrid(window_s=1.0, hop_s=0.5, num_frames=9)
    assert extent(range(9), grid, 5.3) == (0.0, 5.3)
    assert extent(range(2, 5), grid, 5.3) == (1.25, 2.75)


def test_one_window_is_handed_on_whole_repeats_and_all() -> None:
    found = merged(heard(0, 100, (1, 5, 0.2), (1, 5, 0.9)))
    assert found == [(1, 5, 0.9), (1, 5, 0.2)]


def test_a_moment_that_two_windows_saw_is_told_once_with_its_better_score() -> None:
    found = merged(heard(0, 60, (35, 45, 0.7), (2, 5, 0.1)), heard(30, 90, (35.4, 45.2, 0.8)))
    assert found == [(35.4, 45.2, 0.8), (2, 5, 0.1)]


def test_pieces_of_a_moment_across_a_cut_are_joined() -> None:
    found = merged(heard(0, 40, (15, 40, 0.8)), heard(20, 60, (20.5, 60, 0.7)), heard(40, 80, (40, 71, 0.9)))
    assert len(found) == 1
    assert found[0][:2] == (15, 71)
    assert 0.7 <= found[0].score <= 0.9


def test_a_piece_that_another_window_saw_whole_is_dropped() -> None:
    found = merged(heard(0, 40, (36, 40, 0.8)), heard(20, 60, (36, 52, 0.6)))
    assert found == [(36, 52, 0.6)]


def test_a_doubtful_piece_does_not_stretch_a_sure_moment() -> None:
    found = merged(heard(0, 40, (30, 40, 0.9)), heard(20, 60, (20, 60, 0.05)))
    assert found[0] == (30, 40, 0.9)


def test_different_moments_of_neighbouring_windows_are_kept() -> None:
    found = merged(heard(0, 40, (5, 10, 0.5)), heard(20, 60, (45, 50, 0.6)))
    assert found == [(45, 50, 0.6), (5, 10, 0.5)]


def test_saliency_is_continuous_where_windows_meet() -> None:
    left = WindowAnswer(range(6), [], np.zeros(6, np.float32))
    right = WindowAnswer(range(3, 9), [], np.ones(6, np.float32))
    curve = merge_saliency([left, right], 9)
    assert np.array_equal(curve[:3], np.zeros(3))
    assert np.array_equal(curve[6:], np.ones(3))
    assert bool((np.diff(curve) >= 0).all())
    assert 0 < curve[3] < curve[5] < 1


def slow_suppress(moments: Sequence[Moment], max_iou: float) -> list[Moment]:
    kept: list[Moment] = []
    for moment in sorted(moments, key=lambda m: -m.score):
        clear = True
        for other in kept:
            shared = max(0.0, min(moment.end_s, other.end_s) - max(moment.start_s, other.start_s))
            union = moment.end_s - moment.start_s + other.end_s - other.start_s - shared
            clear = clear and not (union > 0 and shared / union > max_iou)
        if clear:
            kept.append(moment)
    return kept


@settings(max_examples=100)
@given(
    spans=st.lists(st.tuples(st.integers(0, 20), st.integers(1, 10), st.integers(0, 5)), max_size=12),
    max_iou=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
)
def test_suppression_equals_the_slow_one(spans: list[tuple[int, int, int]], max_iou: float) -> None:
    moments = [Moment(float(s), float(s + length), score / 5) for s, length, score in spans]
    assert suppress(moments, max_iou) == slow_suppress(moments, max_iou)
