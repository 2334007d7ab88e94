"""What decides a network's shape and behaviour: one frozen record, stored whole in every checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from amr.models.frames.shapes import SHAPES

Tef = Literal["fixed", "learned", "none"]
Gate = Literal["none", "values", "rows"]
Continuity = Literal["none", "features", "saliency"]
Pooling = Literal["mean", "attention"]
SaliencyHead = Literal["projection", "linear", "gate"]
Decoding = Literal["anchors", "embeddings"]
Activation = Literal["prelu", "relu"]
CrossMask = Literal["exact", "lighthouse"]
Proposing = Literal["queries", "frames"]
Option = bool | int | float | str

KIND_NAMES = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}

# Least and most of each size: far around the published configurations, so that a checkpoint's header can not
# make the reader build something absurd.
_LIMITS: dict[str, tuple[float, float]] = {
    "audio_dim": (1, 16_384),
    "text_dim": (1, 16_384),
    "hidden_dim": (8, 4_096),
    "heads": (1, 64),
    "feedforward_dim": (1, 65_536),
    "projection_layers": (1, 8),
    "cross_layers": (1, 32),
    "encoder_layers": (0, 32),
    "decoder_layers": (1, 32),
    "queries": (1, 1_000),
    "dropout": (0, 0.99),
    "input_dropout": (0, 0.99),
    "window_frames": (1, 1_000_000),
    "max_tokens": (1, 4_096),
    "similarity_channels": (0, 16),
    "gate_scale": (-1e6, 1e6),
    "gate_shift": (-1e6, 1e6),
    "prototype_axes": (0, 16_384),
    "prototypes": (0, 65_536),
    "level_weight": (-1e3, 1e3),
    "level_shift": (-1e3, 1e3),
    "level_similarity": (-1e3, 1e3),
    "moment_slope": (0, 1e3),
    "moment_shift": (-1e3, 1e3),
    "right_slope": (0, 1e3),
    "right_shift": (-1e3, 1e3),
    "there_slope": (0, 1),
    "there_shift": (-1e3, 1e3),
    "there_level_slope": (0, 1e3),
    "there_level_shift": (-1e3, 1e3),
    "continuity_kernel": (1, 1_001),
    "unused_text_positions": (0, 65_536),
}

MOST_SIMILARITIES = 2
"""Curves beside the frames' features; without those a network has the shapes of one curve."""

SCORE_FIELDS = ("right_slope", "right_shift", "there_slope", "there_shift")
"""What calibration finds out about the scores of any network (:mod:`amr.retrieval.presence`)."""
PRESENCE_FIELDS = (*SCORE_FIELDS, "there_level_slope", "there_level_shift")
LEVEL_FIELDS = ("level_weight", "level_shift", "level_similarity")
MOMENT_FIELDS = ("moment_slope", "moment_shift")
CALIBRATED_FIELDS = (*LEVEL_FIELDS, *MOMENT_FIELDS, *PRESENCE_FIELDS)
"""What calibration sets."""


