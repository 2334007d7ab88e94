"""UVCOM's sizes, and the switches that only it has."""

from __future__ import annotations

from dataclasses import dataclass, fields

from amr.models.config import NetworkConfig, checked

WALKS = ("released", "paper")


@dataclass(frozen=True)
class Switches:
    """What ``network.options`` may hold; the defaults are those of Lighthouse's ``uvcom.yml``.

    Args:
        text_slots: vectors that a text is gathered into.
        audio_slots: vectors that a recording is gathered into.
        gather_rounds: rounds of expectation maximisation.
        walk: the random walk between frames and text as ``released``, or its limit as in the ``paper``.
        contrast: weight of the contrastive losses.
    """

    text_slots: int = 5
    audio_slots: int = 30
    gather_rounds: int = 5
    walk: str = "released"
    contrast: float = 1.0

    @staticmethod
    def of(config: NetworkConfig) -> Switches:
        """The switches of a configuration.

        Raises:
            ValueError: one is unknown or cannot be.
        """
        kinds = {
            field.name: {"int": int, "str": str, "float": float}[field.type] for field in fields(Switches)
        }
        unknown = sorted(config.options.keys() - kinds.keys())
        if unknown:
            raise ValueError(f"options.{unknown[0]} is none of UVCOM's: {', '.join(kinds)}")
        found = Switches(**{k: checked(v, kinds[k], f"options.{k}") for k, v in config.options.items()})
        if found.walk not in WALKS:
            raise ValueError(f"options.walk is {found.walk!r}, expected one of {', '.join(WALKS)}")
        for name in ("text_slots", "audio_slots", "gather_rounds"):
            if not 1 <= getattr(found, name) <= 1000:
                raise ValueError(f"options.{name} is {getattr(found, name)}, expected 1 to 1000")
        if config.hidden_dim % (4 * config.heads):
            raise ValueError(f"hidden_dim {config.hidden_dim} is not a multiple of 4 x {config.heads} heads")
        return found


NETWORK = NetworkConfig(architecture="uvcom", cross_layers=3, encoder_layers=3, decoder_layers=3, queries=30)
SIZES = ("hidden_dim", "heads", "feedforward_dim", "queries")
LAYERS = ("projection_layers", "cross_layers", "encoder_layers", "decoder_layers")
USES = (*SIZES, *LAYERS, "dropout", "input_dropout")
