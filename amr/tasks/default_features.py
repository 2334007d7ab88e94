"""The feature file that is meant when none is named."""

from __future__ import annotations

import os

DEFAULT_FEATURES = "feats.h5"
FEATURES_VARIABLE = "AMR_FEATURES"


def default_features_path() -> str:
    """``$AMR_FEATURES``, else ``feats.h5``; whether it is there is the reader's business."""
    return os.environ.get(FEATURES_VARIABLE) or DEFAULT_FEATURES
