"""What ``train`` is given: annotations and features, whether they fit the network, what made them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from amr.encoders.base import Encoder, EncoderIdentity
from amr.encoders.registry import encoder_of
from amr.encoders.stored import require_same_encoder, stored_identity
from amr.errors import InputError
from amr.formats.annotations import Annotation, read_annotations
from amr.formats.features.base import FeatureReader
from amr.formats.streams import STDIO
from amr.models.checkpoint import Checkpoint
from amr.models.model_file import UNKNOWN_ENCODER
from amr.tasks.default_features import default_features_path
from amr.training.dataset import Dataset
from amr.training.plan import TrainingPlan

AnnotationSource = str | Path | Annotation
"""A JSONL file, or one annotation."""
AnnotationSources = AnnotationSource | Sequence[AnnotationSource] | None

GIGABYTE = 1 << 30


def source_list(sources: AnnotationSources) -> list[AnnotationSource]:
    """One source, several or none, as a list."""
    if sources is None:
        return []
    return [sources] if isinstance(sources, str | Path | Annotation) else list(sources)


def annotation_list(sources: AnnotationSources) -> list[Annotation]:
    """All annotations of files, and those that are at hand."""
    found: list[Annotation] = []
    for source in source_list(sources):
        found += [source] if isinstance(source, Annotation) else read_annotations(source)
    return found


def feature_paths(features: str | Path | Sequence[str | Path] | None) -> list[Path]:
    """The features that are named, or the usual ones."""
    named = [features] if isinstance(features, str | Path) else features
    return [Path(each) for each in named or [default_features_path()]]


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


def require_fitting(reader: FeatureReader, start: Checkpoint | None, plan: TrainingPlan) -> None:
    """Refuse features of another encoder or of other sizes than the network takes.

    Raises:
        InputError: says both.
    """
    if start is not None and start.encoder.name != UNKNOWN_ENCODER:
        require_same_encoder(reader, start.encoder)
    if plan.network.audio and reader.dimension != plan.network.audio_dim:
        raise InputError(
            f"frames have {reader.dimension} dimensions, the network takes {plan.network.audio_dim}",
            where=reader.name,
        )


def joint_encoder(reader: FeatureReader, plan: TrainingPlan, device: torch.device) -> Encoder | None:
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


def has_joint_space(reader: FeatureReader) -> bool:
    """Whether the features' encoder says how near a frame is to a sentence."""
    identity = stored_identity(reader)
    return identity is not None and identity.joint_dimension > 0


def memory_bytes(memory_gb: float | None) -> int:
    """How much memory features may take: as given, or half of what is there."""
    if memory_gb is not None:
        return int(memory_gb * GIGABYTE)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES") // 2


def unknown_encoder(reader: FeatureReader, dataset: Dataset) -> EncoderIdentity:
    """An identity with sizes and times only, for features that do not say what made them."""
    rate_hz = 1000
    return EncoderIdentity(
        name=UNKNOWN_ENCODER,
        weights_sha256="",
        sample_rate_hz=rate_hz,
        window_samples=round(reader.window_s * rate_hz),
        hop_samples=round(reader.hop_s * rate_hz),
        dimension=dataset.audio_dim,
        text_dimension=dataset.text_dim,
        joint_dimension=0,
    )


def data_hashes(
    annotations: AnnotationSources,
    validation: AnnotationSources,
    dataset: Dataset,
    validated: Dataset | None,
) -> dict[str, str]:
    """sha256 of each annotation file, by its name, and of the features in use."""
    hashes: dict[str, str] = {}
    sources = [*source_list(annotations), *source_list(validation)]
    for path in [Path(each) for each in sources if not isinstance(each, Annotation) and str(each) != STDIO]:
        key = f"{path.parent.name}/{path.name}" if path.name in hashes else path.name
        hashes[key] = hashlib.sha256(path.read_bytes()).hexdigest()
    records = [each.record() for each in sources if isinstance(each, Annotation)]
    if records:
        lines = "".join(json.dumps(record) + "\n" for record in records)
        hashes["annotations"] = hashlib.sha256(lines.encode()).hexdigest()
    hashes["features (training)"] = dataset.sha256
    if validated is not None:
        hashes["features (validation)"] = validated.sha256
    return hashes


def call_text(annotations: AnnotationSources, output: str | Path, **arguments: Any) -> str:
    """The call as it goes into the model's history, e.g. ``amr.train('train.jsonl', 'm.safetensors')``."""
    given = {name: value for name, value in arguments.items() if value is not None}
    words = [shown(annotations), shown(output), *(f"{name}={shown(value)}" for name, value in given.items())]
    return f"amr.train({', '.join(words)})"


def shown(value: Any) -> str:
    """A value in a line of history; annotations are counted."""
    values = value if isinstance(value, list | tuple) else [value]
    count = sum(isinstance(each, Annotation) for each in values)
    if count:
        return f"<{count} annotations>"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown, value))}]"
    return repr(str(value) if isinstance(value, Path) else value)
