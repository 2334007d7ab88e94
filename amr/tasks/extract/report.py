"""What an extraction did, and what it did not."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from amr.errors import AmrError


@dataclass(frozen=True)
class ExtractReport:
    """What an extraction did.

    Args:
        output: the feature file.
        written: recordings that were added to it.
        passed_over: recordings that it had already.
        failed: what was wrong with each recording, or name, that was left out.
        tried: recordings that were read, the broken ones included.
        sound_s: length of the recordings that were added, in seconds.
        took_s: seconds that this took.
        total: recordings in the file now.
        processes: that shared the work.
    """

    output: Path
    written: int = 0
    passed_over: int = 0
    failed: tuple[AmrError, ...] = ()
    tried: int = 0
    sound_s: float = 0.0
    took_s: float = 0.0
    total: int = 0
    processes: int = 1

    @property
    def speed(self) -> float:
        """Seconds of sound a second."""
        return self.sound_s / max(self.took_s, 1e-9)

    def record(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "output": str(self.output),
            "written": self.written,
            "passed_over": self.passed_over,
            "failed": [{"where": error.where, "what": error.what} for error in self.failed],
            "sound_s": round(self.sound_s, 3),
            "took_s": round(self.took_s, 3),
            "total": self.total,
        }

    def _repr_html_(self) -> str:
        rows = [
            ("recordings written", str(self.written)),
            ("there already", str(self.passed_over)),
            ("seconds of sound", f"{self.sound_s:.1f}"),
            *((error.where, error.what) for error in self.failed),
        ]
        cells = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows)
        return f"<table><caption>{escape(str(self.output))}</caption>{cells}</table>"
