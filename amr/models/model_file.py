"""A model's file as far as it can be read without its numbers: what it says, and whether that can be.

safetensors: a length, a JSON header and raw numbers. The header says which network, which encoder's features
it takes, and how it came about. All of it is checked against the file's size and against the network's own
shapes before any number is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from amr.encoders.base import EncoderIdentity
from amr.errors import InputError
from amr.formats.encoder_names import checked_name
from amr.formats.untrusted.checksum import require_checksum
from amr.formats.untrusted.tensor_header import METADATA_KEY, TensorPlace, read_header, tensor_places
from amr.models.config import NetworkConfig

FORMAT = "model"
SCHEMA = "1"
UNKNOWN_ENCODER = "unknown"
FLOATS = ("F64", "F32", "F16", "BF16")

Shapes = Mapping[str, tuple[int, ...]]
Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class ModelHeader:
    """What a model is, besides its weights.

    Args:
        config: the network's shape and switches.
        encoder: what made the features that it was trained on; its name is ``unknown`` where a foreign
            checkpoint does not say.
        preset: the published system it is, for people.
        history: the command lines that made it, oldest first.
        metrics: measured figures by name.
        data_sha256: hash of each file it was trained on, by name.
        training: the effective configuration of the training run.
    """

    config: NetworkConfig
    encoder: EncoderIdentity
    preset: str = ""
    history: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    data_sha256: Mapping[str, str] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelFile:
    """One file, its numbers unread.

    Args:
        path: where it is.
        header: what it says.
        places: where each weight lies.
        metadata: the header as it stands there.
    """

    path: Path
    header: ModelHeader
    places: Mapping[str, TensorPlace]
    metadata: Mapping[str, Any]

    def require_shapes(self, expected: Shapes) -> None:
        """Refuse a file whose weights are not those of the network it names, or that is shorter than they.

        Raises:
            InputError: says which weight.
        """
        problem = shape_problem(expected, {name: place.shape for name, place in self.places.items()})
        if problem:
            raise InputError(f"does not hold the network it names: {problem}", where=self.path)
        num_bytes = sum(place.num_bytes for place in self.places.values())
        if num_bytes > self.path.stat().st_size:
            raise InputError(f"cut short: its weights take {num_bytes} bytes", where=self.path)

    def load(self, load: Callable[[bytes], Loaded]) -> Loaded:
        """The weights as ``load``, of safetensors, reads them.

        Raises:
            InputError: the file is damaged.
        """
        from safetensors import SafetensorError

        data = self.path.read_bytes()
        require_checksum(data, self.metadata, self.path)
        try:
            return load(data)
        except (SafetensorError, OSError, ValueError) as error:
            raise InputError(f"damaged: {one_line(error)}", where=self.path) from error


def open_model(path: str | Path) -> ModelFile:
    """The header of a model's file.

    Raises:
        InputError: the file is no model of ours, or its header is not right.
    """
    header = read_header(path)
    said = header.pop(METADATA_KEY, None)
    if not isinstance(said, dict) or said.get("amr_format") != FORMAT:
        raise InputError(
            "a safetensors file, but not a model of amr (its header lacks amr_format: model)", where=path
        )
    if said.get("schema") != SCHEMA:
        raise InputError(f"model schema {said.get('schema')!r}, expected {SCHEMA!r}", where=path)
    config, encoder = _config(said, path), _encoder(said, path)
    places = tensor_places(header, path)
    for name, place in places.items():
        if place.dtype not in FLOATS:
            raise InputError(f"weight {name} is {place.dtype}, a type that no weight has", where=path)
    known = ModelHeader(
        config=config,
        encoder=encoder,
        preset=str(said.get("preset", "")),
        history=tuple(str(line) for line in _json(said, "history", list, path)),
        metrics=_json(said, "metrics", dict, path),
        data_sha256=_json(said, "data_sha256", dict, path),
        training=_json(said, "training", dict, path),
    )
    return ModelFile(Path(path), known, places, said)


def shape_problem(expected: Shapes, found: Shapes) -> str:
    """What is wrong with ``found`` as the weights of a network with those that are expected, or nothing."""
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            return f"weight {name} is missing"
        if name not in expected:
            return f"weight {name} is unknown to this network"
        if found[name] != expected[name]:
            return f"weight {name} has shape {list(found[name])}, expected {list(expected[name])}"
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