@dataclass(frozen=True)
class NetworkConfig:
    """Every switch of :class:`amr.models.detr.network.DetrNetwork`; the defaults are AM-DETR as published.

    Sizes are counts of features, layers or frames. ``docs/models.md`` gives the source of each default and
    both readings of the switches on which the LCS-DETR report and its authors' code disagree.

    Args:
        audio_dim: size of an audio frame's feature.
        text_dim: size of a text token's feature.
        hidden_dim: size of every stream inside the network.
        window_frames: longest stretch of audio that the network is given at once.
        max_tokens: text tokens beyond these are cut off.
        tef: temporal endpoint features, ``(start, end)`` of each frame as fractions of the stretch;
            ``learned`` passes them through a 2 x 2 linear map that starts as the identity.
        tef_first: input order ``[TEF, audio]`` (Lighthouse) or ``[audio, TEF]`` (DCASE baseline).
        normalise_audio: divide each frame by its L2 norm.
        normalise_text: the same for each text token.
        similarity_channels: extra curves a frame (such as the joint-space similarity), added after
            projection.
        cross_layers: text-to-audio cross-attention layers.
        gate: where the saliency gate (LCS-DETR report, eq. 2) acts: on the frames' ``values`` that enter the
            cross-attention, on the attended ``rows``, or nowhere.
        gate_pooling: how the gate sums up the text tokens.
        gate_scale: initial value of the gate's learned scale (beta of eq. 2).
        gate_shift: initial value of its learned shift (alpha of eq. 2).
        continuity: where the local continuity convolution (LCS-DETR report, eq. 3) acts: on the ``features``
            ahead of the encoder, inside the gate's ``saliency`` alone, or nowhere.
        continuity_kernel: its width in frames, odd.
        plain_cross: keep the ungated cross-attention encoder behind the gated one.
        amplifier: the saliency amplifier of LCS-DETR's code behind the encoder.
        negatives_bypass_gate: negative pairs take the ungated cross-attention encoder only.
        joint_text: tokens stand beside the frames in self-attention (Moment-DETR) instead of being attended
            to by cross-attention.
        saliency: frame scores from the ``projection`` of frames and of a global token, from one ``linear``
            map (without a global token, Moment-DETR), or from the gate itself.
        decoding: queries are ``anchors`` that each decoder layer moves, or ``embeddings`` of which the span
            head makes spans at the end (Moment-DETR).
        activation: of the feed-forward layers.
        cross_mask: ``lighthouse`` repeats an upstream mask bug that lets batch mates into a result.
        proposing: what proposes moments: learned ``queries`` (DETR), or the ``frames`` themselves
            (:class:`amr.models.frames.network.FrameNetwork`, the preset ``best``), without cross-attention
            and positions.
        segments: of ``frames``: a moment is a segment of the likeliest segmentation
            (:mod:`amr.models.frames.segments`), not the proposal of one frame.
        quality: of ``segments``: proposals learn their quality beside them, and order the answers with them.
        audio: of ``frames``: whether the network is given the frames' features; without, it sees nothing but
            the shapes of their similarity curves (:mod:`amr.models.frames.shapes`, the preset ``curves``) and
            takes those of any encoder.
        prototypes: sentences of the training data that ``frames`` keep with what they sound like, at most.
        prototype_axes: principal axes of the input in which prototypes are directions, at most; each has unit
            variance over the training data.
        level_weight: of ``frames``: where it is not 0, every score of a stretch is multiplied by the chance
            that what is asked for is there at all, sigmoid(``level_weight`` level + ``level_shift``), level
            being that of :mod:`amr.models.frames.level`; without audio, how high the similarity rises
            (:func:`amr.retrieval.window.heights`). It tells recordings apart, not a recording's moments;
            calibration sets it.
        level_shift: see ``level_weight``.
        level_similarity: what a unit of similarity counts for in the level, beside a cosine of 1.
        moment_slope: of ``segments``: how likely an answer is right, by the logit that orders it; 0: as
            likely as that says. Calibration sets it.
        moment_shift: see ``moment_slope``.
        right_slope: of a calibrated network: how likely a question's best moment is right, by the logit of
            its score; 0: not known. Calibration sets it, and the next five (:mod:`amr.retrieval.presence`).
        right_shift: see ``right_slope``.
        there_slope: how likely what is asked for is there although the best moment is wrong, by the logit of
            the chance that it is right.
        there_shift: see ``there_slope``.
        there_level_slope: how likely it is there by the logit of the level's chance; 0: not known.
        there_level_shift: see ``there_level_slope``.
        architecture: of a network that another package brings (:mod:`amr.models.architectures`), which names
            the fields above that it uses; empty: one of ours.
        options: its own switches, plain values by name.
        unused_text_positions: length of a table of text positions that exists in published checkpoints and
            enters no result; 0 leaves it out.
    """

    audio_dim: int = 768
    text_dim: int = 768
    hidden_dim: int = 256
    heads: int = 8
    feedforward_dim: int = 1024
    projection_layers: int = 2
    cross_layers: int = 2
    encoder_layers: int = 2
    decoder_layers: int = 2
    queries: int = 10
    dropout: float = 0.1
    input_dropout: float = 0.5
    window_frames: int = 300
    max_tokens: int = 32
    tef: Tef = "fixed"
    tef_first: bool = True
    normalise_audio: bool = True
    normalise_text: bool = True
    similarity_channels: int = 0
    gate: Gate = "none"
    gate_pooling: Pooling = "mean"
    gate_scale: float = 20.0
    gate_shift: float = 0.0
    continuity: Continuity = "none"
    continuity_kernel: int = 5
    plain_cross: bool = True
    amplifier: bool = False
    negatives_bypass_gate: bool = False
    joint_text: bool = False
    saliency: SaliencyHead = "projection"
    decoding: Decoding = "anchors"
    activation: Activation = "prelu"
    cross_mask: CrossMask = "exact"
    proposing: Proposing = "queries"
    segments: bool = False
    quality: bool = False
    audio: bool = True
    prototypes: int = 0
    prototype_axes: int = 0
    level_weight: float = 0.0
    level_shift: float = 0.0
    level_similarity: float = 0.0
    moment_slope: float = 0.0
    moment_shift: float = 0.0
    right_slope: float = 0.0
    right_shift: float = 0.0
    there_slope: float = 0.0
    there_shift: float = 0.0
    there_level_slope: float = 0.0
    there_level_shift: float = 0.0
    architecture: str = ""
    options: Mapping[str, Option] = field(default_factory=dict)
    unused_text_positions: int = 0

    def __post_init__(self) -> None:
        """Raises ``ValueError`` with the name of the first field that cannot be."""
        _require_types(self)
        _require_sizes(self)
        _require_consistent(self)

    @property
    def tef_dim(self) -> int:
        return 0 if self.tef == "none" else 2

    def uncalibrated(self) -> NetworkConfig:
        """The same without what calibration sets, for a training that goes on from a calibrated model."""
        nothing: dict[str, Any] = dict.fromkeys(CALIBRATED_FIELDS, 0.0)
        return replace(self, **nothing)

    def to_fields(self) -> dict[str, Any]:
        """Plain JSON values, every field named but those of moments and presence that calibration has not
        set."""
        unset = (*MOMENT_FIELDS, *PRESENCE_FIELDS)
        return {key: value for key, value in asdict(self).items() if value or key not in unset}

    @staticmethod
    def from_fields(values: object) -> NetworkConfig:
        """The inverse of :meth:`to_fields`; a field that is absent keeps its default.

        Raises:
            ValueError: an unknown field, or a value that cannot be.
        """
        if not isinstance(values, dict):
            raise ValueError("a network's configuration is a JSON object")
        unknown = sorted(str(key) for key in values.keys() - {field.name for field in fields(NetworkConfig)})
        if unknown:
            raise ValueError(f"unknown field {unknown[0]!r} in the network's configuration")
        return NetworkConfig(**values)


