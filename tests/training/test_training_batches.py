"""What is drawn for a batch, and the labels that follow: the reference's own failures among them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_world import DIM, World, query, record, tiny_plan

from amr.models.train_settings import TrainSettings
from amr.training.batches import (
    SHORTEST_CROP,
    Batch,
    Chunk,
    draw_batch,
    gather_chunk,
    place_negatives,
)
from amr.training.dataset import Dataset

CPU = torch.device("cpu")
SETTINGS = TrainSettings()


def noise(frames: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(frames, DIM)).astype(np.float32)


def one_recording(folder: Path, frames: int, records: list[tuple[str, list[list[float]]]]) -> Dataset:
    """A recording and queries on it."""
    world = World(folder)
    world.add("a", noise(frames))
    lines = [record(n, text, "a", frames, windows) for n, (text, windows) in enumerate(records)]
    return world.dataset(world.write("train", lines))


def drawn(dataset: Dataset, settings: TrainSettings = SETTINGS, epoch: int = 0, window: int = 300) -> Batch:
    return draw_batch(dataset, np.arange(len(dataset)), settings, epoch, window_frames=window)


def chunk_of(dataset: Dataset, batch: Batch, settings: TrainSettings = SETTINGS) -> Chunk:
    return gather_chunk(dataset, batch, slice(0, len(batch)), settings, CPU, max_tokens=32)


def test_labels_are_fractions_of_the_recording(tmp_path: Path) -> None:
    dataset = one_recording(tmp_path, 10, [(query(0), [[2, 4], [7, 8]])])
    targets = chunk_of(dataset, drawn(dataset)).targets
    assert targets.spans[0].tolist() == [pytest.approx([0.3, 0.2]), pytest.approx([0.75, 0.1])]
    assert targets.relevance[0].nonzero().ravel().tolist() == [2, 3, 7]


def test_a_batch_of_one_has_no_negative_pair(tmp_path: Path) -> None:
    batch = drawn(one_recording(tmp_path, 10, [(query(0), [[2, 4]])]))
    assert batch.negative.tolist() == [0]


def test_a_moment_that_covers_everything_leaves_nothing_to_rank(tmp_path: Path) -> None:
    dataset = one_recording(tmp_path, 10, [(query(0), [[0, 10]])])
    targets = chunk_of(dataset, drawn(dataset)).targets
    assert targets.relevance.all()
    assert not targets.rankable.any()


def test_more_than_five_windows_keep_every_frame_and_leave_the_annotation_alone(tmp_path: Path) -> None:
    windows = [[float(2 * n), float(2 * n + 1)] for n in range(9)]
    dataset = one_recording(tmp_path, 20, [(query(0), windows)])
    chosen = set()
    for epoch in range(8):
        batch = drawn(dataset, epoch=epoch)
        targets = chunk_of(dataset, batch).targets
        assert batch.num_targets == int(targets.span_mask.sum()) == 5
        assert targets.relevance[0].nonzero().ravel().tolist() == list(range(0, 18, 2))
        starts = (20 * (targets.spans[0, :, 0] - targets.spans[0, :, 1] / 2)).round().int().tolist()
        assert len(set(starts)) == 5
        chosen |= set(starts)
    assert chosen == set(range(0, 18, 2))
    assert dataset.annotations[0].windows == windows


def test_the_first_window_alone_labels_frames_where_asked(tmp_path: Path) -> None:
    dataset = one_recording(tmp_path, 10, [(query(0), [[7, 8], [2, 4]])])
    settings = replace(SETTINGS, relevant_windows="first")
    targets = chunk_of(dataset, drawn(dataset, settings), settings).targets
    assert targets.relevance[0].nonzero().ravel().tolist() == [7]
    assert targets.span_mask.sum() == 2


def test_jitter_moves_ends_by_at_most_its_part_of_the_width(tmp_path: Path) -> None:
    dataset = one_recording(tmp_path, 10, [(query(0), [[2, 6]])])
    settings = replace(SETTINGS, span_jitter=0.1)
    ends = []
    for epoch in range(50):
        centre, width = (
            chunk_of(dataset, drawn(dataset, settings, epoch), settings).targets.spans[0, 0].tolist()
        )
        ends.append([10 * (centre - width / 2), 10 * (centre + width / 2)])
    moved = np.abs(np.array(ends) - [2, 6])
    assert moved.max() <= 0.4 + 1e-5
    assert moved.max(axis=0).min() > 0.3


def test_an_absent_query_is_one_that_its_recording_is_not_annotated_with(tmp_path: Path) -> None:
    world = World(tmp_path)
    dataset = world.dataset(world.fill("train", 40, seed=0))
    settings = replace(SETTINGS, absent_share=0.5)
    replaced = 0
    for epoch in range(5):
        batch = drawn(dataset, settings, epoch)
        own = np.array([wordings[0] for wordings in dataset.wordings])
        changed = batch.text != own
        replaced += int(changed.sum())
        assert not batch.is_window[changed].any()
        assert (batch.kept[changed] == -1).all()
        assert batch.is_window[~changed].any(axis=1).all()
        meaning_of_text = {int(w[0]): int(m) for w, m in zip(dataset.wordings, dataset.meaning, strict=True)}
        asked = np.array([meaning_of_text[int(text)] for text in batch.text])
        assert not dataset.is_annotated(dataset.recording[changed], asked[changed]).any()
    assert 70 < replaced < 130


def test_an_absent_query_without_a_stranger_keeps_its_own(tmp_path: Path) -> None:
    dataset = one_recording(tmp_path, 10, [(query(0), [[1, 2]]), (query(1), [[3, 4]])])
    batch = drawn(dataset, replace(SETTINGS, absent_share=1.0))
    assert batch.is_window.any(axis=1).all()


def test_a_negative_is_never_something_that_the_recording_holds(tmp_path: Path) -> None:
    world = World(tmp_path)
    dataset = world.dataset(world.fill("train", 60, seed=1))
    batch = drawn(dataset)
    other = batch.negative != np.arange(60)
    assert other.mean() > 0.9
    meaning = dataset.meaning[batch.negative]
    assert not dataset.is_annotated(batch.recording[other], meaning[other]).any()


def test_queries_on_one_recording_are_no_negatives_of_each_other(tmp_path: Path) -> None:
    dataset = one_recording(tmp_path, 10, [(query(0), [[1, 2]]), (query(1), [[3, 4]])])
    assert drawn(dataset).negative.tolist() == [0, 1]


def test_wordings_change_from_epoch_to_epoch(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("a", noise(9))
    world.add_text("another wording", noise(3))
    source = world.write("t", [record(1, query(0), "a", 9, [[1, 2]], paraphrases=["another wording"])])
    dataset = world.dataset(source)
    assert {int(drawn(dataset, epoch=epoch).text[0]) for epoch in range(12)} == {0, 1}
    still = replace(SETTINGS, wordings="own")
    assert {int(drawn(dataset, still, epoch).text[0]) for epoch in range(12)} == {0}


def test_queries_of_one_label_may_ask_for_each_other(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("a", noise(9))
    labels = ["dog", "cat", "dog", "dog"]
    lines = [record(n, query(n), "a", 9, [[1, 2]], label=label) for n, label in enumerate(labels)]
    dataset = world.dataset(world.write("train", lines))
    settings = replace(SETTINGS, wordings="label")
    asked = np.stack([drawn(dataset, settings, epoch).text for epoch in range(30)])
    assert [set(column.tolist()) for column in asked.T] == [{0, 2, 3}, {1}, {0, 2, 3}, {0, 2, 3}]


def test_long_recordings_are_cut_about_a_moment(tmp_path: Path) -> None:
    dataset = one_recording(tmp_path, 100, [(query(0), [[5, 9], [90, 96]]), (query(1), [])])
    firsts = set()
    for epoch in range(40):
        batch = drawn(dataset, epoch=epoch, window=20)
        assert batch.count.tolist() == [20, 20]
        first = int(batch.first[0])
        firsts.add(first)
        targets = chunk_of(dataset, batch).targets
        assert targets.span_mask[0].any()
        for (centre, width), real in zip(targets.spans[0].tolist(), targets.span_mask[0], strict=True):
            if real:
                start_s, end_s = first + 20 * (centre - width / 2), first + 20 * (centre + width / 2)
                inside = [(max(a, first), min(b, first + 20)) for a, b in ((5, 9), (90, 96))]
                assert any(abs(start_s - a) + abs(end_s - b) < 1e-3 for a, b in inside)
        assert not targets.span_mask[1].any()
    assert len(firsts) > 5


def test_crops_lie_about_a_moment_and_are_of_every_length(tmp_path: Path) -> None:
    dataset = one_recording(tmp_path, 100, [(query(0), [[40, 44]]), (query(1), [])])
    settings = replace(SETTINGS, crop_share=0.5)
    lengths, whole = [], 0
    for epoch in range(300):
        batch = drawn(dataset, settings, epoch)
        assert np.array_equal(batch.cropped, batch.count < 100)
        assert (batch.first + batch.count <= 100).all()
        assert batch.is_window[0].any()
        lengths += batch.count[batch.cropped].tolist()
        whole += int((~batch.cropped).sum())
    assert 250 < whole < 350
    assert min(lengths) == SHORTEST_CROP
    assert 33 < np.median(lengths) < 49  # 40 over the logarithm
    assert max(lengths) > 90


def test_recordings_that_are_short_already_are_not_cropped(tmp_path: Path) -> None:
    dataset = one_recording(tmp_path, SHORTEST_CROP, [(query(0), [[2, 4]])])
    batch = drawn(dataset, replace(SETTINGS, crop_share=1.0))
    assert not batch.cropped.any()
    assert batch.count.tolist() == [SHORTEST_CROP]


def test_negatives_outside_a_chunk_are_appended_once() -> None:
    strangers, index = place_negatives(np.array([4, 5, 6]), np.array([5, 9, 9]))
    assert strangers.tolist() == [9]
    assert index.tolist() == [1, 3, 3]


def test_chunks_hold_the_same_items_and_texts_as_the_whole(tmp_path: Path) -> None:
    world = World(tmp_path)
    dataset = world.dataset(world.fill("train", 10, seed=3))
    batch = drawn(dataset)
    whole = chunk_of(dataset, batch)
    for part in (slice(0, 4), slice(4, 5), slice(5, 10)):
        chunk = gather_chunk(dataset, batch, part, SETTINGS, CPU, max_tokens=32)
        frames = chunk.inputs.audio.shape[1]
        assert torch.equal(chunk.inputs.audio, whole.inputs.audio[part, :frames])
        assert torch.equal(chunk.targets.relevance, whole.targets.relevance[part, :frames])
        mine, all_of_it = chunk.inputs.text[chunk.negative_index], whole.inputs.text[whole.negative_index]
        tokens = min(mine.shape[1], all_of_it.shape[1])
        assert torch.equal(mine[:, :tokens], all_of_it[part, :tokens])


def test_tokens_beyond_the_networks_most_are_cut_off(tmp_path: Path) -> None:
    dataset = one_recording(tmp_path, 10, [(query(2), [[2, 4]])])
    batch = drawn(dataset)
    chunk = gather_chunk(dataset, batch, slice(0, 1), SETTINGS, CPU, max_tokens=2)
    assert chunk.inputs.text.shape[1] == 2
    assert tiny_plan().network.max_tokens == 32
