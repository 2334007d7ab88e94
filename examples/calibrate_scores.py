"""Make a model's scores say how often they are right, on recordings that it was not trained on.

    python examples/calibrate_scores.py MODEL ANNOTATIONS FEATURES -o CALIBRATED

Asks every query of ANNOTATIONS where it belongs, and once more of its recording a query that is not annotated
there. To what comes of it the likeliest

    chance = sigmoid(of_level level + level_shift) sigmoid(slope logit + shift)

is fitted, the chance that a moment overlaps a true one by IoU 0.5: that what is asked for is there at all, by
how near the recording comes to the sentence (``amr.models.frames.level``), times that this is the moment, by
the moment's own score (Platt 1999). What the level counts for is fitted on all moments; what the score of
a segment counts for, then, on the best moment of each query. Both are folded into a model of the preset
``best``: the moments of a recording keep their order, and their ends (where proposals vote on them with their
scores, to a few hundredths of a second). Models of other networks have no level:
``sigmoid(slope logit + shift)`` is fitted, and folded into ``score_head``.

What scores are where another share of questions is present (``amr predict --prior``) follows from three
curves more, of best moments: how likely they are right, how likely a question is present where they are
wrong, and before any moment is known, by the level (``amr.retrieval.presence``).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from amr.arrays import Float64Array, IntpArray
from amr.encoders.registry import DEFAULT_ENCODER, load_encoder
from amr.errors import InputError
from amr.formats.annotations import Annotation, read_annotations
from amr.formats.features.read import FeatureFile
from amr.models.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from amr.models.frames.level import HALF_FOOT
from amr.moments import interval_iou
from amr.retrieval.archive.curves import highest_smoothed
from amr.retrieval.archive.model_space import model_space_of
from amr.retrieval.archive.ranking import COSINE_WEIGHT, SIMILARITY_WEIGHT, together
from amr.retrieval.trained.model import load_model
from amr.retrieval.window import default_options
from amr.retrieval.window_finder import WindowFinder

HIT_IOU = 0.5
CALIBRATED = "calibrated on"
SEED = 0
PRIOR_SD = 100.0
"""Of the weights that are fitted: what a handful of questions separate does not send them to infinity."""


@dataclass(frozen=True)
class Outcomes:
    """What came of the questions, a moment an entry, ``(moments,)`` each.

    Args:
        logit: of its score.
        level: of its recording to its question; None where the model has none.
        hit: 1 where it is right.
        question: which one it answers; a question's moments by falling score.
        present: 1 where what its question asks for is in the recording.
    """

    logit: Float64Array
    level: Float64Array | None
    hit: Float64Array
    question: IntpArray
    present: Float64Array

    @property
    def best(self) -> IntpArray:
        """The best moment of each question."""
        return np.unique(self.question, return_index=True)[1]


def main() -> None:
    """ModelRequest, fit, fold in, write."""
    arguments = parse(__doc__)
    checkpoint = read_checkpoint(arguments.model)
    if not (checkpoint.config.prototypes or "score_head.weight" in checkpoint.weights):
        raise SystemExit(f"{arguments.model}: its scores come from no linear map called score_head")
    has_line = any(line.startswith(CALIBRATED) for line in checkpoint.history)
    if checkpoint.config.level_weight if checkpoint.config.prototypes else has_line:
        raise SystemExit(f"{arguments.model}: is calibrated already")
    found = outcomes(arguments.model, read_annotations(str(arguments.annotations)), arguments.features)
    if checkpoint.config.prototypes:
        of_level, level_shift, slope, shift = fit(found)
        assert found.level is not None, "a model with prototypes has levels"
        level = of_level * found.level + level_shift
        if checkpoint.config.segments:  # of proposals the scores vote, and a steeper one votes otherwise
            slope, shift = fit_best(found, log_sigmoid(level), (slope, shift))
        curve = f"sigmoid({of_level:.3f} level {level_shift:+.3f}) sigmoid({slope:.3f} logit {shift:+.3f})"
        there_level_slope, there_level_shift = fit_logistic(
            level[found.best], found.present[found.best], most_slope=None
        )
        chance = log_sigmoid(level) + log_sigmoid(slope * found.logit + shift)
        calibrated = replace(
            checkpoint,
            config=replace(
                checkpoint.config,
                level_weight=of_level,
                level_shift=level_shift,
                level_similarity=similarity_in_level(),
                there_level_slope=there_level_slope,
                there_level_shift=there_level_shift,
            ),
        )
        calibrated = with_scores(calibrated, slope, shift)
    else:
        slope, shift = fit_logits(found.logit, found.hit)
        curve = f"sigmoid({slope:.3f} logit {shift:+.3f})"
        chance = log_sigmoid(slope * found.logit + shift)
        calibrated = replace(
            checkpoint, weights=rescaled(checkpoint.weights, "score_head", slope, shift, rows=2)
        )
    print(f"{len(found.hit)} moments, {found.hit.mean():.1%} right: score = {curve}")
    line = f"{CALIBRATED} {arguments.annotations.name}: {curve}"
    calibrated = with_presence(calibrated, found, np.exp(chance), line)
    write_checkpoint(arguments.output, calibrated, dtype=torch.float16, force=True)


def parse(about: str | None) -> argparse.Namespace:
    """The command line of a calibration."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
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
    level = levels(model, asked, features)
    number = np.array(question, dtype=np.intp)
    return Outcomes(
        logit=np.array(logit),
        level=None if level is None else level[number],
        hit=np.array(hit),
        question=number,
        present=(number < len(annotations)).astype(np.float64),
    )


def similarity_in_level() -> float:
    """What a unit of similarity counts for in a level, where a cosine of 1 counts 1: as in an archive."""
    step = default_options(DEFAULT_ENCODER).score_scale
    return SIMILARITY_WEIGHT / step / COSINE_WEIGHT