def _require_types(config: NetworkConfig) -> None:
    hints = get_type_hints(NetworkConfig)
    for each in fields(config):
        checked(getattr(config, each.name), hints[each.name], each.name)


def checked(value: Any, kind: Any, name: str) -> Any:
    """``value`` as ``kind`` wants it: whole numbers pass as floats, nothing else is converted."""
    if get_origin(kind) is Mapping:
        return plain_values(value, name)
    choices = get_args(kind)
    if choices:
        if value not in choices:
            raise ValueError(f"{name} is {value!r}, expected one of {', '.join(map(str, choices))}")
        return value
    if kind is float and type(value) is int:
        try:
            return float(value)
        except OverflowError as error:
            raise ValueError(f"{name} is too large a number") from error
    if type(value) is not kind:
        raise ValueError(f"{name} is {value!r}, expected {KIND_NAMES.get(kind, kind)}")
    return value


def plain_values(values: Any, name: str) -> dict[str, Option]:
    """A table of numbers, texts, true and false, a copy of its own."""
    if not isinstance(values, Mapping):
        raise ValueError(f"{name} is {values!r}, expected a table of settings")
    for key, value in values.items():
        if not isinstance(key, str) or not isinstance(value, bool | int | float | str):
            raise ValueError(f"{name}.{key} is {value!r}, expected a number, a text, true or false")
    return dict(values)


