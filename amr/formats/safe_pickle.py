"""Reading what torch.save wrote, without torch and without executing anything.

Such a file is a zip archive: a pickle of the objects, read by :mod:`amr.formats.inert_pickle`, and one member
for each tensor's numbers.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from amr.errors import InputError
from amr.formats.inert_pickle import (
    MAX_PICKLE_BYTES,
    UNPICKLING_FAILURES,
    InertUnpickler,
    RefusedError,
    StoredTensor,
)
from amr.formats.zips import damage_told, refuse_bomb

__all__ = ["MAX_PICKLE_BYTES", "Archive", "StoredTensor", "is_torch_file"]

Array = npt.NDArray[Any]

ZIP_MAGIC = b"PK\x03\x04"


def is_torch_file(path: Path) -> bool:
    """Whether a file begins as torch.save's do; says nothing of the rest."""
    with open(path, "rb") as file:
        return file.read(len(ZIP_MAGIC)) == ZIP_MAGIC


class Archive:
    """A file of torch.save: its objects with tensors described, and the tensors on request.

    Args:
        path: the file.

    Raises:
        InputError: it is no such file, is cut short, or its pickle asks for anything beyond plain data.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with damage_told(self.path, "not a whole file of torch.save (zip form, torch 1.6 and later)"):
            archive = zipfile.ZipFile(self.path)
        with archive:
            refuse_bomb(archive, self.path)
            self.members = {info.filename: info for info in archive.infolist()}
            pickles = [name for name in self.members if name.split("/", 1)[-1] == "data.pkl"]
            if len(pickles) != 1:
                raise InputError("not a file of torch.save: it holds no data.pkl", where=path)
            self._root = pickles[0].removesuffix("data.pkl")
            info = self.members[pickles[0]]
            self.objects = self._unpickle(self.read(archive, info, MAX_PICKLE_BYTES))

    def read(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
        """The bytes of a member, no longer than ``limit``, checked against its sum.

        Raises:
            InputError: the member is compressed, longer, or damaged.
        """
        self._check(info, limit)
        with damage_told(self.path, f"damaged: {info.filename} does not read back"):
            return archive.read(info)

    def _check(self, info: zipfile.ZipInfo, limit: int) -> None:
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > limit:
            raise InputError(
                f"{info.filename} is compressed or has {info.file_size} bytes, expected at most {limit}",
                where=self.path,
            )

    def _unpickle(self, data: bytes) -> object:
        try:
            return InertUnpickler(io.BytesIO(data)).load()
        except RefusedError as refused:
            raise InputError(
                f"its pickle asks for {refused}, which is more than plain data; nothing was executed",
                where=self.path,
                hint="take checkpoints only from people you trust, or re-save it with weights alone",
            ) from refused
        except UNPICKLING_FAILURES as error:
            raise InputError("damaged: its pickle does not read to the end", where=self.path) from error

    def array(self, tensor: StoredTensor) -> Array:
        """The numbers of a tensor, mapped from the file where they lie, read only; bfloat16 as float32.

        Raises:
            InputError: the member is missing, compressed, or shorter than the tensor's shape.
        """
        name = self.member_name(tensor)
        info = self.members.get(name)
        if info is None:
            raise InputError(f"cut short: {name} is missing", where=self.path)
        self._check(info, info.file_size)
        wide = tensor.storage.code == "bfloat16"
        dtype = np.dtype("<u2" if wide else tensor.storage.code)
        held = info.file_size // dtype.itemsize
        self.require_inside(tensor, held)
        try:
            flat = np.memmap(self.path, dtype=dtype, mode="r", offset=self._data_offset(info), shape=(held,))
        except ValueError as error:
            raise InputError(f"cut short: {name} does not lie in the file", where=self.path) from error
        strides = tuple(step * dtype.itemsize for step in tensor.stride)
        view = np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, strides, writeable=False)
        if wide:
            return (view.astype(np.uint32) << 16).view(np.float32)
        return view

    def member_name(self, tensor: StoredTensor) -> str:
        """The member of the archive that holds a tensor's numbers, whether it is there or not."""
        return f"{self._root}data/{tensor.storage.key}"

    def require_inside(self, tensor: StoredTensor, held: int) -> None:
        """Refuse a tensor that reaches past the ``held`` numbers of its member, or has none."""
        steps = zip(tensor.shape, tensor.stride, strict=True)
        last = tensor.offset + sum((size - 1) * step for size, step in steps)
        count = math.prod(tensor.shape)
        if count == 0 or last >= held or count > held:
            shape = list(tensor.shape)
            raise InputError(f"a tensor of {shape} reaches past its {held} numbers", where=self.path)

    def _data_offset(self, info: zipfile.ZipInfo) -> int:
        """Where a member's bytes begin: behind its local header, whose length is its own."""
        with open(self.path, "rb") as file:
            file.seek(info.header_offset)
            header = file.read(30)
        if len(header) < 30 or header[:4] != ZIP_MAGIC:
            raise InputError(f"damaged: {info.filename} does not begin where it should", where=self.path)
        name_length, extra_length = struct.unpack("<HH", header[26:30])
        return info.header_offset + 30 + int(name_length) + int(extra_length)