def levels(model: Path, asked: Sequence[dict[str, str]], features: Path) -> Float64Array | None:
    """``(asked,)``: how near each query's recording comes to its sentence; None where there is no level."""
    space = model_space_of(load_model(model))
    if space is None:
        return None
    encoder = load_encoder()
    options = default_options(DEFAULT_ENCODER)
    finder = WindowFinder(encoder, options)
    found = []
    with FeatureFile(features) as rows:
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


def fit(
    found: Outcomes, start: Sequence[float] = (10.0, -2.0, 1.0, 0.0)
) -> tuple[float, float, float, float]:
    """What the level counts for, its shift, what the logit counts for, its shift: the likeliest."""
    level = found.level
    assert level is not None, "the caller saw that the model has one"

    def log_chance(weights: Float64Array) -> Float64Array:
        of_level = log_sigmoid(weights[0] * level + weights[1])
        return of_level + log_sigmoid(weights[2] * found.logit + weights[3])

    of_level, level_shift, slope, shift = likeliest(log_chance, found.hit, start)
    return of_level, level_shift, slope, shift


def fit_best(found: Outcomes, there: Float64Array, start: Sequence[float]) -> tuple[float, float]:
    """What the logit counts for, and its shift, where the best moment of each question is to be believed.

    Args:
        found: all moments.
        there: ``(moments,)`` log chance that what is asked for is there.
        start: slope and shift to begin with.
    """
    best = found.best
    slope, shift = likeliest(
        lambda w: there[best] + log_sigmoid(w[0] * found.logit[best] + w[1]), found.hit[best], start
    )
    return slope, shift


def fit_logits(logit: Float64Array, hit: Float64Array) -> tuple[float, float]:
    """What the logits ``(moments,)`` count for, and their shift: the likeliest."""
    slope, shift = likeliest(lambda w: log_sigmoid(w[0] * logit + w[1]), hit, (1.0, 0.0))
    return slope, shift


def fit_presence(found: Outcomes, score: Float64Array) -> dict[str, float]:
    """Of best moments: how likely they are right, and where they are wrong, how likely their questions are
    present (:class:`amr.retrieval.presence.Presence`).

    The slope of the latter stays between 0 and 1, so that no share of present questions changes the order of
    scores.
    """
    best = found.best
    right_slope, right_shift = fit_logistic(logit_of(score[best]), found.hit[best], most_slope=None)
    wrong = best[found.hit[best] == 0]
    x = right_slope * logit_of(score[wrong]) + right_shift
    there_slope, there_shift = fit_logistic(x, found.present[wrong], most_slope=1.0)
    return {
        "right_slope": right_slope,
        "right_shift": right_shift,
        "there_slope": there_slope,
        "there_shift": there_shift,
    }


def logit_of(score: Float64Array) -> Float64Array:
    clipped = np.clip(score, 1e-6, 1 - 1e-6)
    found: Float64Array = np.log(clipped / (1 - clipped))
    return found


def fit_logistic(x: Float64Array, hit: Float64Array, *, most_slope: float | None) -> tuple[float, float]:
    """The likeliest sigmoid(slope x + shift), with a slope from 0 to ``most_slope``."""

    def bounded(slope: float) -> float:
        return float(np.clip(slope, 0.0, most_slope))

    slope, shift = likeliest(lambda w: log_sigmoid(bounded(w[0]) * x + w[1]), hit, (0.5, 0.0))
    return bounded(slope), shift


def likeliest(
    log_chance: Callable[[Float64Array], Float64Array], hit: Float64Array, start: Sequence[float]
) -> list[float]:
    """The weights under which ``hit`` is likeliest."""

    def cost(weights: Float64Array) -> float:
        likely = np.minimum(log_chance(weights), -1e-9)
        surprise = -np.where(hit > 0, likely, np.log(-np.expm1(likely))).sum()
        return float(surprise + (weights**2).sum() / (2 * PRIOR_SD**2)) / len(hit)

    found = minimize(cost, np.array(start), method="Nelder-Mead", options={"maxiter": 4000, "fatol": 1e-9})
    # More digits would be of the last bits of this machine.
    return [round(float(each), 3) for each in found.x]


def with_scores(checkpoint: Checkpoint, slope: float, shift: float) -> Checkpoint:
    """A frame decoder whose moments score sigmoid(slope logit + shift)."""
    if checkpoint.config.segments:  # a moment's score is no weight's product
        return replace(checkpoint, config=replace(checkpoint.config, moment_slope=slope, moment_shift=shift))
    return replace(checkpoint, weights=rescaled(checkpoint.weights, "head", slope, shift, rows=1))


def with_presence(checkpoint: Checkpoint, found: Outcomes, score: Float64Array, line: str) -> Checkpoint:
    """The checkpoint with what :func:`fit_presence` finds, and a line of what was done."""
    return replace(
        checkpoint,
        config=replace(checkpoint.config, **fit_presence(found, score)),
        history=(*checkpoint.history, line),
    )


def rescaled(
    weights: Mapping[str, Tensor], head: str, slope: float, shift: float, rows: int
) -> dict[str, Tensor]:
    """All weights, with the logits of ``head`` times ``slope`` plus ``shift``."""
    weight, bias = weights[f"{head}.weight"].clone(), weights[f"{head}.bias"].clone()
    weight[:rows] *= slope
    bias[:rows] *= slope
    bias[0] += shift
    return {**weights, f"{head}.weight": weight, f"{head}.bias": bias}


def log_sigmoid(x: Float64Array) -> Float64Array:
    found: Float64Array = -np.logaddexp(0, -x)
    return found


if __name__ == "__main__":
    main()
