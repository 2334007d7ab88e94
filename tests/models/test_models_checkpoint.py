"""Our checkpoints: what goes in comes out, in the same bytes, and no broken or hostile file is used."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from amr.encoders.base import EncoderIdentity
from amr.errors import InputError
from amr.formats.untrusted.tensor_header import MAX_HEADER_BYTES
from amr.models.build import build_network
from amr.models.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from amr.models.config import NetworkConfig
from amr.models.presets import PRESETS

IDENTITY = EncoderIdentity(
    name="toy",
    weights_sha256="ab" * 32,
    sample_rate_hz=16_000,
    window_samples=16_000,
    hop_samples=8_000,
    dimension=12,
    text_dimension=6,
    joint_dimension=3,
)


def small_config(preset: str = "am-detr") -> NetworkConfig:
    sizes = {"audio_dim": 12, "text_dim": 6, "hidden_dim": 16, "heads": 2, "feedforward_dim": 32}
    return replace(PRESETS[preset].network, **sizes)  # type: ignore[arg-type]


def small_checkpoint(preset: str = "am-detr") -> Checkpoint:
    torch.manual_seed(0)
    config = small_config(preset)
    return Checkpoint(
        config=config,
        weights=build_network(config).state_dict(),
        encoder=IDENTITY,
        preset=preset,
        history=("amr train --preset am-detr", "amr train --init first"),
        metrics={"R1@0.7": 41.5},
        data_sha256={"train.jsonl": "cd" * 32},
        training={"seed": 2023, "losses": {"l1": 10.0}},
    )


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    write_checkpoint(path, small_checkpoint())
    return path


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_everything_comes_back(tmp_path: Path, preset: str) -> None:
    path = tmp_path / "model.safetensors"
    before = small_checkpoint(preset)
    write_checkpoint(path, before)
    after = read_checkpoint(path)
    assert after.weights.keys() == before.weights.keys()
    assert all(torch.equal(after.weights[name], before.weights[name]) for name in before.weights)
    assert replace(after, weights={}) == replace(before, weights={})
    network = after.build()
    assert not network.training
    assert network.config == before.config


def test_same_checkpoint_same_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        write_checkpoint(path, small_checkpoint())
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_half_precision_halves_the_file_and_reads_as_float32(written: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.safetensors"
    write_checkpoint(half, small_checkpoint(), dtype=torch.float16)
    exact, coarse = read_checkpoint(written).weights, read_checkpoint(half).weights
    assert half.stat().st_size < 0.7 * written.stat().st_size
    assert all(w.dtype == torch.float32 for w in coarse.values())
    assert max(float((exact[n] - coarse[n]).abs().max()) for n in exact) < 2e-3


def test_an_existing_file_is_left_alone(written: Path) -> None:
    before = written.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        write_checkpoint(written, small_checkpoint())
    assert written.read_bytes() == before
    write_checkpoint(written, small_checkpoint("lcs-detr"), force=True)
    assert read_checkpoint(written).preset == "lcs-detr"


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    checkpoint = small_checkpoint()
    checkpoint.weights["anchors"][0, 0] = float("nan")
    with pytest.raises(ValueError, match="anchors is not finite"):
        write_checkpoint(tmp_path / "m", checkpoint)
    checkpoint.weights["anchors"][0, 0] = 1e6
    with pytest.raises(ValueError, match=r"anchors is not finite in torch\.float16"):
        write_checkpoint(tmp_path / "m", checkpoint, dtype=torch.float16)
    assert list(tmp_path.iterdir()) == []


def header_of(data: bytes) -> dict[str, Any]:
    (length,) = struct.unpack("<Q", data[:8])
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    return header


def with_header(data: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The same file with another header, its numbers untouched."""
    (length,) = struct.unpack("<Q", data[:8])
    header = header_of(data)
    header["__metadata__"].pop("crc32", None)  # who forges a file gives it a sum that is right, or none
    change(header)
    packed = json.dumps(header).encode()
    return struct.pack("<Q", len(packed)) + packed + data[8 + length :]


def said(key: str, value: str) -> Callable[[bytes], bytes]:
    """A change of one entry of our own metadata."""
    return lambda data: with_header(data, lambda header: header["__metadata__"].update({key: value}))


def network_said(**changes: object) -> Callable[[bytes], bytes]:
    def change(header: dict[str, Any]) -> None:
        fields = json.loads(header["__metadata__"]["network"]) | changes
        header["__metadata__"]["network"] = json.dumps(fields)

    return lambda data: with_header(data, change)


