"""The trained networks that answer: those that come with the package, and files of others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import amr.models
from amr.encoders.base import Encoder, EncoderIdentity
from amr.errors import UsageError
from amr.formats.streams import require_readable
from amr.formats.untrusted.tensor_header import METADATA_KEY, read_header
from amr.retrieval.prior import PRIORS, is_prior, prior
from amr.tasks.callbacks import log

if TYPE_CHECKING:
    from amr.retrieval.trained.model import MomentModel

AUTO = "auto"
SHIPPED = "best"
CURVES = "curves"
WINDOW = "window"
LIGHTHOUSE = "lighthouse"
SUFFIXES = (".safetensors", ".ckpt", ".pth", ".pt")

CURVES_HOPS_S = (0.1, 1.0)
"""Seconds from frame to frame for which ``curves`` was trained."""

OTHER_FEATURES = (
    "the shipped model best takes other features than these; curves answers from their similarity"
)
EARLIER_FEATURES = (
    "extract these features again for the shipped model best; until then curves answers from their similarity"
)


def load_network(name: str, device: str, compat: str | None) -> MomentModel | None:
    """The trained network of that name, or of a file; None for what is no network.

    Args:
        name, device, compat: as in :func:`amr.load_model`, which says what is raised.
    """
    if compat not in (None, LIGHTHOUSE):
        raise UsageError(f"{compat!r} is unknown; there is {LIGHTHOUSE}", where="--compat")
    if is_prior(name):
        prior(name)  # raises where there is none of that name
    if is_prior(name) or name in (AUTO, WINDOW):
        return None
    path = str(shipped_path(name)) if name in (SHIPPED, CURVES) else name
    if not path.endswith(SUFFIXES) and not Path(path).exists():
        known = ", ".join([SHIPPED, CURVES, WINDOW, *(f"prior:{each}" for each in PRIORS)])
        raise UsageError(f"no model {name!r}; there are {known} and files", where="--model")
    from amr.retrieval.trained.model import load_model

    require_readable(path)
    return load_model(path, device=device, lighthouse_mask=compat == LIGHTHOUSE)


def shipped_path(name: str = SHIPPED) -> Path:
    """A model that comes with the package; docs/default-model.md is their card."""
    return Path(amr.models.__file__).parent / "shipped" / f"{name}.safetensors"


def shipped_for(encoder: Encoder | None) -> str:
    """Which of what comes with the package answers from an encoder's frames; the log says where not ``best``.

    That is ``best`` for the features that it was trained on, else ``curves``, and the window where frames lie
    nearer together, or further apart, than those of any curve that it was trained on.
    """
    if encoder is None:
        return WINDOW
    wanted = EncoderIdentity.from_json(read_header(shipped_path())[METADATA_KEY]["encoder"])
    found = encoder.identity
    if wanted == found:
        return SHIPPED
    least_s, most_s = CURVES_HOPS_S
    if not least_s <= found.hop_s <= most_s:
        log.info(
            f"neither shipped model takes frames {found.hop_s:g} s apart, curves those of {least_s:g} to"
            f" {most_s:g} s; searching by similarity in a sliding window"
        )
        return WINDOW
    is_earlier = wanted == replace(found, normalisation=wanted.normalisation)
    log.info(EARLIER_FEATURES if is_earlier else OTHER_FEATURES)
    return CURVES
