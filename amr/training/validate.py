"""Validation with the real metrics: what ``amr score`` would say of the network's answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from amr.metrics.honest import honest_scores, prepare
from amr.metrics.ragged import Ragged, offsets
from amr.metrics.records import Answers, Truths
from amr.metrics.results import MAX_ANSWERS
from amr.models.inputs import Inputs
from amr.models.spans import to_ends
from amr.moments import ScoredMoment
from amr.retrieval.detr_windows import Heard, cut, merge_moments
from amr.training.batches import stretch_bounds
from amr.training.corpus import Corpus
from amr.training.draws import IntArray
from amr.training.order import share
from amr.training.step import Stepper

FloatArray = npt.NDArray[np.float64]

BATCH_FRAMES = 4096
NO_CURVE = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True)
class Stretches:
    """What the network is shown: whole recordings, or overlapping stretches of long ones.

    Args:
        item: ``(stretches,)``, ascending.
        first, count: ``(stretches,)`` frames.
    """

    item: IntArray
    first: IntArray
    count: IntArray


def cover(num_frames: IntArray, window_frames: int) -> Stretches:
    """The windows in which prediction shows each item's recording to the network."""
    windows = [cut(total, window_frames) for total in num_frames.tolist()]
    return Stretches(
        item=np.repeat(np.arange(len(windows)), [len(each) for each in windows]),
        first=np.array([window.start for each in windows for window in each], dtype=np.int64),
        count=np.array([len(window) for each in windows for window in each], dtype=np.int64),
    )


def evaluate(stepper: Stepper, corpus: Corpus) -> dict[str, float]:
    """Figures of the weights that would be kept; percentages, and ``AUC`` where some queries are absent.

    Args:
        stepper: with the network and its lanes; every process calls this, and gets the same figures.
        corpus: annotated recordings that were not trained on.
    """
    before = stepper.flat.values.clone()
    stepper.flat.values.copy_(stepper.kept_values)
    try:
        windows = answer(stepper, corpus)
    finally:
        stepper.flat.values.copy_(before)
    return figures(corpus, windows)


def answer(stepper: Stepper, corpus: Corpus) -> list[FloatArray]:
    """For each item rows ``(start_s, end_s, score)``, best first."""
    stretches = cover(corpus.num_frames, stepper.network.config.window_frames)
    found = ask(stepper, corpus, stretches)
    edges = np.searchsorted(stretches.item, np.arange(len(corpus) + 1)).tolist()
    return [
        merged(corpus, item, stretches, found, slice(edges[item], edges[item + 1]))
        for item in range(len(corpus))
    ]


