"""Reading what torch.save wrote, without executing anything.

A ``.ckpt`` of Lighthouse or of the DCASE baseline is a zip file: a pickle of the objects, and one file for
each tensor's numbers. A pickle is a program. Here it may call nothing but the few inert builders of this
module: plain containers, records of attributes as dictionaries, descriptions of tensors, and numpy's scalars.
Any other name is refused before it is looked up, so no import and no call of the file's own choosing ever
happens; nor may it set attributes of anything, which would reach the builders themselves.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from amr.errors import InputError
from amr.formats.streams import require_readable

# The published checkpoints' pickles are under 1 MB; their numbers lie outside of it.
MAX_PICKLE_BYTES = 16 * 1024 * 1024

STORAGE_TYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
NUMPY_FORMATS = {"f4": "f", "f8": "d", "i4": "i", "i8": "q", "u1": "B", "b1": "?"}


class RefusedError(Exception):
    """The pickle asks for something that only a program would need."""


class Record(dict[Any, Any]):
    """An object with attributes (EasyDict, argparse.Namespace) as a dictionary."""


class StoredTensor(NamedTuple):
    """Where a tensor's numbers lie; read by :meth:`Archive.tensor`.

    Args:
        key: name of the file inside the archive.
        dtype: type of the numbers.
        offset: first number, counted in numbers.
        shape: sizes; stride: steps in numbers, one for each size.
    """

    key: str
    dtype: torch.dtype
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class _Storage(NamedTuple):
    key: str
    dtype: torch.dtype


class _StorageType(NamedTuple):
    dtype: torch.dtype


def _build_tensor(storage: object, offset: object, shape: object, stride: object, *_: object) -> StoredTensor:
    sizes = _whole_numbers(shape)
    steps = _whole_numbers(stride)
    if not isinstance(storage, _Storage) or len(sizes) != len(steps):
        raise RefusedError("a tensor that is not described by a storage, an offset, sizes and strides")
    return StoredTensor(storage.key, storage.dtype, _whole_numbers((offset,))[0], sizes, steps)


def _build_parameter(tensor: object, *_: object) -> object:
    return tensor


def _whole_numbers(values: object) -> tuple[int, ...]:
    if not isinstance(values, tuple) or not all(isinstance(v, int) and v >= 0 for v in values):
        raise RefusedError("sizes that are not whole numbers")
    return values


class _NumpyType:
    """numpy.dtype, as far as a scalar needs it: a letter and a size."""

    def __init__(self, code: object = "", *_: object) -> None:
        self.code = code if isinstance(code, str) else ""


def _build_scalar(kind: object, data: object = b"") -> object:
    if not isinstance(kind, _NumpyType) or kind.code not in NUMPY_FORMATS or not isinstance(data, bytes):
        raise RefusedError("a numpy scalar of an unknown type")
    return struct.unpack("<" + NUMPY_FORMATS[kind.code], data)[0]


def _encode(text: object, encoding: object = "latin1") -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise RefusedError("bytes in an encoding other than latin1")
    return text.encode("latin1")


BUILDERS: dict[tuple[str, str], Callable[..., object]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("easydict", "EasyDict"): Record,
    ("argparse", "Namespace"): Record,
    ("torch._utils", "_rebuild_tensor_v2"): _build_tensor,
    ("torch._utils", "_rebuild_parameter"): _build_parameter,
    ("numpy", "dtype"): _NumpyType,
    ("numpy.core.multiarray", "scalar"): _build_scalar,
    ("numpy._core.multiarray", "scalar"): _build_scalar,
    ("_codecs", "encode"): _encode,
}


class _InertUnpickler(pickle._Unpickler):
    """Python's own unpickler in Python, whose steps can be replaced one by one."""

    stack: list[Any]

    def find_class(self, module: str, name: str) -> Any:
        """Never imports: a name is one of ours, or it is refused."""
        if module == "torch" and name in STORAGE_TYPES:
            return _StorageType(STORAGE_TYPES[name])
        builder = BUILDERS.get((module, name))
        if builder is None:
            raise RefusedError(f"{module}.{name}")
        return builder

    def persistent_load(self, pid: Any) -> _Storage:
        """A storage: ``("storage", type, key, device, count)``."""
        if not (isinstance(pid, tuple) and len(pid) >= 3 and isinstance(pid[1], _StorageType)):
            raise RefusedError("a stored object that is not a tensor's numbers")
        return _Storage(str(pid[2]), pid[1].dtype)

    def set_state(self: Any) -> None:
        """Attributes of a record join its items; those of other plain objects are dropped."""
        state = self.stack.pop()
        target = self.stack[-1]
        if type(target) is Record and isinstance(state, dict):
            target.update(state)
        elif type(target) not in (Record, OrderedDict, _NumpyType):
            raise RefusedError("attributes of an object that has none")

    dispatch = {**pickle._Unpickler.dispatch, pickle.BUILD[0]: set_state}  # noqa: RUF012 (overrides a class table)


