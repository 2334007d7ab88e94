"""Trained networks and their files (:mod:`amr.models.model_file`), with weights as torch has them."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from amr.errors import InputError
from amr.formats.streams import open_output
from amr.formats.untrusted.checksum import CHECKSUM_KEY, UNSET, with_checksum
from amr.models.build import Network, build_network
from amr.models.model_file import FORMAT, SCHEMA, ModelHeader, open_model, shape_problem


@dataclass(frozen=True, kw_only=True)
class Checkpoint(ModelHeader):
    """A trained network and its metadata.

    Args:
        weights: its parameters by name, float32.
    """

    weights: Mapping[str, Tensor]

    def build(self) -> Network:
        """A network of its own with these weights, in evaluation mode, on the CPU.

        Raises:
            ValueError: the weights are not this network's; checked already for a checkpoint that was read.
        """
        with torch.device("meta"):
            network = build_network(self.config)
        problem = shape_problem(shapes_of(network), {n: tuple(w.shape) for n, w in self.weights.items()})
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
        CHECKSUM_KEY: UNSET,
        "network": json.dumps(checkpoint.config.to_fields(), sort_keys=True),
        "encoder": checkpoint.encoder.to_json(),
        "preset": checkpoint.preset,
        "history": json.dumps(list(checkpoint.history)),
        "metrics": json.dumps(dict(checkpoint.metrics), sort_keys=True),
        "data_sha256": json.dumps(dict(checkpoint.data_sha256), sort_keys=True),
        "training": json.dumps(dict(checkpoint.training), sort_keys=True),
    }
    with open_output(target, force=force) as file:
        file.write(finished_file(save(weights, metadata=header)))


def finished_file(data: bytes) -> bytes:
    """The same safetensors file with its header's keys in order (same checkpoint, same bytes) and its sum."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    ordered = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    ordered += b" " * (-len(ordered) % 8)
    return with_checksum(struct.pack("<Q", len(ordered)) + ordered + data[8 + length :])


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint of :func:`write_checkpoint`.

    Raises:
        InputError: the file is no such checkpoint, is cut short or damaged, claims more than it holds, does
            not fit the network it names, or holds weights that are not finite numbers.
    """
    from safetensors.torch import load

    file = open_model(path)
    with torch.device("meta"):
        network = build_network(file.header.config)
    file.require_shapes(shapes_of(network))
    weights = file.load(load)
    unsound = first_not_finite(weights)
    if unsound:
        raise InputError(f"weight {unsound} holds values that are not finite", where=path)
    return Checkpoint(weights={name: w.float() for name, w in weights.items()}, **vars(file.header))


def shapes_of(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    """Every weight's name and shape."""
    return {name: tuple(w.shape) for name, w in network.state_dict().items()}


def first_not_finite(weights: Mapping[str, Tensor]) -> str:
    """Name of the first tensor with a value that is not a finite number, or nothing."""
    for name in sorted(weights):
        if not bool(torch.isfinite(weights[name]).all()):
            return name
    return ""
