"""What torch.save wrote as torch's own tensors, without executing anything.

The archive is read by :mod:`amr.formats.safe_pickle`. Here the numbers are copied into memory, and unlike
there each member is checked against its sum on the way: a checkpoint is small, and read whole.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import torch
from torch import Tensor

from amr.formats import safe_pickle
from amr.formats.safe_pickle import StoredTensor
from amr.formats.streams import require_readable

TORCH_TYPES = {
    "<f4": torch.float32,
    "<f8": torch.float64,
    "<f2": torch.float16,
    "bfloat16": torch.bfloat16,
    "<i8": torch.int64,
    "<i4": torch.int32,
    "<i2": torch.int16,
    "<i1": torch.int8,
    "<u1": torch.uint8,
    "<?": torch.bool,
}
"""Of the codes in :data:`amr.formats.inert_pickle.STORAGE_TYPES`."""


class Archive(safe_pickle.Archive):
    """A file of torch.save: its objects with tensors described, and the tensors on request.

    Args:
        path: the file.

    Raises:
        InputError: it is no such file, is cut short, or its pickle asks for anything beyond plain data.
    """

    def __init__(self, path: str | Path) -> None:
        require_readable(path)
        super().__init__(path)

    def tensors(self, stored: dict[str, StoredTensor]) -> dict[str, Tensor]:
        """The numbers of each tensor, as float32 or whole numbers in memory of their own.

        Raises:
            InputError: a tensor's member is missing, damaged, or shorter than its shape.
        """
        with zipfile.ZipFile(self.path) as archive:
            return {name: self._tensor(archive, tensor) for name, tensor in stored.items()}

    def _tensor(self, archive: zipfile.ZipFile, stored: StoredTensor) -> Tensor:
        dtype = TORCH_TYPES[stored.storage.code]
        info = self.members.get(self.member_name(stored))
        held = info.file_size // dtype.itemsize if info else 0
        self.require_inside(stored, held)
        assert info is not None  # nothing lies inside a member that is missing
        flat = torch.frombuffer(bytearray(self.read(archive, info, info.file_size)), dtype=dtype, count=held)
        tensor = flat.as_strided(stored.shape, stored.stride, stored.offset)
        return tensor.float() if tensor.is_floating_point() else tensor.clone()
