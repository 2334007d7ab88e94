"""``python -m amr`` and the console script ``amr``."""

from __future__ import annotations

import sys

from amr.errors import ExitCode


def main() -> None:
    """Run the command line; never returns."""
    try:
        from amr.cli.main import run
    except KeyboardInterrupt:
        sys.stderr.write("amr: error: interrupted\n")
        sys.exit(ExitCode.INTERRUPTED)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
