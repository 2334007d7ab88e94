"""The command ``amr``: its tools, and the one place where failures become a line and an exit code."""

from __future__ import annotations

import errno
import importlib
import os
import sys
import traceback
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from amr import __version__
from amr.cli.matrices import set_up_matrices
from amr.cli.messages import log_shown, say
from amr.cli.stopping import InterruptedSignal, TerminatedSignal, Unwinding
from amr.distributed import process_name
from amr.errors import AmrError, ExitCode, UsageError
from amr.formats.streams import named_in_errors

TOOLS = ("simulate", "extract", "train", "predict", "overview", "score", "plot", "serve", "convert", "info")
"""One file a tool in this room, each with a function of its own name."""


class ReaderGoneError(AmrError):
    """The reader of our standard output has closed it (``| head``)."""

    exit_code = ExitCode.READER_GONE


class Tools(TyperGroup):
    """Imports a tool when it is called; turns a closed pipe and Ctrl-C into our own ends before the library
    gives them others."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  # the library's signature
        return list(TOOLS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in TOOLS and cmd_name not in self.commands:
            self.commands[cmd_name] = tool_command(cmd_name)
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            with named_in_errors("<stdout>"):
                sys.stdout.flush()
        except BrokenPipeError as error:
            raise ReaderGoneError("the reader of standard output went away") from error
        except KeyboardInterrupt as error:
            raise InterruptedSignal("interrupted") from error
        return result


LARGEST = 1e15
"""Of seconds thirty million years: what is made of it, samples or bytes, still fits into 64 bits."""


class ToolCommand(TyperCommand):
    """Refuses numbers that no option can mean, before anything is made of them."""

    def invoke(self, ctx: Any) -> Any:
        for parameter in self.params:
            value = ctx.params.get(parameter.name)
            for number in value if isinstance(value, (list, tuple)) else [value]:
                if is_too_large(number):
                    what = "the number is out of range: at most 1e15, whole numbers below 2^63"
                    raise UsageError(what, where=max(parameter.opts, key=len))
        return super().invoke(ctx)


def is_too_large(value: object) -> bool:
    """Whether a number of the command line is undefined, or a whole one that does not fit into 64 bits, or
    another beyond :data:`LARGEST`."""
    if isinstance(value, float):
        return not abs(value) <= LARGEST
    return isinstance(value, int) and abs(value) >= 2**63


app = typer.Typer(
    name="amr",
    cls=Tools,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def show_version(wanted: bool) -> None:
    if wanted:
        print(f"amr {__version__}")  # noqa: T201  # the product of --version
        raise typer.Exit


@app.callback()
def amr(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Find moments in sound: ask recordings a question in plain words, get the seconds.

    \b
    amr predict --query "dog barking" street.wav
    amr extract audio/ -o feats.h5 && amr predict --query "dog barking"

    Each tool reads and writes plain files (JSONL, HDF5) and '-' is a stream. 'amr TOOL -h' explains one.
    """


def tool_command(tool: str) -> Any:
    """The command of one tool, with all its options: a tenth of a second for all, so it is made for one."""
    single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    single.command(tool, cls=ToolCommand)(getattr(importlib.import_module(f"amr.cli.{tool}"), tool))
    return typer.main.get_command(single)


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; every failure is one line on stderr.

    Args:
        arguments: what stands after ``amr``; nothing: the help page is shown.
    """
    arguments = arguments or ["--help"]
    set_up_matrices(os.environ)
    tool = next((word for word in arguments if word in TOOLS), "")
    program = f"amr {tool}".strip() + process_name()
    try:
        with Unwinding(program).handled(), log_shown(program):
            code = app(arguments, prog_name="amr", standalone_mode=False)
        return int(code or ExitCode.COMPLETE)
    except ReaderGoneError as error:
        silence_stdout()
        return error.exit_code
    except AmrError as error:
        return report(program, str(error), error.hint, error.exit_code, arguments)
    except TyperException as error:
        message = error.format_message()
        return (
            report(program, message, f"see {program} -h", ExitCode.USAGE, []) if message else error.exit_code
        )
    except (InterruptedSignal, KeyboardInterrupt, typer.Abort) as error:
        return report(program, str(error) or "interrupted", "", ExitCode.INTERRUPTED, [])
    except TerminatedSignal:
        return report(program, "terminated", "", ExitCode.TERMINATED, [])
    except OSError as error:
        what, hint, code = explain_os_error(error)
        return report(program, what, hint, code, arguments)
    except MemoryError:
        return report(program, "not enough memory for this", "", ExitCode.MISSING, arguments)
    except Exception as error:  # noqa: BLE001  # the last resort: a bug of ours, in one line
        what = f"a fault of amr itself: {type(error).__name__}: {error}"
        return report(program, what, "please report it with the output of -v", ExitCode.BUG, arguments)


def report(program: str, what: str, hint: str, code: int, arguments: list[str]) -> int:
    """Print ``amr TOOL: error: WHERE: WHAT`` and a hint; with ``-v`` the traceback before it."""
    if "-v" in arguments or "--verbose" in arguments:
        for line in traceback.format_exc().splitlines():
            say(line)
    silence_stdout_if_broken()
    with suppress(OSError):  # the disk behind standard error is full, too
        say(f"{program}: error: {what}")
        if hint:
            say(f"hint: {hint}")
    return int(code)


def explain_os_error(error: OSError) -> tuple[str, str, ExitCode]:
    """What, hint and exit code for a failure of the operating system that was not explained before."""
    where = f"{error.filename}: " if error.filename else ""
    what = f"{where}{error.strerror or error}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return what, "make room, or write elsewhere with -o", ExitCode.MISSING
    return what, "", ExitCode.BAD_INPUT


def silence_stdout() -> None:
    """Send what is still buffered for standard output nowhere, so that the exit is quiet."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)


def silence_stdout_if_broken() -> None:
    """Flush standard output; where that fails (a full disk), make sure the exit does not fail again."""
    try:
        sys.stdout.flush()
    except OSError:
        silence_stdout()
