"""UVCOM: text and sound are each gathered into a few slots before moments are looked for.

Xiao et al., "Bridging the gap: a unified video comprehension framework for moment retrieval and
highlight detection", CVPR 2024 (arXiv 2311.16464), in the shapes that Lighthouse trains on audio. Read
:meth:`UvcomNetwork.forward` first. Attention, decoder layers and positions are those of ``amr.models.detr``.

Where the released code lets padding into a result (means over tokens, gathering, the local convolution), it
is kept out here: an item alone equals the item in any batch, and equals the released code without padding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from amr.models.architectures import OwnNetwork
from amr.models.config import NetworkConfig
from amr.models.detr.attention import key_mask
from amr.models.detr.blocks import MLP, CrossLayer, EncoderLayer, Projection, unit_rows, xavier_matrices
from amr.models.detr.decoder import DetrDecoder
from amr.models.detr.positions import endpoint_features, frame_positions
from amr.models.inputs import NetworkInputs, NetworkOutputs
from amr.models.spans import logit
from amr.models.targets import Targets
from amr_uvcom.switches import Switches

GATHER_WIDTH = 1.2
"""Width of the kernel by which vectors choose their slot, between unit vectors."""
WALK_SHARPNESS = 5.0
WALK_SHARE = 0.5
"""How much of a step of the walk goes to the other modality (w of the paper's section on local relations)."""
SLOT_ROUNDS = 5
CONTRAST_DIM = 1024
TINY = 1e-9


@dataclass(frozen=True)
class UvcomOutputs(NetworkOutputs):
    """What the network says, and the cosines that its contrastive losses compare.

    Args:
        recording_cosines: ``(batch, batch)``, each stretch as a whole against each text; only in training.
        frame_cosines: ``(batch, frames)``, each frame against its own text.
        contrast: weight of these losses.
    """

    recording_cosines: Tensor | None = None
    frame_cosines: Tensor | None = None
    contrast: float = 1.0

    def added_losses(self, targets: Targets, frame_mask: Tensor) -> dict[str, Tensor]:
        """A stretch and its text are alike among all of the batch, relevant frames among all of a stretch.

        Weighted half and half, as released. There only the first window's frames are relevant; here all.
        """
        if self.recording_cosines is None or self.frame_cosines is None:
            return {}
        own = torch.arange(len(self.recording_cosines), device=self.recording_cosines.device)
        across = [
            functional.cross_entropy(x, own) for x in (self.recording_cosines, self.recording_cosines.T)
        ]
        hidden = self.frame_cosines.masked_fill(~frame_mask, -torch.inf)
        likely = hidden.log_softmax(-1).masked_fill(~targets.relevance, 0.0)
        within = -(likely.sum(1) / frame_mask.sum(1).clamp(min=1)).mean()
        weight = 0.5 * self.contrast
        return {"contrast_across": weight * (across[0] + across[1]) / 2, "contrast_within": weight * within}


class TextLayer(CrossLayer):
    """Audio-to-text cross-attention: tokens ask, frames answer; the rest as in the other direction."""

    def forward(  # type: ignore[override]
        self, text: Tensor, audio: Tensor, positions: Tensor, mask: Tensor | None
    ) -> Tensor:
        """``(batch, tokens, dim)`` to the same; ``positions`` are the frames'."""
        x = text + self.dropout1(self.attention(text, audio + positions, audio, mask))
        out: Tensor = self.norm2(x + self.dropout2(self.feedforward(self.norm1(x))))
        return out


class LocalRelations(nn.Module):
    """Three convolutions without anything between them, beside the frames that go in."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.before = nn.Conv1d(dim, dim, kernel_size=1)
        self.neighbours = nn.Conv1d(dim, dim, kernel_size=3, padding=1)
        self.after = nn.Conv1d(dim, dim, kernel_size=1)

    def forward(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        """``(batch, frames, dim)`` to the same."""
        real = None if mask is None else mask.unsqueeze(1)
        x = frames.transpose(1, 2)
        x = self.before(x if real is None else x * real)
        # The first map's bias must not reach the last real frame through its padding.
        x = self.after(self.neighbours(x if real is None else x * real))
        return frames + x.transpose(1, 2)


class SentenceSlots(nn.Module):
    """The decoder's first content: the sentence, and what the recording sounds like as a whole.

    Published as slot attention. Its slots all start as the sentence, so they stay alike, every frame is
    shared out evenly, and a slot receives the mean of the frames' values whatever the query and key maps
    hold; these get no gradient either. So one slot is enough, and the two maps are left out.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm_frames = nn.LayerNorm(dim)
        self.value = nn.Linear(dim, dim)
        self.norm_update = nn.LayerNorm(dim)
        self.update = MLP(dim, CONTRAST_DIM, CONTRAST_DIM, dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, sentence: Tensor, frames: Tensor, mask: Tensor | None) -> Tensor:
        """``(batch, dim)`` from the sentence ``(batch, dim)`` and the frames ``(batch, frames, dim)``."""
        seen = mean_of(self.value(self.norm_frames(frames)), mask)
        slot = sentence
        for _ in range(SLOT_ROUNDS):
            slot = slot + seen
            slot = slot + self.update(self.norm_update(slot))
        out: Tensor = self.norm(slot)
        return out


class SlotDecoder(DetrDecoder):
    """QD-DETR's decoder with content from the start, and spans about the anchors as each layer moved them."""

    def decode(
        self, anchors: Tensor, content: Tensor, frames: Tensor, positions: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Content ``(layers, batch, queries, dim)`` and moved anchors ``(layers, batch, queries, 2)``."""
        reference = anchors.float().sigmoid().expand(frames.shape[0], -1, -1)
        contents, references = [], []
        for number, layer in enumerate(self.layers):
            queries = self.prepare(number, content, reference)
            content = layer(queries, frames, positions, key_mask(mask))
            moved = (self.refine(content).float() + logit(reference)).sigmoid()
            contents.append(content)
            references.append(moved)
            reference = moved.detach()
        return self.norm(torch.stack(contents)), torch.stack(references)


class Encoded(NamedTuple):
    """What the encoder makes of stretches and texts.

    Args:
        frames: ``(batch, frames, dim)``, which know the query.
        whole: ``(batch, dim)``, the global token.
        local: ``(batch, frames, dim)``, the frames as they go into self-attention.
        sentence: ``(batch, dim)``.
    """

    frames: Tensor
    whole: Tensor
    local: Tensor
    sentence: Tensor


class UvcomNetwork(OwnNetwork):
    """UVCOM in the shapes of a configuration with its :class:`Switches`."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.switches = switches = Switches.of(config)
        dim, drop = config.hidden_dim, config.dropout
        layer = {"heads": config.heads, "feedforward": config.feedforward_dim, "dropout": drop}
        project = {"layers": config.projection_layers, "dropout": config.input_dropout}
        self.audio_projection = Projection(config.audio_dim + 2, dim, **project)
        self.text_projection = Projection(config.text_dim, dim, **project)
        self.global_position = nn.Parameter(torch.randn(dim))
        self.cross = nn.ModuleList(CrossLayer(dim, **layer) for _ in range(config.cross_layers))
        self.text_cross = nn.ModuleList(TextLayer(dim, **layer) for _ in range(config.cross_layers))
        self.sentence = nn.Sequential(nn.Linear(dim, dim), nn.LayerNorm(dim))
        self.text_slots = nn.Parameter(torch.randn(switches.text_slots, dim))
        self.audio_slots = nn.Parameter(torch.randn(switches.audio_slots, dim))
        self.local = LocalRelations(dim)
        self.encoder = nn.ModuleList(EncoderLayer(dim, **layer) for _ in range(config.encoder_layers))
        self.content = SentenceSlots(dim)
        self.anchors = nn.Parameter(torch.randn(config.queries, 2))
        self.slot_content = nn.Parameter(torch.randn(config.queries, dim))
        self.decoder = SlotDecoder(dim, layers=config.decoder_layers, **layer)
        self.score_head = nn.Linear(dim, 2)
        self.span_head = MLP(dim, dim, dim, 2)
        self.saliency_frame = nn.Linear(dim, dim)
        self.saliency_global = nn.Linear(dim, dim)
        self.contrast_audio = MLP(dim, CONTRAST_DIM, CONTRAST_DIM, dim)
        self.contrast_text = MLP(dim, CONTRAST_DIM, CONTRAST_DIM, dim)
        xavier_matrices([self.cross, self.text_cross, self.encoder, self.decoder, self.local, self.content])
        for slots in (self.text_slots, self.audio_slots, self.slot_content):
            nn.init.xavier_uniform_(slots)
        self.decoder.reset_refinement()

    def forward(
        self,
        inputs: NetworkInputs,
        *,
        negatives: bool = False,
        negative_index: Tensor | None = None,
        first: None = None,
    ) -> NetworkOutputs:
        """Scored spans of every decoder layer, and saliency; see :class:`OwnNetwork` for the arguments."""
        del first
        inputs = inputs.apart()
        audio, text = self.project(inputs)
        positions = frame_positions(inputs.frame_mask(), self.config.hidden_dim)
        masks = inputs.audio_mask, inputs.text_mask
        encoded = self.encode(audio, text, *masks, positions)
        content = self.content(encoded.sentence, encoded.frames, inputs.audio_mask).unsqueeze(1)
        contents, references = self.decoder.decode(
            self.anchors, content + self.slot_content, encoded.frames, positions, inputs.audio_mask
        )
        across, within = self.contrasts(encoded) if self.training else (None, None)
        outputs = UvcomOutputs(
            spans=(self.span_head(contents).float() + logit(references)).sigmoid(),
            logits=self.score_head(contents).float(),
            saliency=self.saliency(encoded, inputs.audio_mask),
            frames=encoded.frames,
            recording_cosines=across,
            frame_cosines=within,
            contrast=self.switches.contrast,
        )
        if not negatives:
            return outputs
        batch = audio.shape[0]
        if negative_index is None:
            negative_index = torch.arange(1, batch + 1, device=audio.device).remainder(batch)
        text_mask = None if inputs.text_mask is None else inputs.text_mask[negative_index]
        other = self.encode(audio, text[negative_index], inputs.audio_mask, text_mask, positions)
        return replace(
            outputs,
            negative_saliency=self.saliency(other, inputs.audio_mask),
            negative_valid=(inputs.text[:batch] != inputs.text[negative_index]).flatten(1).any(1),
        )

    def project(self, inputs: NetworkInputs) -> tuple[Tensor, Tensor]:
        """Frames ``(batch, frames, dim)`` and tokens ``(texts, tokens, dim)`` in the network's size."""
        tef = endpoint_features(inputs.frame_mask())
        audio = self.audio_projection(torch.cat((tef, unit_rows(inputs.audio)), dim=-1))
        return audio, self.text_projection(unit_rows(inputs.text))

    def encode(
        self,
        audio: Tensor,
        text: Tensor,
        audio_mask: Tensor | None,
        text_mask: Tensor | None,
        positions: Tensor,
    ) -> Encoded:
        """Both sides ask each other and are gathered into slots; the frames take from the text's."""
        batch = audio.shape[0]
        text, text_mask = text[:batch], None if text_mask is None else text_mask[:batch]
        frames, tokens = audio, text
        for layer in self.cross:
            frames = layer(frames, positions, text, key_mask(text_mask))
        for layer in self.text_cross:
            tokens = layer(tokens, audio, positions, key_mask(audio_mask))
        said = gathered(self.text_slots, tokens, text_mask, self.switches.gather_rounds)
        sounds = gathered(self.audio_slots, frames, audio_mask, self.switches.gather_rounds)
        walked = random_walk(self.local(frames, audio_mask), said, audio_mask, self.switches.walk)
        local = frames + walked
        x = torch.cat((nearest_slot(sounds, said).unsqueeze(1), local), dim=1)
        places = torch.cat(
            (self.global_position.expand(batch, 1, -1), positions.expand(batch, -1, -1)), dim=1
        )
        mask = None if audio_mask is None else functional.pad(audio_mask, (1, 0), value=True)
        for layer in self.encoder:
            x = layer(x, places, key_mask(mask))
        return Encoded(x[:, 1:], x[:, 0], local, mean_of(self.sentence(tokens), text_mask))

    def saliency(self, encoded: Encoded, mask: Tensor | None) -> Tensor:
        """How far each frame agrees with the whole, ``(batch, frames)``; a logit, 0 at padding."""
        product = self.saliency_frame(encoded.frames) * self.saliency_global(encoded.whole).unsqueeze(1)
        out: Tensor = product.float().sum(-1) / self.config.hidden_dim**0.5
        return out if mask is None else out * mask

    def contrasts(self, encoded: Encoded) -> tuple[Tensor, Tensor]:
        """What the contrastive losses compare, see :class:`UvcomOutputs`."""
        text = functional.normalize(self.contrast_text(encoded.sentence), dim=-1)
        whole = functional.normalize(self.contrast_audio(encoded.whole), dim=-1)
        frames = functional.normalize(self.contrast_audio(encoded.local), dim=-1)
        return (whole @ text.T).float(), (frames @ text.unsqueeze(-1)).squeeze(-1).float()


def mean_of(x: Tensor, mask: Tensor | None) -> Tensor:
    """``(batch, length, dim)`` to ``(batch, dim)``, over what is real."""
    if mask is None:
        return x.mean(1)
    real = mask.unsqueeze(-1)
    return (x * real).sum(1) / real.sum(1).clamp(min=1)


def unit(x: Tensor) -> Tensor:
    """Vectors of length one."""
    return x / (torch.linalg.vector_norm(x, dim=-1, keepdim=True) + TINY)


def gathered(slots: Tensor, x: Tensor, mask: Tensor | None, rounds: int) -> Tensor:
    """Slots ``(batch, slots, dim)`` that stand for the vectors ``(batch, length, dim)``, by expectation
    maximisation with a Gaussian kernel on directions."""
    directions = unit(x)
    slots = slots.expand(x.shape[0], -1, -1)
    for _ in range(rounds):
        centres = unit(slots)
        squares = centres.square().sum(-1).unsqueeze(2) + directions.square().sum(-1).unsqueeze(1)
        distance = squares - 2 * centres @ directions.transpose(1, 2)
        share = real_shares((-0.5 * distance / GATHER_WIDTH**2).softmax(1), mask)
        slots = share / (share.sum(-1, keepdim=True) + TINY) @ x
    return slots


def real_shares(share: Tensor, mask: Tensor | None) -> Tensor:
    """Shares ``(batch, slots, length)`` without those of padding."""
    return share if mask is None else share * mask.unsqueeze(1)


def random_walk(frames: Tensor, slots: Tensor, mask: Tensor | None, walk: str) -> Tensor:
    """Frames ``(batch, frames, dim)`` after a walk between them and the slots ``(batch, slots, dim)``.

    With S the shares of slots in frames and N the same with rows of sum one, the walk's limit is
    ``(1 - w) (I - w^2 S'N)^-1 (w S' slots + frames)``, the ``paper``. The ``released`` code leaves the matrix
    as it is, not inverted, and so do its checkpoints. Neither needs a matrix of frames by frames.
    """
    share = real_shares((WALK_SHARPNESS * unit(slots) @ unit(frames).transpose(1, 2)).softmax(1), mask)
    rows = share / (share.sum(-1, keepdim=True) + TINY)
    back = share.transpose(1, 2)
    mixed = WALK_SHARE * back @ slots + frames
    seen = rows @ mixed
    if walk == "paper":  # Woodbury's identity: a system of the slots' size
        between = torch.eye(slots.shape[1], device=slots.device) - WALK_SHARE**2 * rows @ back
        return (1 - WALK_SHARE) * (mixed + WALK_SHARE**2 * back @ torch.linalg.solve(between, seen))
    return (1 - WALK_SHARE) * (mixed - WALK_SHARE**2 * back @ seen)


def nearest_slot(sounds: Tensor, said: Tensor) -> Tensor:
    """Of the sound's slots the one nearest to the text's on average, ``(batch, dim)``."""
    cosines = functional.normalize(sounds, dim=-1) @ functional.normalize(said, dim=-1).transpose(1, 2)
    best = cosines.mean(-1).argmax(-1)
    return sounds[torch.arange(len(sounds), device=sounds.device), best]
