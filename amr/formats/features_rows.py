"""A feature file by rows, whatever recording they belong to: to read stretches, or everything in blocks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from amr.formats.features import StoredFrames
from amr.formats.features_read import FeatureFile


class FeatureRows(FeatureFile):
    """A feature file whose frames can be read by row; recording ``i`` has ``start[i]`` to ``start[i + 1]``.

    Raises:
        InputError: it is not a feature file of this schema, or damaged.
    """

    def __enter__(self) -> FeatureRows:
        return self

    @property
    def start(self) -> npt.NDArray[np.int64]:
        """``(recordings + 1,)`` offsets."""
        return self._start

    @property
    def durations_s(self) -> npt.NDArray[np.float64]:
        """``(recordings,)``."""
        return self._durations_s

    def rows(self, first: int, stop: int) -> StoredFrames:
        """``(stop - first, dimension)`` in the type that is stored."""
        return self._read(self._frames, first, stop)
