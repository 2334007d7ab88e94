"""What the HDF5 library raises on a file that is damaged or made to harm, told as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from amr.errors import InputError

# h5py raises TypeError for types that numpy lacks, ValueError for names and texts that are none, and the
# others for whatever HDF5 itself complains about.
HDF5_FAILURES = (OSError, RuntimeError, KeyError, TypeError, ValueError, OverflowError, NotImplementedError)


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Turn every failure of a call of h5py into an ``InputError``; to be put around such calls alone."""
    try:
        yield
    except HDF5_FAILURES as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> InputError:
    """The error for what the HDF5 library refuses."""
    if isinstance(error, OSError) and not h5py.is_hdf5(path):
        return InputError("is not an HDF5 file", where=path, hint="amr extract makes feature files")
    reason = " ".join(str(error).split())[:200]
    return InputError(f"is a damaged HDF5 file ({reason})", where=path)
