"""Make the scores of the preset ``curves`` say how often they are right, whichever encoder drew the curves.

    python examples/calibrate_curves.py MODEL ANNOTATIONS FEATURES -o CALIBRATED

Asks every query of ANNOTATIONS where it belongs, and once more of its recording a query that is not annotated
there, on curves of each kind that the model was trained on (``judge_curves.py``). The likeliest
sigmoid(slope logit + shift), the chance that a moment overlaps a true one by IoU 0.5 (Platt 1999), is folded
into the model. A similarity's height means something else in each encoder, so that there is no level beside
it as in ``calibrate_scores.py``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from calibrate_scores import CALIBRATED, HIT_IOU, fit_logits, parse, rescaled, strangers
from judge_curves import Bench

from amr.arrays import Float64Array
from amr.formats.annotations import read_annotations
from amr.formats.features.open import open_features
from amr.models.checkpoint import read_checkpoint, write_checkpoint
from amr.moments import interval_iou
from amr.retrieval.recordings import Collection, FeatureSource
from amr.retrieval.trained.finder import TrainedFinder
from amr.retrieval.trained.model import load_model

KIND_NAMES = {"own": "log"}


def main() -> None:
    """Ask, fit, fold in, write."""
    options = parse(__doc__)
    checkpoint = read_checkpoint(options.model)
    if any(line.startswith(CALIBRATED) for line in checkpoint.history):
        raise SystemExit(f"{options.model}: is calibrated already")
    kinds = str(checkpoint.training["training"]["curve_kinds"]).split()
    with open_features(options.features) as reader:
        bench = Bench(read_annotations(str(options.annotations)), Collection([FeatureSource(reader)]))
        logit, hit = outcomes(options.model, bench, [KIND_NAMES.get(kind, kind) for kind in kinds])
    slope, shift = fit_logits(logit, hit)
    curve = f"sigmoid({slope:.3f} logit {shift:+.3f})"
    print(f"{len(hit)} moments, {hit.mean():.1%} right: score = {curve}")
    calibrated = replace(
        checkpoint,
        weights=rescaled(checkpoint.weights, "head", slope, shift, rows=1),
        history=(*checkpoint.history, f"{CALIBRATED} {options.annotations.name}: {curve}"),
    )
    write_checkpoint(options.output, calibrated, dtype=torch.float16, force=True)


def outcomes(model: Path, bench: Bench, kinds: list[str]) -> tuple[Float64Array, Float64Array]:
    """The logit of each moment's score, and 1 where it is right, of all questions on curves of all kinds."""
    number_of = {id(each): number for number, each in enumerate(bench.annotations)}
    others = [number_of[id(each)] for each in strangers(bench.annotations)]
    logit, hit = [], []
    for kind in kinds:
        for query_of in (None, others):
            window, asked = bench.asked(kind, query_of)
            finder = TrainedFinder(load_model(model), window.sentences, window)
            for number, moments in bench.answers(finder, asked):
                windows = bench.annotations[number].windows if query_of is None else []
                true = np.array(windows, dtype=np.float64).reshape(-1, 2)
                for moment in moments:
                    clipped = min(max(float(moment[2]), 1e-6), 1 - 1e-6)
                    logit.append(np.log(clipped / (1 - clipped)))
                    hit.append(float(interval_iou(moment[:2], true).max(initial=0.0) >= HIT_IOU))
    return np.array(logit), np.array(hit)


if __name__ == "__main__":
    main()
