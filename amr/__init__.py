"""amr finds moments in sound: language-based audio moment retrieval.

    import amr

    model = amr.load_model()
    model.find("a dog barks", "street.wav")
    amr.search(["a dog barks", "glass breaks"], "feats.h5")

``docs/python.md`` shows all of it. Names are imported when they are first used, so that importing this is
quick and imports neither torch nor numpy.

Rooms, from the top down (an import points down only; ``tests/test_layers.py`` guards it): ``cli``,
``tasks``, ``report``, ``training``, ``evaluation``, ``simulation``, ``retrieval``, ``models``, ``encoders``,
``formats``, ``audio`` and ``metrics``, ``distributed``, ``moments`` (with ``errors`` at the bottom).
"""

import importlib

__version__ = "0.1.0"

HOMES = {
    "AmrError": "amr.errors",
    "Annotation": "amr.formats.annotations",
    "Hit": "amr.tasks.results",
    "Model": "amr.tasks.models",
    "Moment": "amr.moments",
    "Prediction": "amr.formats.predictions",
    "Query": "amr.formats.queries",
    "extract": "amr.tasks.extract",
    "load_model": "amr.tasks.models",
    "open_features": "amr.formats.features.open",
    "overview": "amr.tasks.overview",
    "predict": "amr.tasks.search",
    "read_annotations": "amr.formats.annotations",
    "read_predictions": "amr.formats.predictions",
    "score": "amr.evaluation",
    "search": "amr.tasks.search",
    "simulate": "amr.tasks.simulate",
    "train": "amr.tasks.train",
}
"""The public names, and the file of each; ``__init__.pyi`` has their types."""


def __getattr__(name: str) -> object:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    importlib.import_module("amr.errors").require_posix()
    found = globals()[name] = getattr(importlib.import_module(HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted([*HOMES, "__version__"])
