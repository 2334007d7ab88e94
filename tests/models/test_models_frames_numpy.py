"""The frame decoder in numpy says what the one in torch says, whatever its switches and its inputs."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_models_frames import AUDIO_DIM, TEXT_DIM, small

from amr.arrays import FloatingArray
from amr.errors import InputError
from amr.models.build import build_network
from amr.models.checkpoint import Checkpoint, read_checkpoint, shapes_of, write_checkpoint
from amr.models.config import NetworkConfig
from amr.models.frames.network import FrameNetwork, compressed
from amr.models.frames.numpy_network import NumpyFrameNetwork, frame_shapes, read_frame_model
from amr.models.frames.prototypes import even
from amr.models.model_file import open_model
from amr.models.presets import PRESETS
from amr.models.torch_windows import TorchWindows
from amr.models.windows import WindowAnswers, WindowItem, similarity_curves
from amr.retrieval.trained.model import MomentModel, load_model
from amr.tasks.networks import CURVES, SHIPPED, shipped_path

ROUNDING = 1e-5

heard = st.builds(
    lambda channels, prototypes, axes, level, kernel, layers, queries, segments, quality, slope: replace(
        small().network,
        similarity_channels=channels if prototypes else max(channels, 1),
        prototypes=prototypes,
        prototype_axes=axes if prototypes else 0,
        level_weight=level if prototypes else 0.0,
        level_shift=-1.5 if prototypes else 0.0,
        level_similarity=0.3 if prototypes and channels else 0.0,
        continuity_kernel=kernel,
        encoder_layers=layers,
        queries=queries,
        segments=segments,
        quality=segments and quality,
        moment_slope=slope if segments else 0.0,
        moment_shift=0.5 if segments else 0.0,
    ),
    channels=st.integers(0, 2),
    prototypes=st.sampled_from([0, 9]),
    axes=st.sampled_from([3, 256]),
    level=st.sampled_from([0.0, 6.0]),
    kernel=st.sampled_from([1, 3, 5]),
    layers=st.integers(0, 4),
    queries=st.integers(1, 12),
    segments=st.booleans(),
    quality=st.booleans(),
    slope=st.sampled_from([0.0, 0.7]),
)
configs = heard | st.builds(
    lambda layers, queries, segments: replace(
        PRESETS["curves"].network, encoder_layers=layers, queries=queries, segments=segments
    ),
    layers=st.integers(0, 4),
    queries=st.integers(1, 12),
    segments=st.booleans(),
)


def trained(config: NetworkConfig, seed: int) -> FrameNetwork:
    """A network whose numbers are all of a trained one's size."""
    torch.manual_seed(seed)
    network = build_network(config)
    assert isinstance(network, FrameNetwork)
    with torch.no_grad():
        if network.prototypes is not None:
            network.prototypes.whitening.fit(even(torch.rand(200, AUDIO_DIM)))
            axes = network.prototypes.duals.shape[1]
            unit = torch.nn.functional.normalize
            network.prototypes.fit(
                unit(torch.randn(7, TEXT_DIM), dim=-1),
                torch.tensor([0, 0, 1, 2, 2, 2, 3]),
                unit(torch.randn(4, axes), dim=-1),
            )
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return network.eval()


def in_numpy(network: torch.nn.Module, config: NetworkConfig) -> NumpyFrameNetwork:
    return NumpyFrameNetwork(config, {name: w.numpy() for name, w in network.state_dict().items()})


def items_of(lengths: list[int], config: NetworkConfig, seed: int) -> list[WindowItem]:
    """Windows of these lengths, each with two sentences, some of which are known by what they sound like, and
    curves where the network takes some."""
    rng = np.random.default_rng(seed)
    axes = min(config.prototype_axes, config.audio_dim)
    found = []
    for stretch, length in enumerate(lengths):
        frames = rng.normal(size=(length, config.audio_dim)).astype(np.float32)
        for number in range(2):
            is_learned = bool(config.prototypes) and number == stretch % 2 == 1
            meaning = rng.normal(size=axes).astype(np.float32) if is_learned else None
            tokens = rng.normal(size=(int(rng.integers(1, 40)), config.text_dim)).astype(np.float32)
            channels = config.similarity_channels
            curves = similarity_curves(rng.normal(size=length), channels) if 0 < channels < 3 else None
            if not config.audio:
                curves = rng.normal(size=(length, channels)).astype(np.float32)
            middles = np.sort(rng.random(length))
            found.append(WindowItem(stretch, frames, tokens, curves, middles, meaning))
    return found


def require_same(found: WindowAnswers, wanted: WindowAnswers, frames: int) -> None:
    close = {"rtol": ROUNDING, "atol": ROUNDING}
    assert np.allclose(found.ends, wanted.ends, **close)
    assert np.allclose(found.logits, wanted.logits, **close)
    assert found.saliency.shape == (frames,)
    assert np.allclose(found.saliency, wanted.saliency[:frames], **close)


@given(config=configs, lengths=st.lists(st.integers(1, 70), min_size=1, max_size=4), seed=st.integers(0, 99))
@settings(max_examples=60)
def test_numpy_says_what_torch_says(config: NetworkConfig, lengths: list[int], seed: int) -> None:
    network = trained(config, seed)
    items = items_of(lengths, config, seed)
    found = in_numpy(network, config).answers(items)
    wanted = TorchWindows(network, torch.device("cpu")).answers(items)
    for one, other, item in zip(found, wanted, items, strict=True):
        require_same(one, other, len(item.frames))


