"""The features that ``amr train`` is given: which files, whether they fit the network, what made them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from amr.cli.messages import warn
from amr.encoders.base import Encoder, EncoderIdentity
from amr.encoders.registry import encoder_of
from amr.encoders.stored import require_same_encoder, stored_identity
from amr.errors import InputError
from amr.formats.annotations import Annotation
from amr.formats.features import FeatureReader
from amr.formats.features_parts import files_in, lost_parts
from amr.models.checkpoint import UNKNOWN_ENCODER, Checkpoint
from amr.training.corpus import Corpus
from amr.training.plan import Plan

DEFAULT_FEATURES = "feats.h5"
FEATURES_VARIABLE = "AMR_FEATURES"
GIGABYTE = 1 << 30


def feature_paths(paths: Sequence[Path]) -> list[Path]:
    """The features that are named, or the usual ones."""
    return list(paths) or [Path(os.environ.get(FEATURES_VARIABLE) or DEFAULT_FEATURES)]


def tell_lost_parts(reader: FeatureReader, *, quiet: bool) -> None:
    """Warn where features of several parts are learned from and one of them was not named."""
    warn("train", lost_parts(files_in(reader)), quiet=quiet)


def text_dimension(reader: FeatureReader, annotations: Sequence[Annotation]) -> int:
    """Size of a token's vector, from the first query that is there."""
    for annotation in annotations:
        if reader.has_text(annotation.query, qid=annotation.qid):
            return int(reader.text(annotation.query, qid=annotation.qid).tokens.shape[1])
    raise InputError(
        "no query of the annotations has text features",
        where=reader.name,
        hint="amr extract --queries FILE stores them",
    )


def require_fitting(reader: FeatureReader, start: Checkpoint | None, plan: Plan) -> None:
    """Refuse features of another encoder or of other sizes than the network takes.

    Raises:
        InputError: says both.
    """
    if start is not None and start.encoder.name != UNKNOWN_ENCODER:
        require_same_encoder(reader, start.encoder)
    if reader.dimension != plan.network.audio_dim:
        raise InputError(
            f"frames have {reader.dimension} dimensions, the network takes {plan.network.audio_dim}",
            where=reader.name,
        )


def joint_encoder(reader: FeatureReader, plan: Plan, device: torch.device) -> Encoder | None:
    """The encoder of the features, where the network takes similarities in its joint space."""
    if plan.network.similarity_channels == 0:
        return None
    identity = stored_identity(reader)
    if identity is None:
        raise InputError(
            "does not say which encoder made it, so there is no joint space to compare in",
            where=reader.name,
            hint="--set network.similarity_channels=0 trains without similarities",
        )
    encoder = encoder_of(identity, device=str(device))
    require_same_encoder(reader, encoder.identity)
    return encoder


def memory_bytes(memory_gb: float | None) -> int:
    """How much memory features may take: as asked, or half of what is there."""
    if memory_gb is not None:
        return int(memory_gb * GIGABYTE)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES") // 2


def unknown_encoder(reader: FeatureReader, train: Corpus) -> EncoderIdentity:
    """An identity with sizes and times only, for features that do not say what made them."""
    rate_hz = 1000
    return EncoderIdentity(
        name=UNKNOWN_ENCODER,
        weights_sha256="",
        sample_rate_hz=rate_hz,
        window_samples=round(reader.window_s * rate_hz),
        hop_samples=round(reader.hop_s * rate_hz),
        dimension=train.audio_dim,
        text_dimension=train.text_dim,
        joint_dimension=0,
    )
