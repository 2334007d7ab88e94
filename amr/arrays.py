"""Types of arrays, by what their numbers are; shapes stand where the arrays are used."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
Float16Array = npt.NDArray[np.float16]
FloatingArray = npt.NDArray[np.floating]
Int64Array = npt.NDArray[np.int64]
Int16Array = npt.NDArray[np.int16]
UInt8Array = npt.NDArray[np.uint8]
UInt64Array = npt.NDArray[np.uint64]
IntpArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]
AnyArray = npt.NDArray[np.generic]
