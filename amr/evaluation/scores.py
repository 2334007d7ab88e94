"""What scoring gives back: figures by name, intervals, queries, and the report that ``amr score`` prints."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from amr.errors import UsageError
from amr.evaluation.judged import JudgedFile, query_records
from amr.evaluation.percent import Block
from amr.evaluation.report import quoted_figures
from amr.metrics.figures import FIGURES


def no_official_text() -> str:
    """Stands for the official figures of several files.

    Raises:
        UsageError: always.
    """
    raise UsageError("the official evaluator scores one prediction file, all of it")


@dataclass(frozen=True, eq=False, repr=False)
class Scores(Mapping[str, float]):
    """Scores of one prediction file; as a mapping, its figures in per cent by name.

    Of several files ``systems`` has the scores of each, and of a ground truth that mixes datasets ``sets``
    those of each dataset; there are no figures over either.

    Args:
        report: what ``amr score --format json`` prints.
        remarks: what was strange, and what to beware of, a sentence each; they are also logged as warnings.
        judged: the figures query by query; None for several files or datasets.
        systems: of every prediction file, in order.
        sets: of every dataset, by its name.
        official: gives the text that ``amr score --official`` prints; it reads the files again.
    """

    report: Block
    remarks: list[str]
    judged: JudgedFile | None = None
    systems: list[Scores] = field(default_factory=list)
    sets: dict[str, Scores] = field(default_factory=dict)
    official: Callable[[], str] = no_official_text

    @property
    def figures(self) -> dict[str, float]:
        """R1@0.5, R1@0.7, mAP, mAP@0.5, mAP@0.75 and mIoU, in per cent."""
        return quoted_figures(self.report["full"]) if self.judged is not None else {}

    @property
    def intervals(self) -> dict[str, tuple[float, float] | None]:
        """The 95 % interval of each figure; None where resampling cannot tell."""
        found = (self.report.get("intervals") or {}).get("figures", {})
        return {name: ends and (ends[0], ends[1]) for name, ends in found.items()}

    def __getitem__(self, name: str) -> float:
        try:
            return self.figures[name]
        except KeyError:
            where = "see .sets" if self.sets else "see .systems" if self.systems else f"has {list(FIGURES)}"
            raise KeyError(f"{name!r}: {where}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.figures)

    def __len__(self) -> int:
        return len(self.figures)

    def queries(self, set_name: str | None = None) -> Iterator[dict[str, Any]]:
        """How each query went, as ``--per-query`` writes it; shares, not per cent."""
        for name, part in self.sets.items():
            yield from part.queries(name)
        for system in self.systems:
            yield from system.queries(set_name)
        if self.judged is not None:
            yield from query_records(self.judged, set_name)

    def record(self) -> Block:
        """The object that ``amr score --format json`` prints."""
        return self.report

    def __repr__(self) -> str:
        named = [f"{name} {value:.2f}" for name, value in self.figures.items()]
        return f"Scores({', '.join(named or map(repr, [*self.sets.values(), *self.systems]))})"

    def _repr_html_(self) -> str:
        """A row a file and dataset, a column a figure, with its interval below."""
        head = "".join(f"<th>{name}</th>" for name in FIGURES)
        rows = "".join(f"<tr><th>{html.escape(name)}</th>{cells}</tr>" for name, cells in self._rows(""))
        return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def _rows(self, name: str) -> Iterator[tuple[str, str]]:
        """Name and cells of each file in here."""
        for set_name, part in self.sets.items():
            yield from part._rows(f"{set_name}: ")
        for system in self.systems:
            yield from system._rows(name)
        if self.judged is not None:
            yield name + self.judged.matched.name, "".join(map(self._cell, self.figures))

    def _cell(self, name: str) -> str:
        ends = self.intervals.get(name)
        interval = f"<br><small>{ends[0]:.1f} to {ends[1]:.1f}</small>" if ends else ""
        return f"<td>{self[name]:.2f}{interval}</td>"
