"""A declaration from plain values: numbers, and distributions as short texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from amr.errors import UsageError
from amr.simulation.distributions import Distribution, exponential, fixed, parse_distribution
from amr.simulation.settings import LAYOUTS, Declaration, declaration

DISTRIBUTIONS = {
    "duration_s": "--duration",
    "gap_s": "--gap",
    "foreground_db": "--foreground-level",
    "background_db": "--background-level",
    "length_s": "--length",
    "queries": "--queries",
    "occurrences": "--occurrences",
}
"""Fields that are drawn, and the command line's options for them."""
TRIM = {"trim_below_db": "below_db", "trim_block_s": "block_s"}


def declare(preset: str | None, law: str | None, changes: Mapping[str, Any]) -> Declaration:
    """The preset's declaration with some fields replaced.

    Args:
        preset, law: see :func:`amr.simulation.settings.declaration`.
        changes: fields of :class:`Declaration`, distributions as numbers or texts (``"uniform:-5:5"``);
            besides ``mean_gap_s`` (of exponential gaps), ``trim_below_db`` and ``trim_block_s``.

    Raises:
        UsageError: there is no such field, or its value makes no sense.
    """
    made = declaration(preset, law)
    known = {field.name for field in fields(Declaration)} | {"mean_gap_s", *TRIM}
    for name in changes:
        if name not in known:
            raise UsageError(f"a simulation has no setting {name!r}; there are {', '.join(sorted(known))}")
    values = {name: value for name, value in changes.items() if name not in ("mean_gap_s", *TRIM)}
    for name, option in DISTRIBUTIONS.items():
        if name in values:
            values[name] = distribution(values[name], option)
    if "mean_gap_s" in changes:
        if "gap_s" in changes:
            raise UsageError("--gap and --mean-gap set the same thing: give one of them", where="--mean-gap")
        values["gap_s"] = mean_gap(changes["mean_gap_s"])
    if values.get("layout", LAYOUTS[0]) not in LAYOUTS:
        raise UsageError(f"{values['layout']!r} is none of {', '.join(LAYOUTS)}", where="--layout")
    trim = {field: changes[name] for name, field in TRIM.items() if name in changes}
    return replace(made, trim=replace(values.pop("trim", made.trim), **trim), **values)


def distribution(value: str | float | Distribution, option: str) -> Distribution:
    """A distribution from a number or a text; ``option`` names it in messages."""
    if isinstance(value, Distribution):
        return value
    return parse_distribution(value, option) if isinstance(value, str) else fixed(value)


def mean_gap(mean_s: float) -> Distribution:
    """Exponential gaps of a mean; 0 is no gap at all."""
    if mean_s < 0:
        raise UsageError("a gap must not be negative", where="--mean-gap")
    return exponential(mean_s) if mean_s else fixed(0.0)
