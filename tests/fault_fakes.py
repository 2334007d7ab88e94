"""Encoders that run into trouble."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from feature_fakes import FakeEncoder, Floats
from waiting import wait_for

MOST_AT_ONCE = 2


class StuckEncoder(FakeEncoder):
    """Does some recordings and then no more, for as long as any test waits."""

    calls = 0

    def encode_audio(self, samples: Floats) -> Floats:
        StuckEncoder.calls += 1
        if StuckEncoder.calls > 25:
            Path("stuck").touch()
            time.sleep(600)
        return super().encode_audio(samples)


class SmallMemoryEncoder(FakeEncoder):
    """Has room for two segments at once, as a GPU that others use too."""

    def encode_audio(self, samples: Floats) -> Floats:
        import torch

        if len(samples) > MOST_AT_ONCE:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 is full.")
        return super().encode_audio(samples)


class NoMemoryEncoder(FakeEncoder):
    """Has room for short recordings only."""

    def encode_audio(self, samples: Floats) -> Floats:
        if samples.shape[1] > 3 * 16_000:
            raise MemoryError
        return super().encode_audio(samples)


class DyingEncoder(FakeEncoder):
    """The second process of a group is killed at its second recording, the first time.

    It waits for the first one to be at work: until then that has nothing to tell of another's death.
    """

    calls = 0

    def encode_audio(self, samples: Floats) -> Floats:
        DyingEncoder.calls += 1
        if os.environ.get("RANK") == "0":
            Path("at_work").touch()
        if os.environ.get("RANK") == "1" and DyingEncoder.calls == 3 and not Path("died").exists():
            wait_for(Path("at_work").exists)
            Path("died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode_audio(samples)


class DyingLateEncoder(FakeEncoder):
    """The second process of a group is killed when the first one has done its share, the first time."""

    def encode_audio(self, samples: Floats) -> Floats:
        if os.environ.get("RANK") == "1" and not Path("died").exists():
            wait_for(lambda: Path("f.h5.process-1-of-2").exists())
            Path("died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode_audio(samples)


class HangingEncoder(FakeEncoder):
    """The second process of a group never gets its first recording done."""

    def encode_audio(self, samples: Floats) -> Floats:
        if os.environ.get("RANK") == "1":
            Path("stuck").touch()
            time.sleep(600)
        return super().encode_audio(samples)
