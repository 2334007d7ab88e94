"""Make a model's scores say how often they are right, on recordings that it was not trained on.

    python examples/calibrate_scores.py MODEL ANNOTATIONS FEATURES -o CALIBRATED

Asks every query of ANNOTATIONS where it belongs, and once more of its recording a query that is not annotated
there. A logistic curve is fitted to what came of it (Platt 1999), over the moment's score and over the
recording's highest similarity to the sentence: the chance that the moment overlaps a true one by IoU 0.5. In
a model of the preset ``best`` it is folded into the weights of the score: the moments of a recording keep
their order, and their ends to a few hundredths of a second (scores vote on them).
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

from amr.encoders.registry import DEFAULT_ENCODER, load_encoder
from amr.errors import InputError
from amr.formats.annotations import Annotation, read_annotations
from amr.formats.features import open_features
from amr.models.checkpoint import read_checkpoint, write_checkpoint
from amr.moments import interval_iou
from amr.retrieval.find import WindowFinder
from amr.retrieval.window import default_options

FloatArray = npt.NDArray[np.float64]
HIT_IOU = 0.5
SEED = 0


def main() -> None:
    """Ask, fit, fold in, write."""
    arguments = parse()
    checkpoint = read_checkpoint(arguments.model)
    if "head.weight" not in checkpoint.weights:
        raise SystemExit(f"{arguments.model}: not a model of the preset best")
    known, hits = outcomes(arguments.model, read_annotations(str(arguments.annotations)), arguments.features)
    slope, of_level, shift = fit(known, hits)
    curve = f"sigmoid({slope:.3f} logit {of_level:+.3f} level {shift:+.3f})"
    print(f"{len(hits)} moments, {hits.mean():.1%} right: score = {curve}")
    weight, bias = checkpoint.weights["head.weight"].clone(), checkpoint.weights["head.bias"].clone()
    weight[0] *= slope
    bias[0] = bias[0] * slope + shift
    level_weight = slope * checkpoint.config.level_weight + of_level
    told = f"calibrated on {arguments.annotations.name}: {curve}"
    write_checkpoint(
        arguments.output,
        replace(
            checkpoint,
            config=replace(checkpoint.config, level_weight=round(level_weight, 6)),
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
    """Of each moment that the model gives ``(moments, 2)`` logit and level, and 1 where it is right."""
    truth = {f"present {n}": np.array(each.windows, dtype=np.float64) for n, each in enumerate(annotations)}
    asked = [{"qid": f"present {n}", "query": a.query, "vid": a.vid} for n, a in enumerate(annotations)]
    for n, (here, other) in enumerate(zip(annotations, strangers(annotations), strict=True)):
        truth[f"absent {n}"] = np.zeros((0, 2))
        asked.append({"qid": f"absent {n}", "query": other.query, "vid": here.vid})
    level = levels(asked, features)
    known, hits = [], []
    for answer in predict(model, asked, features):
        true = truth[answer["qid"]]
        for start_s, end_s, score in answer["pred_relevant_windows"]:
            overlap = interval_iou(np.array([start_s, end_s], dtype=np.float64), true)
            clipped = min(max(score, 1e-6), 1 - 1e-6)
            known.append((np.log(clipped / (1 - clipped)), level[answer["qid"]]))
            hits.append(float(overlap.max(initial=0.0) >= HIT_IOU))
    return np.array(known), np.array(hits)


def levels(asked: Sequence[dict[str, str]], features: Path) -> dict[str, float]:
    """The highest similarity of each query's recording to its sentence, by query id."""
    finder = WindowFinder(load_encoder(), default_options(DEFAULT_ENCODER))
    found = {}
    with open_features(features) as reader:
        for each in asked:
            curve = finder.curves(reader.frames(each["vid"]), [each["query"]])
            found[each["qid"]] = float(curve.max())
    return found


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


def fit(known: FloatArray, hits: FloatArray, steps: int = 50) -> tuple[float, float, float]:
    """Slopes over logit and level, and shift, of the most likely logistic curve, by Newton's method."""
    design = np.concatenate((known, np.ones((len(known), 1))), axis=1)
    weights = np.array([1.0, 0.0, 0.0])
    for _ in range(steps):
        chance = 1 / (1 + np.exp(-design @ weights))
        curvature = design.T @ (design * (chance * (1 - chance))[:, None])
        weights = weights + np.linalg.solve(curvature + 1e-9 * np.eye(3), design.T @ (hits - chance))
    return float(weights[0]), float(weights[1]), float(weights[2])


if __name__ == "__main__":
    main()
