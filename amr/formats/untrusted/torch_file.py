"""What torch.save wrote, as plain data: without torch, and without executing anything.

Such a file (torch 1.6 and later) is a zip archive: a pickle of the objects, and a member for the numbers of
each storage. A pickle is a program. Here it may call nothing but the few functions of :data:`BUILDERS`; any
other name is refused before it is looked up, so that no import and no call of the file's own choosing ever
happens.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any, ClassVar

import numpy as np

from amr.arrays import AnyArray
from amr.errors import InputError
from amr.formats.untrusted.tensor_header import sizes
from amr.formats.untrusted.zips import refuse_bomb, zip_failures

ZIP_MAGIC = b"PK\x03\x04"
LOCAL_HEADER_BYTES = 30
MAX_PICKLE_BYTES = 16 * 2**20
"""The published checkpoints' are under 1 MB; the numbers lie outside of it."""
MAX_ATTRIBUTES = 100_000
"""That a pickle may copy into its objects: a short one could else copy a long dictionary a million times."""
MAX_ARGUMENTS = 8
MAX_ENCODED_LETTERS = 16
MAX_NAME_LETTERS = 200

BFLOAT16 = np.dtype([("bfloat16", "<u2")])
"""numpy has no such type; :func:`widened` makes float32 of it."""
STORAGE_TYPES: dict[str, np.dtype[Any]] = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": BFLOAT16,
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("<i1"),
    "ByteStorage": np.dtype("<u1"),
    "BoolStorage": np.dtype("<?"),
}
SCALAR_TYPES = ("f4", "f8", "i4", "i8", "u1", "b1")

UNPICKLING_FAILURES = (
    pickle.UnpicklingError,
    struct.error,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    MemoryError,
    RecursionError,
)
"""What a damaged pickle makes Python's unpickler raise."""


class RefusedError(Exception):
    """The pickle asks for something that only a program would need."""


def is_torch_file(path: str | Path) -> bool:
    """Whether a file begins as torch.save's do; says nothing of the rest."""
    with open(path, "rb") as file:
        return file.read(len(ZIP_MAGIC)) == ZIP_MAGIC


def read_torch_file(path: str | Path, *, check_sums: bool = False) -> Any:
    """The objects of a file of torch.save.

    Tensors are arrays of numpy, mapped from the file where they lie, read only (bfloat16: see
    :func:`widened`). Objects with attributes (``argparse.Namespace``, ``EasyDict``) are dictionaries.

    Args:
        path: the file.
        check_sums: read every member once and compare it with its sum.

    Raises:
        InputError: it is no such file, is cut short or damaged, or its pickle asks for more than plain data.
    """
    path = Path(path)
    with (
        zip_failures(path, "not a whole file of torch.save (zip form, torch 1.6 and later)"),
        zipfile.ZipFile(path) as archive,
    ):
        refuse_bomb(archive, path)
        broken = archive.testzip() if check_sums else None
        if broken is not None:
            raise InputError(f"damaged: {broken} does not read back", where=path)
        members = {info.filename: info for info in archive.infolist()}
        programs = [name for name in members if name.split("/", 1)[-1] == "data.pkl"]
        if len(programs) != 1:
            raise InputError("not a file of torch.save: it holds no data.pkl", where=path)
        require_stored(members[programs[0]], MAX_PICKLE_BYTES, path)
        program = archive.read(programs[0])
    storages = Storages(path, members, programs[0].removesuffix("data.pkl"))
    try:
        return InertUnpickler(program, storages).load()
    except RefusedError as refused:
        raise InputError(
            f"its pickle asks for {refused}, which is more than plain data; nothing was executed",
            where=path,
            hint="take checkpoints only from people you trust, or re-save it with weights alone",
        ) from refused
    except UNPICKLING_FAILURES as error:
        raise InputError("damaged: its pickle does not read to the end", where=path) from error


def require_stored(info: zipfile.ZipInfo, limit: int, path: Path) -> None:
    """Refuse a member that is compressed, or longer than ``limit``."""
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > limit:
        raise InputError(
            f"{info.filename} is compressed or has {info.file_size} bytes, expected at most {limit}",
            where=path,
        )


