"""What was asked of ``amr score``, and which wishes cannot go together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from amr.cli.tables import is_terminal
from amr.errors import UsageError
from amr.formats.streams import STDIO, open_output, require_writable

ONLY_RETRIEVAL = (
    "official",
    "qvhighlights",
    "compare",
    "seeds",
    "breakdown",
    "lengths",
    "per_query",
    "by",
    "pool",
)
ONLY_SED = ("threshold", "tune_on", "events", "labels")
NOT_OFFICIAL = ("compare", "seeds", "breakdown", "lengths", "per_query", "by", "bootstrap")


@dataclass(frozen=True)
class Request:
    """The options of one command line; see :func:`amr.cli.score.score`. ``table``: None where nobody said."""

    files: tuple[str, ...]
    official: bool
    qvhighlights: bool
    partial: bool
    compare: bool
    seeds: bool
    bootstrap: int | None
    seed: int
    breakdown: bool
    lengths: str | None
    per_query: Path | None
    by: str | None
    pool: bool
    is_sed: bool
    threshold: float | None
    tune_on: tuple[str, str] | None
    events: bool
    labels: str | None
    output: Path | None
    force: bool
    table: bool | None
    quiet: bool

    @property
    def predictions(self) -> tuple[str, ...]:
        """All files but the last."""
        return self.files[:-1]

    @property
    def ground_truth(self) -> str:
        """The last file."""
        return self.files[-1]

    @property
    def wants_table(self) -> bool:
        """A table for people at a terminal, JSON for programs and files, or what was asked for."""
        return self.table if self.table is not None else self.output is None and is_terminal()

    def asked(self, names: tuple[str, ...]) -> list[str]:
        """Those of the options that were given, as typed."""
        given = [name for name in names if getattr(self, name) not in (None, False)]
        return ["--" + name.replace("_", "-") for name in given]


def check_request(request: Request) -> None:
    """Refuse, before anything is read, what cannot be.

    Raises:
        UsageError: too few files, standard input twice, or options that exclude each other.
        InputError: the output exists.
    """
    check_files(request)
    wrong = request.asked(ONLY_RETRIEVAL if request.is_sed else ONLY_SED)
    if wrong:
        task = "sed" if request.is_sed else "retrieval"
        raise UsageError(f"is not for --task {task}", where=wrong[0])
    if request.official:
        if request.table:
            raise UsageError("--official prints JSON and nothing else", where="--format table")
        refused = request.asked(NOT_OFFICIAL)
        if refused:
            raise UsageError("--official prints the official file and nothing else", where=refused[0])
    if request.compare and request.seeds:
        raise UsageError("--compare is for different systems, --seeds for runs of one", where="--compare")
    if request.by and request.pool:
        raise UsageError("--by scores sets apart, --pool all together", where="--by")
    if request.tune_on is not None and request.threshold is not None:
        raise UsageError("--tune-on finds the threshold that --threshold sets", where="--threshold")
    for target in (request.output, request.per_query):
        if target is not None:
            require_writable(target, force=request.force)


def check_files(request: Request) -> None:
    """The names of the files make sense together.

    Raises:
        UsageError: they do not.
    """
    several = request.compare or request.seeds
    expected = "PREDICTIONS PREDICTIONS... GROUND_TRUTH" if several else "PREDICTIONS GROUND_TRUTH"
    hint = f"see amr score -h; expected {expected}"
    if len(request.files) < 2 + several:
        given = f"{len(request.files)} file{'s' * (len(request.files) != 1)} given"
        raise UsageError(f"{given}, expected {expected}", hint=hint)
    if len(request.files) > 2 and not several:
        option = "" if request.is_sed else ": --compare for different systems, --seeds for runs of one"
        raise UsageError(f"{len(request.files) - 1} prediction files{option}", hint=hint)
    if (*request.files, *(request.tune_on or ())).count(STDIO) > 1:
        raise UsageError("only one of the two files can be standard input", where=STDIO)


def write_product(text: str, request: Request) -> None:
    """The product, to a file or standard output."""
    with open_output(STDIO if request.output is None else request.output, force=request.force) as file:
        file.write(text.encode("utf-8"))
