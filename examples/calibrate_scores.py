"""Make a model's scores say how often they are right, on recordings that it was not trained on.

    python examples/calibrate_scores.py MODEL ANNOTATIONS FEATURES -o CALIBRATED

Asks every query of ANNOTATIONS where it belongs, and once more of its recording a query that is not annotated
there. A logistic curve is fitted to what came of it (Platt 1999): the chance that a moment of this score
overlaps a true one by IoU 0.5. In a model of the preset ``best`` it is folded into the weights of the score:
the order of the answers stays, and nothing changes but the scores.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from amr.errors import InputError
from amr.formats.annotations import Annotation, read_annotations
from amr.models.checkpoint import read_checkpoint, write_checkpoint
from amr.moments import interval_iou

FloatArray = npt.NDArray[np.float64]
HIT_IOU = 0.5
SEED = 0


def main() -> None:
    """Ask, fit, fold in, write."""
    arguments = parse()
    checkpoint = read_checkpoint(arguments.model)
    if "head.weight" not in checkpoint.weights:
        raise SystemExit(f"{arguments.model}: not a model of the preset best")
    logits, hits = outcomes(arguments.model, read_annotations(str(arguments.annotations)), arguments.features)
    slope, shift = fit(logits, hits)
    print(f"{len(hits)} moments, {hits.mean():.1%} right: score = sigmoid({slope:.3f} logit {shift:+.3f})")
    weight, bias = checkpoint.weights["head.weight"].clone(), checkpoint.weights["head.bias"].clone()
    weight[0] *= slope
    bias[0] = bias[0] * slope + shift
    told = f"calibrated on {arguments.annotations.name}: slope {slope:.4f}, shift {shift:.4f}"
    write_checkpoint(
        arguments.output,
        replace(
            checkpoint,
            weights={**checkpoint.weights, "head.weight": weight, "head.bias": bias},
            history=(*checkpoint.history, told),
        ),
        dtype=torch.float16,
        force=True,
    )


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("features", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    return parser.parse_args()


def outcomes(model: Path, annotations: Sequence[Annotation], features: Path) -> tuple[FloatArray, FloatArray]:
    """``(moments,)`` logit of each moment that the model gives, and 1 where it is right."""
    truth = {f"present {n}": np.array(each.windows, dtype=np.float64) for n, each in enumerate(annotations)}
    asked = [{"qid": f"present {n}", "query": a.query, "vid": a.vid} for n, a in enumerate(annotations)]
    for n, (here, other) in enumerate(zip(annotations, strangers(annotations), strict=True)):
        truth[f"absent {n}"] = np.zeros((0, 2))
        asked.append({"qid": f"absent {n}", "query": other.query, "vid": here.vid})
    scores, hits = [], []
    for answer in predict(model, asked, features):
        true = truth[answer["qid"]]
        for start_s, end_s, score in answer["pred_relevant_windows"]:
            overlap = interval_iou(np.array([start_s, end_s], dtype=np.float64), true)
            scores.append(score)
            hits.append(float(overlap.max(initial=0.0) >= HIT_IOU))
    clipped = np.clip(np.array(scores), 1e-6, 1 - 1e-6)
    return np.log(clipped / (1 - clipped)), np.array(hits)


def strangers(annotations: Sequence[Annotation]) -> list[Annotation]:
    """For each annotation another one whose label its recording is not annotated with."""
    heard: dict[str, set[object]] = {}
    for each in annotations:
        heard.setdefault(each.vid, set()).add(each.extra.get("label", each.query))
    rng = np.random.default_rng(SEED)
    found = []
    for each in annotations:
        free = [a for a in annotations if a.extra.get("label", a.query) not in heard[each.vid]]
        if not free:
            raise InputError("every label is heard in this recording", where=each.where)
        found.append(free[int(rng.integers(len(free)))])
    return found


def predict(model: Path, asked: Sequence[dict[str, str]], features: Path) -> list[dict[str, Any]]:
    """What ``amr predict`` answers."""
    with tempfile.TemporaryDirectory() as folder:
        queries = Path(folder) / "queries.jsonl"
        queries.write_text("".join(json.dumps(each) + "\n" for each in asked), encoding="utf-8")
        command = [sys.executable, "-m", "amr", "predict", str(features), "--model", str(model), "-q"]
        done = subprocess.run([*command, "--queries", str(queries)], check=True, stdout=subprocess.PIPE)
    return [json.loads(line) for line in done.stdout.splitlines()]


def fit(logits: FloatArray, hits: FloatArray, steps: int = 50) -> tuple[float, float]:
    """Slope and shift of the logistic curve of greatest likelihood, by Newton's method."""
    design = np.stack((logits, np.ones_like(logits)), axis=1)
    weights = np.array([1.0, 0.0])
    for _ in range(steps):
        chance = 1 / (1 + np.exp(-design @ weights))
        curvature = design.T @ (design * (chance * (1 - chance))[:, None])
        weights = weights + np.linalg.solve(curvature + 1e-9 * np.eye(2), design.T @ (hits - chance))
    return float(weights[0]), float(weights[1])


if __name__ == "__main__":
    main()
