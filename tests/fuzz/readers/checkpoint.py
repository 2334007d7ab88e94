"""Our checkpoints: safetensors with a header of JSON, and JSON inside that."""

from __future__ import annotations

import json
import random
import struct
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from amr.encoders.base import EncoderIdentity
from amr.models.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from amr.models.config import NetworkConfig
from amr.models.detr.network import DetrNetwork

from ..target import RawMutation, Target
from ..told import tell
from ..trees import change

SMALL = NetworkConfig(
    audio_dim=2,
    text_dim=2,
    hidden_dim=8,
    heads=1,
    feedforward_dim=2,
    projection_layers=1,
    cross_layers=1,
    encoder_layers=1,
    decoder_layers=1,
    queries=1,
    window_frames=8,
    max_tokens=4,
)


@cache
def sound() -> bytes:
    """The smallest network there is."""
    torch.manual_seed(0)
    encoder = EncoderIdentity("fake", "0" * 64, 16000, 15600, 7680, 2, 2, 2)
    weights = DetrNetwork(SMALL).state_dict()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "m.safetensors"
        metrics = {"loss": 0.5}
        write_checkpoint(
            path, Checkpoint(SMALL, encoder, "am-detr", ("amr train",), metrics, weights=weights)
        )
        return path.read_bytes()


def seeds() -> list[bytes]:
    whole = sound()
    claims = struct.pack("<Q", 2**30) + whole[8:400]
    plain = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    return [
        whole,
        whole[:-100],
        claims,
        struct.pack("<Q", len(plain)) + plain + bytes(4),
        b"\x02" + bytes(7) + b"{}",
    ]


def read(data: bytes, folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(data)
    tell(path)
    read_checkpoint(path).build()


def parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and numbers. Raises ``ValueError`` where there is no header."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    if not isinstance(header, dict):
        raise ValueError("no header")
    return header, data[8 + length :]


def mutate(data: bytes, rng: random.Random, raw: RawMutation) -> bytes:
    try:
        header, numbers = parts(data)
    except (ValueError, RecursionError):
        return raw(data)
    act = rng.randrange(5)
    if act == 0:
        return raw(data)
    if act == 1:
        text = raw(json.dumps(header).encode())
        return struct.pack("<Q", len(text)) + text + numbers
    if act == 2:
        return data[: len(data) - len(numbers)] + raw(numbers)
    said = header.get("__metadata__")
    if act == 3 and isinstance(said, dict) and said:
        key = rng.choice(sorted(said))
        try:
            said[key] = json.dumps(change(json.loads(str(said[key])), rng))
        except (ValueError, RecursionError):
            said[key] = raw(str(said[key]).encode("utf-8", "replace")).decode("utf-8", "replace")
    else:
        change(header, rng)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + numbers


TARGET = Target(
    read=read,
    seeds=seeds,
    modules=("amr.models.checkpoint", "amr.models.config"),
    words=(b'"dtype":"F64"', b'"dtype":"BF16"', b'"shape":[0]', b'"shape":[18446744073709551615,2]'),
    mutate=mutate,
    max_bytes=16384,
)
