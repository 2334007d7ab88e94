"""A query for a recording on its way through a network: cut into windows, and put together again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from amr.arrays import FloatingArray
from amr.functional import sigmoid
from amr.models.config import NetworkConfig
from amr.models.frames.shapes import CurveScale, curve_shapes, scale_of
from amr.models.windows import LEAST_SCORE, WindowAnswers, similarity_curves
from amr.moments import FrameGrid, Moment
from amr.retrieval.finders import Answer
from amr.retrieval.trained.windows import WindowAnswer, cut, extent, merge_moments, merge_saliency, suppress


@dataclass(frozen=True)
class ModelRequest:
    """One query for one recording, as the network takes it.

    Args:
        name: the recording's, for messages.
        frames: ``(frames, audio_dim)``.
        grid: where the recording's frames lie in time.
        duration_s: the recording's length.
        tokens: ``(tokens, text_dim)`` of the query.
        similarity: ``(frames,)`` similarity of each frame to the query in the joint space, for networks that
            take it.
        first_frame: ``frames`` begin with this one. All else is of the whole recording; of its windows those
            are taken that lie within ``frames``.
        meaning: ``(axes,)`` what the query sounds like, in place of what the tokens say, for networks with
            prototypes.
        joint: ``frames`` in the joint space, ``(frames, joint_dimension)``, for networks without audio.
        heights: ``(frames,)`` of the similarity on a scale that is the same in all recordings, for networks
            without audio that were calibrated.
    """

    name: str
    frames: FloatingArray
    grid: FrameGrid
    duration_s: float
    tokens: FloatingArray
    similarity: FloatingArray | None = None
    first_frame: int = 0
    meaning: FloatingArray | None = None
    joint: FloatingArray | None = None
    heights: FloatingArray | None = None

    @property
    def is_whole(self) -> bool:
        """Whether ``frames`` are all of the recording's."""
        return len(self.frames) == self.grid.num_frames

    def windows(self, window_frames: int) -> list[range]:
        """The windows to take: of a stretch of a recording, those of the whole one that lie within it."""
        windows = cut(self.grid.num_frames, window_frames)
        stop = self.first_frame + len(self.frames)
        return [each for each in windows if self.first_frame <= each.start and each.stop <= stop]


class PendingRequest:
    """A request whose windows are on their way through the network."""

    def __init__(self, request: ModelRequest, windows: list[range]) -> None:
        self.request = request
        self.windows = windows
        self.answers: list[WindowAnswer] = []
        self._curves: FloatingArray | None = None
        self._scale: CurveScale | None = None

    @property
    def is_complete(self) -> bool:
        return len(self.answers) == len(self.windows)

    def window_key(self, window: range) -> tuple[int, int, range]:
        """Equal for windows of the same frames, while their requests are waiting."""
        return id(self.request.frames), self.request.first_frame, window

    def frames(self, window: range) -> FloatingArray:
        """``(len(window), audio_dim)``."""
        return self._of_window(self.request.frames, window)

    def _of_window(self, of_frames: FloatingArray, window: range) -> FloatingArray:
        first = self.request.first_frame
        return of_frames[window.start - first : window.stop - first]

    def curves(self, window: range, config: NetworkConfig) -> FloatingArray | None:
        """``(len(window), channels)``, measured over the whole recording once; None where none are taken."""
        similarity, joint = self.request.similarity, self.request.joint
        if similarity is None or not config.similarity_channels:
            return None
        stretch = slice(window.start, window.stop)
        if joint is not None:
            self._scale = self._scale or scale_of(similarity)
            return curve_shapes(similarity[stretch], self._scale, self._of_window(joint, window))
        if self._curves is None:
            self._curves = similarity_curves(similarity, config.similarity_channels)
        return self._curves[stretch]

    def there(self, window: range, config: NetworkConfig) -> float:
        """The chance that what is asked for is in a window at all, by its highest similarity; 1 where that is
        not known, or the network's own scores say it."""
        heights = self.request.heights
        if heights is None or not config.level_weight:
            return 1.0
        highest = heights[window.start : window.stop].max()
        return float(sigmoid(np.array(config.level_weight * highest + config.level_shift, dtype=np.float64)))

    def take(self, window: range, answer: WindowAnswers, config: NetworkConfig) -> None:
        """Take a window's answer: spans as fractions of the window become seconds of the recording."""
        request, there = self.request, self.there(window, config)
        start_s, end_s = extent(window, request.grid, request.duration_s)
        seconds = start_s + np.clip(answer.ends.astype(np.float64), 0.0, 1.0) * (end_s - start_s)
        moments = [
            Moment(float(s), float(e), float(c))
            for (s, e), c in zip(seconds, there * sigmoid(answer.logits), strict=True)
            if c > LEAST_SCORE and e > s
        ]
        saliency = sigmoid(answer.saliency[: len(window)])
        self.answers.append(WindowAnswer(window, moments, saliency.astype(np.float32)))

    def answer(self, nms: float | None, top_k: int | None) -> Answer:
        request = self.request
        if not self.answers:
            return Answer([], np.zeros(0, dtype=np.float32))
        moments = merge_moments(self.answers, request.grid, request.duration_s)
        if nms is not None:
            moments = suppress(moments, nms)
        saliency = merge_saliency(self.answers, len(request.frames)) if request.is_whole else None
        return Answer(moments[:top_k], saliency)