def _require_sizes(config: NetworkConfig) -> None:
    for name, (least, most) in _LIMITS.items():
        value = getattr(config, name)
        if not least <= value <= most:
            raise ValueError(f"{name} is {value}, expected {least} to {most}")


def _require_consistent(config: NetworkConfig) -> None:
    if config.options and not config.architecture:
        raise ValueError("options belong to an architecture of another package, and none is named")
    if config.architecture:
        return
    if config.continuity_kernel % 2 == 0:
        raise ValueError(f"continuity_kernel is {config.continuity_kernel}, expected an odd number of frames")
    if config.audio and config.similarity_channels > MOST_SIMILARITIES:
        raise ValueError(
            f"similarity_channels is {config.similarity_channels}, expected 0 to {MOST_SIMILARITIES}"
        )
    if config.proposing == "frames":
        _require_frames_consistent(config)
        return
    if config.hidden_dim % (4 * config.heads):
        raise ValueError(f"hidden_dim {config.hidden_dim} is not a multiple of 4 x {config.heads} heads")
    for name in ("segments", "quality", "prototypes", "prototype_axes", *LEVEL_FIELDS, *MOMENT_FIELDS):
        if getattr(config, name):
            raise ValueError(f"{name} belongs to proposing = frames")
    if config.gate == "none":
        for name in ("saliency", "continuity"):
            if getattr(config, name) in ("gate", "saliency"):
                raise ValueError(f"{name} is {getattr(config, name)!r}, which needs a gate")
        if config.amplifier or config.negatives_bypass_gate:
            raise ValueError("amplifier and negatives_bypass_gate need a gate")
    if config.negatives_bypass_gate and not config.plain_cross:
        raise ValueError("negatives_bypass_gate needs plain_cross, the encoder that they take instead")
    if not config.audio:
        raise ValueError("audio is off, which belongs to proposing = frames")
    _require_text(config)


def _require_text(config: NetworkConfig) -> None:
    """Text reaches the audio, and by one way."""
    if config.joint_text:
        if config.plain_cross or config.gate != "none":
            raise ValueError("joint_text takes the place of cross-attention: plain_cross off, gate 'none'")
        if not config.encoder_layers:
            raise ValueError("joint_text needs encoder_layers, in which text meets audio")
    elif config.gate == "none" and not config.plain_cross:
        raise ValueError("plain_cross is off and there is no gate: no text would reach the audio")


def _require_frames_consistent(config: NetworkConfig) -> None:
    """Switches of the DETR networks that the frame decoder lacks must say so."""
    lacking = {"tef": "none", "gate": "none", "continuity": "none", "plain_cross": False, "amplifier": False}
    lacking |= {"joint_text": False, "decoding": "anchors"}
    for name, value in lacking.items():
        if getattr(config, name) != value:
            raise ValueError(f"{name} is {getattr(config, name)!r}, proposing = frames takes {value!r} only")
    if not config.audio:
        if config.prototypes:
            raise ValueError("prototypes are directions of frames' features, and audio is off")
        if config.similarity_channels != len(SHAPES):
            raise ValueError(
                f"similarity_channels is {config.similarity_channels}, without audio expected {len(SHAPES)}"
            )
    for name in ("quality", *MOMENT_FIELDS):
        if getattr(config, name) and not config.segments:
            raise ValueError(f"{name} is of segments, and segments is off")
    if config.level_weight and config.audio and not config.prototypes:
        raise ValueError("level_weight is of prototypes, and prototypes is 0")
    if config.level_similarity and not config.similarity_channels:
        raise ValueError("level_similarity is of similarities, and similarity_channels is 0")
    if bool(config.prototypes) != bool(config.prototype_axes):
        raise ValueError("prototypes and prototype_axes: either both are 0 or neither is")
    if not (config.prototypes or config.similarity_channels):
        raise ValueError("prototypes and similarity_channels are both 0: no text would reach the audio")
