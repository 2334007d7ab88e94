"""A whole network in fifty lines: a few learned queries look for moments with one attention over the frames.

    export AMR_MODELS=small=small_network:SMALL                              # in this folder
    amr train train.jsonl --features feats.h5 --preset small -o small.safetensors
    amr predict --model small.safetensors --query "a dog barks" feats.h5

It is no good network. It shows what one needs: `docs/plugins.md` has the rules, `uvcom/` a published network.
"""

from __future__ import annotations

import torch
from torch import nn

from amr.models.architectures import Architecture, OwnNetwork
from amr.models.config import NetworkConfig
from amr.models.inputs import NetworkInputs, NetworkOutputs
from amr.models.presets import Preset


class SmallNetwork(OwnNetwork):
    """Frames and the mean of the tokens, each through a linear map; padding is left out of both sums."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.audio = nn.Linear(config.audio_dim, config.hidden_dim)
        self.text = nn.Linear(config.text_dim, config.hidden_dim)
        self.queries = nn.Parameter(torch.randn(config.queries, config.hidden_dim))
        self.span_head = nn.Linear(config.hidden_dim + 1, 2)
        self.score_head = nn.Linear(config.hidden_dim, 2)

    def forward(self, inputs: NetworkInputs, **_: object) -> NetworkOutputs:
        """Spans ``(1, batch, queries, 2)``: there is one layer, and no saliency under another text."""
        inputs = inputs.apart()  # a row of audio for each item
        batch, is_frame = len(inputs.audio), inputs.frame_mask()
        tokens, is_token = inputs.text[:batch], inputs.text_mask
        weights = torch.ones_like(tokens[..., :1]) if is_token is None else is_token[:batch, :, None].float()
        text = self.text((tokens * weights).sum(1) / weights.sum(1))  # (batch, dim)
        frames = self.audio(inputs.audio) * text[:, None]  # (batch, frames, dim)
        fit = torch.einsum("qd,bfd->bqf", self.queries, frames).masked_fill(~is_frame[:, None], -torch.inf)
        attention = fit.softmax(-1)  # (batch, queries, frames)
        found = attention @ frames
        place = attention @ inputs.frame_middles()[..., None]
        return NetworkOutputs(
            spans=self.span_head(torch.cat([found, place], -1)).sigmoid()[None],
            logits=self.score_head(found)[None],
            saliency=frames.mean(-1).masked_fill(~is_frame, 0.0),
            frames=frames,
        )


SMALL = Architecture(
    preset=Preset(network=NetworkConfig(architecture="small", hidden_dim=64)),
    network=SmallNetwork,
    uses=("hidden_dim", "queries"),
)
