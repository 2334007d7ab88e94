"""What a gain costs: the same recordings softer, in 16 and 24 bits, and with the noise of a recorder.

    python examples/judge_gain.py SET [SET ...] [--model best] [--recordings 120]

A SET is a folder that ``amr simulate`` made with its audio: annotations.jsonl, audio/. A condition is
``GAIN:SUBTYPE``, ``GAIN:SUBTYPE:NOISE`` or ``GAIN:SUBTYPE:raised``: decibels, how libsndfile names the
samples that are written, and the level of white noise that is added to the softer samples, or that what the
integers hold is brought back up by the gain and written as floats. Integers are rounded and clipped at full
scale. A question is asked where it is answered, and another one of the same recording; the first condition
is what the others are compared with, paired, with 95 % intervals over recordings. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from calibrate_scores import strangers
from judge_default import amr, read_lines, telling_apart, top_answers, write_lines
from judge_page import between

from amr.formats.annotations import read_annotations

Record = dict[str, Any]

BITS = {"PCM_16": 16, "PCM_24": 24}
RAISED = "raised"
ABSENT = "absent_"  # begins the ids of questions that are asked where they are not answered
CONDITIONS = (
    "0:PCM_16,-20:PCM_16,-40:PCM_16,-60:PCM_16,-60:PCM_24,90:FLOAT,12:PCM_16,0:PCM_24:-70,-60:PCM_24:-130"
)


def write_copy(source: Path, target: Path, condition: str) -> None:
    """A recording as a condition has it."""
    gain_db, subtype, *rest = condition.split(":")
    samples, rate_hz = soundfile.read(source, always_2d=True)
    gain = 10 ** (float(gain_db) / 20)
    samples = samples * gain
    if rest and rest != [RAISED]:
        draw = np.random.default_rng(0).standard_normal(samples.shape)
        samples = samples + draw * 10 ** (float(rest[0]) / 20)
    if subtype in BITS:  # libsndfile cuts off what is below a step, which loses twice as much
        steps = 2.0 ** (BITS[subtype] - 1)
        samples = np.clip(np.round(samples * steps), -steps, steps - 1) / steps
    if rest == [RAISED]:
        samples, subtype = samples / gain, "FLOAT"
    soundfile.write(target, samples, rate_hz, subtype=subtype)


def ask(place: Path, condition: str, sources: Sequence[Path], queries: Path, model: str) -> Path:
    """The model's answers on recordings as a condition has them; the recordings are not kept."""
    answers = place / f"{condition.replace(':', '_')}.jsonl"
    with tempfile.TemporaryDirectory(dir=place) as temporary:
        folder = Path(temporary) / "audio"
        folder.mkdir()
        for source in sources:
            write_copy(source, folder / f"{source.stem}.wav", condition)
        amr("extract", folder, "-o", folder.with_suffix(".h5"), "-q")
        amr("predict", "--model", model, "--queries", queries, folder.with_suffix(".h5"), "-o", answers, "-q")
    return answers


def judge(place: Path, folder: Path, model: str, conditions: Sequence[str], recordings: int) -> list[Record]:
    """A line of the table for each condition."""
    sources = sorted((folder / "audio").iterdir())[:recordings]
    vids = {source.stem for source in sources}
    truth = [record for record in read_lines(folder / "annotations.jsonl") if record["vid"] in vids]
    write_lines(place / "truth.jsonl", truth)
    others = strangers(read_annotations(str(place / "truth.jsonl")))
    absent = [
        {"qid": f"{ABSENT}{record['qid']}", "query": other.query, "vid": record["vid"]}
        for record, other in zip(truth, others, strict=True)
    ]
    asked = [{name: record[name] for name in ("qid", "query", "vid")} for record in truth]
    write_lines(place / "asked.jsonl", asked + absent)
    present, missing = [], []
    for number, condition in enumerate(conditions):
        lines = read_lines(ask(place, condition, sources, place / "asked.jsonl", model))
        present.append(place / f"{number}.jsonl")
        is_absent = [str(line["qid"]).startswith(ABSENT) for line in lines]
        write_lines(present[-1], [line for line, no in zip(lines, is_absent, strict=True) if not no])
        missing.append([line for line, yes in zip(lines, is_absent, strict=True) if yes])
    output = ("--per-query", place / "each.jsonl", "-o", place / "report.json", "--format", "json")
    compare = ["--compare"] if len(present) > 1 else []
    amr("score", *present, place / "truth.jsonl", *compare, "--pool", *output, "--force", "-q")
    report = json.loads((place / "report.json").read_text("utf-8"))
    each = read_lines(place / "each.jsonl")
    separation = [
        telling_apart(top_answers([line for line in each if line["predictions"] == str(path)], lines))
        for path, lines in zip(present, missing, strict=True)
    ]
    against = [None, *(pair["figures"] for pair in report.get("comparisons", []))]
    rows = zip(conditions, report.get("systems", [report]), separation, against, strict=True)
    return [
        {"condition": c, "queries": len(truth), "figures": f["brief"], "AUC": t["AUC"], "against": a}
        for c, f, t, a in rows
    ]


def line_of(name: str, row: Record) -> str:
    """A row of the table."""
    cells = [name, str(row["queries"]), row["condition"].replace(":", " ")]
    for figure in ("R1@0.5", "R1@0.7"):
        cells.append(f"{row['figures'][f'MR-full-{figure}']:.1f}")
        if row["against"] is not None:
            pair = row["against"][figure]
            cells[-1] += f" {pair['difference']:+.1f} {between(pair['interval'])}".rstrip()
    return f"| {' | '.join(cells)} | {row['AUC']:.1f} |"


def main() -> None:
    """Read the options, judge, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--model", default="best", help="as amr predict --model takes it")
    parser.add_argument("--recordings", type=int, default=10**9, help="take the first so many of each set")
    parser.add_argument("--conditions", default=CONDITIONS, help="commas between")
    options = parser.parse_args()
    print("| set | queries | dB, samples, noise | R1@0.5 | R1@0.7 | AUC |\n|---|---|---|---|---|---|")
    for folder in options.sets:
        with tempfile.TemporaryDirectory() as place:
            for row in judge(
                Path(place), folder, options.model, options.conditions.split(","), options.recordings
            ):
                print(line_of(folder.name, row), flush=True)


if __name__ == "__main__":
    main()
