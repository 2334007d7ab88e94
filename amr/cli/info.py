"""``amr info``: what a file is, and whether it is whole."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from amr.cli import options

if TYPE_CHECKING:
    from amr.formats.describe import Description


def info(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Any of amr's files, or folders of .npz files.")
    ],
    quick: Annotated[
        bool, typer.Option("--quick", help="Look at the tables only; do not read every number.")
    ] = False,
    format_: options.Format = None,
    verbose: options.Verbose = False,  # noqa: ARG001  # the traceback is printed in amr.cli.main
) -> None:
    """Describe files: kind, encoder, counts, hours, history; and whether they are whole.

    \b
    amr info feats.h5 model.safetensors preds.jsonl
    amr info --quick *.h5 --format json | jq .hours

    Features, models, annotations, predictions, recipes and metrics are known by their content. Every number
    is read, unless --quick. Exit 0: all are whole; 3: one is damaged, cannot be read, or is none of these.
    """
    from amr.cli.messages import say, wants_table
    from amr.errors import AmrError, InputError
    from amr.formats.describe import describe

    as_table = wants_table(format_, None)
    errors: list[InputError] = []
    for path in files:
        try:
            description = describe(path, quick=quick)
        except AmrError as error:
            errors.append(InputError(error.what, where=error.where or path, hint=error.hint))
            continue
        except OSError as error:
            errors.append(InputError(f"cannot be read: {error.strerror}", where=path))
            continue
        sys.stdout.write(table(path, description) if as_table else line(path, description))
        errors += [InputError(problem, where=path) for problem in description.problems]
    for earlier in errors[:-1]:
        say(f"amr info: error: {earlier}")
    if errors:
        raise errors[-1]


def line(path: Path, description: Description) -> str:
    """One JSON object."""
    from amr.formats.jsonl import line_of

    record = {"file": str(path), "kind": description.kind, **description.facts}
    record |= {"notes": list(description.notes), "problems": list(description.problems)}
    text = line_of(record) + "\n"
    # A history may name files that are no UTF-8; Python escapes half of a character as JSON does.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def table(path: Path, description: Description) -> str:
    """Names and values in two columns, below the file and its kind."""
    from amr.cli.tables import columns
    from amr.errors import printable

    rows = [(f"  {name}", shown(value)) for name, value in description.facts.items()]
    rows += [("  note", note) for note in description.notes]
    rows += [("  problem", problem) for problem in description.problems]
    head = f"{path}: {description.kind}" + ("" if description.problems else ", whole")
    return "\n".join(map(printable, [head, *columns(rows)])) + "\n"


def shown(value: Any) -> str:
    """A fact in one line: an encoder by its name and digest, lists by their last item."""
    try:
        if isinstance(value, dict) and "weights_sha256" in value:
            digest = str(value["weights_sha256"])[:12]
            return f"{value.get('name')} ({digest}…), {value.get('framing') or 'as it is'}"
        if isinstance(value, dict):
            return ", ".join(f"{name} {shown(item)}" for name, item in value.items())
        if isinstance(value, list):
            count = "1 entry" if len(value) == 1 else f"{len(value)} entries, the last"
            return f"{count}: {shown(value[-1])}" if value else "none"
        return "unknown" if value is None else str(value)
    except RecursionError:
        return "…"
