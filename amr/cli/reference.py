"""Writes ``docs/cli.md`` from the tools themselves: ``python -m amr.cli.reference > docs/cli.md``."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from amr.cli.main import app

WIDTH = 100

INTRODUCTION = """# Command-line reference

Made from the tools by `python -m amr.cli.reference > docs/cli.md`; a test keeps it true.

Exit codes: 0 complete, 1 a fault of amr, 2 wrong usage, 3 bad input, 4 something is missing on this machine
(an extra, weights, a device, disk space), 5 partial (something broken was named and left out), 130
interrupted (Ctrl-C), 141 the reader of the output has ended, 143 terminated (SIGTERM). `amr train`
ends with 130 on both signals.
"""


def reference() -> str:
    """The help pages of ``amr`` and of every tool, as Markdown."""
    group = typer.main.get_command(app)
    if not isinstance(group, TyperGroup):
        raise TypeError("amr is a group of tools")
    context = group.make_context("amr", ["--help"], resilient_parsing=True, terminal_width=WIDTH)
    pages = [page("amr", group.get_help(context))]
    for name in group.list_commands(context):
        tool: Any = group.get_command(context, name)
        with tool.make_context(
            name, [], parent=context, resilient_parsing=True, terminal_width=WIDTH
        ) as inner:
            pages.append(page(f"amr {name}", tool.get_help(inner)))
    return INTRODUCTION + "".join(pages)


def page(title: str, text: str) -> str:
    """One section with a tool's help as it is printed."""
    body = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return f"\n## `{title}`\n\n```text\n{body}\n```\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
