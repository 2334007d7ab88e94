"""The network: frames of a stretch of audio and the tokens of a query in, scored spans and frame saliency
out.

One network with switches (:class:`amr.models.config.NetworkConfig`); read :meth:`DetrNetwork.forward`
first. The result of an item never depends on its batch mates, on padding or on order, except under the mask
that repeats an upstream bug. Nothing here asks the device for a value, so no step waits for the host.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from amr.models.config import NetworkConfig
from amr.models.detr.attention import key_mask, lighthouse_cross_mask
from amr.models.detr.blocks import MLP, CrossLayer, EncoderLayer, Projection, unit_rows, xavier_matrices
from amr.models.detr.decoder import DetrDecoder, LayerQueries
from amr.models.detr.gate import Amplifier, Continuity, SaliencyGate
from amr.models.detr.plain_decoder import PlainDecoder
from amr.models.detr.positions import endpoint_features, frame_positions
from amr.models.inputs import NetworkInputs, NetworkOutputs
from amr.models.products import Linear
from amr.models.spans import logit


class TextPositions(nn.Module):
    """A table of text positions and its norm that published checkpoints carry; no result uses it."""

    def __init__(self, positions: int, dim: int) -> None:
        super().__init__()
        self.table = nn.Embedding(positions, dim)
        self.norm = nn.LayerNorm(dim)


class Encoded(NamedTuple):
    """What the encoder makes of stretches and texts.

    Args:
        frames: ``(batch, frames, dim)``, which know the query.
        saliency: ``(batch, frames)`` logits, 0 at padding.
        memory: ``(batch, length, dim)`` what the decoder looks at: the frames, and with ``joint_text`` the
            tokens behind them.
        positions: ``(batch, length, dim)`` of it; its batch may be 1.
        mask: ``(batch, length)``, true where it is real; ``None`` where all is.
    """

    frames: Tensor
    saliency: Tensor
    memory: Tensor
    positions: Tensor
    mask: Tensor | None


class DetrNetwork(nn.Module):
    """Network for audio moment retrieval, in the shapes of :class:`NetworkConfig`."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.hidden_dim
        self.audio_projection = _projection(config, config.audio_dim + config.tef_dim)
        self.text_projection = _projection(config, config.text_dim)
        self.tef = nn.Linear(2, 2) if config.tef == "learned" else None
        self.curve_projection = (
            MLP(config.similarity_channels, dim, dim) if config.similarity_channels else None
        )
        if config.saliency != "linear":
            self.global_token = nn.Parameter(torch.randn(dim))
            self.global_position = nn.Parameter(torch.randn(dim))
        self.gate = _gate(config)
        gated = config.cross_layers if config.gate != "none" else 0
        plain = config.cross_layers if config.plain_cross else 0
        heads, dropout, activation = config.heads, config.dropout, config.activation
        sizes = {"heads": heads, "feedforward": config.feedforward_dim}
        cross = partial(CrossLayer, dim, **sizes, dropout=dropout, activation=activation)
        encoder = partial(EncoderLayer, dim, **sizes, dropout=dropout, activation=activation)
        self.gated_cross = nn.ModuleList(cross() for _ in range(gated))
        self.cross = nn.ModuleList(cross() for _ in range(plain))
        self.continuity = (
            Continuity(dim, config.continuity_kernel) if config.continuity == "features" else None
        )
        self.encoder = nn.ModuleList(encoder() for _ in range(config.encoder_layers))
        self.amplifier = Amplifier(dim, heads=heads, dropout=dropout) if config.amplifier else None
        anchored = config.decoding == "anchors"
        self.anchors = nn.Parameter(torch.randn(config.queries, 2 if anchored else dim))
        decoder = DetrDecoder if anchored else PlainDecoder
        layers = config.decoder_layers
        self.decoder = decoder(dim, layers=layers, **sizes, dropout=dropout, activation=activation)
        self.score_head = nn.Linear(dim, 2)
        self.span_head = MLP(dim, dim, dim, 2)
        if config.saliency == "projection":
            self.saliency_frame = Linear(dim, dim)
            self.saliency_global = Linear(dim, dim)
        elif config.saliency == "linear":
            self.saliency_frame = Linear(dim, 1)
        if config.unused_text_positions:
            self.text_positions = TextPositions(config.unused_text_positions, dim)
        self._reset()

    def _reset(self) -> None:
        xavier_matrices([self.gated_cross, self.cross, self.encoder, self.decoder])
        if isinstance(self.decoder, DetrDecoder):
            self.decoder.reset_refinement()
        if self.tef is not None:
            nn.init.eye_(self.tef.weight)
            nn.init.zeros_(self.tef.bias)

    def forward(
        self,
        inputs: NetworkInputs,
        *,
        negatives: bool = False,
        negative_index: Tensor | None = None,
        first: LayerQueries | None = None,
    ) -> NetworkOutputs:
        """Scored spans of every decoder layer, and saliency.

        Args:
            inputs: a padded batch.
            negatives: also give the saliency of each stretch under another item's text, for the losses on
                negative pairs; it costs projections nothing, the encoders once more, and no decoder.
            negative_index: ``(batch,)`` int64, which text each item takes as its negative; the next one in
                the batch when left out, as published.
            first: of :meth:`first_queries`, to save its time where no weight changes between calls.
        """
        inputs = inputs.apart()
        audio, text = self.project(inputs)
        batch = audio.shape[0]
        positions = self.positions(inputs)
        text_mask = None if inputs.text_mask is None else inputs.text_mask[:batch]
        encoded = self.encode(audio, text[:batch], inputs.audio_mask, text_mask, positions)
        content, spans = self.decode(encoded, first)
        outputs = NetworkOutputs(
            spans=spans,
            logits=self.score_head(content).float(),
            saliency=encoded.saliency,
            frames=encoded.frames,
        )
        if not negatives:
            return outputs
        return self._with_negatives(outputs, inputs, audio, text, positions, negative_index)

    def decode(self, encoded: Encoded, first: LayerQueries | None) -> tuple[Tensor, Tensor]:
        """Content ``(layers, batch, queries, dim)`` and spans ``(layers, batch, queries, 2)``."""
        memory, positions, mask = encoded.memory, encoded.positions, encoded.mask
        if isinstance(self.decoder, PlainDecoder):
            content = self.decoder(self.anchors, memory, positions, mask)
            return content, self.span_head(content).float().sigmoid()
        content, references = self.decoder(self.anchors, memory, positions, mask, first)
        return content, (self.span_head(content).float() + logit(references)).sigmoid()

    def first_queries(self) -> LayerQueries | None:
        """The part of the decoder that comes before any frame, for networks in evaluation mode."""
        return self.decoder.first_queries(self.anchors) if isinstance(self.decoder, DetrDecoder) else None

    def positions(self, inputs: NetworkInputs) -> Tensor:
        """Sine positions ``(batch, frames, dim)``, with a batch of 1 where no frame is padding."""
        mask = inputs.audio_mask
        if mask is None:
            mask = torch.ones(1, inputs.audio.shape[1], dtype=torch.bool, device=inputs.audio.device)
        return frame_positions(mask, self.config.hidden_dim)

    def project(self, inputs: NetworkInputs) -> tuple[Tensor, Tensor]:
        """Frames ``(batch, frames, dim)`` and tokens ``(texts, tokens, dim)`` in the network's size."""
        config = self.config
        audio = unit_rows(inputs.audio) if config.normalise_audio else inputs.audio
        text = unit_rows(inputs.text) if config.normalise_text else inputs.text
        if config.tef != "none":
            tef = endpoint_features(inputs.frame_mask())
            tef = tef if self.tef is None else self.tef(tef)
            audio = torch.cat((tef, audio) if config.tef_first else (audio, tef), dim=-1)
        frames = self.audio_projection(audio)
        if self.curve_projection is not None:
            if inputs.curves is None:
                raise ValueError(
                    f"this network takes {config.similarity_channels} curves a frame, none given"
                )
            frames = frames + self.curve_projection(inputs.curves)
        return frames, self.text_projection(text)

    def encode(
        self,
        audio: Tensor,
        text: Tensor,
        audio_mask: Tensor | None,
        text_mask: Tensor | None,
        positions: Tensor,
        *,
        bypass_gate: bool = False,
    ) -> Encoded:
        """Audio and text ``(batch, ..., dim)`` to what the decoder looks at."""
        num_frames, by_gate = audio.shape[1], self.config.saliency == "gate"
        gate_logits = None if self.gate is None else self.gate(audio, audio_mask, text, text_mask)
        mask = self._cross_mask(audio_mask, text_mask)
        if gate_logits is not None and not bypass_gate:
            audio = self._gated(audio, gate_logits.sigmoid(), text, mask, positions)
        for cross in self.cross:
            audio = cross(audio, positions, text, mask)
        if self.continuity is not None:
            audio = self.continuity(audio, audio_mask)
        if self.config.joint_text:
            audio, audio_mask, positions = beside(audio, audio_mask, positions, text, text_mask)
        whole, memory = self._self_attention(audio, audio_mask, positions)
        if self.amplifier is not None and gate_logits is not None:
            memory = self.amplifier(memory, gate_logits.sigmoid(), audio_mask)
        frames = memory[:, :num_frames]
        saliency = self._saliency(frames, whole) if gate_logits is None or not by_gate else gate_logits
        if audio_mask is not None:
            saliency = saliency * audio_mask[:, :num_frames]
        return Encoded(frames, saliency, memory, positions, audio_mask)

    def _gated(
        self, audio: Tensor, gate: Tensor, text: Tensor, mask: Tensor | None, positions: Tensor
    ) -> Tensor:
        """The gated cross-attention encoder; LCS-DETR report, section 3.3."""
        rows = gate if self.config.gate == "rows" else None
        if self.config.gate == "values":
            audio = audio * gate.unsqueeze(-1)
        for layer in self.gated_cross:
            audio = layer(audio, positions, text, mask, rows)
        return audio

    def _self_attention(
        self, audio: Tensor, audio_mask: Tensor | None, positions: Tensor
    ) -> tuple[Tensor | None, Tensor]:
        """The global token, where there is one, and everything else after self-attention over both."""
        x, mask, has_global = audio, audio_mask, self.config.saliency != "linear"
        if has_global:
            x = torch.cat((self.global_token.expand(audio.shape[0], 1, -1), audio), dim=1)
            positions = torch.cat((self.global_position.expand(positions.shape[0], 1, -1), positions), dim=1)
            mask = None if audio_mask is None else nn.functional.pad(audio_mask, (1, 0), value=True)
        for layer in self.encoder:
            x = layer(x, positions, key_mask(mask))
        return (x[:, 0], x[:, 1:]) if has_global else (None, x)

    def _saliency(self, frames: Tensor, whole: Tensor | None) -> Tensor:
        """How far each frame agrees with the whole; unbounded, a logit."""
        if whole is None:
            linear: Tensor = self.saliency_frame(frames).float().squeeze(-1)
            return linear
        product = self.saliency_frame(frames).float() * self.saliency_global(whole).float().unsqueeze(1)
        out: Tensor = product.sum(-1) / self.config.hidden_dim**0.5
        return out

    def _cross_mask(self, audio_mask: Tensor | None, text_mask: Tensor | None) -> Tensor | None:
        if self.config.cross_mask == "exact" or audio_mask is None or text_mask is None:
            return key_mask(text_mask)
        return lighthouse_cross_mask(audio_mask, text_mask, self.config.heads)

    def _with_negatives(
        self,
        outputs: NetworkOutputs,
        inputs: NetworkInputs,
        audio: Tensor,
        text: Tensor,
        positions: Tensor,
        negative_index: Tensor | None,
    ) -> NetworkOutputs:
        """``outputs`` with the saliency of negative pairs; the decoder is not run for them."""
        batch = audio.shape[0]
        if negative_index is None:
            negative_index = torch.arange(1, batch + 1, device=audio.device).remainder(batch)
        text_mask = None if inputs.text_mask is None else inputs.text_mask[negative_index]
        encoded = self.encode(
            audio,
            text[negative_index],
            inputs.audio_mask,
            text_mask,
            positions,
            bypass_gate=self.config.negatives_bypass_gate,
        )
        return replace(
            outputs,
            negative_saliency=encoded.saliency,
            negative_valid=(inputs.text[:batch] != inputs.text[negative_index]).flatten(1).any(1),
        )


