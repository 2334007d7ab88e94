"""Finds encoders by name: the built-in ones, those that other packages bring, and ``package.module:Class``.

Importing this imports no encoder.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, cast

from amr.encoders.base import Encoder, EncoderIdentity
from amr.encoders.checked import CheckedEncoder
from amr.errors import UsageError
from amr.plugins import PluginGroup

DEFAULT_ENCODER = "yamnet"
BUILT_IN = {
    "yamnet": "amr.encoders.yamnet.encoder:YamnetEncoder",
    "clap": "amr.encoders.clap.laion:ClapEncoder",
    "clap-dense": "amr.encoders.clap.laion:ClapDenseEncoder",
    "msclap": "amr.encoders.clap.msclap:MsClapEncoder",
}
ENCODERS = PluginGroup("encoder", "amr.encoders", "AMR_ENCODERS", "--encoder", BUILT_IN)

EncoderFactory = Callable[..., Encoder]


def encoder_names() -> list[str]:
    """What ``--encoder`` takes by name, sorted."""
    return sorted(ENCODERS.targets())


def find_encoder(name: str) -> EncoderFactory:
    """The class, or other callable, that makes the encoder ``name``; that of a plug-in makes a checked one.

    Raises:
        UsageError: there is no encoder of that name; lists those that there are.
        PluginError: there is one, and it cannot be imported, or is nothing that makes encoders.
    """
    found = ENCODERS.find(name)
    if name in BUILT_IN:
        return cast(EncoderFactory, found)
    if not callable(found):
        raise CheckedEncoder(found, name).wrong("is not a class, nor any other callable")
    return checked_factory(found, name)


def checked(encoder: Encoder) -> Encoder:
    """An encoder that is given as such, behind the same look."""
    is_ours = type(encoder).__module__.startswith("amr.encoders.")
    return encoder if is_ours else CheckedEncoder(encoder, type(encoder).__name__)


def checked_factory(factory: Callable[..., object], name: str) -> EncoderFactory:
    """``factory`` with the same parameters, whose encoders are checked and called by their own name."""

    def make(**settings: Any) -> Encoder:
        made = CheckedEncoder(None, name).guarded("making it", factory, **settings)
        encoder = CheckedEncoder(made, name)
        if name in ENCODERS.targets() and encoder.identity.name != name:
            raise encoder.wrong(
                f"identity.name is {encoder.identity.name!r}, expected {name!r}, the name of its entry point"
            )
        return encoder

    make.__signature__ = inspect.signature(factory)  # type: ignore[attr-defined]
    return make


def load_encoder(name: str = DEFAULT_ENCODER, *, hop_s: float | None = None, device: str = "cpu") -> Encoder:
    """The encoder ``name``, with frames every ``hop_s`` seconds (None: its own hop), on ``device``.

    The embedded encoder loads its weights when they are first used, text and audio apart.

    Raises:
        UsageError: no such encoder, or it has no frames at that hop.
        MissingError: something that it needs is not installed.
    """
    return find_encoder(name)(hop_s=hop_s, device=device)


def encoder_of(identity: EncoderIdentity, *, device: str = "cpu") -> Encoder:
    """An encoder that makes features of this identity: its hop and, where it has a choice, window, level.

    Whether it is the very same (weights, framing) is for the caller to compare.

    Raises:
        UsageError: there is none of that name here.
        MissingError: something that it needs is not installed.
    """
    try:
        factory = find_encoder(identity.name)
    except UsageError as error:
        where = f"package.module:Class, or {ENCODERS.variable}={identity.name}=package.module:Class"
        error.hint = f"say where it is: --encoder {where}"
        raise
    choices = {"window_s": identity.window_s, "normalisation": identity.normalisation}
    offered = inspect.signature(factory).parameters
    chosen: dict[str, Any] = {name: value for name, value in choices.items() if name in offered}
    return factory(hop_s=identity.hop_s, device=device, **chosen)


def identity_of(name: str = DEFAULT_ENCODER, *, hop_s: float | None = None) -> EncoderIdentity:
    """The identity of features that ``load_encoder(name, hop_s=hop_s)`` would make."""
    return load_encoder(name, hop_s=hop_s).identity
