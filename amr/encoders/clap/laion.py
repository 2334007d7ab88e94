"""LAION-CLAP (Wu et al., ICASSP 2023, arXiv 2211.06687) over the published weights, without its package.

Frames are the 768-d embedding of the audio network before the projection, tokens are RoBERTa's 768-d states,
the joint space is the 512-d projection, unit length on both sides.

``clap`` takes a window of its own for every frame, repeated to fill the 10 s that the network was trained on.
``clap-dense`` passes over 10 s at once and takes the frames from the network's own 32 steps of time: ten
times cheaper at a hop of 1 s. Nothing is ever cropped at random.

``AMR_CLAP_LOADER=laion-clap`` runs the owner's package instead, for comparison; the identity is the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from amr.arrays import Float32Array, Int64Array
from amr.encoders.base import EncoderIdentity
from amr.encoders.clap.base import ClapBase, whole_samples
from amr.encoders.clap.laion_weights import LaionWeights
from amr.errors import UsageError

if TYPE_CHECKING:
    from amr.encoders.clap.htsat_runner import HtsAtRunner

SAMPLE_RATE_HZ = 48_000
CLIP_SAMPLES = 480_000  # what the network was trained on: 10 s
STEP_SAMPLES = 480
WINDOW_SAMPLES = 48_000  # 1 s, the field's: the windows of the published features of Microsoft CLAP
DEFAULT_HOP_S = 1.0
SHORTEST_WINDOW_S = 0.05
NUM_CELLS = 32
LOADER_VARIABLE = "AMR_CLAP_LOADER"
LOADERS = ("amr", "laion-clap")

TextNetwork = Callable[[Int64Array], tuple[Float32Array, Float32Array]]


class ClapEncoder(ClapBase):
    """Satisfies :class:`amr.encoders.base.Encoder`: one pass of the network for every frame.

    Args:
        hop_s: seconds from frame to frame; None is 1 s.
        window_s: seconds that a frame sees, up to 10; None is 1 s.
        device: where the networks run, as torch names it.
        weights: the published file, or the folder of all files; None: ``AMR_CLAP_WEIGHTS``, else the cache.
        precision: ``float32``, ``bfloat16`` or ``float16``, of the audio network's products.
    """

    name = "clap"
    audio_projection, text_projection = "audio_projection", "text_projection"
    weights: LaionWeights

    def __init__(
        self,
        *,
        hop_s: float | None = None,
        window_s: float | None = None,
        device: str = "cpu",
        weights: str | None = None,
        precision: str = "float32",
    ) -> None:
        super().__init__(LaionWeights(weights), device, precision)
        self.window_samples = WINDOW_SAMPLES if window_s is None else whole_window(window_s)
        self.hop_samples = whole_samples("clap", DEFAULT_HOP_S if hop_s is None else hop_s, SAMPLE_RATE_HZ)

    @property
    def framing(self) -> str:
        return f"windows of {self.window_samples} samples repeated to fill {CLIP_SAMPLES}, never cropped"

    @cached_property
    def identity(self) -> EncoderIdentity:
        tensors = self.weights.tensors
        return EncoderIdentity(
            name=self.name,
            weights_sha256=self.weights.sha256,
            sample_rate_hz=SAMPLE_RATE_HZ,
            window_samples=self.window_samples,
            hop_samples=self.hop_samples,
            dimension=len(tensors["audio_branch.norm.weight"]),
            text_dimension=len(tensors["text_branch.pooler.dense.weight"]),
            joint_dimension=len(tensors["audio_projection.2.weight"]),
            normalisation="none",
            framing=self.framing,
        )

    def encode_audio(self, samples: Float32Array) -> Float32Array:
        """``(batch, window_samples + (frames - 1) * hop_samples)`` to ``(batch, frames, 768)``.

        Raises:
            ValueError: the stretch is no whole number of frames.
        """
        return self.audio_network.encode_windows(samples, self.window_samples, self.hop_samples)

    def run_text(self, numbers: Int64Array) -> tuple[Float32Array, Float32Array]:
        """RoBERTa's states, and its pooled vector for the sentence."""
        return self.text_network(numbers)

    def project(self, layers: dict[str, Float32Array], vectors: Float32Array) -> Float32Array:
        """Linear, ReLU, linear."""
        inner = vectors @ layers["0.weight"].T + layers["0.bias"]
        joint: Float32Array = np.maximum(inner, 0.0) @ layers["2.weight"].T + layers["2.bias"]
        return joint

    def build_audio_network(self) -> HtsAtRunner:
        from amr.encoders.clap.htsat_mel import MelSettings
        from amr.encoders.clap.htsat_runner import HtsAtRunner

        settings = MelSettings(STEP_SAMPLES, CLIP_SAMPLES, SAMPLE_RATE_HZ)
        if chosen_loader() == "laion-clap":
            from amr.encoders.clap.laion_package import package_network

            if self.precision != "float32":
                raise UsageError(
                    "laion-clap runs in float32", where="--dtype", hint=f"or unset {LOADER_VARIABLE}"
                )
            network = package_network(self.weights, self.device)
            return HtsAtRunner(
                settings, self.weights.below("audio_branch"), self.device, clip_network=network
            )
        return HtsAtRunner(
            settings, self.weights.below("audio_branch"), self.device, precision=self.precision
        )

    @cached_property
    def text_network(self) -> TextNetwork:
        if chosen_loader() == "laion-clap":
            from amr.encoders.clap.laion_package import package_text

            return package_text(self.weights, self.device)
        import torch

        from amr.encoders.clap.roberta import build_roberta

        net = build_roberta(self.weights.below("text_branch"), self.device)

        def run(numbers: Int64Array) -> tuple[Float32Array, Float32Array]:
            with torch.inference_mode():
                states, pooled = net(torch.from_numpy(numbers).to(self.device))
            return states.cpu().numpy(), pooled.cpu().numpy()

        return run


