"""The effective configuration of a run: a preset, and what a file and the command line put in its place."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, TypeVar, cast, get_type_hints

from amr.errors import UsageError
from amr.models.architectures import find_preset
from amr.models.config import NetworkConfig, checked
from amr.models.loss_config import LossConfig
from amr.models.train_settings import TrainSettings

DEFAULT_PRESET = "best"
"""What is trained where nothing is named: what measures best (docs/default-model.md)."""

Record = TypeVar("Record")


@dataclass(frozen=True)
class TrainingPlan:
    """What is built, what is minimised, how it is trained.

    Args:
        preset: name of the system that it started from.
        network: shape and switches.
        loss: weights and forms.
        training: everything else.
    """

    preset: str = "am-detr"
    network: NetworkConfig = field(default_factory=NetworkConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    training: TrainSettings = field(default_factory=TrainSettings)

    @staticmethod
    def of_preset(name: str) -> TrainingPlan:
        """A published system, or one that another package brings.

        Raises:
            UsageError: there is none of that name.
            MissingError: there is one, and it cannot be imported.
        """
        preset = find_preset(name)
        return TrainingPlan(name, preset.network, preset.loss, preset.training)

    def to_fields(self) -> dict[str, Any]:
        """Plain JSON values, every field named."""
        return asdict(self)

    def with_fields(self, changes: Mapping[str, Any], where: str) -> TrainingPlan:
        """The plan with some fields replaced.

        Args:
            changes: sections ``network``, ``loss`` and ``training`` and the fields to replace in them.
            where: file or option that asks for it, for messages.

        Raises:
            UsageError: an unknown section or field, a value of another type, or one that cannot be.
        """
        sections = {name: section for name, section in changes.items() if name != "preset"}
        try:
            return changed(self, sections, "")
        except ValueError as error:
            raise UsageError(str(error), where=where) from error


def changed(record: Record, changes: Mapping[str, Any], prefix: str) -> Record:
    """A frozen dataclass with fields replaced, dataclasses inside it included.

    Raises:
        ValueError: naming the field, with its nearest relative where the name is unknown.
    """
    hints = get_type_hints(type(record))
    values: dict[str, Any] = {}
    for key, value in changes.items():
        name = f"{prefix}{key}"
        if key not in hints:
            known = [f"{prefix}{each.name}" for each in fields(cast(Any, record))]
            near = difflib.get_close_matches(name, known, n=1)
            raise ValueError(f"no setting {name!r}" + (f"; is {near[0]!r} meant?" if near else ""))
        inner = getattr(record, key)
        if is_dataclass(inner):
            if not isinstance(value, Mapping):
                raise ValueError(f"{name} is {value!r}, expected a table of settings")
            values[key] = changed(inner, value, f"{name}.")
        elif isinstance(inner, Mapping) and isinstance(value, Mapping):
            values[key] = checked({**inner, **value}, hints[key], name)
        else:
            values[key] = checked(value, hints[key], name)
    try:
        return cast(Record, replace(cast(Any, record), **values))
    except ValueError as error:
        raise ValueError(f"{prefix}{error}") from error


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """``{"network.gate": "values"}`` as ``{"network": {"gate": "values"}}``."""
    tree: dict[str, Any] = {}
    for key, value in settings.items():
        *path, last = key.split(".")
        place = tree
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise ValueError(f"{key}: {part} is a setting, it holds no others")
        place[last] = value
    return tree


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The inverse of :func:`nested`."""
    out: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            out |= flat(value, f"{prefix}{key}.")
        else:
            out[f"{prefix}{key}"] = value
    return out


def completed(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A plan of an earlier version, flat: what was not a setting then has its default."""
    return flat(TrainingPlan().to_fields()) | flat(stored)


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Settings in which two plans differ, ``name: one's, other's``."""
    a, b = flat(one), flat(other)
    return [f"{key}: {a.get(key)!r}, {b.get(key)!r}" for key in sorted(a | b) if a.get(key) != b.get(key)]
