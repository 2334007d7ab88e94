"""Microsoft CLAP 2023 (Elizalde et al., ICASSP 2024, arXiv 2309.05767) over its published weights.

The encoder behind the features that the field's datasets publish: 44.1 kHz, a window and a hop of 1 s, frames
are the 768-d embedding of the audio network before the projection, tokens are GPT-2's 768-d states.

The audio network takes a window of 1 s as it is: its 138 steps of spectrogram are stretched to 1024. Its mel
filters were made for 32 kHz and are applied to 44.1 kHz, as the package does (its configuration's 44.1 kHz
and 8 kHz never reach the network); the checkpoint holds them.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from amr.arrays import Float32Array, Int64Array
from amr.encoders.base import EncoderIdentity
from amr.encoders.clap.base import ClapBase, whole_samples
from amr.encoders.clap.msclap_weights import (
    AUDIO,
    AUDIO_PROJECTION,
    MEL_MATRIX,
    PADDING_NUMBER,
    TEXT,
    TEXT_PROJECTION,
    MicrosoftWeights,
)

if TYPE_CHECKING:
    from amr.encoders.clap.gpt2 import Gpt2
    from amr.encoders.clap.htsat_runner import HtsAtRunner

SAMPLE_RATE_HZ = 44_100
WINDOW_SAMPLES = 44_100
STEP_SAMPLES = 320
MEL_RATE_HZ = 32_000
LAYER_NORM_EPSILON = 1e-5


class MsClapEncoder(ClapBase):
    """Satisfies :class:`amr.encoders.base.Encoder`.

    Args:
        hop_s: seconds from frame to frame; None is 1 s, the published features'.
        device: where the networks run, as torch names it.
        weights: the published file, or the folder of all files; None: ``AMR_MSCLAP_WEIGHTS``, else the cache.
        precision: ``float32``, ``bfloat16`` or ``float16``, of the audio network's products.
    """

    audio_projection, text_projection = AUDIO_PROJECTION, TEXT_PROJECTION

    def __init__(
        self,
        *,
        hop_s: float | None = None,
        device: str = "cpu",
        weights: str | None = None,
        precision: str = "float32",
    ) -> None:
        super().__init__(MicrosoftWeights(weights), device, precision)
        self.hop_samples = WINDOW_SAMPLES if hop_s is None else whole_samples("msclap", hop_s, SAMPLE_RATE_HZ)

    @cached_property
    def identity(self) -> EncoderIdentity:
        tensors = self.weights.tensors
        return EncoderIdentity(
            name="msclap",
            weights_sha256=self.weights.sha256,
            sample_rate_hz=SAMPLE_RATE_HZ,
            window_samples=WINDOW_SAMPLES,
            hop_samples=self.hop_samples,
            dimension=len(tensors[f"{AUDIO}.norm.weight"]),
            text_dimension=tensors[f"{TEXT}.wte.weight"].shape[1],
            joint_dimension=len(tensors[f"{AUDIO_PROJECTION}.linear1.weight"]),
            normalisation="none",
            framing=f"windows of {WINDOW_SAMPLES} samples, stretched, neither repeated nor cropped",
        )

    def encode_audio(self, samples: Float32Array) -> Float32Array:
        """``(batch, window_samples + (frames - 1) * hop_samples)`` to ``(batch, frames, 768)``.

        Raises:
            ValueError: the stretch is no whole number of frames.
        """
        return self.audio_network.encode_windows(samples, WINDOW_SAMPLES, self.hop_samples)

    def run_text(self, numbers: Int64Array) -> tuple[Float32Array, Float32Array]:
        """GPT-2's states, the end included, and the state that stands for the sentence.

        The sentence is the state where the package looks for it: at the count of tokens other than ``!``,
        less one. That is the end, unless the text has a ``!`` of its own.
        """
        import torch

        with torch.inference_mode():
            found: Float32Array = self.text_network(torch.from_numpy(numbers).to(self.device)).cpu().numpy()
        places = (numbers != PADDING_NUMBER).sum(axis=1) - 1
        return found, found[np.arange(len(found)), places]

    def project(self, layers: dict[str, Float32Array], vectors: Float32Array) -> Float32Array:
        """Linear, and a linear layer behind a GELU added to it, layer norm."""
        from scipy.special import erf

        first = vectors @ layers["linear1.weight"].T
        inner = 0.5 * first * (1.0 + erf(first * np.sqrt(0.5)))
        outer = first + inner @ layers["linear2.weight"].T
        centred = outer - outer.mean(axis=-1, keepdims=True)
        deviation = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + LAYER_NORM_EPSILON)
        normed: Float32Array = centred / deviation * layers["layer_norm.weight"] + layers["layer_norm.bias"]
        return normed

    def build_audio_network(self) -> HtsAtRunner:
        from amr.encoders.clap.htsat_mel import MelSettings
        from amr.encoders.clap.htsat_runner import HtsAtRunner

        filters = self.weights.tensors.get(MEL_MATRIX)
        return HtsAtRunner(
            MelSettings(STEP_SAMPLES, None, MEL_RATE_HZ),
            self.weights.below(AUDIO),
            self.device,
            precision=self.precision,
            mel_matrix=None if filters is None else np.array(filters, np.float32),
        )

    @cached_property
    def text_network(self) -> Gpt2:
        from amr.encoders.clap.gpt2 import build_gpt2

        return build_gpt2(self.weights.below(TEXT), self.device)
