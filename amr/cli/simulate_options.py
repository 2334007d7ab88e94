"""The options of ``amr simulate`` as records, and what they mean together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amr.cli.options import OutputFormat
from amr.errors import InputError, UsageError
from amr.formats.recipes import check_name
from amr.simulation import plan
from amr.simulation.distributions import Distribution, exponential, parse_distribution
from amr.simulation.settings import LAYOUTS, Declaration, declaration


@dataclass(frozen=True)
class Declared:
    """Options that change the declaration; None: not given."""

    preset: str | None
    law: str | None
    layout: str | None
    duration_s: str | None
    gap_s: str | None
    mean_gap_s: float | None
    foreground_db: str | None
    background_db: str | None
    length_s: str | None
    queries: str | None
    occurrences: str | None
    background_hop_s: float | None
    repeat_short: bool | None
    trim_below_db: float | None
    trim_block_s: float | None
    distractor_share: float | None
    absent: int | None
    annotation_step_s: float | None


DISTRIBUTIONS = {
    "duration_s": "--duration",
    "gap_s": "--gap",
    "foreground_db": "--foreground-level",
    "background_db": "--background-level",
    "length_s": "--length",
    "queries": "--queries",
    "occurrences": "--occurrences",
}
PLAIN = ("layout", "background_hop_s", "repeat_short", "distractor_share", "absent", "annotation_step_s")


@dataclass(frozen=True)
class Named:
    """Options that name sources."""

    foreground: Path | None
    backgrounds: tuple[Path, ...]
    foreground_root: Path | None
    background_root: Path | None
    columns: tuple[str, ...]
    background_columns: tuple[str, ...]
    split: str | None
    where: tuple[str, ...]
    background_where: tuple[str, ...]
    disjoint_from: tuple[Path, ...]


@dataclass(frozen=True)
class Counted:
    """Options that say how many and of what form."""

    count: int | None
    prefix: str | None
    seed: int | None
    sample_rate_hz: int | None
    encoding: str | None
    shard: tuple[int, int]
    limit: int | None


@dataclass(frozen=True)
class Product:
    """Options that say what comes out and how the work is done."""

    folder: Path | None
    plan: bool
    features: Path | None
    encoder: str
    device: str
    resume: bool
    force: bool
    keep_going: bool
    quiet: bool
    form: OutputFormat | None
    workers: int | None


def check_product(product: Product) -> None:
    """Refuse options that cannot go together."""
    if product.plan and product.features is not None:
        raise UsageError("renders, --plan does not", where="--features")
    if not product.plan and product.folder is None and product.features is None:
        raise UsageError(
            "say where to write the recordings", where="-o", hint="-o FOLDER, or --plan for no sound"
        )
    if product.resume and product.force:
        raise UsageError("--resume goes on with an output, --force replaces it", where="--resume")


def refuse_draw_options(declared: Declared, named: Named, counted: Counted) -> None:
    """A recipe says everything that is drawn: refuse options that would have no effect."""
    given = [name for name, value in vars(declared).items() if value is not None]
    given += [
        name for name in ("count", "prefix", "seed", "sample_rate_hz") if vars(counted)[name] is not None
    ]
    given += [name for name in ("split", "where", "background_where", "disjoint_from") if vars(named)[name]]
    if given:
        options = ", ".join(name.removesuffix("_s").removesuffix("_hz").replace("_", "-") for name in given)
        raise UsageError(f"a recipe is rendered as it is; drop {options}", where="--recipe")


def drawing(counted: Counted) -> plan.Drawing:
    """Counts and forms with their defaults."""
    if counted.prefix is not None and counted.count is None:
        raise UsageError("names recordings that are counted", where="--name-prefix", hint="say --count")
    check_prefix(counted.prefix or "")
    given = {key: value for key, value in vars(counted).items() if value is not None}
    return plan.Drawing(**given)


def check_prefix(prefix: str) -> None:
    """Refuse a prefix that would make unsafe file names."""
    try:
        check_name(f"{prefix}00000", "--name-prefix")
    except InputError as error:
        raise UsageError(error.what, where="--name-prefix", hint=error.hint) from error


def declare(declared: Declared) -> Declaration:
    """The preset's declaration with the options laid over it.

    Raises:
        UsageError: an option's value makes no sense.
    """
    made = declaration(declared.preset, declared.law)
    changes: dict[str, Any] = {}
    for field, option in DISTRIBUTIONS.items():
        text = getattr(declared, field)
        if text is not None:
            changes[field] = parse_distribution(text, option)
    changes.update({key: getattr(declared, key) for key in PLAIN if getattr(declared, key) is not None})
    if declared.mean_gap_s is not None:
        changes["gap_s"] = mean_gap(declared)
    if declared.layout is not None and declared.layout not in LAYOUTS:
        raise UsageError(f"{declared.layout!r} is none of {', '.join(LAYOUTS)}", where="--layout")
    trim = made.trim
    if declared.trim_below_db is not None:
        trim = dataclasses.replace(trim, below_db=declared.trim_below_db)
    if declared.trim_block_s is not None:
        trim = dataclasses.replace(trim, block_s=declared.trim_block_s)
    return dataclasses.replace(made, trim=trim, **changes)


def mean_gap(declared: Declared) -> Distribution:
    """Exponential gaps of a mean; 0 is no gap at all."""
    assert declared.mean_gap_s is not None
    if declared.gap_s is not None:
        raise UsageError("--gap and --mean-gap are the same thing twice", where="--mean-gap")
    if declared.mean_gap_s < 0:
        raise UsageError("must not be negative", where="--mean-gap")
    return exponential(declared.mean_gap_s) if declared.mean_gap_s else parse_distribution("0", "--mean-gap")


def parse_columns(texts: Sequence[str], option: str) -> tuple[tuple[str, str], ...]:
    """``WHAT=NAME`` options as pairs."""
    pairs = [text.partition("=") for text in texts]
    for what, equals, name in pairs:
        if not (what and equals and name):
            raise UsageError(f"{what + equals + name!r} is not WHAT=NAME", where=option)
    return tuple((what.strip(), name.strip()) for what, _, name in pairs)
