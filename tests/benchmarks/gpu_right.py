"""Whether a device gives what the processor gives; the first half of ``gpu.py``."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import clap_published as published
import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from train_speed import OurLoop, plan_of
from train_speed_data import fabricate

from amr.encoders.clap.laion import ClapDenseEncoder, ClapEncoder
from amr.encoders.running.batcher import SegmentBatcher
from amr.encoders.yamnet.encoder import YamnetEncoder
from amr.models.build import build_network
from amr.models.presets import PRESETS
from amr.models.torch_windows import TorchWindows
from amr.models.windows import WindowItem
from amr.training.step import ChunkJob

Row = dict[str, Any]
TOY = ("network.hidden_dim=16", "network.heads=2", "network.feedforward_dim=32", "network.encoder_layers=1")
STILL = ("network.dropout=0", "network.input_dropout=0", "training.span_jitter=0")
PRECISIONS = ("float32", "bfloat16")
# Convolutions on a GPU round their inputs to TF32 (10 bits) unless torch is told otherwise.
MOST_OFF = {"float32": 5e-3, "bfloat16": 5e-2}
LEAST_COSINE = {"float32": 0.9999, "bfloat16": 0.98}
# In ``frame_targets`` it is torch's one_hot, which looks at its numbers there.
ON_PROCESSORS_ONLY = {"_trains_on_processor", "hidden_layer", "frame_targets"}
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "_unique2", "equal")


def row(what: str, value: float, bound: float, *, at_least: bool = False) -> Row:
    right = value >= bound if at_least else value <= bound
    return {"what": what, "found": float(value), "bound": bound, "right": bool(right)}


def relative(found: np.ndarray, wanted: np.ndarray) -> float:
    """The greatest difference, as a part of the greatest number."""
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def encoders(options: argparse.Namespace) -> Iterator[Row]:
    """Frames of sound, beside the processor's."""
    seconds = 3.0 if options.small else 20.0
    cut = YamnetEncoder().framing
    wave = published.noise(seconds, 16_000)
    wave = wave[: cut.window_samples + (len(wave) - cut.window_samples) // cut.hop_samples * cut.hop_samples]
    found, wanted = (YamnetEncoder(device=d).encode_audio(wave[None]) for d in (options.device, "cpu"))
    yield row("yamnet, float32", relative(found, wanted), MOST_OFF["float32"])
    with tempfile.TemporaryDirectory() as folder:
        weights = str(published.write_laion_pt(Path(folder), tensors=clap_tensors(options)))
        wave = published.noise(10.0, 48_000)
        for kind, length in (
            (ClapEncoder, 48_000 if options.small else 144_000),
            (ClapDenseEncoder, 480_000),
        ):
            wanted = joint(kind(weights=weights), wave[:length])
            for precision in PRECISIONS:
                encoder = kind(weights=weights, device=options.device, precision=precision)
                off = 1 - (joint(encoder, wave[:length]) * wanted).sum(-1).min()
                yield row(f"{kind.name}, {precision}, 1 - cosine", off, MOST_OFF[precision])


def clap_tensors(options: argparse.Namespace) -> published.Tensors:
    """Random weights, of the published audio network's size unless all is small."""
    if options.small:
        return published.laion_tensors()
    return published.laion_tensors(published.PUBLISHED_AUDIO, published.PUBLISHED_TEXT_OF_DEPTH_1, 512)


def joint(encoder: ClapEncoder, wave: np.ndarray) -> np.ndarray:
    return encoder.joint_audio(encoder.encode_audio(wave[None])[0])


def settings_of(options: argparse.Namespace, preset: str, **changes: Any) -> argparse.Namespace:
    """What ``train_speed.py`` takes."""
    own = [*(TOY if options.small else ()), *changes.pop("settings", ())]
    given = {
        "batch": 4 if options.small else 32,
        "frames": 20 if options.small else 60,
        "precision": "float32",
    }
    given |= {"compile": False, "threads": 1, "device": options.device, "steps": 2, "set": own}
    return argparse.Namespace(preset=preset, **(given | changes))


@contextmanager
def training(options: argparse.Namespace, preset: str, *all_changes: Row) -> Iterator[list[OurLoop]]:
    """Runs on the same data, one for each set of changes."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        first = settings_of(options, preset, **all_changes[0])
        fabricate(
            Path(folder), plan_of(first).network, count=first.batch * 2, frames=first.frames, tree=False
        )
        yield [
            OurLoop(
                argparse.Namespace(**vars(settings_of(options, preset, **changes)), folder=Path(folder)),
                stack,
            )
            for changes in all_changes
        ]


def answers(options: argparse.Namespace) -> Iterator[Row]:
    """Scores and saliency of each preset, random weights."""
    device = torch.device(options.device)
    for preset in sorted(PRESETS):
        config = plan_of(settings_of(options, preset)).network
        torch.manual_seed(0)
        network = build_network(config).eval()
        items = random_items(config.audio_dim, config.text_dim, config.similarity_channels)
        wanted = TorchWindows(network, torch.device("cpu")).answers(items)
        found = TorchWindows(network.to(device), device).answers(items)
        for what in ("logits", "saliency"):
            pairs = [
                (np.sort(getattr(a, what)), np.sort(getattr(b, what)))
                for a, b in zip(found, wanted, strict=True)
            ]
            off = max(float(np.abs(a - b).max()) for a, b in pairs)
            yield row(f"{preset}, {what}", off, MOST_OFF["float32"])


def random_items(audio_dim: int, text_dim: int, channels: int) -> list[WindowItem]:
    rng = np.random.default_rng(0)
    return [
        WindowItem(
            stretch,
            rng.normal(size=(length, audio_dim)).astype(np.float32),
            rng.normal(size=(7 + stretch, text_dim)).astype(np.float32),
            rng.random((length, channels), dtype=np.float32) if channels else None,
            (np.arange(length) + 0.5) / length,
        )
        for stretch, length in enumerate((60, 33, 60, 7))
    ]


def steps(options: argparse.Namespace) -> Iterator[Row]:
    """The loss and the gradient of a batch, without draws on the device."""
    for preset in sorted(PRESETS):
        changes = [{"device": "cpu", "settings": STILL}]
        changes += [{"precision": each, "settings": STILL} for each in PRECISIONS]
        with training(options, preset, *changes) as (wanted, *found):
            loss, gradient = gradient_of(wanted)
            for loop, precision in zip(found, PRECISIONS, strict=True):
                own_loss, own = gradient_of(loop)
                cosine = float(own @ gradient / np.linalg.norm(own) / np.linalg.norm(gradient))
                off = abs(own_loss / loss - 1)
                yield row(f"{preset}, {precision}, loss", off, MOST_OFF[precision])
                what = f"{preset}, {precision}, gradient's cosine"
                yield row(what, cosine, LEAST_COSINE[precision], at_least=True)


def gradient_of(loop: OurLoop) -> tuple[float, np.ndarray]:
    """The loss of the first batch, and its gradient."""
    batch = loop._batch()
    parts = loop.stepper.chunk_losses(ChunkJob(loop.dataset, batch, slice(0, len(batch)), 0))
    own = torch.autograd.grad(parts["total"], loop.stepper.flat.parameters, allow_unused=True)
    flat = [each.flatten().double().cpu() for each in own if each is not None]
    return float(parts["total"].detach()), torch.cat(flat).numpy()


def going_on(options: argparse.Namespace) -> Iterator[Row]:
    """Two steps in one go, and with the state written and read in between."""
    for preset in ("am-detr", "best"):
        with training(options, preset, {}, {}, {}) as (whole, first, second):
            for number in range(2):
                step(whole, number)
            step(first, 0)
            second.stepper.load_state(first.stepper.state())
            step(second, 1)
            found, wanted = (loop.stepper.flat.values.detach().cpu().numpy() for loop in (second, whole))
            yield row(preset, relative(found, wanted), 1e-5)


def step(loop: OurLoop, number: int) -> None:
    loop.stepper.step(loop.dataset, loop._batch(), learning_rate=1e-4, step=number)


class WaitCounter(TorchDispatchMode):
    """Counts operations whose result the host waits for, but those that are made on processors only."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in WAITS:
            callers = {frame.name for frame in traceback.extract_stack()}
            self.count += not callers & ON_PROCESSORS_ONLY
        return func(*args, **(kwargs or {}))


def waiting(options: argparse.Namespace) -> Iterator[Row]:
    """Waits for the device inside of a training step: torch's own check on a GPU, else operations counted."""
    for preset in sorted(PRESETS):
        with training(options, preset, {}) as (loop,):
            step(loop, 0)
            yield row(preset, waits_of(loop), 0)


def waits_of(loop: OurLoop) -> float:
    if loop.device.type == "cpu":
        with WaitCounter() as counter:
            step(loop, 1)
        return counter.count
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        step(loop, 1)
    except RuntimeError as error:
        print(f"    {error}", file=sys.stderr)
        return 1
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return 0


class SmallMemory:
    """An encoder on the processor that has no room for more than two segments."""

    def __init__(self, encoder: YamnetEncoder) -> None:
        self.encoder = encoder
        self.identity = encoder.identity

    def encode_audio(self, samples: np.ndarray) -> np.ndarray:
        if len(samples) > 2:
            raise MemoryError(f"no room for {len(samples)} segments")
        return self.encoder.encode_audio(samples)


def memory(options: argparse.Namespace) -> Iterator[Row]:
    """Too little of it for a batch: the batch is halved, and the frames stay."""
    batch, encoder = 8, YamnetEncoder(device=options.device)
    length = encoder.framing.window_samples + (1 if options.small else 500) * encoder.framing.hop_samples
    segments = published.noise(batch * length / 16_000, 16_000)[: batch * length].reshape(batch, length)
    wanted = np.concatenate([encoder.encode_audio(each[None]) for each in segments])
    with ThreadPoolExecutor(1) as pool, limited(encoder, segments) as tight:
        batcher = SegmentBatcher(tight, pool, batch)
        waiting = [batcher.submit(each) for each in segments]
        found = np.stack([each.result() for each in waiting])
    yield row("the batch of 8, afterwards", batcher.batch, batch // 2)
    yield row("frames", relative(found, wanted), MOST_OFF["float32"])


@contextmanager
def limited(encoder: YamnetEncoder, segments: np.ndarray) -> Iterator[Any]:
    """The encoder with room for half of the segments, not for all."""
    if encoder.device.type == "cpu":
        yield SmallMemory(encoder)
        return
    room = []
    for some in (segments[: len(segments) // 2], segments):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        encoder.encode_audio(some)
        room.append(torch.cuda.max_memory_reserved())
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(encoder.device).total_memory
    torch.cuda.set_per_process_memory_fraction(sum(room) / 2 / total)
    try:
        yield encoder
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def together(options: argparse.Namespace) -> Iterator[Row]:
    """Two processes of ``amr extract`` on one device at once: both work, or are refused with exit 4."""
    import soundfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        soundfile.write(folder / "a.wav", published.noise(2.0 if options.small else 60.0, 16_000), 16_000)
        command = [sys.executable, "-m", "amr", "extract", str(folder / "a.wav"), "-q"]
        command += ["--device", options.device, "-o"]
        both = [subprocess.Popen([*command, str(folder / f"{number}.h5")]) for number in range(2)]
        codes = [process.wait() for process in both]
        yield row("exit codes that are neither 0 nor 4", sum(code not in (0, 4) for code in codes), 0)
        frames = [frames_of(folder / f"{number}.h5") for number, code in enumerate(codes) if code == 0]
        yield row("processes that worked", len(frames), 1, at_least=True)
        yield row("frames of both", max_off(frames), MOST_OFF["float32"])


def commands(options: argparse.Namespace) -> Iterator[Row]:
    """``amr train`` and ``amr predict`` as a person runs them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = settings_of(options, "best")
        fabricate(folder, plan_of(settings).network, count=8, frames=settings.frames, tree=False)
        small = [word for setting in (*TOY, "training.batch_size=4") for word in ("--set", setting)]
        device = ("--device", options.device, "-q")
        jobs = {
            "train": ["data.jsonl", "--features", "feats.h5", "--epochs", "1", "-o", "m.safetensors", *small],
            "predict": ["feats.h5", "--queries", "data.jsonl", "--model", "m.safetensors", "-o", "p.jsonl"],
        }
        for job, words in jobs.items():
            done = subprocess.run([sys.executable, "-m", "amr", job, *words, *device], cwd=folder)
            yield row(f"amr {job}, exit code", done.returncode, 0)


def frames_of(path: Path) -> np.ndarray:
    from amr.formats.features.read import FeatureFile

    with FeatureFile(path) as features:
        return features.rows(0, features.total_frames).astype(np.float32)


def max_off(frames: Sequence[np.ndarray]) -> float:
    return max((relative(each, frames[0]) for each in frames[1:]), default=0.0)


CHECKS = {
    "encoders beside the processor's": encoders,
    "answers beside the processor's": answers,
    "training steps beside the processor's": steps,
    "a run that goes on": going_on,
    "waits for the device in a step": waiting,
    "too little memory": memory,
    "commands": commands,
    "two processes on one device": together,
}
