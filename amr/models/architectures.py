"""Networks that other packages bring, by the entry point group ``amr.models`` (:mod:`amr.plugins`).

A package names an :class:`Architecture` there. Its name is then a preset of ``amr train``, and what stands in
the header of a trained model: a file names an installed package's architecture, never a module to import.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from amr.arrays import AnyArray
from amr.errors import MissingError, PluginError, UsageError
from amr.models.config import SCORE_FIELDS, NetworkConfig
from amr.models.inputs import NetworkInputs, NetworkOutputs
from amr.models.presets import PRESETS, Preset
from amr.plugins import NETWORKS


class OwnNetwork(nn.Module):
    """What every network of another package derives from.

    An item's result must not depend on its batch mates nor on padding. Its scores can be calibrated where its
    ``logits`` come from a linear map of two outputs called ``score_head``.

    Args:
        config: sizes and switches; ``config.options`` are the architecture's own.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config

    def forward(
        self,
        inputs: NetworkInputs,
        *,
        negatives: bool = False,
        negative_index: Tensor | None = None,
        first: None = None,
    ) -> NetworkOutputs:
        """Scored spans and frame saliency of a padded batch.

        Args:
            inputs: stretches of audio and queries.
            negatives: also give the saliency of each stretch under another item's text.
            negative_index: ``(batch,)`` int64, which text that is; the next one in the batch when left out.
            first: of :meth:`first_queries`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def first_queries(self) -> None:
        """What could be kept from call to call while no weight changes."""


ALWAYS_USED = (
    "architecture",
    "options",
    "audio_dim",
    "text_dim",
    "window_frames",
    "max_tokens",
    *SCORE_FIELDS,
)
"""Fields that every architecture may set: its own switches, and what the code around the network reads."""

ReadLighthouse = Callable[
    [Mapping[str, AnyArray], Mapping[Any, Any], Path], tuple[NetworkConfig, Mapping[str, str | None]]
]


@dataclass(frozen=True)
class Architecture:
    """A network of another package, and how it is trained.

    Args:
        preset: network, loss and recipe; its ``network.architecture`` is the entry point's name.
        network: builds it; raises ``ValueError`` naming the field for a configuration that cannot be.
        uses: fields of :class:`NetworkConfig` that the network reads, besides :data:`ALWAYS_USED`. The others
            keep the preset's values: setting one is refused, since it would change nothing.
        read_lighthouse: for architectures that Lighthouse trains, under Lighthouse's name of it: from a
            checkpoint's weights (shapes and numbers) and options the configuration, and our name of each
            weight, None for those that enter no result. Raises ``InputError`` or ``ValueError``.
    """

    preset: Preset
    network: Callable[[NetworkConfig], OwnNetwork]
    uses: tuple[str, ...] = ()
    read_lighthouse: ReadLighthouse | None = None

    def __post_init__(self) -> None:
        """Raises ``ValueError`` for a name in ``uses`` that is no field."""
        known = {field.name for field in fields(NetworkConfig)}
        unknown = [name for name in self.uses if name not in known]
        if unknown:
            raise ValueError(f"Architecture.uses names {unknown[0]!r}, which NetworkConfig does not have")

    def build(self, config: NetworkConfig) -> OwnNetwork:
        """The network of a configuration.

        Raises:
            ValueError: a field is set that the network does not use, or has a value that it cannot have.
        """
        for field in fields(NetworkConfig):
            value, preset = getattr(config, field.name), getattr(self.preset.network, field.name)
            if field.name not in {*ALWAYS_USED, *self.uses} and value != preset:
                raise ValueError(
                    f"{field.name} is {value!r}, but this network does not use it: leave it at {preset!r}"
                )
        return self.network(config)


def preset_names() -> list[str]:
    """What ``--preset`` takes, sorted; imports nothing that another package brings."""
    return sorted({*PRESETS, *NETWORKS.targets()})


@cache
def find_architecture(name: str) -> Architecture:
    """The architecture that an installed package, or ``AMR_MODELS``, has under ``name``.

    Raises:
        MissingError: there is none.
        PluginError: importing it fails, or it is no :class:`Architecture`.
    """
    if name not in NETWORKS.targets():
        raise MissingError(
            f"the network {name!r} is not part of amr, and no installed package brings it",
            hint=f"install the package whose entry point in the group {NETWORKS.entry_points} has that name",
        )
    found = NETWORKS.find(name)
    if not isinstance(found, Architecture):
        what = f"network {name!r} is {type(found).__name__}, expected amr.models.architectures.Architecture"
        raise PluginError(what, hint="docs/plugins.md says what it should be")
    return found


def find_preset(name: str) -> Preset:
    """A preset of ours, or of an architecture that is brought.

    Raises:
        UsageError: there is none of that name.
        PluginError: there is one, and it cannot be used.
    """
    if name in PRESETS:
        return PRESETS[name]
    if name in NETWORKS.targets():
        return find_architecture(name).preset
    raise UsageError(f"no preset {name!r}", where="--preset", hint=f"there are: {', '.join(preset_names())}")
