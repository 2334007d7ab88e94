"""The weight files: whole, described, and rebuilt by the converter's arithmetic."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import struct
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from amr.encoders.yamnet import weightfiles
from amr.encoders.yamnet.prompts import read_classes
from amr.errors import MissingError

WEIGHTS = weightfiles.weights_folder()
CONVERTER = Path(__file__).parents[2] / "examples" / "convert_weights.py"


@pytest.fixture(scope="module")
def converter() -> ModuleType:
    spec = importlib.util.spec_from_file_location("convert_weights", CONVERTER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_file_has_its_recorded_sum_and_a_notice() -> None:
    sums, notice = weightfiles.read_sums(WEIGHTS), (WEIGHTS / "NOTICE").read_text()
    others = {"NOTICE", weightfiles.SUMS_NAME, "__pycache__"}
    assert set(sums) == {path.name for path in WEIGHTS.iterdir()} - others
    for name in sums:
        assert len(weightfiles.read_weights(name)) > 0
        assert name in notice


def test_together_they_stay_small() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir() if path.is_file()) < 33e6


def test_damaged_or_missing_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(WEIGHTS / weightfiles.SUMS_NAME, tmp_path)
    (tmp_path / "vocab.txt").write_bytes(b"[UNK]\n")
    monkeypatch.setattr(weightfiles, "weights_folder", lambda: tmp_path)
    with pytest.raises(MissingError, match="damaged"):
        weightfiles.read_weights("vocab.txt")
    with pytest.raises(MissingError, match="missing") as caught:
        weightfiles.read_weights("yamnet.safetensors")
    assert str(tmp_path) in caught.value.where


def test_classes_are_whole() -> None:
    classes = read_classes(WEIGHTS / "classes.tsv")
    assert len(classes) == len({sound.name for sound in classes}) == 521
    for sound in classes:
        assert len(sound.prompts) == len(set(sound.prompts))
        assert len(sound.prompts) >= 2
        assert all(prompt == prompt.strip() and prompt for prompt in sound.prompts)
        assert -9.22 < sound.usual < 0


def test_prompts_were_embedded_from_these_classes_by_this_model() -> None:
    tensors = weightfiles.read_tensors("prompts.safetensors")
    header_length = struct.unpack("<Q", (WEIGHTS / "prompts.safetensors").read_bytes()[:8])[0]
    header = json.loads((WEIGHTS / "prompts.safetensors").read_bytes()[8 : 8 + header_length])
    made_from = json.loads(header["__metadata__"]["made_from"])
    for name, digest in made_from.items():
        assert hashlib.sha256((WEIGHTS / name).read_bytes()).hexdigest() == digest
    counts = [len(sound.prompts) for sound in read_classes(WEIGHTS / "classes.tsv")]
    np.testing.assert_array_equal(np.bincount(tensors["class"]), counts)


def test_rows_in_eight_bits_are_true_to_half_a_step(converter: ModuleType) -> None:
    matrix = np.random.default_rng(3).normal(0, 1, (7, 33)).astype(np.float32)
    matrix[2] = 0
    quantised, scale = converter.quantise_rows(matrix)
    opened = weightfiles.dequantise_rows({"m": quantised, "m.scale": scale}, "m")
    assert (np.abs(opened - matrix) <= scale[:, None] * 0.5001).all()


def test_folded_convolution_is_convolution_then_batch_norm(converter: ModuleType) -> None:
    import torch

    rng = np.random.default_rng(4)
    prefix, suffix = converter.VARIABLE_PREFIX, converter.VARIABLE_SUFFIX
    variables = {}
    for number in range(converter.NUM_CONVOLUTIONS):
        depthwise = number % 2 == 1
        name = "depthwise_kernel" if depthwise else "kernel"
        shape = (3, 3, 4, 1) if depthwise else (3, 3, 2, 4)
        parts = {
            f"{2 * number}/{name}": rng.normal(0, 1, shape),
            f"{2 * number + 1}/beta": rng.normal(0, 1, 4),
            f"{2 * number + 1}/moving_mean": rng.normal(0, 1, 4),
            f"{2 * number + 1}/moving_variance": rng.uniform(0.1, 2, 4),
        }
        variables |= {f"{prefix}{key}{suffix}": value.astype(np.float32) for key, value in parts.items()}
    variables |= {f"{prefix}54/kernel{suffix}": np.zeros((4, 3)), f"{prefix}54/bias{suffix}": np.zeros(3)}
    folded = converter.fold_yamnet(variables)
    for number, groups, inputs in ((0, 1, 2), (1, 4, 4)):
        x = torch.from_numpy(rng.normal(0, 1, (1, inputs, 5, 5)))
        weight = torch.from_numpy(folded[f"conv{number:02d}.weight"]).double()
        bias = torch.from_numpy(folded[f"conv{number:02d}.bias"]).double()
        found = torch.nn.functional.conv2d(x, weight, bias, groups=groups).numpy()[0]
        kernel = variables[f"{prefix}{2 * number}/{'depthwise_kernel' if number else 'kernel'}{suffix}"]
        mean, beta, variance = (
            variables[f"{prefix}{2 * number + 1}/{name}{suffix}"]
            for name in ("moving_mean", "beta", "moving_variance")
        )
        for channel in range(4):
            for row, column in ((0, 0), (2, 1)):
                seen = x.numpy()[0, :, row : row + 3, column : column + 3]
                if groups == 1:
                    raw = sum((seen[i] * kernel[:, :, i, channel]).sum() for i in range(inputs))
                else:
                    raw = (seen[channel] * kernel[:, :, channel, 0]).sum()
                normed = (raw - mean[channel]) / np.sqrt(variance[channel] + 1e-4) + beta[channel]
                assert found[channel, row, column] == pytest.approx(normed, abs=1e-4)


def varint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def table_block(entries: list[tuple[bytes, bytes]]) -> bytes:
    """A LevelDB block without shared prefixes, but for a key that continues the one before it."""
    out, previous = b"", b""
    for key, value in entries:
        shared = len(previous) if key.startswith(previous) else 0
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        previous = key
    return out + struct.pack("<II", 0, 1)


def test_tensor_bundle_reader_on_a_bundle_made_by_hand(converter: ModuleType) -> None:
    tensor = np.arange(300, dtype=np.float32).reshape(3, 100)
    shape = b"".join(b"\x12" + varint(len(dim)) + dim for dim in (b"\x08\x03", b"\x08\x64"))
    entry = b"\x08\x01" + b"\x12" + varint(len(shape)) + shape + b"\x20\x04" + b"\x28" + varint(tensor.nbytes)
    entry += b"\x35abcd"  # the checksum, a fixed 32-bit field
    count = b"\x08\x09" + b"\x12\x00" + b"\x28\x08"  # an int64: not wanted
    data = table_block([(b"", b"\x08\x01"), (b"a/kernel", entry), (b"a/kernel/count", count)])
    block = data + b"\x00" + b"\x00" * 4
    index = table_block([(b"b", varint(0) + varint(len(data)))])
    handles = varint(0) + varint(0) + varint(len(block)) + varint(len(index))
    footer = handles.ljust(40, b"\x00") + struct.pack("<Q", converter.TABLE_MAGIC)
    table = block + index + b"\x00" + b"\x00" * 4 + footer
    found = converter.read_variables(table, b"skip" + tensor.tobytes())
    assert list(found) == ["a/kernel"]
    np.testing.assert_array_equal(found["a/kernel"], tensor)
    with pytest.raises(ValueError, match="index"):
        converter.read_variables(table[:-1] + b"\x00", b"")


def test_packing_twice_gives_the_same_bytes(converter: ModuleType) -> None:
    tensors = {"b": np.ones(3, np.float32), "a": np.zeros((2, 2), np.int8)}
    sources = {"x": "1", "y": "2"}
    reverse = dict(reversed(tensors.items()))
    assert converter.pack(tensors, sources) == converter.pack(reverse, dict(reversed(sources.items())))