def widened(array: AnyArray) -> AnyArray:
    """Numbers as numpy has them: bfloat16 as float32, all others as they are."""
    if array.dtype != BFLOAT16:
        return array
    return (array.view("<u2").astype(np.uint32) << 16).view(np.float32)


class Storages:
    """The members of the archive that hold numbers, mapped when a tensor asks for them.

    Args:
        path: the file.
        members: its directory.
        root: folder inside the archive, with its slash.
    """

    def __init__(self, path: Path, members: dict[str, zipfile.ZipInfo], root: str) -> None:
        self.path, self.members, self.root = path, members, root
        self.file: AnyArray = np.memmap(path, np.uint8, mode="r")

    def numbers(self, key: str, dtype: np.dtype[Any]) -> AnyArray:
        """All numbers of a member, ``(n,)``; none where there is no such member.

        Raises:
            InputError: it is compressed, or does not lie in the file.
        """
        info = self.members.get(f"{self.root}data/{key}")
        if info is None:
            return np.zeros(0, dtype)
        require_stored(info, info.file_size, self.path)
        # Its bytes are behind its local header, whose length is its own.
        header = self.file[info.header_offset :][:LOCAL_HEADER_BYTES].tobytes()
        if len(header) < LOCAL_HEADER_BYTES or not header.startswith(ZIP_MAGIC):
            raise InputError(f"damaged: {info.filename} does not begin where it should", where=self.path)
        start = info.header_offset + LOCAL_HEADER_BYTES + sum(struct.unpack("<HH", header[26:]))
        data = self.file[start : start + info.file_size]
        if len(data) < info.file_size:
            raise InputError(f"cut short: {info.filename} does not lie in the file", where=self.path)
        return data[: len(data) // dtype.itemsize * dtype.itemsize].view(dtype)

    def tensor(self, storage: object, offset: object, shape: object, stride: object, *_: object) -> AnyArray:
        """A view of a member's numbers: neither past their end, nor more numbers than there are."""
        first, lengths, steps = sizes([offset]), sizes(shape), sizes(stride)
        if not (isinstance(storage, np.ndarray) and first and lengths is not None and steps is not None):
            raise RefusedError("a tensor that is not described by a storage, an offset, sizes and strides")
        last = first[0] + sum((length - 1) * step for length, step in zip(lengths, steps, strict=True))
        count, held = math.prod(lengths), len(storage)
        if count == 0 or last >= held or count > held:
            raise InputError(f"a tensor of {list(lengths)} reaches past its {held} numbers", where=self.path)
        size = storage.dtype.itemsize
        strides = tuple(step * size for step in steps)
        tensor: AnyArray = np.ndarray(lengths, storage.dtype, storage, first[0] * size, strides)
        return tensor


def empty_record(*arguments: object) -> dict[Any, Any]:
    """An object whose items or attributes are set afterwards."""
    if arguments:
        raise RefusedError("an object that is made of others")
    return {}


def parameter(tensor: object, *_: object) -> object:
    return tensor


def scalar_type(code: object, *_: object) -> np.dtype[Any]:
    """``numpy.dtype``, of a scalar."""
    if not isinstance(code, str) or code not in SCALAR_TYPES:
        raise RefusedError("a numpy type that no setting has")
    return np.dtype(f"<{code}")


def scalar(dtype: object, data: object) -> Any:
    """One of numpy's numbers, as Python's."""
    if not isinstance(dtype, np.dtype) or dtype.names or not isinstance(data, bytes):
        raise RefusedError("a numpy scalar of an unknown type")
    [value] = np.frombuffer(data, dtype).tolist()
    return value


def latin1_bytes(text: object, encoding: object) -> bytes:
    """A few bytes, as the older protocols write them."""
    if not isinstance(text, str) or len(text) > MAX_ENCODED_LETTERS or encoding != "latin1":
        raise RefusedError("more bytes than a number has, or in an encoding other than latin1")
    return text.encode("latin1")


BUILDERS: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): empty_record,
    ("easydict", "EasyDict"): empty_record,
    ("argparse", "Namespace"): empty_record,
    ("torch._utils", "_rebuild_parameter"): parameter,
    ("numpy", "dtype"): scalar_type,
    ("numpy.core.multiarray", "scalar"): scalar,
    ("numpy._core.multiarray", "scalar"): scalar,
    ("_codecs", "encode"): latin1_bytes,
}
"""All that a pickle may call, besides :meth:`Storages.tensor`. None copies what it is given, so that the time
and the memory of a pickle are in proportion to its length."""


