"""The frame decoder's network (presets ``best`` and ``curves``): every frame proposes one moment.

Where AM-DETR asks ten learned queries, here each frame says how far away the moment's two ends are that it
lies in, and how well that fits. What the network knows of the query are curves over time: the encoder's
joint-space similarity, which knows sounds that were never trained on, and the prototypes of the training data
(:mod:`amr.models.frames.prototypes`). ``docs/models.md`` says what each part is worth.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from amr.models.config import NetworkConfig
from amr.models.dropout import Dropout
from amr.models.frames.answers import choose
from amr.models.frames.constants import (
    ENDS,
    LEAST_PEAK,
    LENGTH_CLASSES,
    MOST_CERTAIN,
    RULED_OUT,
    curves_of,
    peaks_of,
)
from amr.models.frames.layers import ConvLayer, CurveLayers
from amr.models.frames.level import level_of
from amr.models.frames.prototypes import PrototypeCurves, Prototypes
from amr.models.frames.segments import choose_segments, segment_scores
from amr.models.inputs import NetworkInputs, NetworkOutputs
from amr.models.products import Linear

SCORE_BIAS, DISTANCE_BIAS, SALIENCY_BIAS = -3.0, 1.0, -2.0


class FrameNetwork(nn.Module):
    """Network whose frames propose, in the shapes of :class:`NetworkConfig`.

    In training mode :meth:`forward` gives every frame's proposal, as the losses want them; in evaluation mode
    the best ``config.queries`` after suppression, as everything else wants them.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        dim, hidden, dropout = config.hidden_dim, config.feedforward_dim, config.dropout

        def conv_layer(dilation: int) -> ConvLayer:
            return ConvLayer(
                dim,
                kernel=config.continuity_kernel,
                feedforward=hidden,
                dropout=dropout,
                dilation=dilation,
            )

        if config.audio:
            self.audio_norm = nn.LayerNorm(config.audio_dim)
            self.audio_dropout = Dropout(config.input_dropout)
            self.audio_projection = Linear(config.audio_dim, dim)
            self.stem = conv_layer(1)
        # How far a curve must rise to count as a peak, in the encoder's own units; learned.
        self.least_peak = nn.Parameter(torch.tensor(0.3)) if peaks_of(config) else None
        self.prototypes = _prototypes(config)
        self.prototype_weight = nn.Parameter(torch.zeros(dim)) if config.prototypes else None
        self.curves = CurveLayers(curves_of(config), dim, kernel=config.continuity_kernel)
        # Each layer reaches twice as far as the one before: long moments are found by their far ends.
        self.convolution = nn.ModuleList(conv_layer(2**index) for index in range(config.encoder_layers))
        self.head_norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, 4)
        with torch.no_grad():
            self.head.bias.copy_(torch.tensor([SCORE_BIAS, DISTANCE_BIAS, DISTANCE_BIAS, SALIENCY_BIAS]))
        self.ends = nn.Linear(dim, ENDS) if config.segments else None
        self.by_length = nn.Parameter(torch.zeros(LENGTH_CLASSES)) if config.segments else None
        self.quality = nn.Linear(dim, 1) if config.quality else None
        if self.quality is not None:
            nn.init.constant_(self.quality.bias, SCORE_BIAS)

    def forward(
        self,
        inputs: NetworkInputs,
        *,
        negatives: bool = False,
        negative_index: Tensor | None = None,
        first: None = None,
    ) -> NetworkOutputs:
        """Scored moments and saliency.

        Args:
            inputs: a padded batch.
            negatives: there are no negative pairs here, so this must be off.
            negative_index, first: of other networks, unused.
        """
        del negative_index, first
        if negatives:
            raise ValueError("the frame decoder takes no negative pairs")
        audio = compressed(inputs.audio)
        x = inputs.of_items(self.embed(audio, inputs.audio_mask))
        mask = None if inputs.audio_mask is None else inputs.of_items(inputs.audio_mask)
        x, near = self.with_query(x, audio, mask, inputs)
        for convolution in self.convolution:
            x = convolution(x, mask)
        last = self.head_norm(x)
        inside, to_start, to_end, saliency = self.head(last).float().unbind(-1)
        score = inside if self.quality is None else self.quality(last).float().squeeze(-1)
        middles = inputs.frame_middles()
        spans = proposals(middles, to_start, to_end, inputs.frame_mask())
        if mask is not None:
            saliency = saliency * mask
        outputs = NetworkOutputs(
            spans=spans.unsqueeze(0),
            logits=torch.stack((score, torch.zeros_like(score)), dim=-1).unsqueeze(0),
            saliency=saliency,
            frames=x,
            middles=middles,
            has_quality=self.ends is None or self.quality is not None,
        )
        if self.ends is not None and self.by_length is not None:
            # Chances are differences of sums over all frames, of which float32 keeps four digits.
            added = inside if self.training else inside.double()
            segments = segment_scores(added, self.ends(last), self.by_length, inputs.frame_mask())
            outputs = replace(outputs, segments=segments)
        if not self.training:
            outputs = self.chosen(outputs, inputs.frame_mask())
        return outputs if near is None else self.with_level(outputs, inputs, near.cosine)

    def chosen(self, outputs: NetworkOutputs, frame_mask: Tensor) -> NetworkOutputs:
        """The best few answers of the proposals, or of the segments."""
        if outputs.segments is None:
            return choose(outputs, frame_mask, self.config.queries)
        return choose_segments(outputs, outputs.segments, frame_mask, self.config)

    def embed(self, audio: Tensor, mask: Tensor | None) -> Tensor:
        """Compressed frames in the network's size ``(batch, frames, dim)``, before any query; zeros where the
        network is given none."""
        if not self.config.audio:
            return audio.new_zeros(*audio.shape[:2], self.config.hidden_dim)
        audio = self.audio_dropout(self.audio_norm(audio))
        out: Tensor = self.stem(self.audio_projection(audio), mask)
        return out

    def with_query(
        self, x: Tensor, audio: Tensor, mask: Tensor | None, inputs: NetworkInputs
    ) -> tuple[Tensor, PrototypeCurves | None]:
        """Frames that know the query, ``(batch, frames, dim)``, and how near they come to its prototype.

        Args:
            x: of :meth:`embed`, ``(batch, frames, dim)``.
            audio: compressed, ``(stretches, frames, audio_dim)``.
            mask: ``(batch, frames)`` bool, or None.
            inputs: everything else.
        """
        curves, near = [], None
        if self.config.similarity_channels:
            if inputs.curves is None:
                wanted = self.config.similarity_channels
                raise ValueError(f"this network takes {wanted} curves a frame, none given")
            curves.append(self.with_peak(inputs.curves.float(), mask))
        if self.prototypes is not None and self.prototype_weight is not None:
            batch = len(x)
            text_mask = None if inputs.text_mask is None else inputs.text_mask[:batch]
            directions = inputs.of_items(self.prototypes.directions(audio))
            near = self.prototypes(
                directions, mask, inputs.text[:batch], text_mask, inputs.own_share, inputs.meaning
            )
            curves.append(near.curves)
            x = x + x * near.logit.sigmoid().unsqueeze(-1) * self.prototype_weight
        return x + self.curves(torch.cat(curves, dim=-1), mask), near

    def with_level(self, outputs: NetworkOutputs, inputs: NetworkInputs, cosine: Tensor) -> NetworkOutputs:
        """Scores times the chance that what is asked for is in the stretch at all.

        Behind the choice of answers: the moments of a stretch keep their order and their ends.
        """
        config = self.config
        if not config.level_weight:
            return outputs
        similarity = None if inputs.curves is None else inputs.curves[..., 0].float()
        level = level_of(cosine, similarity, inputs.frame_mask(), config.level_similarity)
        there = config.level_weight * level + config.level_shift
        score, other = outputs.logits.unbind(-1)
        both = functional.logsigmoid(score) + functional.logsigmoid(there).unsqueeze(-1)
        # The logit of a chance from its logarithm, which is not quite 0.
        both = both.clamp(max=MOST_CERTAIN)
        both = both - torch.log(-torch.expm1(both))
        score = torch.where(score > RULED_OUT, both.clamp(min=RULED_OUT), score)
        return replace(outputs, logits=torch.stack((score, other), dim=-1))

    def with_peak(self, curves: Tensor, mask: Tensor | None) -> Tensor:
        """Two more curves: the last one as a part of its peak in the stretch, and that peak."""
        if self.least_peak is None:
            return curves
        last = curves[..., -1:]
        seen = last if mask is None else last.masked_fill(~mask.unsqueeze(-1), -torch.inf)
        peak = seen.amax(1, keepdim=True).clamp(min=0)
        part = last / (peak + self.least_peak.abs() + LEAST_PEAK)
        return torch.cat((curves, part, peak.expand_as(last)), dim=-1)

    def first_queries(self) -> None:
        """Nothing here comes before the frames."""
        return


