"""Transcripts: what command lines did, as text, and whether two of them say the same."""

from __future__ import annotations

import difflib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from golden.commands import Case
from golden.dump import dump
from golden.runner import Ended, Runner

FOLDER = Path(__file__).parent / "transcripts"
MACHINE = FOLDER / "machine.txt"
REPOSITORY = Path(__file__).parents[2]

PASSING = (
    (re.compile(r"\d[\d.,]* x real time"), "# x real time"),
    (re.compile(r"\d+ samples/s"), "# samples/s"),
    (re.compile(r", in \d+\.\d s"), ", in # s"),
    (re.compile(r'"(seconds|validation_seconds|samples_per_s)": [\d.]+'), r'"\1": #'),
    (re.compile(r"(?<=amr_version )[\w.+]+"), "#"),
    (re.compile(r'(?<="amr_version": )"[^"]*"'), "#"),
    (re.compile(r"(?<=@amr_version: ).*"), "#"),
    (re.compile(r'(?<="torch": )"[^"]*"'), "#"),  # +cpu or +cu130: the numbers say whether a build matters
    (re.compile(r"\bamr \d+\.\d+\.\d+[\w.+]*"), "amr #"),
)
"""What differs from run to run or from version to version, and what stands for it."""

NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]?\d+)?")
DIGEST = re.compile(r"(\d+ characters, )?sha256( of numbers)? [0-9a-f]{32}")
LONG_DIGITS = 5
NEAR = 1e-6
NEAR_ELSEWHERE = 2e-3


def perform(case: Case, runner: Runner, world: Path, folder: Path) -> str:
    """Run a case in a new folder that holds what the world holds; the transcript."""
    shutil.copytree(world, folder)
    parts = []
    for line in case.lines:
        ended = runner.run(line, folder, terminal=case.terminal)
        parts += told(line, ended, at_a_terminal=case.terminal)
    for name in case.outputs:
        parts += [f"--- {name}", *dump(folder / name)]
    return settled("\n".join(parts) + "\n", folder, runner.checkout)


def told(line: str, ended: Ended, *, at_a_terminal: bool) -> Iterator[str]:
    """A command line with how it ended."""
    yield f"$ {line}"
    yield f"exit {ended.code}"
    for name, data in (("stdout", ended.stdout), ("stderr", ended.stderr)):
        if data:
            yield f"--- {name}{', a terminal' if at_a_terminal and name == 'stdout' else ''}"
            yield data.decode().removesuffix("\n")


def settled(text: str, folder: Path, checkout: Path) -> str:
    """Without what passes: folders, speeds, versions."""
    text = text.replace(str(folder.resolve()), "<folder>").replace(str(folder), "<folder>")
    text = text.replace(str(checkout), "<checkout>")
    for pattern, stand_in in PASSING:
        text = pattern.sub(stand_in, text)
    return text


def path_of(case: Case) -> Path:
    return FOLDER / f"{case.name}.txt"


def difference(case: Case, expected: str, seen: str, *, same_machine: bool) -> str:
    """What is different, as a unified diff; empty if nothing.

    Only numbers that networks make may differ: where they are printed with five decimals or more, by 1e-6;
    on another machine than the one of the record, by 2e-3, and their digests are not compared.
    """
    before, after = expected.splitlines(), seen.splitlines()
    if case.networks and len(before) == len(after):
        pairs = zip(before, after, strict=True)
        after = [old if alike(old, new, same_machine=same_machine) else new for old, new in pairs]
    return "\n".join(difflib.unified_diff(before, after, "recorded", "now", n=2, lineterm=""))


def alike(old: str, new: str, *, same_machine: bool) -> bool:
    """Whether two lines differ by no more than rounding."""
    if old == new:
        return True
    if not same_machine:
        old, new = DIGEST.sub("", old), DIGEST.sub("", new)
    if NUMBER.sub("#", old) != NUMBER.sub("#", new):
        return False
    return all(
        near(first, second, same_machine=same_machine)
        for first, second in zip(NUMBER.findall(old), NUMBER.findall(new), strict=True)
    )


def near(first: str, second: str, *, same_machine: bool) -> bool:
    if first == second:
        return True
    if same_machine and max(map(decimals, (first, second))) < LONG_DIGITS:
        return False
    margin = NEAR if same_machine else NEAR_ELSEWHERE
    return abs(float(first) - float(second)) <= margin * max(1.0, abs(float(first)))


def decimals(number: str) -> int:
    return len(number.partition(".")[2]) if "e" not in number else LONG_DIGITS
