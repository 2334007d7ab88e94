"""How near each frame is to a query in the encoder's joint space, for networks that take it as an input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from amr.arrays import BoolArray, Float16Array, Float32Array, FloatingArray, Int64Array
from amr.encoders.base import Encoder
from amr.models.windows import similarity_curves

BLOCK_FRAMES = 8192


@dataclass(frozen=True)
class JointFeatures:
    """A training set in the joint space.

    Args:
        frames: ``(total, joint_dim)`` float16, in the order of the dataset's frames.
        start: ``(recordings + 1,)`` where each recording's frames begin.
        text: ``(texts, joint_dim)`` float32.
        channels: curves a frame that the network takes.
    """

    frames: Float16Array
    start: Int64Array
    text: Float32Array
    channels: int

    def curves(
        self,
        recording: Int64Array,
        text: Int64Array,
        first: Int64Array,
        count: Int64Array,
        alone: BoolArray | None = None,
    ) -> Float32Array:
        """``(batch, longest, channels)`` of stretches of recordings, zero at padding.

        The curves are made from the whole recording before the stretch is cut out, as prediction does; where
        ``alone (batch,)`` is true, from the stretch as if it were all.
        """
        out = np.zeros((len(recording), int(count.max()), self.channels), dtype=np.float32)
        for place, (row, index, words) in enumerate(zip(out, recording, text, strict=True)):
            stretch = slice(int(first[place]), int(first[place] + count[place]))
            frames = self.frames[self.start[index] : self.start[index + 1]]
            if alone is not None and alone[place]:
                frames, stretch = frames[stretch], slice(0, int(count[place]))
            curve = similarity_curves(frames.astype(np.float32) @ self.text[words], self.channels)
            row[: count[place]] = curve[stretch]
        return out


def joint_features(
    encoder: Encoder,
    frames: FloatingArray,
    start: Int64Array,
    pooled: Float32Array,
    channels: int,
    on_block: Callable[[], None] = lambda: None,
) -> JointFeatures:
    """Take frames ``(total, dim)`` and pooled texts ``(texts, text_dim)`` into the joint space.

    Args:
        on_block: called before each block; where it raises, the work ends.
    """
    size = encoder.identity.joint_dimension
    joint = np.empty((len(frames), size), dtype=np.float16)
    for begin in range(0, len(frames), BLOCK_FRAMES):
        on_block()
        block = frames[begin : begin + BLOCK_FRAMES].astype(np.float32)
        joint[begin : begin + BLOCK_FRAMES] = encoder.joint_audio(block)
    return JointFeatures(joint, start, encoder.joint_text(pooled), channels)
