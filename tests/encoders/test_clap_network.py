"""The audio network and its front end equal the originals', on weights of the published layout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import clap_published as published
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.encoders.clap.htsat import (
    GRID,
    HtsAt,
    build_htsat,
    count_operations,
    inverse,
    merging_order,
    shifted_order,
    window_order,
)
from amr.encoders.clap.htsat_mel import (
    NUM_STEPS,
    HtsAtMel,
    MelSettings,
    fill_clip,
    mel_matrix,
    repeated_steps,
    stretch_taps,
)
from amr.encoders.clap.htsat_runner import cell_shares
from amr.encoders.clap.laion import ClapDenseEncoder, ClapEncoder

GOLDEN = Path(__file__).parents[1] / "data" / "clap_golden.npz"
RATE_HZ = 48_000
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def golden() -> Iterator[dict[str, np.ndarray]]:
    with np.load(GOLDEN) as data:
        yield dict(data)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(published.write_laion_pt(tmp_path_factory.mktemp("laion")))


@pytest.mark.parametrize("seconds", [1.0, 3.0, 0.7, 10.0])
def test_windows_equal_both_originals(weights: str, golden: dict[str, np.ndarray], seconds: float) -> None:
    """Repeated on whole steps (1 s), with zeros behind (3 s, 0.7 s), and not at all (10 s)."""
    wave = published.noise(seconds, RATE_HZ)[None]
    runner = ClapEncoder(weights=weights).audio_network
    found = runner.encode_windows(wave, wave.shape[1], wave.shape[1])[0, 0]
    for original in ("laion", "hub"):
        np.testing.assert_allclose(found, golden[f"{original}.window.{seconds:g}"], atol=2e-5)


def test_dense_frames_equal_the_originals_fine_grained_ones(
    weights: str, golden: dict[str, np.ndarray]
) -> None:
    dense = ClapDenseEncoder(weights=weights, hop_s=10 / 32)
    found = dense.encode_audio(published.noise(10.0, RATE_HZ)[None])[0]
    np.testing.assert_allclose(found, golden["laion.cells"], atol=1e-4)
    np.testing.assert_allclose(found.mean(axis=0), golden["laion.window.10"], atol=2e-5)


@pytest.mark.parametrize("window_samples", [48_000, 24_000, 96_000, 240_000, 480 * 50])
def test_a_window_said_twice_tells_the_whole_repeated_spectrogram(window_samples: int) -> None:
    clip_settings = MelSettings(480, 480_000, RATE_HZ)
    batch_norm = {
        name: published.laion_tensors()[f"audio_branch.bn0.{name}"]
        for name in ("weight", "bias", "running_mean", "running_var")
    }
    windows = torch.from_numpy(published.noise(window_samples / RATE_HZ, RATE_HZ)[None])
    short = HtsAtMel(clip_settings, window_samples, batch_norm, CPU)
    long = HtsAtMel(clip_settings, 480_000, batch_norm, CPU)
    assert short.repeats
    torch.testing.assert_close(short(windows), long(fill_clip(windows, 480_000)), atol=1e-4, rtol=1e-5)


def test_repetition_off_the_steps_takes_the_long_way() -> None:
    assert repeated_steps(48_001, 480_000, 480) is None
    assert repeated_steps(144_000, 480_000, 480) is None
    assert repeated_steps(480_000, 480_000, 480) is None
    assert repeated_steps(960, 480_000, 480) is None


def test_stretching_is_torchs_bicubic_interpolation() -> None:
    spectrogram = torch.from_numpy(np.random.default_rng(0).standard_normal((138, 64)).astype(np.float32))
    sources, taps = stretch_taps(138)
    found = (spectrogram.numpy()[sources] * taps[..., None]).sum(axis=1)
    expected = torch.nn.functional.interpolate(
        spectrogram[None, None], (NUM_STEPS, 64), mode="bicubic", align_corners=True
    )
    np.testing.assert_allclose(found, expected[0, 0].numpy(), atol=2e-4)


def test_mel_filters_lie_in_their_band() -> None:
    matrix = mel_matrix(RATE_HZ)
    bins_hz = np.linspace(0, RATE_HZ / 2, 513)
    assert matrix.shape == (513, 64)
    assert not matrix[(bins_hz < 50) | (bins_hz > 14_000)].any()
    width_hz = bins_hz[1]
    assert matrix[:, 40:].sum(axis=0) * width_hz == pytest.approx(1.0, rel=0.05)  # wide triangles: area one


@pytest.mark.parametrize("grid", [64, 32, 16])
def test_orders_are_permutations_that_find_their_neighbours(grid: int) -> None:
    """Against the plain way: roll the map, cut it into windows."""
    numbers = torch.arange(grid * grid).view(grid, grid)

    def cut(square: torch.Tensor) -> torch.Tensor:
        rows = [square[r : r + 8, c : c + 8].flatten() for r in range(0, grid, 8) for c in range(0, grid, 8)]
        return torch.cat(rows)

    in_windows = cut(numbers)
    assert torch.equal(window_order(grid), in_windows)
    shifted = in_windows[shifted_order(grid)]
    assert torch.equal(shifted, cut(numbers.roll((-4, -4), (0, 1))))
    assert torch.equal(shifted[inverse(shifted_order(grid))], in_windows)
    fours = in_windows[merging_order(grid)].view(-1, 4)
    first = numbers[:2, :2].T.flatten()  # top left, bottom left, top right, bottom right
    assert torch.equal(fours[0], first)
    assert sorted(fours.flatten().tolist()) == list(range(grid * grid))


def test_operations_are_counted_as_torch_counts_them() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    tensors = published.draw(published.htsat_shapes())
    net = build_htsat(tensors, CPU)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        net(torch.zeros(1, NUM_STEPS, 64))
    linear = counter.get_total_flops()
    attention = sum(
        2 * d * (GRID >> n) ** 4 * 64 * 2 * 16 * 2**n // (GRID >> n) ** 2 for n, d in enumerate((2, 2, 1, 1))
    )
    # This torch does not count the processor's fused attention.
    assert count_operations(net) in (linear, linear + attention)


def test_the_published_size_takes_eleven_point_eight_giga() -> None:
    with torch.device("meta"):
        net = HtsAt(dim=96, depths=(2, 2, 6, 2), heads=(4, 8, 16, 32))
    assert count_operations(net) == 11_815_354_368


@settings(max_examples=40)
@given(frames=st.integers(1, 32), filled=st.floats(0.02, 1.0))
def test_cell_shares_are_means(frames: int, filled: float) -> None:
    shares = cell_shares(frames, filled)
    assert shares.shape == (frames, 32)
    assert (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-5)


def test_cell_shares_of_a_whole_clip() -> None:
    np.testing.assert_allclose(cell_shares(32, 1.0), np.eye(32), atol=1e-6)
    shares = cell_shares(10, 1.0)
    np.testing.assert_allclose(shares.sum(axis=0), 10 / 32, atol=1e-6)  # no cell counts twice
    np.testing.assert_allclose(shares[0, :4], np.array([1, 1, 1, 0.2]) / 3.2, atol=1e-6)


def test_half_precision_is_near(weights: str) -> None:
    """Within 2 % of the largest value, cosine above 0.999: bfloat16 keeps eight bits."""
    wave = published.noise(1.0, RATE_HZ)[None]
    exact = ClapEncoder(weights=weights).encode_audio(wave)[0, 0]
    half = ClapEncoder(weights=weights, precision="bfloat16").encode_audio(wave)[0, 0]
    assert not np.array_equal(half, exact)
    assert np.abs(half - exact).max() < 0.02 * np.abs(exact).max()
    assert half @ exact > 0.999 * np.linalg.norm(half) * np.linalg.norm(exact)