@given(config=configs)
@settings(max_examples=60)
def test_its_weights_are_those_of_torchs_network(config: NetworkConfig) -> None:
    assert frame_shapes(config) == shapes_of(build_network(config))


@pytest.mark.parametrize("name", [SHIPPED, CURVES])
def test_the_shipped_models_say_the_same_of_frames_as_they_are(name: str) -> None:
    checkpoint = read_checkpoint(shipped_path(name))
    network = checkpoint.build()
    rng = np.random.default_rng(0)
    items = items_of([125, 1, 300, 40], checkpoint.config, 0)
    items = [
        each._replace(frames=like_yamnet(rng, len(each.frames)), stretch=n) for n, each in enumerate(items)
    ]
    found = in_numpy(network, checkpoint.config).answers(items)
    wanted = TorchWindows(network, torch.device("cpu")).answers(items)
    for one, other, item in zip(found, wanted, items, strict=True):
        require_same(one, other, len(item.frames))


def like_yamnet(rng: np.random.Generator, count: int) -> FloatingArray:
    """Frames ``(count, 1024)`` half of which is zero, and the rest long-tailed."""
    return (np.maximum(rng.normal(size=(count, 1024)), 0) ** 3).astype(np.float16)


def test_silence_and_a_sentence_of_zeros_are_no_special_case() -> None:
    config = small().network
    network = trained(config, 3)
    [item, _] = items_of([12], config, 0)
    item = item._replace(frames=np.zeros_like(item.frames), tokens=np.zeros_like(item.tokens))
    [found] = in_numpy(network, config).answers([item])
    [wanted] = TorchWindows(network, torch.device("cpu")).answers([item])
    require_same(found, wanted, 12)


def test_prototypes_hear_and_mean_what_torchs_do() -> None:
    config = small().network
    network = trained(config, 5)
    prototypes, other = network.prototypes, in_numpy(network, config).prototypes
    assert prototypes is not None
    assert other is not None
    rng = np.random.default_rng(1)
    frames = rng.normal(size=(9, AUDIO_DIM)).astype(np.float16)
    tokens = rng.normal(size=(50, TEXT_DIM)).astype(np.float32)
    with torch.inference_mode():
        heard = prototypes.directions(compressed(torch.from_numpy(frames)))
        meant = prototypes.meaning(torch.from_numpy(tokens[None, : config.max_tokens]), None)
    assert np.allclose(other.directions(frames), heard.numpy(), atol=ROUNDING)
    assert np.allclose(other.meaning(tokens), meant[0].numpy(), atol=ROUNDING)


def test_curves_that_a_network_takes_cannot_be_left_out() -> None:
    config = small().network
    [item, _] = items_of([4], config, 0)
    with pytest.raises(ValueError, match="takes 2 curves a frame"):
        in_numpy(trained(config, 0), config).answers([item._replace(curves=None)])


@pytest.fixture
def written(tmp_path: Path) -> Path:
    network = trained(small().network, 0)
    identity = replace(read_checkpoint(shipped_path()).encoder, dimension=AUDIO_DIM, text_dimension=TEXT_DIM)
    path = tmp_path / "small.safetensors"
    write_checkpoint(path, Checkpoint(network.config, identity, weights=network.state_dict()))
    return path


def test_a_file_reads_as_it_does_for_torch(written: Path) -> None:
    found, wanted = read_frame_model(open_model(written)), read_checkpoint(written)
    assert (found.config, found.encoder) == (wanted.config, wanted.encoder)
    assert found.weights.keys() == wanted.weights.keys()
    assert all(np.array_equal(found.weights[name], weight) for name, weight in wanted.weights.items())


def spoilt(data: bytes, damage: str) -> bytes:
    """A file that lacks something, with a checksum that is right, or none."""
    (length,) = struct.unpack("<Q", data[:8])
    header, numbers = json.loads(data[8 : 8 + length]), bytearray(data[8 + length :])
    header["__metadata__"].pop("crc32", None)
    if damage == "renamed":
        header["evil"] = header.pop("head.bias")
    elif damage == "other shape":
        header["head.bias"]["shape"] = [2, 2]
    elif damage == "not finite":
        first = header["head.bias"]["data_offsets"][0]
        numbers[first : first + 4] = struct.pack("<f", float("nan"))
    elif damage == "cut":
        del numbers[-100:]
    packed = json.dumps(header).encode()
    return struct.pack("<Q", len(packed)) + packed + bytes(numbers)


@pytest.mark.parametrize("damage", ["renamed", "other shape", "not finite", "cut"])
def test_a_broken_file_is_refused_as_it_is_for_torch(written: Path, damage: str) -> None:
    written.write_bytes(spoilt(written.read_bytes(), damage))
    with pytest.raises(InputError) as wanted:
        read_checkpoint(written)
    with pytest.raises(InputError) as found:
        read_frame_model(open_model(written))
    assert str(found.value) == str(wanted.value)


def test_only_the_frame_decoder_runs_in_numpy_and_only_on_the_processor(
    written: Path, tmp_path: Path
) -> None:
    assert isinstance(load_model(written, device="auto").network, NumpyFrameNetwork)
    assert isinstance(load_model(written).network, NumpyFrameNetwork)
    checkpoint = read_checkpoint(written)
    half = tmp_path / "half.safetensors"
    write_checkpoint(half, checkpoint, dtype=torch.bfloat16)
    model = load_model(half)  # torch reads it
    assert isinstance(model.network, NumpyFrameNetwork)
    meta = MomentModel(checkpoint, device="meta")
    assert isinstance(meta.network, TorchWindows)
    assert meta.prototypes is not None
