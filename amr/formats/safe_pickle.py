"""Reading what torch.save wrote, without torch and without executing anything.

Such a file is a zip archive: a pickle of the objects, and one member for each tensor's numbers. A pickle is a
program. Here it may call nothing but the few inert builders of this module: plain containers, records of
attributes as dictionaries, descriptions of tensors, and numpy's scalars. Any other name is refused before it
is looked up, so no import and no call of the file's own choosing ever happens.
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

import numpy as np
import numpy.typing as npt

from amr.errors import InputError
from amr.formats.zips import damage_told, refuse_bomb

Array = npt.NDArray[Any]

MAX_PICKLE_BYTES = 16 * 2**20  # the published checkpoints' are under 1 MB; the numbers lie outside of it

STORAGE_TYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "<?",
}
NUMPY_FORMATS = {"f4": "f", "f8": "d", "i4": "i", "i8": "q", "u1": "B", "b1": "?"}
ZIP_MAGIC = b"PK\x03\x04"


class RefusedError(Exception):
    """The pickle asks for something that only a program would need."""


class Record(dict[Any, Any]):
    """An object with attributes (``argparse.Namespace`` and the like) as a dictionary."""


class StorageType(NamedTuple):
    """Type of a tensor's numbers: a numpy type string, or ``bfloat16``, which numpy does not have."""

    code: str


class Storage(NamedTuple):
    """One member of the archive that holds numbers."""

    key: str
    code: str


class StoredTensor(NamedTuple):
    """Where a tensor's numbers lie; read by :meth:`Archive.array`.

    Args:
        storage: the member and its type.
        offset: first number, counted in numbers.
        shape: sizes.
        stride: steps in numbers, one for each size.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def build_tensor(storage: object, offset: object, shape: object, stride: object, *_: object) -> StoredTensor:
    sizes, steps = whole_numbers(shape), whole_numbers(stride)
    if not isinstance(storage, Storage) or len(sizes) != len(steps):
        raise RefusedError("a tensor that is not described by a storage, an offset, sizes and strides")
    return StoredTensor(storage, whole_numbers((offset,))[0], sizes, steps)


def build_parameter(tensor: object, *_: object) -> object:
    return tensor


def whole_numbers(values: object) -> tuple[int, ...]:
    if not isinstance(values, tuple) or not all(isinstance(v, int) and v >= 0 for v in values):
        raise RefusedError("sizes that are not whole numbers")
    return values


class NumpyType:
    """``numpy.dtype``, as far as a scalar needs it: a letter and a size."""

    def __init__(self, code: object = "", *_: object) -> None:
        self.code = code if isinstance(code, str) else ""


def build_scalar(kind: object, data: object = b"") -> object:
    if not isinstance(kind, NumpyType) or kind.code not in NUMPY_FORMATS or not isinstance(data, bytes):
        raise RefusedError("a numpy scalar of an unknown type")
    return struct.unpack("<" + NUMPY_FORMATS[kind.code], data)[0]


def encode(text: object, encoding: object = "latin1") -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise RefusedError("bytes in an encoding other than latin1")
    return text.encode("latin1")


BUILDERS: dict[tuple[str, str], Callable[..., object]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("easydict", "EasyDict"): Record,
    ("argparse", "Namespace"): Record,
    ("torch._utils", "_rebuild_tensor_v2"): build_tensor,
    ("torch._utils", "_rebuild_parameter"): build_parameter,
    ("numpy", "dtype"): NumpyType,
    ("numpy.core.multiarray", "scalar"): build_scalar,
    ("numpy._core.multiarray", "scalar"): build_scalar,
    ("_codecs", "encode"): encode,
}


class InertUnpickler(pickle._Unpickler):
    """Python's own unpickler in Python, whose steps can be replaced one by one."""

    stack: list[Any]

    def find_class(self, module: str, name: str) -> Any:
        """Never imports: a name is one of ours, or it is refused."""
        if module == "torch" and name in STORAGE_TYPES:
            return StorageType(STORAGE_TYPES[name])
        builder = BUILDERS.get((module, name))
        if builder is None:
            raise RefusedError(f"{module}.{name}")
        return builder

    def persistent_load(self, pid: Any) -> Storage:
        """A storage: ``("storage", type, key, device, count)``."""
        if not (isinstance(pid, tuple) and len(pid) >= 3 and isinstance(pid[1], StorageType)):
            raise RefusedError("a stored object that is not a tensor's numbers")
        return Storage(str(pid[2]), pid[1].code)

    def set_state(self: Any) -> None:
        """Attributes of a record join its items; nothing else of the file may set attributes."""
        state = self.stack.pop()
        target = self.stack[-1]
        if type(target) is Record and isinstance(state, dict):
            target.update(state)
        elif type(target) not in (Record, OrderedDict, NumpyType):
            raise RefusedError("attributes of an object that has none")

    dispatch = {**pickle._Unpickler.dispatch, pickle.BUILD[0]: set_state}  # noqa: RUF012  # replaces one step


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


UNPICKLING_FAILURES = (
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
