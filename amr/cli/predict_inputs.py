"""What ``amr predict`` searches: opens features and audio, and an encoder that fits them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from amr.audio.files import AudioFile, find_audio
from amr.audio.noise import library_chatter_hidden
from amr.audio.read import MonoStream
from amr.cli.names import named
from amr.cli.progress import SoundProgress, file_bytes
from amr.encoders.base import Encoder, EncoderIdentity
from amr.encoders.device import choose_device
from amr.encoders.pipeline import EncodedRecording, encode_many
from amr.encoders.registry import DEFAULT_ENCODER, encoder_of, load_encoder
from amr.encoders.stored import require_same_encoder, stored_identity
from amr.encoders.stream import grid_of
from amr.encoders.threads import Crew, set_up_threads
from amr.errors import UsageError
from amr.formats.features import FeatureReader, open_features
from amr.formats.queries import Query
from amr.retrieval.library import AudioShelf, FeatureShelf, LengthShelf, Library, Recording, Shelf

DEFAULT_FEATURES = "feats.h5"
FEATURES_VARIABLE = "AMR_FEATURES"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


class Session(NamedTuple):
    """What is searched.

    Args:
        library: the recordings.
        encoder: what both sides of the search share; None for priors and for features of an unknown encoder.
        reader: the features among the recordings.
    """

    library: Library
    encoder: Encoder | None
    reader: FeatureReader | None


@dataclass(frozen=True)
class Want:
    """What the command line asks of an encoder.

    Args:
        blind: no recording is heard, only its length is wanted.
        is_network: a trained network answers.
        trained_on: the encoder that it was trained on, where its file says.
        encoder: the name that was given.
        hop_s: the hop that was given.
        device: where the encoder runs.
    """

    blind: bool = False
    is_network: bool = False
    trained_on: EncoderIdentity | None = None
    encoder: str | None = None
    hop_s: float | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Inputs:
    """What is searched, sorted by kind.

    Args:
        features: feature files and ``.npz`` trees.
        audio: recordings, folders and patterns.
    """

    features: list[str]
    audio: list[str]


def sort_inputs(arguments: list[str]) -> Inputs:
    """Which arguments are features and which are audio; ``-`` is replaced by the names on standard input.

    Without arguments ``$AMR_FEATURES`` or ``feats.h5`` is meant.

    Raises:
        UsageError: nothing is named, and there is no ``feats.h5`` here.
    """
    names = named(arguments) if arguments else [default_features()]
    features = [name for name in names if holds_features(Path(name))]
    return Inputs(features, [name for name in names if name not in set(features)])


def default_features() -> str:
    """The feature file that is meant when none is named."""
    path = os.environ.get(FEATURES_VARIABLE) or DEFAULT_FEATURES
    if Path(path).exists():
        return path
    raise UsageError(
        f"nothing to search: no input is named and there is no {path} here",
        hint="name recordings or a feature file, or make one: amr extract AUDIO -o feats.h5",
    )


def holds_features(path: Path) -> bool:
    """Whether a path is a feature file (by its first bytes) or a tree of ``.npz`` files."""
    if path.is_dir():
        return next(path.rglob("*.npz"), None) is not None
    if path.suffix.lower() in (".h5", ".hdf5"):
        return True
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE


@contextmanager
def open_session(
    arguments: list[str],
    asked: list[Query],
    want: Want,
    *,
    workers: int | None,
    quiet: bool,
) -> Iterator[Session]:
    """Open everything that is searched, and close it at the end.

    A prior needs lengths only, and takes them from the queries where no input is named.

    Raises:
        AmrError: an input is missing or wrong, or was made by another encoder.
    """
    if want.blind and not arguments and all(query.duration_s and query.vid for query in asked):
        yield Session(Library([length_shelf(asked)]), None, None)
        return
    inputs = sort_inputs(arguments)
    with ExitStack() as stack:
        reader = stack.enter_context(open_features(*inputs.features)) if inputs.features else None
        files = find_audio(inputs.audio) if inputs.audio else []
        if files:
            stack.enter_context(library_chatter_hidden())
        shelves: list[Shelf] = [FeatureShelf(reader)] if reader is not None else []
        if want.blind:
            yield Session(Library([*shelves, *length_shelves(files)]), None, reader)
            return
        encoder = fitting_encoder(reader, want, has_audio=bool(files))
        if files and encoder is not None:
            sizes = sum(file_bytes(file.path) for file in files)
            progress = SoundProgress("predict", total=len(files), total_bytes=sizes, quiet=quiet)
            crew = set_up_threads(encoder, on_gpu=choose_device(want.device) != "cpu", workers=workers)
            shelves.append(audio_shelf(files, encoder, crew, stack.enter_context(progress)))
        yield Session(Library(shelves), encoder, reader)


def length_shelf(asked: list[Query]) -> LengthShelf:
    """The recordings that the queries name, with the lengths that they give."""
    return LengthShelf({str(query.vid): float(query.duration_s or 0.0) for query in asked}, "the queries")


def length_shelves(files: list[AudioFile]) -> list[Shelf]:
    """The lengths of audio files, by decoding them: a header may promise what is not there."""
    lengths = {file.id: read_audio_length_s(file.path) for file in files}
    return [LengthShelf(lengths, "audio files")] if lengths else []


def audio_shelf(files: list[AudioFile], encoder: Encoder, crew: Crew, progress: SoundProgress) -> AudioShelf:
    """Audio files that are encoded ahead of the search, with progress."""
    named = {file.id: file for file in files}

    def encode(vids: Sequence[str]) -> Iterator[Callable[[], Recording]]:
        wanted = [named[vid] for vid in vids]
        for coming in encode_many(encoder, wanted, workers=crew.workers, batch=crew.batch):
            yield partial(take, coming, encoder, progress)

    return AudioShelf(list(named), encode, lambda vid: read_audio_length_s(named[vid].path))


def take(coming: EncodedRecording, encoder: Encoder, progress: SoundProgress) -> Recording:
    """A recording that is being encoded, when all of it is there. Raises what was wrong with the file."""
    try:
        frames = np.concatenate(list(coming))
    finally:
        progress.done(file_bytes(coming.file.path))
    progress.heard(coming.duration_s)
    return Recording(coming.file.id, frames, grid_of(coming.duration_s, encoder.identity), coming.duration_s)


def read_audio_length_s(path: str | Path) -> float:
    """The length of what can really be decoded, in seconds."""
    stream = MonoStream(path, None)
    for _ in stream:
        continue
    return stream.duration_s


def fitting_encoder(reader: FeatureReader | None, want: Want, *, has_audio: bool) -> Encoder | None:
    """The encoder asked for, or that of the features, or that of the model; None where none is known.

    Raises:
        InputError: the features were made by another encoder; both identities are printed.
    """
    known = (stored_identity(reader) if reader is not None else None) or want.trained_on
    if known is None and want.encoder is None and want.is_network:
        return None
    device = choose_device(want.device) if has_audio else "cpu"
    if known is not None and want.encoder in (None, known.name) and want.hop_s in (None, known.hop_s):
        encoder = encoder_of(known, device=device)
    else:
        encoder = load_encoder(want.encoder or DEFAULT_ENCODER, hop_s=want.hop_s, device=device)
    if reader is not None:
        require_same_encoder(reader, encoder.identity)
    return encoder
