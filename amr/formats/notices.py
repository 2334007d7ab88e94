"""Oddities that do not stop the work: counted by kind, reported once with the first case."""

from __future__ import annotations


class Notices:
    """Counts remarks of one kind and remembers where the first one was.

    ``add("window ends past the recording", "gt.jsonl:12")`` a hundred times becomes one line.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, str]] = {}

    def add(self, what: str, where: str = "") -> None:
        """Note one case of ``what`` at ``where``."""
        count, first = self._seen.get(what, (0, where))
        self._seen[what] = (count + 1, first)

    def count(self, what: str) -> int:
        """How often ``what`` was noted."""
        return self._seen.get(what, (0, ""))[0]

    def lines(self) -> list[str]:
        """One line a kind, in the order they first came up."""
        lines = []
        for what, (count, first) in self._seen.items():
            where = f"{first}: " if first else ""
            lines.append(f"{where}{what}" + (f" ({count} times, this is the first)" if count > 1 else ""))
        return lines
