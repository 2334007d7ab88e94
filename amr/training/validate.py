"""Validation with the real metrics: what ``amr score`` would say of the network's answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from amr.arrays import Float64Array, Int64Array
from amr.metrics.exact import exact_scores, rank_queries
from amr.metrics.ragged import Ragged, offsets
from amr.metrics.records import Answers, Truths
from amr.metrics.results import MAX_ANSWERS
from amr.models.inputs import NetworkInputs
from amr.models.spans import to_ends
from amr.moments import Moment
from amr.retrieval.trained.windows import WindowAnswer, cut, merge_moments
from amr.training.batches import stretch_bounds
from amr.training.dataset import Dataset
from amr.training.order import share
from amr.training.step import Stepper

BATCH_FRAMES = 4096
NO_CURVE = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True)
class Stretches:
    """What the network is shown: whole recordings, or overlapping stretches of long ones.

    Args:
        item: ``(stretches,)``, ascending.
        first, count: ``(stretches,)`` frames.
    """

    item: Int64Array
    first: Int64Array
    count: Int64Array


def cover(num_frames: Int64Array, window_frames: int) -> Stretches:
    """The windows in which prediction shows each item's recording to the network."""
    windows = [cut(total, window_frames) for total in num_frames.tolist()]
    return Stretches(
        item=np.repeat(np.arange(len(windows)), [len(each) for each in windows]),
        first=np.array([window.start for each in windows for window in each], dtype=np.int64),
        count=np.array([len(window) for each in windows for window in each], dtype=np.int64),
    )


def evaluate(stepper: Stepper, dataset: Dataset) -> dict[str, float]:
    """Figures of the weights that would be kept; percentages, and ``AUC`` where some queries are absent.

    Args:
        stepper: with the network and its pool; every process calls this, and gets the same figures.
        dataset: annotated recordings that were not trained on.

    Raises:
        AbandonedError: the work is to stop.
    """
    before = stepper.flat.values.clone()
    stepper.flat.values.copy_(stepper.kept_values)
    try:
        windows = answer(stepper, dataset)
    finally:
        stepper.flat.values.copy_(before)
    return figures(dataset, windows)


def answer(stepper: Stepper, dataset: Dataset) -> list[Float64Array]:
    """For each item rows ``(start_s, end_s, score)``, best first."""
    stretches = cover(dataset.num_frames, stepper.network.config.window_frames)
    found = ask(stepper, dataset, stretches)
    edges = np.searchsorted(stretches.item, np.arange(len(dataset) + 1)).tolist()
    return [
        merged(dataset, item, stretches, found, slice(edges[item], edges[item + 1]))
        for item in range(len(dataset))
    ]


