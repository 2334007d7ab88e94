"""Another real encoder to measure `curves` with: aiSFX, for sound effects (Ma and others, ISMIR 2022).

    pip install --no-deps aisfx==0.1.2 tqdm    (24.9 MB of weights, CC BY 4.0)
    PYTHONPATH=examples amr extract SET/audio --encoder aisfx_encoder:AisfxEncoder -o aisfx.h5
    PYTHONPATH=examples python examples/judge_curves.py MODEL SET/annotations.jsonl aisfx.h5 \
        --encoder aisfx_encoder:AisfxEncoder --kinds example

It has no text side: nothing but sounds can be compared, so queries are clips. Its mel spectrogram is written
in torch after its `spectrogram_librosa`; a frame is its embedding of 1 s.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from amr.arrays import Float32Array
from amr.encoders.base import EncoderIdentity, TextFeatures
from amr.encoders.yamnet.encoder import YamnetEncoder

RATE_HZ, HIGHEST_HZ = 44_100, 22_050.0
FFT, FFT_HOP, MELS = 2048, 1024, 96
STEPS = 44
"""Of the spectrogram in a frame: 1.05 s."""
WINDOW = FFT + FFT_HOP * (STEPS - 1)
LOUDEST = 9.457798957824707
"""What its authors divide log mel energies by."""
BATCH = 64
WIDTH = 64


class AisfxEncoder:
    """Frames by aiSFX; text by amr's own encoder, in another space."""

    def __init__(self, *, hop_s: float | None = None, device: str = "cpu") -> None:
        from aisfx import models
        from aisfx.models.cnn2d import EmbeddingNet

        checkpoint = Path(next(iter(models.__path__))) / "checkpoint.pth"
        # A pickle, which may run code: of the package that was just installed and imported.
        weights, _ = torch.load(checkpoint, map_location=device, weights_only=False)
        self.net = EmbeddingNet("max", 3, 1, WIDTH)
        prefix = "embedding_net."
        own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        self.net.load_state_dict(own)
        self.net.eval().to(device)
        self.device = device
        self.text = YamnetEncoder()
        self.mel, self.taper = mel_filters().to(device), torch.hann_window(FFT, device=device)
        self.identity = EncoderIdentity(
            name="aisfx",
            weights_sha256=hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
            sample_rate_hz=RATE_HZ,
            window_samples=WINDOW,
            hop_samples=round((hop_s or 0.48) * RATE_HZ),
            dimension=8 * WIDTH,
            text_dimension=self.text.identity.text_dimension,
            joint_dimension=1,
            framing="windows of 44 spectra",
        )

    def encode_audio(self, samples: Float32Array) -> Float32Array:
        windows = torch.from_numpy(samples).unfold(1, WINDOW, self.identity.hop_samples)
        with torch.inference_mode():
            parts = [self._embedded(part) for part in windows.reshape(-1, WINDOW).split(BATCH)]
        frames: Float32Array = torch.cat(parts).view(*windows.shape[:2], -1).cpu().numpy()
        return frames

    def _embedded(self, windows: Tensor) -> Tensor:
        """``(windows, WINDOW)`` to ``(windows, dimension)``."""
        spectra = torch.stft(
            windows.to(self.device), FFT, FFT_HOP, window=self.taper, center=False, return_complex=True
        )
        energy = torch.einsum("mf,bft->btm", self.mel, spectra.abs() ** 2)
        out: Tensor = self.net(torch.log10(energy * 10_000 + 1) / LOUDEST)
        return out

    def encode_text(self, queries: list[str]) -> list[TextFeatures]:
        return self.text.encode_text(queries)

    def joint_audio(self, frames: Float32Array) -> Float32Array:
        return np.zeros((len(frames), 1), np.float32)  # no joint space: every similarity is 0

    joint_text = joint_audio

    def explain(self, query: str, top: int) -> list[tuple[str, float]]:  # noqa: ARG002
        return []


def mel_filters() -> Tensor:
    """``(MELS, FFT / 2 + 1)``: triangles evenly spaced in mel (2595 log10(1 + f / 700)), each of sum 1."""
    most = 2595 * np.log10(1 + HIGHEST_HZ / 700)
    edges = 700 * (10 ** (np.linspace(0, most, MELS + 2) / 2595) - 1)
    bins = np.linspace(0, RATE_HZ / 2, FFT // 2 + 1)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.maximum(0, np.minimum(rising, falling))
    return torch.tensor(weights / weights.sum(axis=1, keepdims=True), dtype=torch.float32)
