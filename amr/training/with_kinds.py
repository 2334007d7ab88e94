"""From a training set to one of curves of several kinds, for a network that is given nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from amr.functional import unit
from amr.training.curve_kinds import CurveFeatures
from amr.training.dataset import Dataset, blank_frames
from amr.training.measure import rows_of
from amr.training.similarity import JointFeatures


def with_kinds(dataset: Dataset, kinds: tuple[str, ...]) -> Dataset:
    """The dataset with curves of ``kinds`` in place of its similarities, and without frames."""
    joint = dataset.joint
    assert isinstance(joint, JointFeatures)  # what takes curves takes similarities
    frames = dataset.frames
    examples = np.zeros((len(dataset), dataset.audio_dim), dtype=np.float32)
    for item in np.flatnonzero(dataset.num_windows > 0).tolist():
        inside = frames.values[torch.from_numpy(rows_of(dataset, item))].float().numpy()
        examples[item] = unit(unit(inside).mean(axis=0))
    curves = CurveFeatures(
        joint.frames, frames.values.numpy(), frames.start, joint.text, examples, kinds, dataset.hop_s
    )
    return replace(dataset, joint=curves, frames=blank_frames(frames.counts))