def ask(stepper: Stepper, dataset: Dataset, stretches: Stretches) -> Float64Array:
    """``(stretches, queries, 3)`` rows ``(start_s, end_s, score)`` in the order of the network's queries."""
    order = np.argsort(stretches.count, kind="stable")
    longest = int(stretches.count.max())
    size = max(1, BATCH_FRAMES // longest)
    jobs = [order[first : first + size] for first in range(0, len(order), size)]
    mine = [jobs[index] for index in share(len(jobs), stepper.processes.rank, stepper.processes.count)]
    found = torch.zeros(len(order), stepper.network.config.queries, 3, dtype=torch.float64)
    stepper.network.eval()

    def work(places: Int64Array) -> torch.Tensor:
        with torch.inference_mode():
            return ask_some(stepper, dataset, stretches, places)

    for places, rows in zip(mine, stepper.until_stopped(work, mine), strict=True):
        found[places] = rows.to("cpu", torch.float64)
    if stepper.processes.count > 1:
        everywhere = found.to(stepper.device)
        stepper.processes.add_up(everywhere)
        found = everywhere.cpu()
    bounds_s = stretch_bounds(dataset, dataset.recording[stretches.item], stretches.first, stretches.count)
    rows_s: Float64Array = found.numpy()
    start_s, length_s = bounds_s[:, :1, None], np.diff(bounds_s, axis=1)[:, :, None]
    rows_s[..., :2] = start_s + np.clip(rows_s[..., :2], 0.0, 1.0) * length_s
    return rows_s


def ask_some(stepper: Stepper, dataset: Dataset, stretches: Stretches, places: Int64Array) -> torch.Tensor:
    """``(places, queries, 3)``: start and end as fractions of the stretch, and the score."""
    items = stretches.item[places]
    device = stepper.device
    audio, audio_mask = dataset.frames.gather(
        dataset.recording[items], stretches.first[places], stretches.count[places], device
    )
    texts = np.array([dataset.wordings[item][0] for item in items], dtype=np.int64)
    count = np.minimum(dataset.tokens.counts[texts], stepper.network.config.max_tokens)
    text, text_mask = dataset.tokens.gather(texts, np.zeros_like(texts), count, device)
    curves = dataset.curves(
        dataset.recording[items],
        texts,
        stretches.first[places],
        stretches.count[places],
        device,
        draws=dataset.curve_draws(items),
    )
    middles = dataset.middles(
        dataset.recording[items], stretches.first[places], stretches.count[places], device
    )
    inputs = NetworkInputs(
        audio=audio, text=text, audio_mask=audio_mask, text_mask=text_mask, curves=curves, middles=middles
    )
    with stepper.precision():
        outputs = stepper.network(inputs)
    scores = outputs.score_logits[-1].sigmoid()
    return torch.cat((to_ends(outputs.spans[-1]), scores.unsqueeze(-1)), dim=-1)


def merged(
    dataset: Dataset, item: int, stretches: Stretches, found: Float64Array, part: slice
) -> Float64Array:
    """The best answers of one item's stretches ``found[part]``, best first, ``(answers, 3)``."""
    rows = found[part]
    if len(rows) > 1:
        windows = [
            WindowAnswer(range(first, first + count), [Moment(*row) for row in each], NO_CURVE)
            for each, first, count in zip(
                rows.tolist(), stretches.first[part].tolist(), stretches.count[part].tolist(), strict=True
            )
        ]
        index = int(dataset.recording[item])
        moments = merge_moments(windows, dataset.grid(index), float(dataset.durations_s[index]))
        return np.array(moments[:MAX_ANSWERS], dtype=np.float64)
    best: Float64Array = rows[0][np.argsort(-rows[0, :, 2], kind="stable")][:MAX_ANSWERS]
    return best


def figures(dataset: Dataset, windows: list[Float64Array]) -> dict[str, float]:
    """R1, mAP and mIoU in per cent over items with a moment; AUC of present against absent by top score."""
    out: dict[str, float] = {}
    scores = exact_scores(rank_queries(*columns(dataset, windows), len(dataset)))
    if scores is not None:
        recall, precision = scores.recall_at_1(), scores.mean_average_precision()
        out = {"R1@0.5": recall["0.5"], "R1@0.7": recall["0.7"], "mAP": precision["average"]}
        out |= {"mAP@0.5": precision["0.5"], "mAP@0.75": precision["0.75"], "mIoU": scores.mean_iou()}
    present = dataset.num_windows > 0
    if not present.all() and present.any():
        top = np.array([rows[0, 2] for rows in windows])
        out["AUC"] = area_under_curve(top[present], top[~present])
    return out


def columns(dataset: Dataset, windows: list[Float64Array]) -> tuple[Answers, Truths]:
    """Answers and ground truth as the metrics take them; windows of the truth as in the file."""
    query = np.arange(len(dataset))
    answers = Answers(
        query=query,
        windows=Ragged(offsets(np.array([len(rows) for rows in windows])), np.concatenate(windows)),
        has_scores=np.ones(len(query), dtype=np.bool_),
    )
    counts = np.array([len(annotation.windows) for annotation in dataset.annotations])
    rows = [window for annotation in dataset.annotations for window in annotation.windows]
    durations_s = [annotation.duration_s for annotation in dataset.annotations]
    truths = Truths(
        query=query,
        windows=Ragged(offsets(counts), np.array(rows, dtype=np.float64).reshape(-1, 2)),
        duration_s=np.array([np.nan if duration is None else duration for duration in durations_s]),
    )
    return answers, truths


def area_under_curve(positive: Float64Array, negative: Float64Array) -> float:
    """Chance that a positive scores above a negative, ties half, in per cent."""
    ranked = np.sort(negative)
    below = np.searchsorted(ranked, positive, side="left")
    not_above = np.searchsorted(ranked, positive, side="right")
    return round(float((below + not_above).mean() / (2 * len(negative)) * 100), 2)
