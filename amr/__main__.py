"""``python -m amr`` and the console script ``amr``."""

from __future__ import annotations

import os
import sys

from amr.errors import AmrError, ExitCode, require_posix


def open_closed_streams() -> None:
    """Send to nowhere the standard output and standard error that the shell has closed (``>&-``).

    Else the first file that is opened takes their numbers, and what is printed goes into it.
    """
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number, inheritable=True)
                os.close(nowhere)
            else:
                os.set_inheritable(number, True)
            if name != "stdin":
                setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115


def main() -> None:
    """Run the command line; never returns."""
    open_closed_streams()
    try:
        require_posix()
        from amr.cli.main import run
    except AmrError as error:
        sys.stderr.write(f"amr: error: {error}\nhint: {error.hint}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("amr: error: interrupted\n")
        sys.exit(ExitCode.INTERRUPTED)
    code = run(sys.argv[1:])
    if code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
        os._exit(code)  # threads that encode or render are not waited for
    sys.exit(code)


if __name__ == "__main__":
    main()
