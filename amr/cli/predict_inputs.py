"""What ``amr predict`` searches: opens features and audio, and an encoder that fits them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from amr.audio.files import AudioFile, find_audio
from amr.audio.noise import library_chatter_hidden
from amr.audio.read import MonoStream
from amr.cli.progress import SoundProgress
from amr.encoders.base import Encoder, FloatFrames
from amr.encoders.device import choose_device
from amr.encoders.registry import DEFAULT_ENCODER, load_encoder
from amr.encoders.stored import require_same_encoder, stored_identity
from amr.encoders.stream import encode_recording
from amr.errors import InputError, UsageError
from amr.formats.features import FeatureReader, open_features
from amr.formats.queries import Query
from amr.formats.streams import STDIO, open_input
from amr.moments import FrameGrid
from amr.retrieval.library import AudioShelf, FeatureShelf, LengthShelf, Library, Shelf
from amr.retrieval.prior import is_prior

DEFAULT_FEATURES = "feats.h5"
FEATURES_VARIABLE = "AMR_FEATURES"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


class Session(NamedTuple):
    """What is searched, and the encoder that both sides of the search share; None for the priors."""

    library: Library
    encoder: Encoder | None


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
    names = [name for argument in arguments for name in (listed() if argument == STDIO else [argument])]
    if not arguments:
        names = [default_features()]
    features = [name for name in names if holds_features(Path(name))]
    return Inputs(features, [name for name in names if name not in set(features)])


def listed() -> list[str]:
    """The file names on standard input, one a line."""
    with open_input(STDIO) as file:
        names = [os.fsdecode(line.rstrip(b"\r\n")) for line in file]
    names = [name for name in names if name.strip()]
    if not names:
        raise InputError("names no file", where="<stdin>")
    return names


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
    model: str,
    asked: list[Query],
    *,
    encoder: str | None,
    hop_s: float | None,
    device: str,
    quiet: bool,
) -> Iterator[Session]:
    """Open everything that is searched, and close it at the end.

    A prior needs lengths only, and takes them from the queries where no input is named.

    Raises:
        AmrError: an input is missing or wrong, or was made by another encoder.
    """
    if is_prior(model) and not arguments and all(query.duration_s and query.vid for query in asked):
        yield Session(Library([length_shelf(asked)]), None)
        return
    inputs = sort_inputs(arguments)
    with ExitStack() as stack:
        reader = stack.enter_context(open_features(*inputs.features)) if inputs.features else None
        files = find_audio(inputs.audio) if inputs.audio else []
        if files:
            stack.enter_context(library_chatter_hidden())
        shelves: list[Shelf] = [FeatureShelf(reader)] if reader is not None else []
        if is_prior(model):
            yield Session(Library([*shelves, *length_shelves(files)]), None)
            return
        loaded = fitting_encoder(reader, encoder, hop_s, device if files else "cpu")
        if files:
            sizes = sum(file.path.stat().st_size for file in files)
            progress = SoundProgress("predict", total=len(files), total_bytes=sizes, quiet=quiet)
            shelves.append(audio_shelf(files, loaded, stack.enter_context(progress)))
        yield Session(Library(shelves), loaded)


def length_shelf(asked: list[Query]) -> LengthShelf:
    """The recordings that the queries name, with the lengths that they give."""
    return LengthShelf({str(query.vid): float(query.duration_s or 0.0) for query in asked}, "the queries")


def length_shelves(files: list[AudioFile]) -> list[Shelf]:
    """The lengths of audio files, by decoding them: a header may promise what is not there."""
    lengths = {file.id: read_audio_length_s(file.path) for file in files}
    return [LengthShelf(lengths, "audio files")] if lengths else []


def audio_shelf(files: list[AudioFile], encoder: Encoder, progress: SoundProgress) -> AudioShelf:
    """Audio files that are encoded when they are asked for, with progress."""

    def encode(path: str) -> tuple[FloatFrames, FrameGrid, float]:
        frames, grid, duration_s = encode_recording(encoder, path)
        progress.heard(duration_s)
        progress.done(Path(path).stat().st_size)
        return frames, grid, duration_s

    return AudioShelf({file.id: str(file.path) for file in files}, encode, read_audio_length_s)


def read_audio_length_s(path: str | Path) -> float:
    """The length of what can really be decoded, in seconds."""
    stream = MonoStream(path, None)
    for _ in stream:
        continue
    return stream.duration_s


def fitting_encoder(
    reader: FeatureReader | None, name: str | None, hop_s: float | None, device: str
) -> Encoder:
    """The encoder that was asked for, or the one that made the features; the two must be one.

    Raises:
        InputError: the features were made by another encoder; both identities are printed.
    """
    stored = stored_identity(reader) if reader is not None else None
    if stored is not None:
        name, hop_s = name or stored.name, hop_s or stored.hop_s
    encoder = load_encoder(name or DEFAULT_ENCODER, hop_s=hop_s, device=choose_device(device))
    if reader is not None:
        require_same_encoder(reader, encoder.identity)
    return encoder
