"""Published figures beside our own: rows on standard input, a Markdown table on standard output.

    system | set | R1@0.5 | R1@0.7 | mAP | source | NAME

``-`` stands for a figure that was not published. NAME.json, in the folder that is given, is what ``amr
score`` made of our answers; a row without it has been published only, or was not run.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

FIGURES = ("R1@0.5", "R1@0.7", "mAP")


def main() -> None:
    """One line in, one line out."""
    out = Path(sys.argv[1])
    print("| system | set | published R1@0.5 / R1@0.7 / mAP | source | here |\n|---|---|---|---|---|")
    for line in sys.stdin:
        if line.strip():
            system, name, *published, source, answers = (cell.strip() for cell in line.split("|"))
            print(f"| {system} | {name} | {' / '.join(published)} | {source} | {ours(out, answers)} |")


def ours(folder: Path, answers: str) -> str:
    """Our figures, with the interval of R1@0.7, or why there are none."""
    if answers in ("", "-"):
        return ""
    path = folder / f"{answers}.json"
    if not path.exists():
        return "not run"
    report = json.loads(path.read_text("utf-8"))
    if "seeds" in report:
        block = report["seeds"]
        means = [
            f"{block['mean'][figure]:.2f} ± {block['standard_deviation'][figure]:.2f}" for figure in FIGURES
        ]
        ends = block["interval"]["R1@0.7"]  # none where all runs are alike
        return " / ".join(means) + (f" (R1@0.7 {ends[0]:.1f} to {ends[1]:.1f})" if ends else "")
    if "frame_micro" in report:
        return f"F1 {report['frame_micro']['F1']:.2f}"
    means = [f"{report['brief'][f'MR-full-{figure}']:.2f}" for figure in FIGURES]
    return " / ".join(means)


if __name__ == "__main__":
    main()
