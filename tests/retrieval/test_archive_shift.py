"""Wherever a recording begins, the same sound is found at the same place: no window's border shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from archive_world import ToyEncoder, wandering
from hypothesis import example, given, settings
from hypothesis import strategies as st

from amr.encoders.registry import load_encoder
from amr.encoders.running.stream import encode_recording
from amr.formats.queries import Query
from amr.moments import FrameGrid, Moment
from amr.retrieval.recordings import RecordingFrames
from amr.retrieval.trained.windows import WindowAnswer, cut, extent, merge_moments
from amr.retrieval.window import WindowOptions, default_options
from amr.retrieval.window_finder import WindowFinder

AUDIO = Path(__file__).parents[2] / "examples" / "audio"
QUERY = [Query("rain")]
ENDS_S = 5.0
"""Room at either end, so that no moment touches the recording's end, where a cell reaches further."""


def recording(frames: np.ndarray) -> RecordingFrames:
    grid = FrameGrid(window_s=0.975, hop_s=0.48, num_frames=len(frames))
    return RecordingFrames("r", frames, grid, 0.48 * len(frames) + 0.495)


def inner(moments: list[Moment], duration_s: float) -> list[Moment]:
    return [m for m in moments if m.start_s > ENDS_S and m.end_s < duration_s - ENDS_S]


@given(shift=st.integers(1, 400), seed=st.integers(0, 50))
@settings(max_examples=40)
def test_the_window_shifts_by_whole_frames_exactly(shift: int, seed: int) -> None:
    """The same frames in another order of background and events: the event stands elsewhere, and nothing else
    changes. (Frames that are cut away may be the loudest, or move the median: then the threshold moves.)"""
    background = wandering(400, 1)
    background[:] = background.mean(axis=0)
    events = wandering(60, seed + 2)
    finder = WindowFinder(ToyEncoder(), WindowOptions(certain=None, score_centre=15, score_scale=8))
    here = recording(np.concatenate([background, events, background]))
    there = recording(np.concatenate([background[shift:], events, background, background[:shift]]))
    [[one]], [[other]] = finder.find([(here, QUERY)]), finder.find([(there, QUERY)])
    moved = [(s - 0.48 * shift, e - 0.48 * shift, c) for s, e, c in one.moments]
    a, b = inner([Moment(*m) for m in moved], there.duration_s), inner(other.moments, there.duration_s)
    if 0.48 * (400 - shift) > 2 * ENDS_S:
        assert len(a) == len(b) > 0
    for left, right in zip(sorted(a), sorted(b), strict=True):
        assert left == pytest.approx(right, abs=1e-4)


@pytest.mark.parametrize("cut_s", [0.05, 0.12, 0.24, 0.36, 0.47, 1.3, 4.1])
def test_the_window_shifts_by_any_part_of_a_frame_within_two(tmp_path: Path, cut_s: float) -> None:
    """Real sound through the real encoder: frames see other samples, and an end lies on a frame's border. The
    most that was measured is 0.84 s."""
    samples, rate_hz = soundfile.read(AUDIO / "lumberjack.ogg", always_2d=True)
    encoder = load_encoder("yamnet")
    finder = WindowFinder(encoder, default_options("yamnet"))
    best = []
    for name, first in (("whole.wav", 0), ("cut.wav", round(cut_s * rate_hz))):
        soundfile.write(tmp_path / name, samples[first:], rate_hz)
        heard = RecordingFrames(name, *encode_recording(encoder, tmp_path / name))
        [[answer]] = finder.find([(heard, [Query("someone chops wood")])])
        best.append(answer.moments[0])
    one, other = best
    assert other.start_s == pytest.approx(one.start_s - cut_s, abs=0.96)
    assert other.end_s == pytest.approx(one.end_s - cut_s, abs=0.96)
    assert other.score == pytest.approx(one.score, abs=0.05)


# --- the windows of trained networks: what a network that hears everything says is put together rightly ---

WINDOW = 40


def hear(events: list[tuple[int, int]], shift: int, total: int, rng: np.random.Generator) -> list[Moment]:
    """What all windows together make of events (frames), each telling what it sees of them, a little off."""
    grid = FrameGrid(window_s=0.975, hop_s=0.48, num_frames=total)
    duration_s = 0.48 * total + 0.495
    answers = []
    for window in cut(total, WINDOW):
        moments = []
        for first, stop in events:
            low, high = max(first + shift, window.start), min(stop + shift, window.stop)
            if low < high:
                start_s, end_s = grid.span_s(low, high - 1, duration_s)
                off_s = rng.uniform(-0.3, 0.3, 2)
                seen = extent(window, grid, duration_s)
                start_s, end_s = max(start_s + off_s[0], seen.start_s), min(end_s + off_s[1], seen.end_s)
                moments.append(Moment(start_s, max(end_s, start_s + 0.1), rng.uniform(0.7, 0.9)))
        answers.append(WindowAnswer(window, moments, np.zeros(len(window), np.float32)))
    return merge_moments(answers, grid, duration_s)


@given(
    gaps=st.lists(st.integers(6, 60), min_size=1, max_size=5),
    lengths=st.lists(st.integers(5, 150), min_size=5, max_size=5),
    shift=st.integers(0, 60),
    seed=st.integers(0, 1000),
)
@example(gaps=[6, 59], lengths=[29, 5, 5, 5, 5], shift=5, seed=5)  # whole, and seen shorter than its piece
@settings(max_examples=300)
def test_moments_are_found_once_wherever_windows_fall(
    gaps: list[int], lengths: list[int], shift: int, seed: int
) -> None:
    events, at = [], 0
    for gap, length in zip(gaps, lengths, strict=False):
        events.append((at + gap, at + gap + length))
        at += gap + length
    total = at + 80
    found = sorted(hear(events, shift, total, np.random.default_rng(seed)))
    expected = [(0.2475 + 0.48 * (a + shift), 0.2475 + 0.48 * (b + shift)) for a, b in events]
    assert len(found) == len(expected)
    for moment, (start_s, end_s) in zip(found, expected, strict=True):
        assert moment.start_s == pytest.approx(start_s, abs=0.31)
        assert moment.end_s == pytest.approx(end_s, abs=0.31)
