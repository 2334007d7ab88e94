"""Make the scores of the preset ``curves`` say how often they are right, whichever encoder drew the curves.

    python examples/calibrate_curves.py MODEL ANNOTATIONS FEATURES -o CALIBRATED

Asks every query of ANNOTATIONS where it belongs, and once more of its recording a query that is not annotated
there, on curves of each kind that the model was trained on (``judge_curves.py``). To what comes of it the
likeliest

    chance = sigmoid(of_level level + level_shift) sigmoid(slope logit + shift)

is fitted, the chance that a moment overlaps a true one by IoU 0.5, as ``calibrate_scores.py`` does for
``best``. The level is the logit of the window's score, whose scale differs from encoder to encoder: the kinds
stand for several. Beside it go the curves that ``amr predict --prior`` needs.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from calibrate_scores import (
    CALIBRATED,
    HIT_IOU,
    Outcomes,
    fit,
    log_sigmoid,
    parse,
    strangers,
    with_presence,
    with_scores,
)
from judge_curves import Bench

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
        found = outcomes(options.model, bench, [KIND_NAMES.get(kind, kind) for kind in kinds])
    of_level, level_shift, slope, shift = fit(found, (1.0, 0.0, 1.0, 0.0))
    curve = f"sigmoid({of_level:.3f} level {level_shift:+.3f}) sigmoid({slope:.3f} logit {shift:+.3f})"
    print(f"{len(found.hit)} moments, {found.hit.mean():.1%} right: score = {curve}")
    assert found.level is not None  # outcomes has measured it
    score = np.exp(
        log_sigmoid(of_level * found.level + level_shift) + log_sigmoid(slope * found.logit + shift)
    )
    line = f"{CALIBRATED} {options.annotations.name}: {curve}"
    levelled = replace(
        checkpoint, config=replace(checkpoint.config, level_weight=of_level, level_shift=level_shift)
    )
    calibrated = with_presence(with_scores(levelled, slope, shift), found, score, line)
    write_checkpoint(options.output, calibrated, dtype=torch.float16, force=True)


def outcomes(model: Path, bench: Bench, kinds: list[str]) -> Outcomes:
    """What came of all questions on curves of all kinds."""
    number_of = {id(each): number for number, each in enumerate(bench.annotations)}
    others = [number_of[id(each)] for each in strangers(bench.annotations)]
    logit, level, hit, question, present = [], [], [], [], []
    asked_before = 0
    for kind in kinds:
        for query_of in (None, others):
            window, asked = bench.asked(kind, query_of)
            finder = TrainedFinder(load_model(model), window.sentences, window)
            texts = {number: query.text for number, query in asked}
            for number, moments in bench.answers(finder, asked):
                windows = bench.annotations[number].windows if query_of is None else []
                true = np.array(windows, dtype=np.float64).reshape(-1, 2)
                recording = bench.collection.load(bench.annotations[number].vid)
                curve = window.similarity(recording, [texts[number]])[:, 0]
                highest = float(window.heights(curve, recording.grid.hop_s).max())
                for moment in moments:
                    clipped = min(max(float(moment[2]), 1e-6), 1 - 1e-6)
                    logit.append(np.log(clipped / (1 - clipped)))
                    level.append(highest)
                    hit.append(float(interval_iou(moment[:2], true).max(initial=0.0) >= HIT_IOU))
                    question.append(asked_before + number)
                    present.append(float(query_of is None))
            asked_before += len(bench.annotations)
    return Outcomes(
        np.array(logit), np.array(level), np.array(hit), np.array(question, dtype=np.intp), np.array(present)
    )


if __name__ == "__main__":
    main()
