"""Everything about a GPU in one command of at most eight minutes: is it right, and how fast is it.

    python tests/benchmarks/gpu.py -o gpu.json [--device cuda] [--minutes 8] [--reference CHECKOUT]
    python tests/benchmarks/gpu.py --device cpu --small

*Right* (``gpu_right.py``): each encoder, each preset's answers and its gradient against the processor's, in
float32 and bfloat16; a run that goes on; memory that is too small; no waiting for the device inside of a
step; two processes on one device. *Fast* (``gpu_fast.py``): samples a second of training, the share of
matching, the share of the rate of products of matrices, memory; hours of sound a minute of ``extract``, and
where the rest goes. With ``--reference``, a checkout of Lighthouse, its own loop beside ours
(``train_speed.py``).

One JSON and one table come out. What no time was left for is listed. Exit 1 where something is not right.
``--small`` takes networks and data of toy size: it shows that this program runs, and measures nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]


def main(words: list[str] | None = None) -> int:
    options = parse(words)
    import gpu_fast
    import gpu_right

    deadline = time.monotonic() + 60 * options.minutes
    parts = {"right": gpu_right.CHECKS, "fast": gpu_fast.FIGURES}
    found: dict[str, Any] = {"device": device_name(options.device), "small": options.small, "left out": []}
    for part, jobs in parts.items():
        if options.only in (None, part):
            rows = worked_off(jobs, options, deadline, found["left out"])
            found[part] = [{"part": name, **row} for name, row in rows]
    text = json.dumps(found, indent=1)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")
    print("\n".join(table(found)))
    return int(any(not row["right"] for row in found.get("right", [])))


def parse(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--small", action="store_true", help="networks and data of toy size")
    parser.add_argument("--only", choices=("right", "fast"))
    parser.add_argument("--reference", type=Path, help="a checkout of Lighthouse, outside this repository")
    parser.add_argument("-o", "--output", type=Path)
    return parser.parse_args(words)


Job = Callable[[argparse.Namespace], Iterator[dict[str, Any]]]


def worked_off(
    jobs: dict[str, Job], options: argparse.Namespace, deadline: float, left_out: list[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of each job, one after the other; a job that is under way at the deadline is the last."""
    for name, job in jobs.items():
        if time.monotonic() > deadline:
            left_out.append(name)
            continue
        for row in job(options):
            print(f"  {name}: {row}", file=sys.stderr, flush=True)
            yield name, row
            if time.monotonic() > deadline:
                left_out.append(f"the rest of {name}")
                break


def device_name(device: str) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device != "cpu" else "the processor"


def table(found: dict[str, Any]) -> Iterator[str]:
    """Markdown, fit for ``docs/training.md``."""
    yield f"{found['device']}{', of toy size: figures mean nothing' if found['small'] else ''}"
    for part in ("right", "fast"):
        rows = found.get(part, [])
        for name in dict.fromkeys(row["part"] for row in rows):
            mine = [row for row in rows if row["part"] == name]
            heads = list(dict.fromkeys(key for row in mine for key in row if key != "part"))
            yield from ("", f"**{name}**", "", "| " + " | ".join(heads) + " |", "|---" * len(heads) + "|")
            yield from ("| " + " | ".join(shown(row.get(head, "")) for head in heads) + " |" for row in mine)
    if found["left out"]:
        yield from ("", "No time was left for: " + ", ".join(found["left out"]))


def shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    raise SystemExit(main())
