"""The embedded encoder: YAMNet knows 521 kinds of sound, MiniLM finds those that a sentence means.

Frames are YAMNet's 1024-d embeddings. The joint space has one axis a class: a frame's coordinate is how far
the log probability of that class, log(p + 1e-4), lies above its usual level; a sentence's are the weights of
the classes that it means, summing to one. Their inner product is the expected log ratio of what the query
means.

Nothing is loaded before it is needed: a query on stored features opens no audio network and no torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from amr.arrays import Float32Array
from amr.audio.level import DESCRIPTION
from amr.encoders.base import EncoderIdentity, TextFeatures
from amr.encoders.english import is_english, may_be_of_anything
from amr.encoders.yamnet.framing import Framing, choose_framing
from amr.encoders.yamnet.minilm import DIMENSION as TEXT_DIMENSION
from amr.encoders.yamnet.minilm import MiniLM
from amr.encoders.yamnet.prompts import (
    LEAST_IN_DOUBT,
    LEAST_NEARNESS,
    PromptBank,
    SoundClass,
    read_classes,
)
from amr.encoders.yamnet.weightfiles import Tensors, read_sums, read_tensors, read_weights, weights_folder
from amr.errors import UsageError

if TYPE_CHECKING:
    import torch

    from amr.encoders.yamnet.mel import LogMel

NAME = "yamnet"
SAMPLE_RATE_HZ = 16_000
DIMENSION = 1024
NUM_CLASSES = 521
PROBABILITY_FLOOR = 1e-4  # a class counts as absent below this; keeps log(p) from ruling a frame out for ever
BATCH_PATCHES = 16  # patches convolved at a time: their activations fit the processor's cache
WEIGHT_FILES = ("yamnet.safetensors", "minilm.safetensors")


class YamnetEncoder:
    """Satisfies :class:`amr.encoders.base.Encoder`.

    Args:
        hop_s: seconds from frame to frame; None is YAMNet's own 0.48 s.
        device: where the audio network runs, as torch names it; text always runs on the processor.
        normalisation: of the samples: :data:`amr.audio.level.DESCRIPTION`, or ``none``, as in features of
            earlier versions.

    Raises:
        UsageError: it has no such hop or normalisation.
    """

    def __init__(
        self, *, hop_s: float | None = None, device: str = "cpu", normalisation: str = DESCRIPTION
    ) -> None:
        if normalisation not in (DESCRIPTION, "none"):
            raise UsageError(f"yamnet does not know the normalisation {normalisation!r}")
        self.framing = choose_framing(hop_s)
        self.device_name = device
        self.normalisation = normalisation

    @property
    def exact_batch_frames(self) -> int:
        """See :mod:`amr.encoders.running.blocks`; without oneDNN other patches may change last bits."""
        from amr.encoders.yamnet.mobilenet import has_onednn

        return max(1, BATCH_PATCHES // self.framing.patches_per_frame) if has_onednn(self.device) else 1

    @cached_property
    def identity(self) -> EncoderIdentity:
        return identity(self.framing, self.normalisation)

    def encode_audio(self, samples: Float32Array) -> Float32Array:
        """``(batch, window_samples + (frames - 1) * hop_samples)`` to ``(batch, frames, 1024)``.

        Raises:
            ValueError: the stretch is no whole number of frames.
        """
        import torch

        framing = self.framing
        batch, length = samples.shape
        if length < framing.window_samples or (length - framing.window_samples) % framing.hop_samples:
            cut = f"a window of {framing.window_samples} and hops of {framing.hop_samples}"
            raise ValueError(f"{length} samples are not {cut}")
        log_mel, net = self.audio_network
        with torch.inference_mode():
            wave = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32)).to(self.device)
            spectrogram = log_mel(wave)  # (batch, steps, mels)
            patches = spectrogram.unfold(1, framing.patch_steps, framing.patch_hop_steps)
            patches = patches.transpose(2, 3).flatten(0, 1)  # (batch * patches, steps, mels)
            parts = [
                net(patches[start : start + BATCH_PATCHES].contiguous())
                for start in range(0, len(patches), BATCH_PATCHES)
            ]
            embeddings = torch.cat(parts).view(batch, -1, framing.patches_per_frame, DIMENSION)
            pooled = embeddings.mean(dim=2)  # (batch, frames, dim)
        frames: Float32Array = pooled.cpu().numpy()
        return frames

    def encode_text(self, queries: list[str]) -> list[TextFeatures]:
        """MiniLM's token states ``(tokens, 384)`` and unit sentence vector ``(384,)`` of each query."""
        return self.sentence_network.encode([self.tokenizer(query) for query in queries])

    def joint_audio(self, frames: Float32Array) -> Float32Array:
        """``(frames, 1024)`` to ``(frames, 521)``: log(p + 1e-4) of every class, above its usual level."""
        weight, bias = self.classifier
        joint: Float32Array = frames.astype(np.float32, copy=False) @ weight
        joint += bias
        np.clip(joint, -80.0, 80.0, out=joint)
        np.negative(joint, out=joint)
        np.exp(joint, out=joint)
        joint += 1.0
        np.divide(1.0, joint, out=joint)  # the probabilities
        joint += PROBABILITY_FLOOR
        np.log(joint, out=joint)
        joint -= self.usual_levels
        return joint

    def joint_text(self, pooled: Float32Array) -> Float32Array:
        """``(queries, 384)`` to ``(queries, 521)``: the weights of the classes, each row summing to one."""
        return self.prompt_bank.mixture(pooled.astype(np.float32))

    def not_understood(self, queries: list[str], pooled: Float32Array) -> list[list[str]]:
        """``language`` of queries that are not in English, ``words`` of those that no prompt is near."""
        near = self.prompt_bank.nearness(pooled.astype(np.float32)).tolist()
        return [
            ["language"] if not is_english(query) else ["words"] if is_far(query, nearness) else []
            for query, nearness in zip(queries, near, strict=True)
        ]

    def explain(self, query: str, top: int) -> list[tuple[str, float]]:
        """The ``top`` classes that a query was understood as, and their weights, heaviest first."""
        [features] = self.encode_text([query])
        weights = self.joint_text(features.pooled[None])[0]
        heaviest = np.argsort(-weights, kind="stable")[:top]
        return [(self.classes[number].name, float(weights[number])) for number in heaviest]

    @cached_property
    def device(self) -> torch.device:
        import torch

        return torch.device(self.device_name)

    @cached_property
    def audio_tensors(self) -> Tensors:
        return read_tensors("yamnet.safetensors")

    @cached_property
    def audio_network(self) -> tuple[LogMel, Callable[[torch.Tensor], torch.Tensor]]:
        from amr.encoders.yamnet.mel import LogMel
        from amr.encoders.yamnet.mobilenet import build_mobilenet

        return LogMel(self.device), build_mobilenet(self.audio_tensors, self.device)

    @cached_property
    def classifier(self) -> tuple[Float32Array, Float32Array]:
        """Weight ``(1024, 521)``, for which products of few frames are quickest, and bias ``(521,)``."""
        weight, bias = self.audio_tensors["classifier.weight"], self.audio_tensors["classifier.bias"]
        return np.ascontiguousarray(weight.astype(np.float32).T), bias.astype(np.float32)

    @cached_property
    def usual_levels(self) -> Float32Array:
        """``(521,)``: the mean of log(p + 1e-4) of each class in ordinary sound."""
        return np.array([sound.usual for sound in self.classes], dtype=np.float32)

    @cached_property
    def sentence_network(self) -> MiniLM:
        return MiniLM(read_tensors("minilm.safetensors"))

    @cached_property
    def tokenizer(self) -> Callable[[str], list[int]]:
        from amr.encoders.yamnet.wordpiece import wordpiece

        return wordpiece(read_weights("vocab.txt"))

    @cached_property
    def prompt_bank(self) -> PromptBank:
        return PromptBank(read_tensors("prompts.safetensors"))

    @cached_property
    def classes(self) -> list[SoundClass]:
        return read_classes(weights_folder() / "classes.tsv")


def is_far(query: str, nearness: float) -> bool:
    """Whether nothing that the encoder knows is near; what may be of anything has to be nearer."""
    return nearness < (LEAST_IN_DOUBT if may_be_of_anything(query) else LEAST_NEARNESS)


def identity(framing: Framing, normalisation: str) -> EncoderIdentity:
    """What decides the features' values; opens no weights.

    ``weights_sha256`` is that of the two networks' sums. The prompts are not among them: better prompts need
    no new features.
    """
    sums = read_sums(weights_folder())
    both = "".join(sums[name] for name in WEIGHT_FILES)
    return EncoderIdentity(
        name=NAME,
        weights_sha256=hashlib.sha256(both.encode("ascii")).hexdigest(),
        sample_rate_hz=SAMPLE_RATE_HZ,
        window_samples=framing.window_samples,
        hop_samples=framing.hop_samples,
        dimension=DIMENSION,
        text_dimension=TEXT_DIMENSION,
        joint_dimension=NUM_CLASSES,
        normalisation=normalisation,
        framing=framing.describe(),
    )
