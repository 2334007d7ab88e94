"""The configuration of ``amr train``: a preset or model, a TOML file, ``--set``, options; later ones win."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from amr.errors import InputError, MissingError, UsageError
from amr.formats.streams import require_readable
from amr.models.checkpoint import Checkpoint
from amr.models.presets import PRESETS
from amr.training.plan import DEFAULT_PRESET, Plan, nested

SECTIONS = ("network", "loss", "training")


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file.

    Raises:
        InputError: it is none. MissingError: Python 3.10 without the package tomli.
    """
    require_readable(path)
    toml = toml_reader()
    try:
        found: dict[str, Any] = toml.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"is not TOML: {' '.join(str(error).split())}", where=path) from error
    return found


def toml_reader() -> Any:
    """``tomllib``, which Python has from 3.11 on, or its forerunner."""
    for name in ("tomllib", "tomli"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise MissingError("reading TOML needs Python 3.11 or the package tomli", hint="pip install tomli")


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """``network.gate=values`` and the like; a value is JSON where it can be, else a text.

    Raises:
        UsageError: there is no ``=``, or the name has no section.
    """
    values: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or name.split(".")[0] not in SECTIONS or "." not in name:
            raise UsageError(
                f"{setting!r} is not of the form SECTION.NAME=VALUE",
                where="--set",
                hint=f"sections are {', '.join(SECTIONS)}; e.g. --set loss.score_loss=varifocal",
            )
        try:
            values[name] = json.loads(text)
        except ValueError:
            values[name] = text
    return nested(values)


def known_preset(start: Checkpoint | None) -> str:
    """The preset whose recipe is followed where none is named."""
    return start.preset if start is not None and start.preset in PRESETS else DEFAULT_PRESET


def make_plan(
    *,
    preset: str | None,
    start: Checkpoint | None,
    config: Path | None,
    settings: list[str],
    chosen: dict[str, Any],
    dims: tuple[int, int],
) -> Plan:
    """The effective configuration.

    Args:
        preset: name of a published system; None for that of the file, of ``start``, or the default.
        start: model whose network is taken.
        config: TOML file.
        settings: of ``--set``.
        chosen: of single options, fields of the training settings.
        dims: sizes of the features' frames and tokens.

    Raises:
        UsageError: a setting that is unknown or cannot be. InputError: the file is broken.
    """
    file = read_toml(config) if config is not None else {}
    plan = Plan.of_preset(str(preset or file.get("preset") or known_preset(start)))
    if start is not None:
        plan = plan.with_fields({"network": start.config.uncalibrated().to_fields()}, "--init")
    else:
        plan = plan.with_fields({"network": {"audio_dim": dims[0], "text_dim": dims[1]}}, "--features")
    plan = plan.with_fields(file, str(config))
    plan = plan.with_fields(parse_settings(settings), "--set")
    return plan.with_fields({"training": chosen}, "options")
