"""Plain records turned into the columns that the fast code takes."""

from __future__ import annotations

import numpy as np

from amr.metrics.evaluators import EvaluationInput
from amr.metrics.matching import match_qids
from amr.metrics.ragged import Ragged, offsets
from amr.metrics.records import Answers, Truths
from oracles.official import Record


def ragged(parts: list[list[list[float]]], width: int) -> Ragged:
    """``parts[i]`` are the rows of item i."""
    rows = [row for part in parts for row in part]
    counts = np.array([len(part) for part in parts], dtype=np.int64)
    return Ragged(offsets(counts), np.array(rows, dtype=np.float64).reshape(-1, width))


def case_of(answers: list[Record], truths: list[Record], *, qvhighlights: bool = False) -> EvaluationInput:
    """A case of records whose qids are the same on both sides; windows without score get ``1 / rank``."""
    matching = match_qids([r["qid"] for r in answers], [r["qid"] for r in truths])
    assert matching.is_complete
    assert not matching.by_text
    windows = [
        [w if len(w) == 3 else [*w, 1 / (k + 1)] for k, w in enumerate(r["pred_relevant_windows"])]
        for r in answers
    ]
    has_scores = [all(len(w) == 3 for w in r["pred_relevant_windows"]) for r in answers]
    return EvaluationInput(
        answers=Answers(matching.answer_query, ragged(windows, 3), np.array(has_scores)),
        truths=Truths(
            matching.truth_query,
            ragged([r["relevant_windows"] for r in truths], 2),
            np.array([r["duration"] for r in truths], dtype=np.float64),
        ),
        num_queries=matching.shared,
        curves=[curve_of(r) for r in answers],
        labels=[labels_of(r) for r in truths],
        qvhighlights=qvhighlights,
    )


def curve_of(record: Record) -> np.ndarray | None:
    curve = record.get("pred_saliency_scores")
    return None if curve is None else np.array(curve, dtype=np.float64)


def labels_of(record: Record) -> np.ndarray | None:
    if "relevant_clip_ids" not in record:
        return None
    labels = np.zeros((int(record["duration"] / 2), 3))
    for clip, scores in zip(record["relevant_clip_ids"], record["saliency_scores"], strict=True):
        labels[clip] = scores
    return labels
