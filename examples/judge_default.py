"""Judge models on the sets of ``heldout_sets.sh``: a Markdown page on stdout, everything in a JSON file.

    python examples/judge_default.py window,prior:tiles,model.safetensors --sets OUT -o judged.json

Models are named as ``amr predict --model`` takes them; the others are compared with the first, paired.
Figures, intervals and comparisons are those of ``amr score``. Where a set has absent counterparts, the score
of the best answer must also tell the two apart: AUC, calibration, and what each ``--min-score`` lets through.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from judge_page import page

from amr.arrays import BoolArray, Float64Array

Record = dict[str, Any]

MIN_SCORES = tuple(round(0.05 * step, 2) for step in range(1, 19))


@dataclass(frozen=True)
class HeldOut:
    """A set, and where its features are.

    Args:
        name: of its annotations.
        features: name of its feature file.
        absent: its absent counterparts, if it has some.
    """

    name: str
    features: str
    absent: str | None = None


SETS = (
    HeldOut("scenes", "scenes", "absent"),
    HeldOut("paraphrased", "scenes", "absent_paraphrased"),
    HeldOut("esc", "esc", "absent_esc"),
    HeldOut("esc50", "esc50", "absent_esc50"),
    HeldOut("household", "household", "absent_household"),
    HeldOut("short", "short"),
    HeldOut("real", "real"),
)

PARTS: dict[str, Callable[[Record], bool]] = {
    "all": lambda _: True,
    "seen": lambda record: record["seen"] is True,
    "unseen": lambda record: record["seen"] is False,
    "unseen, no kin": lambda record: record.get("kin") is False,
    "clips under 5": lambda record: 0 < record.get("clips", 0) < 5,
    "clips 5 to 19": lambda record: 5 <= record.get("clips", 0) < 20,
    "clips 20 and more": lambda record: record.get("clips", 0) >= 20,
    "under 1 s": lambda record: 0 < record.get("sounding_s", 0) < 1,
    "1 to 2 s": lambda record: 1 <= record.get("sounding_s", 0) < 2,
    "under 2 s": lambda record: 0 < record.get("sounding_s", 0) < 2,
    "human": lambda record: record.get("human") is True,
    "automatic": lambda record: record.get("human") is False,
}
"""By label in training or not (``kin``: a related one is), by its number of clips there, by how long the
sound is heard, by who annotated."""


@dataclass(frozen=True)
class TopAnswers:
    """The best answer to each query; 0 where there is none.

    Args:
        score: ``(queries,)``.
        right: ``(queries,)`` it meets a true moment; never where the query is absent.
        present: ``(queries,)`` there is something to find.
    """

    score: Float64Array
    right: BoolArray
    present: BoolArray


def threshold_table(top: TopAnswers, min_scores: Sequence[float] = MIN_SCORES) -> list[Record]:
    """What each ``--min-score`` lets through, per cent.

    ``precision``: of the answers shown, those that are right (None where none is shown). ``recall``: of the
    present queries, those answered rightly. ``answered``: of the present queries, those with an answer shown.
    ``false_alarms``: of the absent queries, those with an answer shown. ``F1`` of precision and recall.
    """
    rows = []
    for least in min_scores:
        shown = top.score >= least
        right = int((shown & top.right).sum())
        recall = right / int(top.present.sum())
        precision = right / int(shown.sum()) if shown.any() else None
        rows.append(
            {
                "min_score": least,
                "precision": None if precision is None else percent(precision),
                "recall": percent(recall),
                "F1": percent(2 * precision * recall / (precision + recall)) if precision else 0.0,
                "answered": percent(float(shown[top.present].mean())),
                "false_alarms": percent(float(shown[~top.present].mean())),
            }
        )
    return rows


def telling_apart(top: TopAnswers) -> Record:
    """AUC of present against absent, calibration with the absent as misses, and the table of thresholds."""
    from amr.evaluation.report import reliability_block
    from amr.metrics.calibration import reliability
    from amr.training.validate import area_under_curve

    return {
        "present": int(top.present.sum()),
        "absent": int((~top.present).sum()),
        "AUC": area_under_curve(top.score[top.present], top.score[~top.present]),
        "calibration": reliability_block(reliability(top.score, top.right)),
        "min_score": threshold_table(top),
    }


def percent(share: float) -> float:
    """Per cent, two digits."""
    return round(100 * share, 2)


def top_answers(judged: Iterable[Record], absent: Iterable[Record]) -> TopAnswers:
    """From the lines of ``amr score --per-query`` and the predictions for absent queries."""
    from amr.metrics.calibration import HIT_IOU

    found = [(record["top_score"] or 0.0, record["iou"]["1"] >= HIT_IOU, True) for record in judged]
    for record in absent:
        windows = record["pred_relevant_windows"]
        found.append((max((window[2] for window in windows), default=0.0), False, False))
    score, right, present = zip(*found, strict=True)
    return TopAnswers(np.array(score, dtype=np.float64), np.array(right), np.array(present))


@dataclass(frozen=True)
class Bench:
    """Runs ``amr`` on the sets and keeps its files.

    Args:
        sets: folder of annotations and features.
        work: folder for predictions and reports.
        models: the first is what the others are compared with.
    """

    sets: Path
    work: Path
    models: tuple[str, ...]

    def judge(self, held: HeldOut) -> Record:
        """A set's figures by part and model; with absent counterparts also how scores tell them apart."""
        truth = read_lines(self.annotations(held.name))
        for model in self.models:
            self.predict(model, held.name, held.features)
        parts = {name: [record for record in truth if belongs(record)] for name, belongs in PARTS.items()}
        parts = {name: own for name, own in parts.items() if own and (name == "all" or len(own) < len(truth))}
        found = {
            "sha256": digest(self.annotations(held.name)),
            "seen": sum(record["seen"] for record in truth),
            "parts": {name: self.score(held.name, name, own) for name, own in parts.items()},
        }
        if held.absent is None:
            return found
        for model in self.models:
            self.predict(model, held.absent, held.features)
        return found | {"absent": {name: self.tell(held.name, held.absent, name) for name in parts}}

    def annotations(self, name: str) -> Path:
        """A set's annotations."""
        return self.sets / f"{name}.jsonl"

    def folder(self, name: str, part: str = "all") -> Path:
        """Where the files of a part of a set go."""
        place = self.work / name / part.replace(", ", "-").replace(" ", "-")
        place.mkdir(parents=True, exist_ok=True)
        return place

    def answers(self, model: str, name: str, part: str = "all") -> Path:
        """A model's answers to a part of a set."""
        return self.folder(name, part) / f"{self.models.index(model)}.jsonl"

    def predict(self, model: str, name: str, features: str) -> None:
        """Write a model's answers to a set's queries."""
        asked = ("--model", model, "--queries", self.annotations(name), self.sets / f"{features}.h5")
        amr("predict", *asked, "-o", self.answers(model, name), "--force", "-q")

    def score(self, name: str, part: str, truth: Sequence[Record]) -> Record:
        """``amr score`` of all models on a part of a set."""
        place = self.folder(name, part)
        write_lines(place / "truth.jsonl", truth)
        qids = {record["qid"] for record in truth}
        files = []
        for model in self.models:
            own = [record for record in read_lines(self.answers(model, name)) if record["qid"] in qids]
            files.append(self.answers(model, name, part))
            write_lines(files[-1], own)
        compare = ["--compare"] if len(files) > 1 else []
        output = ("--per-query", place / "each.jsonl", "-o", place / "report.json", "--format", "json")
        amr("score", *files, place / "truth.jsonl", *compare, "--pool", *output, "--force", "-q")
        report = json.loads((place / "report.json").read_text("utf-8"))
        pairs = [pair["figures"] for pair in report.get("comparisons", [])]
        return {
            "queries": len(truth),
            "models": dict(zip(self.models, report.get("systems", [report]), strict=True)),
            "against_first": dict(zip(self.models[1:], pairs, strict=True)),
        }

    def tell(self, name: str, absent: str, part: str) -> Record:
        """How each model's scores tell present from absent queries of a part."""
        each = read_lines(self.folder(name, part) / "each.jsonl")
        qids = {record["qid"] for record in read_lines(self.annotations(absent)) if PARTS[part](record)}
        found = {}
        for model in self.models:
            present = [line for line in each if line["predictions"] == str(self.answers(model, name, part))]
            others = [line for line in read_lines(self.answers(model, absent)) if line["qid"] in qids]
            found[model] = telling_apart(top_answers(present, others))
        return found


def amr(*arguments: object) -> None:
    """One command; its complaints go through, and its failure ends this program."""
    done = subprocess.run([sys.executable, "-m", "amr", *map(str, arguments)], check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def read_lines(path: Path) -> list[Record]:
    """The objects of a JSONL file."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write_lines(path: Path, records: Iterable[Record]) -> None:
    """A JSONL file."""
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")


def digest(path: Path) -> str:
    """Which annotations these were."""
    return sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Read the options, judge, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", help="as amr predict --model takes them, commas between")
    parser.add_argument("--sets", type=Path, required=True, help="what heldout_sets.sh made")
    parser.add_argument("-o", "--output", type=Path, default=Path("judged.json"), help="everything, as JSON")
    parser.add_argument("--work", type=Path, help="keep predictions and reports here")
    options = parser.parse_args()
    models = tuple(dict.fromkeys(options.models.split(",")))
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(options.sets, options.work or Path(temporary), models)
        found = {"models": list(models), "sets": {held.name: bench.judge(held) for held in SETS}}
    options.output.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(page(found), end="")


if __name__ == "__main__":
    main()
