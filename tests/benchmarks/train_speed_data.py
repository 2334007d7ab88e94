"""What ``train_speed.py`` trains on: fabricated features, one moment and one query a recording."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from amr.encoders.base import EncoderIdentity, TextFeatures
from amr.encoders.registry import identity_of
from amr.formats.features.write import FeatureWriter, create_feature_file
from amr.models.config import NetworkConfig

PUBLISHED = EncoderIdentity("fabricated", "", 1000, 1000, 1000, 768, 768, 0)
"""Sizes and times of the features that the field publishes; nothing is compared in their joint space."""
MOMENT_FRAMES = 11


def identity_for(network: NetworkConfig) -> EncoderIdentity:
    """The encoder of the features: the embedded one where the network takes similarities of a joint space."""
    return identity_of() if network.similarity_channels else PUBLISHED


def fabricate(folder: Path, network: NetworkConfig, *, count: int, frames: int, tree: bool) -> None:
    """A feature file and annotations.

    Args:
        folder: where ``feats.h5`` and ``data.jsonl`` are put.
        network: that will take them.
        count: recordings.
        frames: of each.
        tree: also write the features as Lighthouse reads them, folders ``clap`` and ``clap_text``.
    """
    generator = np.random.default_rng(0)
    encoder = identity_for(network)
    identity = encoder.to_json()
    hop_s, window_s = (n / encoder.sample_rate_hz for n in (encoder.hop_samples, encoder.window_samples))
    duration_s = (frames - 1) * hop_s + window_s
    create_feature_file(folder / "feats.h5", identity_json=identity, store="float32")
    writer = FeatureWriter(folder / "feats.h5", identity_json=identity)
    for name in ("clap", "clap_text") if tree else ():
        (folder / name).mkdir()
    lines = []
    for index in range(count):
        audio = generator.normal(size=(frames, encoder.dimension)).astype(np.float32)
        shape = (int(generator.integers(18, 33)), encoder.text_dimension)
        tokens = generator.normal(size=shape).astype(np.float32)
        start_s = int(generator.integers(0, frames - MOMENT_FRAMES - 1)) * hop_s
        writer.add(f"r{index}", audio, duration_s=duration_s)
        writer.add_text(f"query {index}", TextFeatures(tokens, tokens.mean(axis=0)))
        if tree:
            np.savez(folder / "clap" / f"r{index}.npz", features=audio)
            np.savez(folder / "clap_text" / f"qid{index}.npz", last_hidden_state=tokens)
        record = {"qid": index, "query": f"query {index}", "vid": f"r{index}", "duration": duration_s}
        window = [start_s, start_s + MOMENT_FRAMES * hop_s]
        lines.append(json.dumps({**record, "relevant_windows": [window]}) + "\n")
    writer.close()
    (folder / "data.jsonl").write_text("".join(lines))