class Archive:
    """A file of torch.save: its objects with tensors described, and the tensors on request.

    Args:
        path: the file.

    Raises:
        InputError: it is no such file, is cut short, or its pickle asks for anything beyond plain data.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        require_readable(path)
        try:
            self._zip = zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, EOFError, ValueError) as error:
            raise InputError(
                "not a whole file of torch.save (zip form, torch 1.6 and later)", where=path
            ) from error
        with self._zip:
            self._infos = {info.filename: info for info in self._zip.infolist()}
            pickles = [name for name in self._infos if name.split("/", 1)[-1] == "data.pkl"]
            if len(pickles) != 1:
                raise InputError("not a file of torch.save: it holds no data.pkl", where=path)
            self._root = pickles[0].removesuffix("data.pkl")
            self.objects = self._unpickle(self._bytes(pickles[0], MAX_PICKLE_BYTES))

    def _bytes(self, name: str, limit: int) -> bytes:
        """The bytes of a member, which must be stored as they are and be no longer than ``limit``."""
        info = self._infos.get(name)
        if info is None:
            raise InputError(f"cut short: {name} is missing", where=self.path)
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > limit:
            raise InputError(
                f"{name} is compressed or has {info.file_size} bytes, expected at most {limit}",
                where=self.path,
            )
        try:
            return self._zip.read(info)
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
            raise InputError(f"damaged: {name} does not read back", where=self.path) from error

    def _unpickle(self, data: bytes) -> object:
        try:
            return _InertUnpickler(io.BytesIO(data)).load()
        except RefusedError as refused:
            raise InputError(
                f"its pickle asks for {refused}, which is more than plain data; nothing was executed",
                where=self.path,
                hint="take checkpoints only from people you trust, or re-save it with weights alone",
            ) from refused
        except _UNPICKLING_FAILURES as error:
            raise InputError("damaged: its pickle does not read to the end", where=self.path) from error

    def tensors(self, stored: dict[str, StoredTensor]) -> dict[str, Tensor]:
        """The numbers of each tensor, as float32 or whole numbers in memory of their own.

        Raises:
            InputError: a tensor's file is missing, damaged, or shorter than its shape.
        """
        with zipfile.ZipFile(self.path) as self._zip:
            return {name: self._tensor(tensor) for name, tensor in stored.items()}

    def _tensor(self, stored: StoredTensor) -> Tensor:
        last = stored.offset + sum((n - 1) * s for n, s in zip(stored.shape, stored.stride, strict=True))
        count = math.prod(stored.shape)
        name = f"{self._root}data/{stored.key}"
        size = self._infos[name].file_size if name in self._infos else 0
        held = size // stored.dtype.itemsize
        if count == 0 or last >= held or count > held:
            shape = list(stored.shape)
            raise InputError(f"a tensor of {shape} reaches past its {held} numbers", where=self.path)
        flat = torch.frombuffer(bytearray(self._bytes(name, size)), dtype=stored.dtype, count=held)
        tensor = flat.as_strided(stored.shape, stored.stride, stored.offset)
        return tensor.float() if tensor.is_floating_point() else tensor.clone()


_UNPICKLING_FAILURES = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    MemoryError,
    RecursionError,
    UnicodeDecodeError,
    struct.error,
)