def entry(name: str, **changes: object) -> Callable[[bytes], bytes]:
    return lambda data: with_header(data, lambda header: header[name].update(changes))


def renamed(data: bytes) -> bytes:
    return with_header(data, lambda header: header.update({"evil": header.pop("anchors")}))


def poisoned(data: bytes) -> bytes:
    data = with_header(data, lambda _: None)
    start, _ = header_of(data)["anchors"]["data_offsets"]
    (length,) = struct.unpack("<Q", data[:8])
    place = 8 + length + start
    return data[:place] + struct.pack("<f", float("nan")) + data[place + 4 :]


HOSTILE = {
    "empty": (lambda _: b"", "cut short"),
    "five bytes": (lambda data: data[:5], "cut short"),
    "header cut": (lambda data: data[:200], "cut short, or no safetensors"),
    "numbers cut": (lambda data: data[:-100], "damaged|cut short"),
    "a gigabyte of header": (lambda data: struct.pack("<Q", 1 << 30) + data[8:], "claims 1073741824 bytes"),
    "2^63 of header": (lambda data: struct.pack("<Q", 1 << 63) + data[8:], "claims 9223372036854775808"),
    "not JSON": (lambda data: data[:8] + b"\xff" * (len(data) - 8), "not JSON"),
    "deep JSON": (lambda _: struct.pack("<Q", 200_000) + b"[" * 200_000, "not JSON"),
    "JSON list": (lambda _: struct.pack("<Q", 2) + b"[]", "not a JSON object"),
    "foreign safetensors": (lambda _: save({"w": torch.zeros(3)}), "not a model of amr"),
    "text": (lambda _: b"hello, this is no model at all, only text", "claims"),
    "other schema": (said("schema", "99"), "schema '99'"),
    "no encoder": (said("encoder", "{}"), "which encoder"),
    "history no list": (said("history", "{}"), "not a JSON list"),
    "metrics broken": (said("metrics", "{"), "not JSON"),
    "network no object": (said("network", "3"), "not a JSON dict"),
    "unknown switch": (network_said(evil=1), "unknown field 'evil'"),
    "absurd size": (network_said(hidden_dim=1 << 40), "hidden_dim"),
    "other size": (network_said(hidden_dim=24, heads=2), "has shape|expected"),
    "more layers": (network_said(encoder_layers=3), "is missing"),
    "fewer layers": (network_said(encoder_layers=1), "unknown to this network"),
    "renamed weight": (renamed, "anchors is missing"),
    "negative shape": (entry("anchors", shape=[-10, 2]), "no shape"),
    "wrong shape": (entry("anchors", shape=[2, 10]), "has shape \\[2, 10\\]"),
    "wrong type": (entry("anchors", dtype="I64"), "a type that no weight has"),
    "overlapping": (entry("decoder.norm.bias", data_offsets=[0, 64]), "damaged"),
    "NaN": (poisoned, "anchors holds values that are not finite"),
}


@pytest.mark.parametrize("case", sorted(HOSTILE))
def test_a_broken_or_hostile_file_is_refused_in_one_line(written: Path, case: str) -> None:
    change, message = HOSTILE[case]
    written.write_bytes(change(written.read_bytes()))
    with pytest.raises(InputError, match=message) as caught:
        read_checkpoint(written)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(written))


def test_every_truncation_is_refused(written: Path) -> None:
    data = written.read_bytes()
    for kept in range(0, len(data), len(data) // 25):
        written.write_bytes(data[:kept])
        with pytest.raises(InputError):
            read_checkpoint(written)


def test_the_header_limit_is_far_above_a_real_header(written: Path) -> None:
    (length,) = struct.unpack("<Q", written.read_bytes()[:8])
    assert 100 * length < MAX_HEADER_BYTES


def test_weights_of_another_network_are_not_built() -> None:
    checkpoint = replace(small_checkpoint(), config=small_config("lcs-detr"))
    with pytest.raises(ValueError, match="weight"):
        checkpoint.build()


def test_a_built_network_does_not_share_its_numbers_with_the_checkpoint() -> None:
    checkpoint = small_checkpoint()
    before = checkpoint.weights["anchors"].clone()
    network = checkpoint.build()
    with torch.no_grad():
        network.anchors.add_(1.0)
    assert torch.equal(checkpoint.weights["anchors"], before)
    assert all(parameter.requires_grad for parameter in network.parameters())
