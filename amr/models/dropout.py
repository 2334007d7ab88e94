"""Dropout that draws few random numbers.

On a CPU most of dropout's time goes into random numbers: about a million draws a training sample. One 64-bit
draw holds four 16-bit ones, or eight 8-bit ones where the rate is a multiple of 1/256. The rate is rounded to
1/65,536 (0.1 becomes 0.100006), and the values that stay are scaled by exactly the rounded rate, so that the
expectation is unchanged. A GPU draws in its own kernel and takes torch's dropout.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Dropout(nn.Module):
    """Zero each value with probability ``rate`` while training, scale the others by ``1 / (1 - rate)``."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return functional.dropout(x, self.rate, self.training)
        mask = self.mask(x.shape, x.dtype)
        return x if mask is None else x * mask

    def mask(self, shape: torch.Size, dtype: torch.dtype) -> Tensor | None:
        """What a tensor on a processor is multiplied by, drawn at each call; None: nothing is dropped."""
        if not self.training or self.rate == 0.0:
            return None
        return drawn_mask(shape, self.rate, dtype)

    def extra_repr(self) -> str:
        return f"rate={self.rate}"


def drop(x: Tensor, rate: float, generator: torch.Generator | None = None) -> Tensor:
    """:class:`Dropout`'s arithmetic, with the draws from ``generator`` or torch's own."""
    return x * drawn_mask(x.shape, rate, x.dtype, generator)


def drawn_mask(
    shape: torch.Size, rate: float, dtype: torch.dtype, generator: torch.Generator | None = None
) -> Tensor:
    """Zero with probability ``rate``, else ``1 / (1 - rate)``."""
    if dtype == torch.bfloat16:
        # 1 / (1 - rate) becomes a number that bfloat16 has: else every value would be off by its rounding.
        rate = 1 - 1 / float(torch.tensor(1 / (1 - rate), dtype=dtype))
    word = torch.int8 if (rate * 256).is_integer() else torch.int16
    levels = 1 << torch.iinfo(word).bits
    num_dropped = round(rate * levels)
    # The words are signed: the lowest ``num_dropped`` of them are dropped.
    count = shape.numel()
    keep = random_words(count, word, generator)[:count].view(shape) >= num_dropped - levels // 2
    return keep.to(dtype).mul_(levels / (levels - num_dropped))


def random_words(count: int, word: torch.dtype, generator: torch.Generator | None = None) -> Tensor:
    """At least ``count`` independent uniform integers of type ``word``, cut out of 64-bit draws."""
    per_draw = 64 // torch.iinfo(word).bits
    draws = torch.empty(-(-count // per_draw), dtype=torch.int64)
    return draws.random_(-(2**63), None, generator=generator).view(word)
