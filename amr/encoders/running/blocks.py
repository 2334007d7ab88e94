"""What encoders may say of themselves that decides how their work is cut.

An encoder may have an attribute ``block_frames``: then frame ``i`` depends on the samples of its whole block,
frames ``i // block_frames * block_frames`` onwards, counted from the start of the recording, instead of on
its own window alone. A recording is cut into stretches at blocks only.

It may have an attribute ``exact_batch_frames``: so many frames at once are faster on a processor than fewer,
and each is the same to the bit whatever others there are, of other recordings too.
"""

from __future__ import annotations

from amr.encoders.base import Encoder


def block_frames(encoder: Encoder) -> int:
    """Frames that the encoder makes at once; 1 for all that do not say."""
    return int(getattr(encoder, "block_frames", 1))


def whole_blocks(encoder: Encoder, frames: int) -> int:
    """The largest number of frames up to ``frames`` that is whole blocks; one block at least."""
    block = block_frames(encoder)
    return max(1, frames // block) * block


def exact_batch_frames(encoder: Encoder) -> int:
    """Frames of any recordings that the encoder wants at once; 1 for all that do not say."""
    return int(getattr(encoder, "exact_batch_frames", 1))
