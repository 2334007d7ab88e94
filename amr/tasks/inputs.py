"""What is searched, and what searches it: features and sound opened, with a model and an encoder that fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from amr.audio.files import find_audio
from amr.audio.names import Names
from amr.encoders.base import Encoder
from amr.errors import UsageError
from amr.formats.features.base import FeatureReader
from amr.formats.features.open import open_features
from amr.formats.features.parts import files_in, lost_parts
from amr.formats.queries import Query
from amr.retrieval.finders import Finder
from amr.retrieval.recordings import Collection, FeatureSource, RecordingSource
from amr.tasks.callbacks import OnFailure, OnProgress, ignore_progress, leave_out_found, log
from amr.tasks.default_features import default_features_path
from amr.tasks.models import FEATURE_SUFFIXES, Model, choose_encoder, unknown_encoder

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


class SearchInputs(NamedTuple):
    """What is searched, sorted by kind; neither: the recordings whose lengths the queries give.

    Args:
        features: feature files and ``.npz`` trees.
        audio: recordings, folders and patterns.
    """

    features: list[str]
    audio: list[str]


class Search(NamedTuple):
    """Recordings that are open, and what searches them.

    Args:
        collection: the recordings.
        features: those of them whose features are on disk.
        encoder: what both sides of the search share; None for priors and for features of an unknown encoder.
        model: what answers.
        finder: the model, at work on this encoder's frames.
    """

    collection: Collection
    features: FeatureReader | None
    encoder: Encoder | None
    model: Model
    finder: Finder

    def finder_of(self, *, searches_all: bool) -> Finder:
        """What answers: an index lists recordings by whole sentences."""
        return self.joining if searches_all else self.finder

    @property
    def joining(self) -> Finder:
        """The finder for whole recordings: it takes sentences of several sounds apart, if that is better."""
        return self.model.joining(self.finder, self.encoder)


def find_inputs(names: Sequence[str], queries: Sequence[Query], model: Model) -> SearchInputs:
    """Which names are features and which are sound.

    Without names ``$AMR_FEATURES`` or ``feats.h5`` is meant; a prior needs lengths only, and takes them from
    the queries where they give them.

    Raises:
        UsageError: nothing is named, and there is no ``feats.h5`` here.
    """
    if not names and model.is_prior and all(query.duration_s and query.vid for query in queries):
        return SearchInputs([], [])
    names = names or [default_features()]
    features = [name for name in names if holds_features(Path(name))]
    return SearchInputs(features, [name for name in names if name not in set(features)])


def default_features() -> str:
    """The feature file that is meant when none is named."""
    path = default_features_path()
    if Path(path).exists():
        return path
    raise UsageError(
        f"nothing to search: no input is named and there is no {path} here",
        hint="name recordings or a feature file, or make one: amr extract AUDIO -o feats.h5",
    )


def holds_features(path: Path) -> bool:
    """Whether a path is a feature file (by its first bytes) or a tree of ``.npz`` files."""
    try:
        if path.is_dir():
            return next(path.rglob("*.npz"), None) is not None
        if path.suffix.lower() in FEATURE_SUFFIXES:
            return True
        if not path.is_file():
            return False
    except OSError:  # too long, or not to be entered: reported by the search for sound in it
        return False
    with open(path, "rb") as file:
        return file.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE


def names_in(features: FeatureReader) -> Names:
    """The ids of recordings whose features are on disk, so that sound beside them gets others."""
    return Names({name: features.audio_path(name) for name in features.ids})


@contextmanager
def open_search(
    inputs: SearchInputs,
    queries: Sequence[Query],
    model: Model,
    workers: int | None = None,
    on_progress: OnProgress = ignore_progress,
    on_failure: OnFailure | None = None,
    *,
    strict: bool = False,
) -> Iterator[Search]:
    """Open everything that is searched, and close it at the end.

    Args:
        queries: give the lengths of recordings that no input is named for.
        workers: threads that encode sound; None: what the machine has free.
        on_failure: called with an input, or a folder below one, that is not there or cannot be read.
        strict: refuse a recording whose header is wrong about its sound.

    Raises:
        AmrError: an input is missing or wrong, or was made by another encoder than the model needs.
    """
    with ExitStack() as stack:
        features = stack.enter_context(open_features(*inputs.features)) if inputs.features else None
        taken = Names() if features is None or not inputs.audio else names_in(features)
        files = find_audio(inputs.audio, on_failure or leave_out_found, taken) if inputs.audio else []
        encoder = None if model.is_prior else choose_encoder(model, features, has_audio=bool(files))
        sources: list[RecordingSource] = [FeatureSource(features)] if features is not None else []
        if files and encoder is None and not model.is_prior:
            raise unknown_encoder()
        if files or features is None:
            from amr.tasks.sources import AudioLengths, audio_source, query_lengths

            if files and encoder is not None:
                device = model.settings.device
                sound = audio_source(files, encoder, device, workers, on_progress, strict=strict)
                sources.append(stack.enter_context(sound))
            else:
                sources.append(AudioLengths(files) if files else query_lengths(queries))
        collection = Collection(sources)
        for line in lost_parts(files_in(features)) if features is not None else []:
            log.warning(line)
        model = model.settled(encoder)
        model.require_fit(features, encoder)
        yield Search(collection, features, encoder, model, model.finder(encoder, features))
