"""Similarity curves of several kinds from one encoder's features, for networks that take any encoder's.

What such a network must not learn is how one encoder's similarities look. So each item of each pass gets a
curve of another kind, at another hop, bent and with noise; what is drawn belongs to the item. The kinds:

``own``
    inner products in the encoder's joint space
``cosine``
    angles there
``root``
    angles where its axes are taken for logarithms, and halved, so that they stand for roots
``example``
    angles, in the encoder's features, with another moment of the same meaning
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from amr.arrays import BoolArray, Float16Array, Float32Array, FloatingArray, Int64Array
from amr.functional import unit
from amr.models.frames.shapes import SHAPES, CurveScale, averaged, curve_shapes, scale_of
from amr.training.draws import key_of, uniform

STRETCH_POINTS = 128
"""Points of a curve that are learned from at once: fine hops would take most of the time."""
HOPS_S = (0.1, 0.2, 0.32, 0.48, 0.48, 0.64, 0.96)

# Drawn evenly, gamma and the other peak over their logarithms.
MOST_GAMMA = 2.0
MOST_NOISE = 0.15
SMOOTHED = 0.4
"""Share of the curves that are averaged over up to ``MOST_SMOOTH_S``: of encoders that hear long windows."""
MOST_SMOOTH_S = 3.0
OTHER_PEAK = 0.3
"""Share of the curves whose recording goes on and has a higher peak elsewhere, up to ``MOST_PEAK`` times."""
MOST_PEAK = 3.0


class CurveDraws(NamedTuple):
    """What decides the curves of some items.

    Args:
        kind: ``(items,)`` which of the dataset's kinds.
        example: ``(items,)`` the item whose moment is the example.
        random: ``(items, 5)`` in [0, 1): see :func:`bent`; None: curves as they are.
    """

    kind: Int64Array
    example: Int64Array
    random: Float32Array | None = None

    def of(self, part: slice) -> CurveDraws:
        """Those of some of the items."""
        return CurveDraws(
            self.kind[part], self.example[part], None if self.random is None else self.random[part]
        )


def draw_hop(seed: int, epoch: int, batch: int) -> float:
    """Seconds from point to point in one batch's curves."""
    [[number]] = uniform(key_of(seed, epoch, "hop"), np.array([batch]), 1)
    return HOPS_S[int(number * len(HOPS_S))]


def drawn(key: int, items: Int64Array, example: Int64Array, kinds: int) -> CurveDraws:
    """Draws for training."""
    numbers = uniform(key, items, 6)
    return CurveDraws((numbers[:, 0] * kinds).astype(np.int64), example, numbers[:, 1:])


@dataclass(frozen=True)
class CurveFeatures:
    """A training set in the spaces in which its curves are drawn.

    Args:
        joint: ``(total, joint_dim)`` float16, the encoder's joint space.
        frames: ``(total, dim)``, its features.
        start: ``(recordings + 1,)`` where each recording's frames begin.
        text: ``(texts, joint_dim)`` float32.
        examples: ``(items, dim)`` unit vectors: what each item's moments sound like; 0 where it has none.
        kinds: of ``CURVE_KINDS``.
        hop_s: from frame to frame.
        factor: every how many frames a curve has a point; between two frames it lies between them.
    """

    joint: Float16Array
    frames: FloatingArray
    start: Int64Array
    text: Float32Array
    examples: Float32Array
    kinds: tuple[str, ...]
    hop_s: float
    factor: float = 1.0

    def at_hop(self, hop_s: float) -> CurveFeatures:
        """The same with curves of another hop."""
        return replace(self, factor=hop_s / self.hop_s)

    def counts(self) -> Int64Array:
        """``(recordings,)`` points of each curve."""
        return points_of(np.diff(self.start), self.factor)

    def curves(
        self,
        recording: Int64Array,
        text: Int64Array,
        first: Int64Array,
        count: Int64Array,
        alone: BoolArray | None = None,
        draws: CurveDraws | None = None,
    ) -> Float32Array:
        """``(batch, longest, len(SHAPES))`` of stretches of recordings, zero at padding.

        As in prediction a curve is measured over the whole recording, where ``alone (batch,)`` is true over
        the stretch as if it were all.
        """
        assert draws is not None  # datasets of curves have draws for training and for validation
        out = np.zeros((len(recording), int(count.max()), len(SHAPES)), dtype=np.float32)
        for place, row in enumerate(out):
            stretch = slice(int(first[place]), int(first[place] + count[place]))
            random = None if draws.random is None else draws.random[place]
            space, vector = self.compared(
                int(recording[place]), int(text[place]), int(draws.kind[place]), int(draws.example[place])
            )
            if alone is not None and alone[place]:
                space, stretch = space[stretch], slice(0, int(count[place]))
            curve, scale = bent(space @ vector, random, self.hop_s * self.factor)
            row[: count[place]] = curve_shapes(curve[stretch], scale, space[stretch])
        return out

    def compared(
        self, recording: int, text: int, kind: int, example: int
    ) -> tuple[Float32Array, Float32Array]:
        """A recording's points ``(points, dim)`` and the query ``(dim,)`` in the space of a kind."""
        name = self.kinds[kind]
        sounds = self.examples[example]
        if name == "example" and sounds.any():
            return unit(self.points(self.frames, recording)), sounds
        joint, words = self.points(self.joint, recording), self.text[text]
        if name == "own":
            return joint, words
        return unit(np.exp(joint / 2) if name == "root" else joint), unit(words)

    def points(self, values: FloatingArray, recording: int) -> Float32Array:
        """``(points, dim)`` float32 of a recording's ``values``."""
        rows = values[self.start[recording] : self.start[recording + 1]]
        if self.factor == 1.0:
            return rows.astype(np.float32)
        at = np.arange(int(points_of(np.array(len(rows)), self.factor))) * self.factor
        before = np.minimum(at.astype(np.int64), len(rows) - 1)
        part = (at - before).astype(np.float32)[:, None]
        found: Float32Array = rows[before].astype(np.float32)
        if part.any():
            after = rows[np.minimum(before + 1, len(rows) - 1)].astype(np.float32)
            found += part * (after - found)
        return found


def points_of(frames: Int64Array, factor: float) -> Int64Array:
    """How many points, ``factor`` frames apart, lie within so many frames."""
    return np.floor((frames - 1) / factor + 1e-6).astype(np.int64) + 1


def bent(curve: Float32Array, random: Float32Array | None, hop_s: float) -> tuple[FloatingArray, CurveScale]:
    """A curve ``(points,)`` as another encoder might draw it, and what it is measured by.

    Args:
        random: ``(5,)`` in [0, 1): whether and how far it is averaged, how it is bent, how much noise and
            which, and how high the recording's peak is elsewhere; None: as it is.
        hop_s: from point to point.
    """
    scale = scale_of(curve)
    if random is None:
        return curve, scale
    width, bend, amount, which, other = (float(each) for each in random)
    if width < SMOOTHED:
        curve = averaged(curve, round(width / SMOOTHED * MOST_SMOOTH_S / hop_s)).astype(np.float32)
        scale = scale_of(curve)
    height = (curve - scale.base) / (scale.peak + 1e-9)
    height = np.sign(height) * np.abs(height) ** (MOST_GAMMA ** (2 * bend - 1))
    rng = np.random.default_rng(int(which * 2**24))
    height += MOST_NOISE * amount * rng.normal(size=len(height))
    scale = scale_of(height)
    if other < OTHER_PEAK:
        scale = scale._replace(peak=scale.peak * MOST_PEAK ** (other / OTHER_PEAK))
    return height, scale
