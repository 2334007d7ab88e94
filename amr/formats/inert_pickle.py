"""Python's pickles as plain data, without executing anything.

A pickle is a program. Here it may call nothing but the few inert builders of this module: plain containers,
records of attributes as dictionaries, descriptions of tensors, and numpy's scalars. Any other name is refused
before it is looked up, so no import and no call of the file's own choosing ever happens.
"""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

MAX_PICKLE_BYTES = 16 * 2**20  # the published checkpoints' are under 1 MB; the numbers lie outside of it

MOST_NAME_LETTERS = 200

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


def build_record(*pairs: object) -> Record:
    return Record(checked_pairs(pairs))


def build_ordered(*pairs: object) -> OrderedDict[Any, Any]:
    return OrderedDict(checked_pairs(pairs))


def checked_pairs(arguments: tuple[object, ...]) -> Any:
    """What a dictionary is made of: nothing, another one, or a list of pairs with plain keys."""
    pairs = arguments[0] if arguments else []
    if isinstance(pairs, dict):
        return pairs
    if len(arguments) > 1 or not isinstance(pairs, list) or not all(map(is_pair, pairs)):
        raise RefusedError("a dictionary of something other than pairs")
    for key, _ in pairs:
        check_key(key)
    return pairs


def is_pair(value: object) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2


def check_key(key: object) -> None:
    """Only plain keys: finding the place of nested tuples can take longer than the universe has."""
    if key is not None and not isinstance(key, (str, int, float, bytes)):
        raise RefusedError(f"a {type(key).__name__} as a key")


BUILDERS: dict[tuple[str, str], Callable[..., object]] = {
    ("collections", "OrderedDict"): build_ordered,
    ("easydict", "EasyDict"): build_record,
    ("argparse", "Namespace"): build_record,
    ("torch._utils", "_rebuild_tensor_v2"): build_tensor,
    ("torch._utils", "_rebuild_parameter"): build_parameter,
    ("numpy", "dtype"): NumpyType,
    ("numpy.core.multiarray", "scalar"): build_scalar,
    ("numpy._core.multiarray", "scalar"): build_scalar,
    ("_codecs", "encode"): encode,
}


class InertUnpickler(pickle._Unpickler):
    """Python's own unpickler in Python, whose steps can be replaced one by one.

    Names are never imported, nothing but a builder is called, keys are plain, and all calls together are
    given no more than a pickle can hold: a short one could else copy a long list a million times.
    """

    stack: list[Any]
    spent = 0

    def find_class(self, module: str, name: str) -> Any:
        """Never imports: a name is one of ours, or it is refused."""
        if module == "torch" and name in STORAGE_TYPES:
            return StorageType(STORAGE_TYPES[name])
        builder = BUILDERS.get((module, name))
        if builder is None:
            raise RefusedError(f"{module}.{name}"[:MOST_NAME_LETTERS])
        return builder

    def persistent_load(self, pid: Any) -> Storage:
        """A storage: ``("storage", type, key, device, count)``."""
        if not (isinstance(pid, tuple) and len(pid) >= 3 and isinstance(pid[1], StorageType)):
            raise RefusedError("a stored object that is not a tensor's numbers")
        if not isinstance(pid[2], str):
            raise RefusedError("a storage without a name")
        return Storage(pid[2], pid[1].code)

    def spend(self, *arguments: object) -> None:
        """Count what is handed to a builder."""
        self.spent += sum(len(a) for a in arguments if isinstance(a, (str, bytes, list, tuple, dict)))
        if self.spent > MAX_PICKLE_BYTES:
            raise RefusedError("copies without end")

    def build(self, builder: Any, arguments: Any) -> None:
        """The builder's object onto the stack."""
        if not any(builder is known for known in BUILDERS.values()) or not isinstance(
            arguments, (tuple, list)
        ):
            raise RefusedError("a call of something that is no builder")
        self.spend(*arguments)
        self.stack.append(builder(*arguments))

    def reduce(self: Any) -> None:
        """A builder and its arguments lie on the stack."""
        arguments, builder = self.stack.pop(), self.stack.pop()
        self.build(builder, arguments)

    def call_from_mark(self: Any) -> None:
        builder, *arguments = self.pop_mark()
        self.build(builder, arguments)

    def call_by_name(self: Any) -> None:
        module, name = (self.readline()[:-1].decode("ascii") for _ in range(2))
        self.build(self.find_class(module, name), self.pop_mark())

    def set_state(self: Any) -> None:
        """Attributes of a record join its items; nothing else of the file may set attributes."""
        state = self.stack.pop()
        target = self.stack[-1]
        if type(target) is Record and isinstance(state, dict):
            self.spend(state)
            target.update(state)
        elif type(target) not in (Record, OrderedDict, NumpyType):
            raise RefusedError("attributes of an object that has none")

    def set_items(self: Any) -> None:
        """Keys and values above the mark go into the dictionary below it."""
        items = self.pop_mark()
        put_items(self.stack[-1], items)

    def set_item(self: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        put_items(self.stack[-1], [key, value])

    def make_dict(self: Any) -> None:
        items = self.pop_mark()
        self.stack.append({})
        put_items(self.stack[-1], items)

    def add_members(self: Any) -> None:
        """Members above the mark go into the set below it."""
        items = self.pop_mark()
        for item in items:
            check_key(item)
        if not isinstance(self.stack[-1], set):
            raise RefusedError("members of something that is no set")
        self.stack[-1].update(items)

    def refuse(self: Any) -> None:
        raise RefusedError("a step that no checkpoint needs")

    dispatch = {  # noqa: RUF012  # replaces single steps
        **pickle._Unpickler.dispatch,
        pickle.BUILD[0]: set_state,
        pickle.REDUCE[0]: reduce,
        pickle.NEWOBJ[0]: reduce,
        pickle.OBJ[0]: call_from_mark,
        pickle.INST[0]: call_by_name,
        pickle.SETITEM[0]: set_item,
        pickle.SETITEMS[0]: set_items,
        pickle.DICT[0]: make_dict,
        pickle.ADDITEMS[0]: add_members,
        pickle.FROZENSET[0]: refuse,
        pickle.NEWOBJ_EX[0]: refuse,
        pickle.EXT1[0]: refuse,
        pickle.EXT2[0]: refuse,
        pickle.EXT4[0]: refuse,
        # Python takes as much memory as it claims to need, and then looks whether it is there.
        pickle.BYTEARRAY8[0]: refuse,
    }


def put_items(target: object, items: list[Any]) -> None:
    """``key, value, key, value ...`` into a dictionary."""
    if not isinstance(target, dict) or len(items) % 2:
        raise RefusedError("items of something that is no dictionary")
    for key, value in zip(items[::2], items[1::2], strict=True):
        check_key(key)
        target[key] = value


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
