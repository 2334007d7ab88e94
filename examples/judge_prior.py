"""Are scores right where another share of the questions is present than in calibration? A table.

    amr predict --queries SETS/scenes.jsonl SETS/scenes.h5 --model MODEL -o present.jsonl
    amr predict --queries SETS/absent.jsonl SETS/scenes.h5 --model MODEL -o absent.jsonl
    python examples/judge_prior.py MODEL SETS/scenes.jsonl present.jsonl absent.jsonl

Of the best answers to questions that are present and to others that are not, sets of 2,000 are drawn (20,
seed 0) in which 1, 10, 50 and 100 % are present. ECE in per cent: how far scores lie from the share that is
right (bins of a tenth), absent questions counted as wrong; as the model gives them, for the true share
(``--prior SHARE``), and for the share that is estimated (``--prior auto``), with the mean of the estimates.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from amr.arrays import BoolArray, Float64Array, IntpArray
from amr.formats.annotations import read_annotations
from amr.formats.predictions import read_predictions
from amr.metrics.calibration import HIT_IOU, reliability
from amr.models.model_file import open_model
from amr.moments import interval_iou
from amr.retrieval.presence import Presence, estimated_share, presence_of

SHARES = (0.01, 0.1, 0.5, 1.0)
QUESTIONS, DRAWS, SEED = 2000, 20, 0


def main() -> None:
    """Read, draw, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("model", "truth", "present", "absent"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    presence = presence_of(open_model(arguments.model).header.config)
    if presence is None:
        raise SystemExit(f"{arguments.model}: is not calibrated for shares of present questions")
    present, right = best_answers(arguments.present, arguments.truth)
    absent, _ = best_answers(arguments.absent, None)
    print("\n".join(table(present, right, absent, presence)))


def best_answers(answers: Path, truth: Path | None) -> tuple[Float64Array, BoolArray]:
    """The best score of each question, 0 where it has no answer, and whether that moment is right."""
    windows = {} if truth is None else {each.qid: each.windows for each in read_annotations(str(truth))}
    score, right = [], []
    for each in read_predictions(answers):
        start_s, end_s, best = each.windows[0] if each.windows else (0.0, 0.0, 0.0)
        true = np.array(windows.get(each.qid, []), dtype=np.float64).reshape(-1, 2)
        overlap = interval_iou(np.array([start_s, end_s]), true)
        score.append(best)
        right.append(overlap.max(initial=0.0) >= HIT_IOU)
    return np.array(score), np.array(right)


def table(present: Float64Array, right: BoolArray, absent: Float64Array, presence: Presence) -> Iterator[str]:
    """The lines of the table.

    Args:
        present, absent: ``(questions,)`` best scores.
        right: ``(questions,)`` of those that are present.
    """
    score = np.concatenate([present, absent])
    right = np.concatenate([right, np.zeros(len(absent), dtype=bool)])
    yield "| present | ECE, no `--prior` | `--prior SHARE` | `--prior auto` | estimated |"
    yield "|---|---|---|---|---|"
    for share in SHARES:
        rows = []
        for chosen in draws(len(present), len(absent), share):
            own, hit = score[chosen], right[chosen]
            estimate = estimated_share(presence.there(own))
            corrected = [presence.corrected(own, each) for each in (share, estimate)]
            rows.append([*(error(each, hit) for each in (own, *corrected)), 100 * estimate])
        as_it_is, given, auto, estimated = np.mean(rows, axis=0)
        yield f"| {share:.0%} | {as_it_is:.1f} | {given:.1f} | {auto:.1f} | {estimated:.1f} % |"


def draws(present: int, absent: int, share: float) -> Iterator[IntpArray]:
    """Sets of questions, drawn with replacement: of the first ``present``, and of the ``absent`` behind."""
    rng = np.random.default_rng(SEED)
    count = round(share * QUESTIONS)
    for _ in range(DRAWS):
        yield np.concatenate(
            [rng.integers(0, present, count), rng.integers(present, present + absent, QUESTIONS - count)]
        )


def error(score: Float64Array, right: BoolArray) -> float:
    """ECE in per cent."""
    found = reliability(score, right)
    return float("nan") if found is None else 100 * found.expected_error()


if __name__ == "__main__":
    main()
