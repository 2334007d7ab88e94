"""Make a model's scores say how often they are right, on recordings that it was not trained on.

    python examples/calibrate_scores.py MODEL ANNOTATIONS FEATURES -o CALIBRATED

Asks every query of ANNOTATIONS where it belongs, and once more of its recording a query that is not annotated
there. To what comes of it the likeliest

    chance = sigmoid(of_level level + level_shift) sigmoid(slope logit + shift)

is fitted, the chance that a moment overlaps a true one by IoU 0.5: that what is asked for is there at all, by
how near the recording comes to the sentence (``amr.models.level``), times that this is the moment, by the
moment's own score (Platt 1999). Both are folded into a model of the preset ``best``: the moments of a
recording keep their order, and their ends to a few hundredths of a second (scores vote on them).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize

from amr.encoders.registry import DEFAULT_ENCODER, load_encoder
from amr.errors import InputError
from amr.formats.annotations import Annotation, read_annotations
from amr.formats.features_rows import FeatureRows
from amr.models.checkpoint import read_checkpoint, write_checkpoint
from amr.models.level import HALF_FOOT
from amr.moments import interval_iou
from amr.retrieval.curves import highest_smoothed
from amr.retrieval.detr import load_model
from amr.retrieval.find import WindowFinder
from amr.retrieval.model_space import own_space
from amr.retrieval.ranking import COSINE_WEIGHT, SIMILARITY_WEIGHT, together
from amr.retrieval.window import default_options

FloatArray = npt.NDArray[np.float64]
HIT_IOU = 0.5
SEED = 0
PRIOR_SD = 100.0
"""Of the weights that are fitted: what a handful of questions separate does not send them to infinity."""


@dataclass(frozen=True)
class Outcomes:
    """What came of the questions, a moment an entry, ``(moments,)`` each.

    Args:
        logit: of its score.
        level: of its recording to its question.
        hit: 1 where it is right.
    """

    logit: FloatArray
    level: FloatArray
    hit: FloatArray


def main() -> None:
    """Ask, fit, fold in, write."""
    arguments = parse()
    checkpoint = read_checkpoint(arguments.model)
    if not checkpoint.config.prototypes:
        raise SystemExit(f"{arguments.model}: not a model of the preset best")
    if checkpoint.config.level_weight:
        raise SystemExit(f"{arguments.model}: is calibrated already")
    found = outcomes(arguments.model, read_annotations(str(arguments.annotations)), arguments.features)
    of_level, level_shift, slope, shift = fit(found)
    curve = f"sigmoid({of_level:.3f} level {level_shift:+.3f}) sigmoid({slope:.3f} logit {shift:+.3f})"
    print(f"{len(found.hit)} moments, {found.hit.mean():.1%} right: score = {curve}")
    weight, bias = checkpoint.weights["head.weight"].clone(), checkpoint.weights["head.bias"].clone()
    weight[0] *= slope
    bias[0] = bias[0] * slope + shift
    config = replace(
        checkpoint.config,
        level_weight=of_level,
        level_shift=level_shift,
        level_similarity=similarity_in_level(),
    )
    told = f"calibrated on {arguments.annotations.name}: {curve}"
    write_checkpoint(
        arguments.output,
        replace(
            checkpoint,
            config=config,
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


def outcomes(model: Path, annotations: Sequence[Annotation], features: Path) -> Outcomes:
    """What the model says to each query where it belongs, and to another one of the same recording."""
    asked = [{"qid": str(n), "query": a.query, "vid": a.vid} for n, a in enumerate(annotations)]
    for here, other in zip(annotations, strangers(annotations), strict=True):
        asked.append({"qid": str(len(asked)), "query": other.query, "vid": here.vid})
    logit, hit, question = [], [], []
    for answer in predict(model, asked, features):
        number = int(answer["qid"])
        windows = annotations[number].windows if number < len(annotations) else []
        true = np.array(windows, dtype=np.float64).reshape(-1, 2)
        for start_s, end_s, score in answer["pred_relevant_windows"]:
            overlap = interval_iou(np.array([start_s, end_s], dtype=np.float64), true)
            clipped = min(max(score, 1e-6), 1 - 1e-6)
            logit.append(np.log(clipped / (1 - clipped)))
            hit.append(float(overlap.max(initial=0.0) >= HIT_IOU))
            question.append(number)
    return Outcomes(np.array(logit), levels(model, asked, features)[question], np.array(hit))


def similarity_in_level() -> float:
    """What a unit of similarity counts for in a level, where a cosine of 1 counts 1: as in an archive."""
    step = default_options(DEFAULT_ENCODER).score_scale
    return SIMILARITY_WEIGHT / step / COSINE_WEIGHT


def levels(model: Path, asked: Sequence[dict[str, str]], features: Path) -> FloatArray:
    """``(asked,)``: how near each query's recording comes to its sentence."""
    space = own_space(load_model(model))
    assert space is not None, "main() saw its prototypes"
    encoder = load_encoder()
    options = default_options(DEFAULT_ENCODER)
    finder = WindowFinder(encoder, options)
    found = []
    with FeatureRows(features) as rows:
        place = {vid: number for number, vid in enumerate(rows.ids)}
        for each in asked:
            frames = rows.rows(*rows.start[place[each["vid"]] :][:2].tolist())
            similarity = finder.curves(frames.astype(np.float32), [each["query"]])[:, 0]
            [text] = encoder.encode_text([each["query"]])
            whole = np.array([0, len(frames)])
            rank = together(
                similarity, space.values(frames) @ space.meaning(text.tokens), whole, options.score_scale
            )
            [highest] = highest_smoothed(rank, whole, HALF_FOOT)
            found.append(float(highest) / COSINE_WEIGHT)
    return np.array(found)


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


def fit(found: Outcomes) -> tuple[float, float, float, float]:
    """What the level counts for, its shift, what the logit counts for, its shift: the likeliest."""

    def cost(weights: FloatArray) -> float:
        log_chance = log_sigmoid(weights[0] * found.level + weights[1])
        log_chance = log_chance + log_sigmoid(weights[2] * found.logit + weights[3])
        log_chance = np.minimum(log_chance, -1e-9)
        surprise = -np.where(found.hit > 0, log_chance, np.log(-np.expm1(log_chance))).sum()
        return float(surprise + (weights**2).sum() / (2 * PRIOR_SD**2)) / len(found.hit)

    start = np.array([10.0, -2.0, 1.0, 0.0])
    weights = minimize(cost, start, method="Nelder-Mead", options={"maxiter": 4000, "fatol": 1e-9}).x
    # More digits would be of the last bits of this machine.
    of_level, level_shift, slope, shift = (round(float(each), 3) for each in weights)
    return of_level, level_shift, slope, shift


def log_sigmoid(x: FloatArray) -> FloatArray:
    found: FloatArray = -np.logaddexp(0, -x)
    return found


if __name__ == "__main__":
    main()
