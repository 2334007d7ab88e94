"""Questions of two sounds each, from the annotations of recordings that hold several.

    amr simulate ... -o SET; amr extract SET/audio -o SET.h5    (or examples/simulate_open.sh)
    python examples/two_sounds.py SET/annotations.jsonl --write two.jsonl
    amr predict --queries two.jsonl SET.h5 -o joined.jsonl
    amr predict --queries two.jsonl SET.h5 --model amr/models/shipped/best.safetensors -o whole.jsonl
    python examples/two_sounds.py two.jsonl --judge whole.jsonl joined.jsonl

Of each recording, pairs of annotated sounds of two labels. Where their moments overlap by a second or
more the question is "a while b", and the answer is where both sound. Where they never overlap but come within
three seconds of each other, it is "a and b" or "a followed by b", and the answer reaches from the start of
the one to the end of the other. Each question is also asked of another recording, where it is absent.
``--paraphrases`` asks in the words of a table (columns label, query). A model that is named by its file is
asked whole sentences.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from amr.formats.jsonl import write_objects
from amr.moments import interval_iou

FORMS = {
    "at once": ("{a} while {b}", "{a} as {b}", "while {a}, {b}"),
    "both": ("{a} and {b}",),
    "in order": ("{a} followed by {b}", "{a} and then {b}", "{a}, then {b}"),
}
LEAST_S, APART_S = 1.0, 3.0
Row = dict[str, Any]


def pairs(first: Row, second: Row) -> dict[str, list[list[float]]]:
    """The answers to a question of two sounds, by its kind."""
    found: dict[str, list[list[float]]] = {kind: [] for kind in FORMS}
    for a in first["relevant_windows"]:
        for b in second["relevant_windows"]:
            start_s, end_s = max(a[0], b[0]), min(a[1], b[1])
            if end_s - start_s >= LEAST_S:
                found["at once"].append([start_s, end_s])
            elif end_s <= start_s <= end_s + APART_S:
                found["both"].append([min(a[0], b[0]), max(a[1], b[1])])
                if a[0] < b[0]:
                    found["in order"].append(found["both"][-1])
    return found


def questions(rows: Sequence[Row], words: dict[str, list[str]], seed: int) -> list[Row]:
    """A question of each pair of sounds, and the same of another recording, without an answer."""
    draw = np.random.default_rng(seed)
    recordings: dict[str, list[Row]] = {}
    for row in rows:
        recordings.setdefault(row["vid"], []).append(row)
    vids, found = sorted(recordings), []
    for place, vid in enumerate(vids):
        for first, second in combinations(recordings[vid], 2):
            a, b = (first, second) if draw.random() < 0.5 else (second, first)
            answers = pairs(a, b)
            if a["label"] == b["label"] or not any(answers.values()):
                continue
            kind = "at once" if answers["at once"] else str(draw.choice(["both", "in order"]))
            if not answers[kind]:  # it was the other way round
                a, b = b, a
                answers = pairs(a, b)
            said = [str(draw.choice(words.get(each["label"], [each["query"]]))) for each in (a, b)]
            text = str(draw.choice(FORMS[kind])).format(a=said[0], b=said[1])
            row = {"qid": len(found), "query": text, "vid": vid, "duration": a["duration"], "kind": kind}
            absent_of = vids[(place + len(vids) // 2) % len(vids)]
            found += [
                {**row, "relevant_windows": answers[kind]},
                {**row, "qid": len(found) + 1, "vid": absent_of, "relevant_windows": []},
            ]
    return found


def figures(rows: Sequence[Row], answers: dict[int, list[list[float]]]) -> list[float]:
    """R1@0.5, R1@0.7 and AUC of present against absent, in percent."""
    ious, present, absent = [], [], []
    for row in rows:
        best = answers[row["qid"]][:1]
        score = best[0][2] if best else 0.0
        if row["relevant_windows"]:
            truth = np.array(row["relevant_windows"], dtype=np.float64)
            ious.append(interval_iou(np.array(best[0][:2]), truth).max() if best else 0.0)
            present.append(score)
        else:
            absent.append(score)
    ahead = np.array(present)[:, None] - np.array(absent)
    auc = np.mean((ahead > 0) + 0.5 * (ahead == 0))
    return [
        100 * float(value) for value in (np.mean(np.array(ious) >= 0.5), np.mean(np.array(ious) >= 0.7), auc)
    ]


def read_rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", type=Path, help="annotations with labels, or, with --judge, the questions")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the questions here")
    parser.add_argument("--paraphrases", type=Path, metavar="CSV", help="ask in these words")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--judge", type=Path, nargs="+", default=[], metavar="PREDICTIONS")
    options = parser.parse_args()
    rows = read_rows(options.rows)
    if options.write:
        words: dict[str, list[str]] = {}
        if options.paraphrases:
            with options.paraphrases.open(newline="", encoding="utf-8") as table:
                for row in csv.DictReader(table):
                    words.setdefault(row["label"], []).append(row["query"])
        with options.write.open("w", encoding="utf-8") as file:
            write_objects(file, questions(rows, words, options.seed))
    for path in options.judge:
        answers = {row["qid"]: row["pred_relevant_windows"] for row in read_rows(path)}
        for kind in FORMS:
            of_kind = [row for row in rows if row["kind"] == kind]
            if not of_kind:
                continue
            shown = "".join(f"{value:7.1f}" for value in figures(of_kind, answers))
            print(f"{path.name:24}{kind:10}{len(of_kind) // 2:5}{shown}")


if __name__ == "__main__":
    main()
