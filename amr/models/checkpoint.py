"""Checkpoints: safetensors, with everything that is needed to use and to doubt them in the header.

A safetensors file is a length, a JSON header and raw numbers; reading one executes nothing. The header says
which network, which encoder's features it takes, and how it came about. All of it is checked against the
file's size and against the network's own shapes before any number is read.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from amr.encoders.base import EncoderIdentity
from amr.errors import InputError
from amr.formats.encoder_names import checked_name
from amr.formats.streams import open_output
from amr.formats.tensor_header import read_header as read_header  # also for amr.training.runstate
from amr.formats.tensor_header import tensor_places
from amr.models.build import Network, build_network
from amr.models.config import NetworkConfig

FORMAT = "model"
SCHEMA = "1"
UNKNOWN_ENCODER = "unknown"

FLOATS = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True)
class Checkpoint:
    """A trained network and its papers.

    Args:
        config: the network's shape and switches.
        weights: its parameters by name, float32.
        encoder: what made the features that it was trained on; its name is ``unknown`` where a foreign
            checkpoint does not say.
        preset: the published system it is, for people.
        history: the command lines that made it, oldest first.
        metrics: measured figures by name.
        data_sha256: hash of each file it was trained on, by name.
        training: the effective configuration of the training run.
    """

    config: NetworkConfig
    weights: Mapping[str, Tensor]
    encoder: EncoderIdentity
    preset: str = ""
    history: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    data_sha256: Mapping[str, str] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> Network:
        """A network of its own with these weights, in evaluation mode, on the CPU.

        Raises:
            ValueError: the weights are not this network's; checked already for a checkpoint that was read.
        """
        with torch.device("meta"):
            network = build_network(self.config)
        problem = shape_problem(network, {name: tuple(w.shape) for name, w in self.weights.items()})
        if problem:
            raise ValueError(problem)
        own = {name: w.to(torch.float32, copy=True) for name, w in self.weights.items()}
        network.load_state_dict(own, assign=True)
        return network.requires_grad_().eval()


def write_checkpoint(
    target: str | Path, checkpoint: Checkpoint, *, dtype: torch.dtype = torch.float32, force: bool = False
) -> None:
    """Write ``checkpoint``; the name appears only when the file is complete.

    Args:
        target: file name, or ``-``.
        checkpoint: what to write.
        dtype: type of the stored numbers; float16 halves the file.
        force: replace an existing file.

    Raises:
        ValueError: a weight is not a finite number in ``dtype``.
        InputError: the file exists and ``force`` is not set, or cannot be made.
    """
    from safetensors.torch import save

    weights = {name: w.detach().to("cpu", dtype).contiguous() for name, w in checkpoint.weights.items()}
    unsound = first_not_finite(weights)
    if unsound:
        raise ValueError(f"{unsound} is not finite in {dtype}")
    header = {
        "amr_format": FORMAT,
        "schema": SCHEMA,
        "network": json.dumps(checkpoint.config.to_fields(), sort_keys=True),
        "encoder": checkpoint.encoder.to_json(),
        "preset": checkpoint.preset,
        "history": json.dumps(list(checkpoint.history)),
        "metrics": json.dumps(dict(checkpoint.metrics), sort_keys=True),
        "data_sha256": json.dumps(dict(checkpoint.data_sha256), sort_keys=True),
        "training": json.dumps(dict(checkpoint.training), sort_keys=True),
    }
    with open_output(target, force=force) as file:
        file.write(sorted_header(save(weights, metadata=header)))


def sorted_header(data: bytes) -> bytes:
    """The same safetensors file with its header's keys in order: same checkpoint, same bytes."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    ordered = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    ordered += b" " * (-len(ordered) % 8)
    return struct.pack("<Q", len(ordered)) + ordered + data[8 + length :]


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint of :func:`write_checkpoint`.

    Raises:
        InputError: the file is no such checkpoint, is cut short or damaged, claims more than it holds, does
            not fit the network it names, or holds weights that are not finite numbers.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    header = read_header(path)
    said = header.pop("__metadata__", None)
    if not isinstance(said, dict) or said.get("amr_format") != FORMAT:
        raise InputError(
            "a safetensors file, but not a model of amr (its header lacks amr_format: model)", where=path
        )
    if said.get("schema") != SCHEMA:
        raise InputError(f"model schema {said.get('schema')!r}, expected {SCHEMA!r}", where=path)
    config, encoder = _config(said, path), _encoder(said, path)
    _require_shapes(config, header, path)
    try:
        weights = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"damaged: {one_line(error)}", where=path) from error
    unsound = first_not_finite(weights)
    if unsound:
        raise InputError(f"weight {unsound} holds values that are not finite", where=path)
    return Checkpoint(
        config=config,
        weights={name: w.float() for name, w in weights.items()},
        encoder=encoder,
        preset=str(said.get("preset", "")),
        history=tuple(str(line) for line in _json(said, "history", list, path)),
        metrics=_json(said, "metrics", dict, path),
        data_sha256=_json(said, "data_sha256", dict, path),
        training=_json(said, "training", dict, path),
    )


def shape_problem(network: torch.nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """What is wrong with ``shapes`` as the parameters of ``network``, or nothing."""
    expected = {name: tuple(w.shape) for name, w in network.state_dict().items()}
    for name in sorted(expected.keys() | shapes.keys()):
        if name not in shapes:
            return f"weight {name} is missing"
        if name not in expected:
            return f"weight {name} is unknown to this network"
        if shapes[name] != expected[name]:
            return f"weight {name} has shape {list(shapes[name])}, expected {list(expected[name])}"
    return ""


def first_not_finite(weights: Mapping[str, Tensor]) -> str:
    """Name of the first tensor with a value that is not a finite number, or nothing."""
    for name in sorted(weights):
        if not bool(torch.isfinite(weights[name]).all()):
            return name
    return ""


def one_line(error: Exception) -> str:
    """An error of another library, fit for our one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _config(said: Mapping[str, Any], path: str | Path) -> NetworkConfig:
    try:
        return NetworkConfig.from_fields(_json(said, "network", dict, path))
    except ValueError as error:
        raise InputError(str(error), where=path) from error


def _encoder(said: Mapping[str, Any], path: str | Path) -> EncoderIdentity:
    try:
        identity = EncoderIdentity.from_json(str(said.get("encoder", "")))
        checked_name(identity.name)
        return identity
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError("its header does not say which encoder's features it takes", where=path) from error


def _json(said: Mapping[str, Any], key: str, kind: type, path: str | Path) -> Any:
    try:
        value = json.loads(str(said.get(key, "")))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{key!r} in its header is not JSON", where=path) from error
    if not isinstance(value, kind):
        raise InputError(f"{key!r} in its header is not a JSON {kind.__name__}", where=path)
    return value


def _require_shapes(config: NetworkConfig, header: Mapping[str, Any], path: str | Path) -> None:
    """The header's tensors are the network's, and the file is as long as they are."""
    places = tensor_places(header, path)
    for name, place in places.items():
        if place.dtype not in FLOATS:
            raise InputError(f"weight {name} is {place.dtype}, a type that no weight has", where=path)
    with torch.device("meta"):
        network = build_network(config)
    problem = shape_problem(network, {name: place.shape for name, place in places.items()})
    if problem:
        raise InputError(f"does not hold the network it names: {problem}", where=path)
    num_bytes = sum(place.num_bytes for place in places.values())
    if num_bytes > Path(path).stat().st_size:
        raise InputError(f"cut short: its weights take {num_bytes} bytes", where=path)
