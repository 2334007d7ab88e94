"""Finds encoders by name: the built-in ones, those that other packages bring, and ``package.module:Class``.

Importing this imports no encoder.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import cast

from amr.encoders.base import Encoder, EncoderIdentity
from amr.errors import MissingError, UsageError

DEFAULT_ENCODER = "yamnet"
ENTRY_POINT_GROUP = "amr.encoders"
BUILT_IN = {
    "yamnet": "amr.encoders.yamnet:YamnetEncoder",
    "clap": "amr.encoders.clap:ClapEncoder",
    "clap-dense": "amr.encoders.clap:ClapDenseEncoder",
    "msclap": "amr.encoders.msclap:MsClapEncoder",
}

EncoderFactory = Callable[..., Encoder]


def encoder_names() -> list[str]:
    """What ``--encoder`` takes by name, sorted."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=ENTRY_POINT_GROUP))})


def find_encoder(name: str) -> EncoderFactory:
    """The class, or other callable, that makes the encoder ``name``.

    Raises:
        UsageError: there is no encoder of that name; lists those that there are.
        MissingError: there is one, and what it needs cannot be imported.
    """
    brought = {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}
    target = {**brought, **BUILT_IN}.get(name, name)
    module_name, colon, attribute = target.partition(":")
    if not (colon and module_name and attribute):
        known = ", ".join(encoder_names())
        raise UsageError(
            f"no encoder {name!r}", where="--encoder", hint=f"there are: {known}; or package.module:Class"
        )
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise MissingError(f"encoder {name!r} cannot be imported: {error}", where="--encoder") from error
    return cast(EncoderFactory, found)


def load_encoder(name: str = DEFAULT_ENCODER, *, hop_s: float | None = None, device: str = "cpu") -> Encoder:
    """The encoder ``name``, with frames every ``hop_s`` seconds (None: its own hop), on ``device``.

    The embedded encoder loads its weights when they are first used, text and audio apart.

    Raises:
        UsageError: no such encoder, or it has no frames at that hop.
        MissingError: something that it needs is not installed.
    """
    return find_encoder(name)(hop_s=hop_s, device=device)


def encoder_of(identity: EncoderIdentity, *, device: str = "cpu") -> Encoder:
    """An encoder that makes features of this identity, its hop and, where it has a choice, its window.

    Whether it is the very same (weights, framing) is for the caller to compare.

    Raises:
        UsageError: there is none of that name here.
        MissingError: something that it needs is not installed.
    """
    factory = find_encoder(identity.name)
    has_choice = "window_s" in inspect.signature(factory).parameters
    window = {"window_s": identity.window_s} if has_choice else {}
    return factory(hop_s=identity.hop_s, device=device, **window)


def identity_of(name: str = DEFAULT_ENCODER, *, hop_s: float | None = None) -> EncoderIdentity:
    """The identity of features that ``load_encoder(name, hop_s=hop_s)`` would make."""
    return load_encoder(name, hop_s=hop_s).identity