STEPS: dict[int, Callable[[Any], None]] = dict(pickle._Unpickler.dispatch)
"""Python's own step for each code of a pickle."""


def plain_keys(code: bytes, keys: slice) -> Callable[[Any], None]:
    """A step of the unpickler that stores under keys, after a look at them.

    Only short keys: nested tuples are small to write, and finding their place takes longer than the universe
    has.

    Args:
        code: of the step.
        keys: where on the stack the keys are.
    """

    def step(unpickler: Any) -> None:
        for key in unpickler.stack[keys]:
            small = isinstance(key, int) and key.bit_length() < 64
            if not (key is None or small or isinstance(key, (str, float, bytes))):
                raise RefusedError(f"a {type(key).__name__} as a key")
        STEPS[code[0]](unpickler)

    return step


def refuse(_: Any, *__: object) -> None:
    """In place of a step of the unpickler."""
    raise RefusedError("a step that no checkpoint needs")


class InertUnpickler(pickle._Unpickler):
    """Python's own unpickler, the one in Python, with every step replaced that calls or sets something."""

    stack: list[Any]
    append: Callable[[Any], None]
    num_attributes = 0

    def __init__(self, program: bytes, storages: Storages) -> None:
        super().__init__(io.BytesIO(program))
        self.storages = storages

    def find_class(self, module: str, name: str) -> Any:
        """Never imports: a name is one of ours, or it is refused."""
        if module == "torch" and name in STORAGE_TYPES:
            return STORAGE_TYPES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self.storages.tensor
        if (module, name) not in BUILDERS:
            raise RefusedError(f"{module}.{name}"[:MAX_NAME_LETTERS])
        return BUILDERS[module, name]

    def persistent_load(self, pid: Any) -> AnyArray:
        """A storage: ``("storage", type, key, device, count)``."""
        match pid:
            case (_, np.dtype() as dtype, str(key), *_):
                return self.storages.numbers(key, dtype)
        raise RefusedError("a stored object that is not a tensor's numbers")

    def _instantiate(self, builder: Any, arguments: Any) -> None:
        """The one place where something is called: what :meth:`find_class` gave."""
        if not isinstance(builder, (FunctionType, MethodType)) or not isinstance(arguments, (tuple, list)):
            raise RefusedError("a call of something that is no builder")
        if len(arguments) > MAX_ARGUMENTS:
            raise RefusedError("a call with arguments without end")
        self.append(builder(*arguments))

    def call(self) -> None:
        arguments, builder = self.stack.pop(), self.stack.pop()
        self._instantiate(builder, arguments)

    def set_attributes(self) -> None:
        """Attributes of a record join its items; nothing else of the file may have any."""
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, dict) and isinstance(state, dict):
            self.num_attributes += len(state)
            if self.num_attributes > MAX_ATTRIBUTES:
                raise RefusedError("copies without end")
            target.update(state)
        elif not isinstance(target, np.dtype):  # whose state is the order of bytes
            raise RefusedError("attributes of an object that has none")

    get_extension = refuse

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **STEPS,
        pickle.REDUCE[0]: call,
        pickle.NEWOBJ[0]: call,
        pickle.NEWOBJ_EX[0]: refuse,
        pickle.BUILD[0]: set_attributes,
        pickle.SETITEM[0]: plain_keys(pickle.SETITEM, slice(-2, -1)),
        pickle.SETITEMS[0]: plain_keys(pickle.SETITEMS, slice(0, None, 2)),
        pickle.DICT[0]: plain_keys(pickle.DICT, slice(0, None, 2)),
        pickle.ADDITEMS[0]: plain_keys(pickle.ADDITEMS, slice(None)),
        pickle.FROZENSET[0]: refuse,
        # Python takes as much memory as it claims to need, and then looks whether it is there.
        pickle.BYTEARRAY8[0]: refuse,
    }
