"""``python -m amr`` and the console script ``amr``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; never returns."""
    from amr.cli.main import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