def ask(stepper: Stepper, corpus: Corpus, stretches: Stretches) -> FloatArray:
    """``(stretches, queries, 3)`` rows ``(start_s, end_s, score)`` in the order of the network's queries."""
    order = np.argsort(stretches.count, kind="stable")
    longest = int(stretches.count.max())
    size = max(1, BATCH_FRAMES // longest)
    jobs = [order[first : first + size] for first in range(0, len(order), size)]
    mine = [jobs[index] for index in share(len(jobs), stepper.processes.rank, stepper.processes.count)]
    found = torch.zeros(len(order), stepper.network.config.queries, 3, dtype=torch.float64)
    stepper.network.eval()

    def work(places: IntArray) -> torch.Tensor:
        with torch.inference_mode():
            return ask_some(stepper, corpus, stretches, places)

    for places, rows in zip(mine, stepper.lanes.map(work, mine), strict=True):
        found[places] = rows.to("cpu", torch.float64)
    if stepper.processes.count > 1:
        everywhere = found.to(stepper.device)
        stepper.processes.add_up(everywhere)
        found = everywhere.cpu()
    bounds_s = stretch_bounds(corpus, corpus.recording[stretches.item], stretches.first, stretches.count)
    rows_s: FloatArray = found.numpy()
    start_s, length_s = bounds_s[:, :1, None], np.diff(bounds_s, axis=1)[:, :, None]
    rows_s[..., :2] = start_s + np.clip(rows_s[..., :2], 0.0, 1.0) * length_s
    return rows_s


def ask_some(stepper: Stepper, corpus: Corpus, stretches: Stretches, places: IntArray) -> torch.Tensor:
    """``(places, queries, 3)``: start and end as fractions of the stretch, and the score."""
    items = stretches.item[places]
    device = stepper.device
    audio, audio_mask = corpus.frames.gather(
        corpus.recording[items], stretches.first[places], stretches.count[places], device
    )
    texts = np.array([corpus.wordings[item][0] for item in items], dtype=np.int64)
    count = np.minimum(corpus.tokens.counts[texts], stepper.network.config.max_tokens)
    text, text_mask = corpus.tokens.gather(texts, np.zeros_like(texts), count, device)
    curves = corpus.curves(
        corpus.recording[items], texts, stretches.first[places], stretches.count[places], device
    )
    middles = corpus.middles(
        corpus.recording[items], stretches.first[places], stretches.count[places], device
    )
    inputs = Inputs(
        audio=audio, text=text, audio_mask=audio_mask, text_mask=text_mask, curves=curves, middles=middles
    )
    with stepper.precision():
        outputs = stepper.network(inputs)
    scores = outputs.score_logits[-1].sigmoid()
    return torch.cat((to_ends(outputs.spans[-1]), scores.unsqueeze(-1)), dim=-1)


def merged(corpus: Corpus, item: int, stretches: Stretches, found: FloatArray, part: slice) -> FloatArray:
    """The best answers of one item's stretches ``found[part]``, best first, ``(answers, 3)``."""
    rows = found[part]
    if len(rows) > 1:
        windows = [
            Heard(range(first, first + count), [ScoredMoment(*row) for row in each], NO_CURVE)
            for each, first, count in zip(
                rows.tolist(), stretches.first[part].tolist(), stretches.count[part].tolist(), strict=True
            )
        ]
        index = int(corpus.recording[item])
        moments = merge_moments(windows, corpus.grid(index), float(corpus.durations_s[index]))
        return np.array(moments[:MAX_ANSWERS], dtype=np.float64)
    best: FloatArray = rows[0][np.argsort(-rows[0, :, 2], kind="stable")][:MAX_ANSWERS]
    return best


def figures(corpus: Corpus, windows: list[FloatArray]) -> dict[str, float]:
    """R1, mAP and mIoU in per cent over items with a moment; AUC of present against absent by top score."""
    out: dict[str, float] = {}
    scores = honest_scores(prepare(*columns(corpus, windows), len(corpus)))
    if scores is not None:
        recall, precision = scores.recall_at_1(), scores.mean_average_precision()
        out = {"R1@0.5": recall["0.5"], "R1@0.7": recall["0.7"], "mAP": precision["average"]}
        out |= {"mAP@0.5": precision["0.5"], "mAP@0.75": precision["0.75"], "mIoU": scores.mean_iou()}
    present = corpus.num_windows > 0
    if not present.all() and present.any():
        top = np.array([rows[0, 2] for rows in windows])
        out["AUC"] = area_under_curve(top[present], top[~present])
    return out


def columns(corpus: Corpus, windows: list[FloatArray]) -> tuple[Answers, Truths]:
    """Answers and ground truth as the metrics take them; windows of the truth as in the file."""
    query = np.arange(len(corpus))
    answers = Answers(
        query=query,
        windows=Ragged(offsets(np.array([len(rows) for rows in windows])), np.concatenate(windows)),
        has_scores=np.ones(len(query), dtype=np.bool_),
    )
    counts = np.array([len(annotation.windows) for annotation in corpus.annotations])
    rows = [window for annotation in corpus.annotations for window in annotation.windows]
    durations_s = [annotation.duration_s for annotation in corpus.annotations]
    truths = Truths(
        query=query,
        windows=Ragged(offsets(counts), np.array(rows, dtype=np.float64).reshape(-1, 2)),
        duration_s=np.array([np.nan if duration is None else duration for duration in durations_s]),
    )
    return answers, truths


def area_under_curve(positive: FloatArray, negative: FloatArray) -> float:
    """Chance that a positive scores above a negative, ties half, in per cent."""
    ranked = np.sort(negative)
    below = np.searchsorted(ranked, positive, side="left")
    not_above = np.searchsorted(ranked, positive, side="right")
    return round(float((below + not_above).mean() / (2 * len(negative)) * 100), 2)
