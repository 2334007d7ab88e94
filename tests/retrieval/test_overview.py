"""What is heard without a question: every class looked at by itself, with the presence that was counted."""

from __future__ import annotations

import numpy as np
import pytest
from archive_world import AXES, Floats, ToyEncoder, wandering
from hypothesis import given
from hypothesis import strategies as st

from amr.encoders.base import Encoder
from amr.encoders.registry import load_encoder
from amr.moments import FrameGrid, Moment
from amr.retrieval import overview
from amr.retrieval.overview import (
    LEVELS,
    PRESENCES,
    OverviewOptions,
    heard,
    level_of,
    presence_of,
    vocabulary,
)
from amr.retrieval.recordings import RecordingFrames
from amr.retrieval.window import WindowOptions, smoothed


class Naming(ToyEncoder):
    """Levels up to 9, and names for them."""

    classes = tuple(f"class {number}" for number in range(AXES))

    def joint_audio(self, frames: Floats) -> Floats:
        louder: Floats = super().joint_audio(frames) * 2.25
        return louder


def recording(num_frames: int, seed: int = 0) -> RecordingFrames:
    grid = FrameGrid(1.0, 0.5, num_frames)
    return RecordingFrames("r", 3 * wandering(num_frames, seed), grid, 0.5 * num_frames + 0.5)


def slow(sound: RecordingFrames, encoder: Encoder, options: OverviewOptions) -> dict[int, list[Moment]]:
    """Frame by frame, class by class."""
    found: dict[int, list[Moment]] = {}
    least = level_of(options.min_score)
    for number, curve in enumerate(encoder.joint_audio(sound.frames).T):
        smooth = smoothed(curve, WindowOptions().smooth_s / sound.grid.hop_s)
        runs: list[list[int]] = []
        for frame in np.flatnonzero(smooth >= least):
            if runs and (frame - runs[-1][-1] - 1) * sound.grid.hop_s <= options.gap_s:
                runs[-1].append(int(frame))
            else:
                runs.append([int(frame)])
        moments = [
            Moment(
                *sound.grid.span_s(run[0], run[-1], sound.duration_s),
                float(presence_of(smooth[run[0] : run[-1] + 1].max())),
            )
            for run in runs
        ]
        if moments:
            found[number] = sorted(moments, key=lambda moment: -moment.score)
    return found


@pytest.mark.parametrize("num_frames", [1, 2, 40, 400])
@pytest.mark.parametrize(
    "options", [OverviewOptions(), OverviewOptions(0.05, 0.0), OverviewOptions(0.5, 9.0)]
)
def test_it_is_every_class_looked_at_alone(num_frames: int, options: OverviewOptions) -> None:
    sound, encoder = recording(num_frames), Naming()
    found, plain = dict(heard(sound, encoder, options)), slow(sound, encoder, options)
    assert found.keys() == plain.keys()
    for number, moments in found.items():
        assert np.allclose(moments, plain[number], atol=1e-5)
    if num_frames == 400 and options.min_score <= 0.2:
        assert len(found) > AXES / 2


def test_long_recordings_are_worked_through_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = dict(heard(recording(500), Naming(), OverviewOptions()))
    monkeypatch.setattr(overview, "BLOCK_FRAMES", 64)
    blocks = dict(heard(recording(500), Naming(), OverviewOptions()))
    assert whole.keys() == blocks.keys()
    # Blocks are kept as float16: moments of nearly equal scores may change places.
    assert all(np.allclose(sorted(whole[number]), sorted(blocks[number]), atol=0.05) for number in whole)


def test_nothing_is_heard_in_nothing() -> None:
    assert list(heard(recording(0), Naming(), OverviewOptions())) == []


@given(st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_presence_rises_with_the_level_and_comes_back(one: float, other: float) -> None:
    assert presence_of(np.array([level_of(one)]))[0] == pytest.approx(one, abs=1e-6)
    if abs(one - other) > 1e-9:  # closer ones may share a level, by rounding
        assert (level_of(one) < level_of(other)) == (one < other)


def test_presence_is_what_was_counted() -> None:
    assert np.allclose(presence_of(np.array(LEVELS)), PRESENCES, atol=1e-9)


def test_an_encoder_with_classes_has_a_vocabulary() -> None:
    assert vocabulary(Naming()) == list(Naming.classes)
    assert vocabulary(ToyEncoder()) is None
    names = vocabulary(load_encoder("yamnet"))
    assert names is not None
    assert (len(names), names[0]) == (521, "Speech")