class ClapDenseEncoder(ClapEncoder):
    """Satisfies :class:`amr.encoders.base.Encoder`, in blocks: one pass of the network for 10 s of frames.

    A frame is the mean of the network's cells (10 s / 32) that lie in its hop, each weighted by its share.
    It depends on the whole block of ``block_frames`` frames that it lies in, counted from the start of the
    recording, so a stretch must begin at the beginning of a block. What is left at the end is repeated to
    fill.

    Args:
        hop_s: 10 s divided by a whole number up to 32; None is 1 s.
    """

    name = "clap-dense"

    def __init__(
        self,
        *,
        hop_s: float | None = None,
        device: str = "cpu",
        weights: str | None = None,
        precision: str = "float32",
    ) -> None:
        super().__init__(hop_s=hop_s, device=device, weights=weights, precision=precision)
        self.window_samples = self.hop_samples
        if CLIP_SAMPLES % self.hop_samples or CLIP_SAMPLES // self.hop_samples > NUM_CELLS:
            raise UsageError(
                f"clap-dense has no frames every {self.hop_samples / SAMPLE_RATE_HZ:g} s",
                where="--hop",
                hint="it has 10 s divided by a whole number up to 32: 0.3125, 0.5, 0.625, 1, 2, 2.5, 5, 10",
            )

    @property
    def block_frames(self) -> int:
        """Frames that come from one pass; a stretch holds whole blocks, but for the end of a recording."""
        return CLIP_SAMPLES // self.hop_samples

    @property
    def framing(self) -> str:
        return (
            f"blocks of {CLIP_SAMPLES} samples from the start, the rest repeated to fill; "
            f"means of the {NUM_CELLS} cells over every {self.hop_samples}"
        )

    def encode_audio(self, samples: Float32Array) -> Float32Array:
        """``(batch, frames * hop_samples)`` to ``(batch, frames, 768)``; the stretch begins with a block.

        Raises:
            ValueError: the stretch is no whole number of frames.
        """
        return self.audio_network.encode_blocks(samples, self.hop_samples)


def whole_window(window_s: float) -> int:
    """A window in samples.

    Raises:
        UsageError: it is shorter than a step of the spectrogram needs, or longer than the network takes.
    """
    if not SHORTEST_WINDOW_S <= window_s <= CLIP_SAMPLES / SAMPLE_RATE_HZ:
        hint = f"clap takes windows from {SHORTEST_WINDOW_S:g} to 10 s"
        raise UsageError(f"clap has no windows of {window_s:g} s", where="--window", hint=hint)
    return round(window_s * SAMPLE_RATE_HZ)


def chosen_loader() -> str:
    """What runs the networks: this package, or the owner's.

    Raises:
        UsageError: the environment names something else.
    """
    loader = os.environ.get(LOADER_VARIABLE) or LOADERS[0]
    if loader not in LOADERS:
        raise UsageError(
            f"{loader!r} is not a loader", where=LOADER_VARIABLE, hint=f"there are: {', '.join(LOADERS)}"
        )
    return loader