def compressed(audio: Tensor) -> Tensor:
    """Frames ``(..., audio_dim)`` by the logarithm of their size, float32.

    Encoders' features are long-tailed: a few loud dimensions would decide every norm. (log1p is slower.)
    """
    audio = audio.float()
    return audio.abs().add_(1).log_().copysign_(audio)


def _prototypes(config: NetworkConfig) -> Prototypes | None:
    if not config.prototypes:
        return None
    axes = min(config.prototype_axes, config.audio_dim)
    return Prototypes(config.audio_dim, config.text_dim, axes, config.prototypes)


def proposals(middles: Tensor, to_start: Tensor, to_end: Tensor, mask: Tensor) -> Tensor:
    """Each frame's moment, (centre, width) as fractions of the stretch, ``(batch, frames, 2)``.

    Distances come as numbers of frames through a softplus, less one frame: a moment shorter than a frame need
    not hold its middle.

    Args:
        middles: ``(batch, frames)`` as fractions of the stretch.
        to_start, to_end: ``(batch, frames)``.
        mask: ``(batch, frames)`` bool.
    """
    frame = 1.0 / mask.sum(1, keepdim=True).clamp(min=1)
    start = middles - (functional.softplus(to_start) - 1) * frame
    end = middles + (functional.softplus(to_end) - 1) * frame
    return torch.stack(((start + end) / 2, (end - start).clamp(min=0)), dim=-1)
