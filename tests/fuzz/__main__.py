"""``python -m tests.fuzz READER|all --minutes 10``: fuzz readers one after another; a line of figures each.

Needs ``atheris`` (and nothing else that the tests do not need). Everything is kept under ``--folder``.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from .target import READERS

EXECUTED = re.compile(r"stat::number_of_executed_units:\s+(\d+)")
STATUS = re.compile(r"#(\d+)\s.*?cov: (\d+) ft: (\d+)")
MOST_RESTARTS = 40
SLACK_S = 1500.0  # one input more, and writing the corpus


class Limits(NamedTuple):
    """Seconds that a reader is fuzzed for: whichever are over first."""

    cpu_s: float
    wall_s: float


def fuzz(reader: str, limits: Limits, folder: Path, seed: int, replay: bool) -> dict[str, object]:
    """Run the fuzzer until its time is over, again after each crash; the figures."""
    corpus, findings = folder / reader / "corpus", folder / reader / "findings"
    corpus.mkdir(parents=True, exist_ok=True)
    findings.mkdir(parents=True, exist_ok=True)
    inputs, edges, used_s, cpu_s, stops = 0, 0, 0.0, 0.0, 0
    log = folder / reader / "log.txt"
    while used_s < limits.wall_s - 1 and cpu_s < limits.cpu_s - 1 and stops < MOST_RESTARTS:
        left = Limits(limits.cpu_s - cpu_s, limits.wall_s - used_s)
        begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        code, told = run_once(reader, corpus, findings, left, seed + stops, log)
        used_s += time.monotonic() - begin
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        ran, covered = figures(told)
        inputs, edges = inputs + ran, max(edges, covered)
        if code != 0:
            stops += 1
            if ran == 0:
                break  # it does not even begin
    files = [path.name for path in findings.iterdir() if path.suffix not in (".txt", ".dict")]
    return {
        "reader": reader,
        "inputs": inputs,
        "minutes": round(used_s / 60, 1),
        "cpu_minutes": round(cpu_s / 60, 2),
        "edges": edges,
        "corpus": len(list(corpus.iterdir())),
        "lines": lines_reached(reader, corpus) if replay else None,
        "stops": stops,
        "findings": sorted(files),
    }


def run_once(
    reader: str, corpus: Path, findings: Path, limits: Limits, seed: int, log: Path
) -> tuple[int, str]:
    """One process of :mod:`tests.fuzz.engine`; its exit status and what it told."""
    command = [sys.executable, "-m", "tests.fuzz.engine", reader, "--corpus", str(corpus)]
    command += ["--findings", str(findings), "--seed", str(seed)]
    command += ["--seconds", str(round(limits.wall_s)), "--cpu-seconds", str(limits.cpu_s)]
    with open(log, "ab") as file:
        start = file.tell()
        process = subprocess.Popen(command, stdout=file, stderr=file)
        try:
            code = process.wait(timeout=limits.wall_s + SLACK_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
    with open(log, "rb") as file:
        file.seek(start)
        return code, file.read().decode("utf-8", "replace")


def figures(told: str) -> tuple[int, int]:
    """Inputs and edges by libFuzzer's lines."""
    status = [(int(m[1]), int(m[2])) for m in STATUS.finditer(told)]
    executed = EXECUTED.findall(told)
    inputs = int(executed[-1]) if executed else max((count for count, _ in status), default=0)
    return inputs, max((edges for _, edges in status), default=0)


def lines_reached(reader: str, corpus: Path) -> str | None:
    """``reached/all`` of the reader's modules, by replaying the corpus in a process of its own."""
    command = [sys.executable, "-m", "tests.fuzz.reached", reader, str(corpus)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=3600)
    try:
        found: dict[str, tuple[int, int]] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        print(done.stderr[-2000:], file=sys.stderr)
        return None
    return f"{sum(hit for hit, _ in found.values())}/{sum(total for _, total in found.values())}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("readers", nargs="+", choices=[*READERS, "all"])
    parser.add_argument("--minutes", type=float, default=10.0, help="of processor time for each reader")
    parser.add_argument(
        "--wall-minutes", type=float, default=60.0, help="end a reader after this at the latest"
    )
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"), help="corpora, findings and logs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-replay", action="store_true", help="do not count the lines that are reached")
    options = parser.parse_args()
    readers = READERS if "all" in options.readers else options.readers
    options.folder.mkdir(parents=True, exist_ok=True)
    for reader in readers:
        limits = Limits(60 * options.minutes, 60 * options.wall_minutes)
        result = fuzz(reader, limits, options.folder, options.seed, not options.no_replay)
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