def beside(
    audio: Tensor, audio_mask: Tensor | None, positions: Tensor, text: Tensor, text_mask: Tensor | None
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Frames and behind them the tokens, their mask, and their positions, which for tokens are zero."""
    batch, tokens, dim = text.shape
    mask = None
    if audio_mask is not None or text_mask is not None:
        masks = (audio_mask, audio.shape[1]), (text_mask, tokens)
        whole = [
            torch.ones(batch, length, dtype=torch.bool, device=audio.device) if each is None else each
            for each, length in masks
        ]
        mask = torch.cat(whole, dim=1)
    positions = torch.cat((positions, positions.new_zeros(positions.shape[0], tokens, dim)), dim=1)
    return torch.cat((audio, text), dim=1), mask, positions


def _projection(config: NetworkConfig, size_in: int) -> Projection:
    return Projection(
        size_in, config.hidden_dim, layers=config.projection_layers, dropout=config.input_dropout
    )


def _gate(config: NetworkConfig) -> SaliencyGate | None:
    if config.gate == "none":
        return None
    return SaliencyGate(
        config.hidden_dim,
        pooling=config.gate_pooling,
        scale=config.gate_scale,
        shift=config.gate_shift,
        smooth_kernel=config.continuity_kernel if config.continuity == "saliency" else 0,
    )


def count_parameters(network: nn.Module) -> int:
    """Numbers that training would learn, those of an unused table included."""
    return sum(parameter.numel() for parameter in network.parameters())
