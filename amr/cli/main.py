"""The command ``amr``: its tools, and the one place where failures become a line and an exit code."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from amr import __version__
from amr.cli.group import process_name
from amr.cli.stopping import InterruptedSignal, TerminatedSignal, handling, terminate
from amr.errors import AmrError, ExitCode

TOOLS = ("simulate", "extract", "train", "predict", "score", "plot", "convert", "info")
"""One file a tool in this room, each with a function of its own name."""


class ReaderGoneError(AmrError):
    """Whoever read our standard output has closed it (``| head``)."""

    exit_code = ExitCode.READER_GONE


class Tools(TyperGroup):
    """Turns a closed pipe and Ctrl-C into our own ends before the library gives them others."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError as error:
            raise ReaderGoneError("the reader of standard output went away") from error
        except KeyboardInterrupt as error:
            raise InterruptedSignal("interrupted") from error
        return result


app = typer.Typer(
    name="amr",
    cls=Tools,
    no_args_is_help=True,
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


def register_tools() -> None:
    """Add every tool of this room to the command."""
    for tool in TOOLS:
        app.command(tool)(getattr(importlib.import_module(f"amr.cli.{tool}"), tool))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; every failure is one line on stderr.

    Args:
        arguments: what stands after ``amr``.
    """
    # numpy's matrices here are small, and its threads wait by spinning: beside a busy neighbour a sentence
    # took seven times the processor time. Whoever sets the variable keeps what they set.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    tool = next((word for word in arguments if word in TOOLS), "")
    program = f"amr {tool}".strip() + process_name()
    try:
        with handling({signal.SIGTERM: terminate}):
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
    except Exception as error:  # noqa: BLE001  # the last resort: a bug of ours, told in one line
        what = f"a fault of amr itself: {type(error).__name__}: {error}"
        return report(program, what, "please report it with the output of -v", ExitCode.BUG, arguments)


def report(program: str, what: str, hint: str, code: int, arguments: list[str]) -> int:
    """Print ``amr TOOL: error: WHERE: WHAT`` and a hint; with ``-v`` the traceback before it."""
    if "-v" in arguments or "--verbose" in arguments:
        traceback.print_exc()
    silence_stdout_if_broken()
    print(f"{program}: error: {one_line(what)}", file=sys.stderr)  # noqa: T201  # the one place for errors
    if hint:
        print(f"hint: {one_line(hint)}", file=sys.stderr)  # noqa: T201
    return int(code)


def one_line(text: str) -> str:
    """Text from files and libraries, without line breaks or terminal control codes."""
    return "".join(char if char.isprintable() else " " for char in text)


def explain_os_error(error: OSError) -> tuple[str, str, ExitCode]:
    """What, hint and exit code for a failure of the operating system that nobody explained before."""
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


register_tools()
