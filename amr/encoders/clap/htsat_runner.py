"""Stretches of samples through HTS-AT: windows or blocks in, frames out, everything between stays on the
device.

On a processor one clip goes through the network at a time: that is within a tenth of the best speed, keeps
the activations in its caches, and makes a frame's last bit independent of the batch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import torch

from amr.arrays import Float32Array
from amr.encoders.clap.htsat import NUM_CELLS, build_htsat
from amr.encoders.clap.htsat_mel import HtsAtMel, MelSettings, fill_clip
from amr.encoders.clap.published import Tensors
from amr.errors import UsageError

ClipNetwork = Callable[[torch.Tensor], torch.Tensor]
"""Filled clips ``(batch, clip_samples)`` to cells ``(batch, 32, dim)``: another implementation."""

CLIPS_ON_PROCESSOR = 1
CLIPS_ON_DEVICE = 64
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class HtsAtRunner:
    """The audio side of a CLAP, on one device; may be used from several threads.

    Args:
        settings: of the front end.
        tensors: the audio network's weights, as :func:`amr.encoders.clap.htsat.build_htsat` takes them.
        precision: of the network's weights and activations; the front end stays in float32.
        mel_matrix: filters of the front end, where the weights bring them.
        clip_network: runs instead of front end and network.
    """

    def __init__(
        self,
        settings: MelSettings,
        tensors: Tensors,
        device: torch.device,
        *,
        precision: str = "float32",
        mel_matrix: Float32Array | None = None,
        clip_network: ClipNetwork | None = None,
    ) -> None:
        if precision not in PRECISIONS:
            hint = f"there are: {', '.join(PRECISIONS)}"
            raise UsageError(f"no precision {precision!r}", where="--dtype", hint=hint)
        self.settings, self.device = settings, device
        self.dtype = PRECISIONS[precision]
        self.clip_network = clip_network
        names = ("weight", "bias", "running_mean", "running_var")
        self.batch_norm = {name: np.array(tensors[f"bn0.{name}"], np.float32) for name in names}
        self.mel_matrix = mel_matrix
        self.dimension = len(tensors["norm.weight"])
        self.net = None if clip_network else build_htsat(tensors, device).to(self.dtype)
        self.clips_at_a_time = CLIPS_ON_PROCESSOR if device.type == "cpu" else CLIPS_ON_DEVICE
        self._mels: dict[int, HtsAtMel] = {}
        self._lock = threading.Lock()

    def mel(self, window_samples: int) -> HtsAtMel:
        """The front end for windows of one length, made once."""
        with self._lock:
            if window_samples not in self._mels:
                self._mels[window_samples] = HtsAtMel(
                    self.settings, window_samples, self.batch_norm, self.device, self.mel_matrix
                )
            return self._mels[window_samples]

    def cells(self, windows: torch.Tensor) -> torch.Tensor:
        """``(batch, window_samples)`` on the device to the network's steps of time ``(batch, 32, dim)``."""
        if self.clip_network is not None:
            return self.clip_network(fill_clip(windows, self.settings.clip_samples or windows.shape[1]))
        assert self.net is not None  # there is either network
        spectrograms = self.mel(windows.shape[1])(windows)
        cells: torch.Tensor = self.net(spectrograms.to(self.dtype)).float()
        return cells

    def all_cells(self, windows: torch.Tensor) -> torch.Tensor:
        """:meth:`cells` of any number of windows, some at a time."""
        return torch.cat(
            [self.cells(part.contiguous()) for part in torch.split(windows, self.clips_at_a_time)]
        )

    def upload(self, samples: Float32Array) -> torch.Tensor:
        wave = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))
        if self.device.type == "cuda":
            return wave.pin_memory().to(self.device, non_blocking=True)
        return wave.to(self.device)

    def encode_windows(self, samples: Float32Array, window_samples: int, hop_samples: int) -> Float32Array:
        """``(batch, window + (frames - 1) * hop)`` to ``(batch, frames, dim)``: a pass for every frame.

        Raises:
            ValueError: the stretch is no whole number of frames.
        """
        batch, length = samples.shape
        if length < window_samples or (length - window_samples) % hop_samples:
            raise ValueError(
                f"{length} samples are not a window of {window_samples} and hops of {hop_samples}"
            )
        with torch.inference_mode():
            windows = self.upload(samples).unfold(1, window_samples, hop_samples)  # (batch, frames, window)
            frames = self.all_cells(windows.flatten(0, 1)).mean(dim=1)
            return self.download(torch.unflatten(frames, 0, (batch, -1)))

    def encode_blocks(self, samples: Float32Array, hop_samples: int) -> Float32Array:
        """``(batch, frames * hop)`` to ``(batch, frames, dim)``: a pass for every clip's length of frames.

        Raises:
            ValueError: the stretch is no whole number of frames.
        """
        batch, length = samples.shape
        if length == 0 or length % hop_samples:
            raise ValueError(f"{length} samples are not whole hops of {hop_samples}")
        clip_samples = self.settings.clip_samples or length
        whole = length - length % clip_samples
        parts = []
        with torch.inference_mode():
            wave = self.upload(samples)
            if whole:
                blocks = torch.unflatten(wave[:, :whole], 1, (-1, clip_samples)).flatten(0, 1)
                frames = self.block_frames(blocks, hop_samples)
                parts.append(torch.unflatten(frames, 0, (batch, -1)).flatten(1, 2))
            if length > whole:
                parts.append(self.block_frames(wave[:, whole:], hop_samples))
            return self.download(torch.cat(parts, dim=1))

    def block_frames(self, blocks: torch.Tensor, hop_samples: int) -> torch.Tensor:
        """Blocks ``(batch, frames * hop)`` no longer than a clip to frames ``(batch, frames, dim)``."""
        length = blocks.shape[1]
        shares = cell_shares(length // hop_samples, length / (self.settings.clip_samples or length))
        cells = self.all_cells(blocks)
        # One product a block, so that a block's last bit does not depend on its neighbours.
        weights = torch.from_numpy(shares).to(cells.device)
        return torch.stack([weights @ block for block in cells])

    def download(self, frames: torch.Tensor) -> Float32Array:
        result: Float32Array = frames.cpu().numpy()
        return result


def cell_shares(num_frames: int, filled: float) -> Float32Array:
    """What share of each frame each cell is, ``(num_frames, 32)``; rows sum to one.

    Args:
        num_frames: that a block holds.
        filled: the block's length as a share of the clip's; the block is repeated as often as it fits whole,
            and a frame is the mean over its repetitions.
    """
    edges = np.linspace(0.0, 1.0, NUM_CELLS + 1)
    repeats = int(1.0 / filled + 1e-9)
    starts = (np.arange(repeats)[:, None] + np.arange(num_frames) / num_frames) * filled
    stops = starts + filled / num_frames
    low = np.maximum(starts[..., None], edges[:-1])
    high = np.minimum(stops[..., None], edges[1:])
    overlap = np.maximum(high - low, 0.0).sum(axis=0)
    shares: Float32Array = (overlap / overlap.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares
