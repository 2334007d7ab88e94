"""What ``--model`` names, and what it needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import amr.models
from amr.cli.messages import say
from amr.encoders.base import Encoder, EncoderIdentity
from amr.encoders.stored import stored_identity
from amr.errors import UsageError
from amr.formats.features import FeatureReader
from amr.formats.tensor_header import PAPERS, read_header
from amr.retrieval.find import Finder, PriorFinder, WindowFinder
from amr.retrieval.prior import PRIORS, is_prior, prior
from amr.retrieval.sentences import EncodedSentences, Sentences, StoredSentences
from amr.retrieval.window import default_options

if TYPE_CHECKING:
    from amr.retrieval.detr import MomentModel

WINDOW = "window"
SHIPPED = "best"
LIGHTHOUSE = "lighthouse"
SUFFIXES = (".safetensors", ".ckpt", ".pth", ".pt")


def load_network(model: str, device: str, compat: str | None) -> MomentModel | None:
    """The trained network of a file; None for the methods that are no network.

    Raises:
        UsageError: there is no such method, or ``--compat`` knows no such thing.
        InputError: the file is no model, or damaged.
    """
    if compat not in (None, LIGHTHOUSE):
        raise UsageError(f"{compat!r} is unknown; there is {LIGHTHOUSE}", where="--compat")
    if model == WINDOW or is_prior(model):
        if is_prior(model):
            prior(model)
        return None
    path = str(shipped_path()) if model == SHIPPED else model
    if not path.endswith(SUFFIXES) and not Path(path).exists():
        priors = ", ".join(f"prior:{name}" for name in PRIORS)
        known = f"{SHIPPED}, {WINDOW}, {priors}"
        raise UsageError(f"no model {model!r}; there are {known} and files", where="--model")
    from amr.encoders.device import choose_device
    from amr.formats.streams import require_readable
    from amr.retrieval.detr import load_model

    require_readable(path)
    return load_model(path, device=choose_device(device), lighthouse_mask=compat == LIGHTHOUSE)


def shipped_path() -> Path:
    """The model that comes with the package; docs/default-model.md is its card."""
    return Path(amr.models.__file__).parent / "shipped" / f"{SHIPPED}.safetensors"


def default_model(encoder: Encoder | None, *, quiet: bool) -> str:
    """What answers where no ``--model`` is given: the shipped model on features that it takes."""
    if encoder is not None:
        papers = read_header(shipped_path())[PAPERS]
        if EncoderIdentity.from_json(papers["encoder"]) == encoder.identity:
            return SHIPPED
        if not quiet:
            say("amr predict: the shipped model takes other features than these; searching by similarity")
    return WINDOW


def known_identity(network: MomentModel | None) -> EncoderIdentity | None:
    """The encoder that a network was trained on, where its file says."""
    if network is None:
        return None
    from amr.models.checkpoint import UNKNOWN_ENCODER

    return None if network.identity.name == UNKNOWN_ENCODER else network.identity


def require_fit(network: MomentModel, reader: FeatureReader | None, encoder: Encoder | None) -> None:
    """Refuse features or an encoder that the network was not trained on; of unknown ones sizes are compared.

    Raises:
        InputError: they do not fit; both are printed.
    """
    if reader is not None:
        wanted = network.identity
        unknown = EncoderIdentity("unknown", "", 0, 0, 0, reader.dimension, wanted.text_dimension, 0)
        stored = stored_identity(reader)
        if stored is not None:
            network.require_encoder(stored, reader.name)
        elif reader.dimension != wanted.dimension:
            network.require_encoder(unknown, reader.name)
    if encoder is not None:
        network.require_encoder(encoder.identity, "--encoder")


def choose_finder(
    model: str,
    network: MomentModel | None,
    encoder: Encoder | None,
    reader: FeatureReader | None,
    settings: dict[str, float],
    nms: float | None,
) -> Finder:
    """The way of finding that ``--model`` names.

    Args:
        settings: the window's options that were given, by their names in ``WindowOptions``.

    Raises:
        UsageError: options are given to a method that has none of that kind.
    """
    if network is None and nms is not None:
        raise UsageError("--nms is an option of trained models")
    if model == WINDOW and encoder is not None:
        return WindowFinder(encoder, replace(default_options(encoder.identity.name), **settings))
    if settings:
        raise UsageError("--fraction, --threshold, --filter and --gap are options of --model window")
    if network is None:
        return PriorFinder(prior(model))
    from amr.retrieval.detr_finder import DetrFinder

    curves = WindowFinder(encoder, default_options(encoder.identity.name)) if encoder is not None else None
    return DetrFinder(network, sentences_of(curves, reader), similarity=curves, nms=nms)


def sentences_of(curves: WindowFinder | None, reader: FeatureReader | None) -> Sentences:
    """Sentences through the encoder, or, without one, those that lie beside the features."""
    if curves is not None:
        sentences: EncodedSentences = curves.sentences
        return sentences
    if reader is None:
        raise UsageError(
            "the model does not say which encoder it was trained on", hint="name it with --encoder"
        )
    return StoredSentences(reader)
