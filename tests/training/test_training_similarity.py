"""Similarities that training feeds to the network are those that prediction feeds to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from training_world import DIM, IDENTITY, SOUNDS, World, tiny_plan

from amr.distributed import Processes
from amr.models.detr.network import DetrNetwork
from amr.models.threads import ThreadPool
from amr.models.windows import similarity_curves
from amr.training.batches import draw_batch, gather_chunk
from amr.training.loading import LoadOptions
from amr.training.step import Stepper
from amr.training.validate import evaluate


class JointEncoder:
    """Frames and texts meet in their first few numbers."""

    def __init__(self) -> None:
        self.identity = IDENTITY.__class__(**{**IDENTITY.__dict__, "joint_dimension": SOUNDS})

    def joint_audio(self, frames: Any) -> Any:
        return frames[:, :SOUNDS].astype(np.float32)

    def joint_text(self, pooled: Any) -> Any:
        return pooled[:, :SOUNDS].astype(np.float32)


def test_curves_are_made_from_the_whole_recording_and_cut_with_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    encoder: Any = JointEncoder()
    options = LoadOptions(memory_bytes=1 << 30, joint_encoder=encoder, similarity_channels=2)
    dataset = world.dataset(world.fill("train", 8, seed=0), options)
    plan = tiny_plan(network={"similarity_channels": 2, "window_frames": 9})
    batch = draw_batch(dataset, np.arange(8), plan.training, 0, window_frames=9)
    chunk = gather_chunk(dataset, batch, slice(2, 7), plan.training, torch.device("cpu"), max_tokens=32)
    assert chunk.inputs.curves is not None
    assert chunk.inputs.curves.shape == (5, 9, 2)
    for row, place in enumerate(range(2, 7)):
        recording, text = int(batch.recording[place]), int(batch.text[place])
        frames = dataset.frames.values[slice(*dataset.frames.start[recording : recording + 2])].numpy()
        tokens = dataset.tokens.values[slice(*dataset.tokens.start[text : text + 2])].numpy()
        similarity = encoder.joint_audio(frames) @ encoder.joint_text(tokens.mean(axis=0)[None])[0]
        first = int(batch.first[place])
        expected = similarity_curves(similarity, 2)[first : first + 9]
        assert np.abs(chunk.inputs.curves[row].numpy() - expected).max() < 0.02  # kept as float16


def test_curves_of_a_crop_know_nothing_of_the_rest(tmp_path: Path) -> None:
    world = World(tmp_path)
    encoder: Any = JointEncoder()
    options = LoadOptions(memory_bytes=1 << 30, joint_encoder=encoder, similarity_channels=2)
    dataset = world.dataset(world.fill("train", 8, seed=0, frames=(30, 40)), options)
    plan = tiny_plan(network={"similarity_channels": 2}, crop_share=0.6)
    batch = draw_batch(dataset, np.arange(8), plan.training, 0, window_frames=300)
    assert 0 < batch.cropped.sum() < 8
    chunk = gather_chunk(dataset, batch, slice(0, 8), plan.training, torch.device("cpu"), max_tokens=32)
    assert chunk.inputs.curves is not None
    for row, (recording, text) in enumerate(zip(batch.recording, batch.text, strict=True)):
        begin = int(dataset.frames.start[recording] + batch.first[row])
        frames = dataset.frames.values[begin : begin + int(batch.count[row])].numpy()
        tokens = dataset.tokens.values[slice(*dataset.tokens.start[text : text + 2])].numpy()
        similarity = encoder.joint_audio(frames) @ encoder.joint_text(tokens.mean(axis=0)[None])[0]
        found = chunk.inputs.curves[row, : len(frames)].numpy()
        assert np.abs(found - similarity_curves(similarity, 2)).max() < 0.02  # kept as float16


def test_a_network_with_similarities_trains_and_validates(tmp_path: Path) -> None:
    world = World(tmp_path)
    encoder: Any = JointEncoder()
    options = LoadOptions(memory_bytes=1 << 30, joint_encoder=encoder, similarity_channels=1)
    dataset = world.dataset(world.fill("train", 8, seed=0), options)
    assert dataset.audio_dim == DIM
    plan = tiny_plan(network={"similarity_channels": 1})
    with ThreadPool(1) as pool:
        stepper = Stepper(DetrNetwork(plan.network), plan, pool, Processes())
        batch = draw_batch(dataset, np.arange(8), plan.training, 0, window_frames=300)
        stepper.step(dataset, batch, learning_rate=1e-3, step=0)
        assert stepper.broken_at() is None
        assert set(evaluate(stepper, dataset)) >= {"R1@0.7", "mAP"}
