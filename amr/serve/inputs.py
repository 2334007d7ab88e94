"""What the command line names: feature files, and folders whose recordings are encoded once and then kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from amr.audio.files import AudioFile, find_audio
from amr.encoders.registry import DEFAULT_ENCODER
from amr.errors import AmrError, InputError
from amr.formats.features.open import open_features
from amr.tasks.callbacks import OnProgress, ShouldStop, ignore_progress, leave_out_found, log, never
from amr.tasks.default_features import DEFAULT_FEATURES
from amr.tasks.extract import extract
from amr.tasks.inputs import default_features, holds_features, names_in
from amr.tasks.recordings import find_recordings


@dataclass(frozen=True)
class ServedInputs:
    """What is served.

    Args:
        features: feature files and ``.npz`` trees, of which some may still have to be made.
        to_encode: which recordings go into which of them, by file.
        folders: where the recordings of features may lie.
    """

    features: list[str]
    to_encode: dict[str, list[str]] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)

    @property
    def labels(self) -> Path:
        """Where labels are kept unless something else is said: beside the first features."""
        first = Path(self.features[0])
        return (first if first.is_dir() else first.parent) / "labels.jsonl"


def sorted_inputs(names: Sequence[str], keep: str | None, stack: ExitStack) -> ServedInputs:
    """What the names mean.

    A folder stands for its ``feats.h5``, which is made where there is none; but where feature files are
    named too, for the place of their recordings. Recordings that are named one by one go into features of
    their own.

    Args:
        names: feature files, folders, recordings; none: ``$AMR_FEATURES``, else ``feats.h5``.
        keep: the feature file for recordings and folders; None: a folder's own, and for recordings one that
            is gone in the end.
        stack: keeps what is gone in the end until then.

    Raises:
        UsageError: nothing is named, and there is no ``feats.h5`` here.
    """
    names = list(names) or [default_features()]
    features = [name for name in names if is_features(Path(name))]
    rest = [name for name in names if name not in set(features)]
    if features:
        return ServedInputs(features, {}, rest)
    if keep is not None:
        return ServedInputs([keep], {keep: rest}, rest)
    to_encode = {str(Path(name) / DEFAULT_FEATURES): [name] for name in rest if Path(name).is_dir()}
    if recordings := [name for name in rest if not Path(name).is_dir()]:
        folder = stack.enter_context(TemporaryDirectory(prefix="amr-serve-"))
        to_encode[str(Path(folder) / DEFAULT_FEATURES)] = recordings
        log.info("the features of single recordings are not kept; --features FILE keeps them")
    return ServedInputs(list(to_encode), to_encode, rest)


def is_features(path: Path) -> bool:
    """Whether a name is of features: a folder is a tree of ``.npz`` only where it has no recordings' file."""
    return holds_features(path) and not (path.is_dir() and (path / DEFAULT_FEATURES).exists())


def encode_missing(
    inputs: ServedInputs,
    on_progress: OnProgress = ignore_progress,
    should_stop: ShouldStop = never,
    workers: int | None = None,
) -> None:
    """Encode the recordings that are not in their feature file yet; an interrupted run is gone on with.

    Raises:
        InputError: there is no recording, or the feature file cannot stand there.
        StoppedError: ``should_stop`` said so; what is finished is kept.
    """
    for target, names in inputs.to_encode.items():
        missing = not_in(Path(target), names)
        if not missing:
            continue
        if Path(target).exists() and not made_by_default(Path(target)):
            log.warning(
                f"{len(missing)} recordings are not in {target}, which another encoder made: amr extract"
            )
            continue
        count = len(missing)
        what = (
            "1 recording is encoded once; its"
            if count == 1
            else f"{count} recordings are encoded once; their"
        )
        log.info(f"{what} features are kept in {target}")
        try:
            extract(
                names, target, resume=True, workers=workers, on_progress=on_progress, should_stop=should_stop
            )
        except OSError as error:
            what, hint = f"cannot be written: {error.strerror}", "--features FILE keeps it elsewhere"
            raise InputError(what, where=target, hint=hint) from error


def not_in(target: Path, names: Sequence[str]) -> list[AudioFile]:
    """The recordings that a feature file does not have."""
    if not target.exists():
        return find_audio(names, leave_out_found)
    with open_features(target) as features:
        known = set(features.ids)
        return [
            file for file in find_audio(names, leave_out_found, names_in(features)) if file.id not in known
        ]


def made_by_default(target: Path) -> bool:
    """Whether the default encoder made a feature file."""
    with open_features(target) as features:
        identity = json.loads(features.identity_json or "{}")
    return bool(identity.get("name") == DEFAULT_ENCODER)


def recordings_in(folders: Sequence[str], vids: Sequence[str]) -> dict[str, Path]:
    """The files of recordings in folders; where those hold none, that is reported."""
    if not folders:
        return {}
    try:
        return find_recordings(folders, vids).paths
    except AmrError as error:
        log.warning("%s", error)
        return {}
