"""Dropout on a processor at the price of one multiplication.

Random numbers are most of what dropout costs there. So they are drawn ahead: a pool of masks, already scaled,
of which every use takes a stretch that begins at a random place. The elements of a stretch are independent;
two uses may share some, at other places of other tensors. The pool is drawn anew every few steps, from the
seed and the step, and so belongs to neither a thread nor a moment in time.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from amr.models.dropout import Dropout, drawn_mask
from amr.training.draws import key_of

POOL_SIZE = 3 << 20
"""Masks in the pool of a rate, 12 MB: three times the largest tensor of a chunk of 1,024 frames."""
POOL_STEPS = 16
"""Steps after which the pools are drawn anew."""
MOST = POOL_SIZE * 3 // 4
"""Values that one use takes at most; larger tensors get masks of their own."""
ALIGNED = 16
"""Stretches begin at multiples of this: a cache line of float32."""
WORD = (1 << 64) - 1


class MaskPools:
    """A pool for each rate of a network, and when they were drawn.

    Args:
        network: whose dropout is served from here.
        seed: of the draws.
        dtypes: of the tensors that are dropped from.
    """

    def __init__(
        self, network: nn.Module, seed: int, dtypes: Sequence[torch.dtype] = (torch.float32,)
    ) -> None:
        self.seed = seed
        self._dtypes = dtypes
        self._pools: dict[tuple[float, torch.dtype], Tensor] = {}
        self._drawn_at = -1
        rates = {module.rate for module in network.modules() if isinstance(module, Dropout)}
        self._rates = sorted(rate for rate in rates if rate > 0)
        for module in network.modules():
            if type(module) is Dropout:
                module.__class__ = PooledDropout

    def draw(self, step: int) -> None:
        """Draw the pools that step ``step`` uses, unless they are there."""
        if step // POOL_STEPS == self._drawn_at:
            return
        self._drawn_at = step // POOL_STEPS
        for rate in self._rates:
            key = key_of(self.seed, self._drawn_at, f"masks {rate}")
            for dtype in self._dtypes:
                generator = torch.Generator().manual_seed(key >> 1)
                self._pools[rate, dtype] = drawn_mask(torch.Size([POOL_SIZE]), rate, dtype, generator)

    def use(self, key: int) -> None:
        """Let this thread's dropout begin its stretches as ``key`` says."""
        _thread.pools, _thread.state = self._pools, key


class _Thread(threading.local):
    """The pools of the chunk that a thread works on, and the state of its places in them."""

    pools: dict[tuple[float, torch.dtype], Tensor] | None = None
    state: int = 0


_thread = _Thread()


class PooledDropout(Dropout):
    """:class:`amr.models.dropout.Dropout` with masks from its thread's pools, where it has some."""

    def mask(self, shape: torch.Size, dtype: torch.dtype) -> Tensor | None:
        pool = None if _thread.pools is None else _thread.pools.get((self.rate, dtype))
        if not self.training or pool is None:
            return super().mask(shape, dtype)
        count = shape.numel()
        if count > MOST:
            return drawn_mask(shape, self.rate, dtype, torch.Generator().manual_seed(next_place() >> 1))
        first = next_place() % ((POOL_SIZE - count) // ALIGNED + 1) * ALIGNED
        return pool[first : first + count].view(shape)


def next_place() -> int:
    """64 bits from the thread's state (SplitMix64, as in ``amr.training.draws``)."""
    _thread.state = (_thread.state + 0x9E3779B97F4A7C15) & WORD
    bits = _thread.state
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9 & WORD
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB & WORD
    return bits ^ (bits >> 31)
