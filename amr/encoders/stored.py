"""Whether stored features were made by the encoder at hand."""

from __future__ import annotations

from amr.encoders.base import EncoderIdentity
from amr.errors import InputError
from amr.formats.features.base import FeatureReader
from amr.formats.features.npz_exchange import UNKNOWN_ENCODER


def stored_identity(features: FeatureReader) -> EncoderIdentity | None:
    """The encoder that made the features; None where the files do not say, imported trees among them.

    Raises:
        InputError: what the file says is not an identity that this version knows.
    """
    if features.identity_json is None:
        return None
    try:
        identity = EncoderIdentity.from_json(features.identity_json)
    except (TypeError, ValueError) as error:
        raise InputError(f"the encoder's identity cannot be read ({error})", where=features.name) from error
    return None if identity.name == UNKNOWN_ENCODER else identity


def require_same_encoder(features: FeatureReader, identity: EncoderIdentity) -> None:
    """Refuse features of another encoder, or of an unknown one that has other dimensions.

    Raises:
        InputError: with both identities.
    """
    stored = stored_identity(features)
    if stored == identity or (stored is None and features.dimension == identity.dimension):
        return
    found = stored.to_json() if stored else f"an unknown encoder of {features.dimension} dimensions"
    raise InputError(
        f"the features were made by {found}, this needs {identity.to_json()}",
        where=features.name,
        hint="extract them again with this encoder, or use a model that was trained on such features",
    )
